//! The merchants: one server, an address for each, and answers that the notification's id prescribes.

use std::sync::Arc;

use super::plan::{self, MERCHANTS, Script};
use super::record::Record;
use super::support::merchant::{Answer, Received, StubMerchant};

/// Starts all of them.
pub async fn start(record: Arc<Record>) -> StubMerchant {
    StubMerchant::start_forgetful(move |received: &Received| answer(&record, received)).await
}

/// The merchants' names and where they are told.
pub fn addresses(merchant: &StubMerchant) -> Vec<(String, String)> {
    (0..MERCHANTS).map(|number| (format!("m{number}"), merchant.url(&format!("/m{number}")))).collect()
}

fn answer(record: &Record, received: &Received) -> Answer {
    let id = received.query("notify_id").unwrap_or_default();
    let path = received.path_and_query.split('?').next().unwrap_or_default();
    let merchant = path.trim_start_matches('/');
    let Some(meaning) = plan::meaning(&id) else {
        record.strange(format!("a request that is none of ours: {}", received.path_and_query));
        return Answer::Status(500);
    };
    let mut answer = Answer::Confirm;
    record.requested(&id, merchant, |before| {
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        answer = match meaning.script {
            Script::Refuse(times) if before < times => Answer::Refuse,
            Script::Never => Answer::Refuse,
            Script::Hang(times) if before < times => Answer::Hang,
            Script::Reset(times) if before < times => Answer::Reset,
            Script::Refuse(_) | Script::Hang(_) | Script::Reset(_) => Answer::Confirm,
        };
        matches!(answer, Answer::Confirm)
    });
    answer
}
