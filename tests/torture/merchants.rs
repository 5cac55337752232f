//! The merchants: one server, an address for each, and answers that the notification's id prescribes.

use std::sync::Arc;

use super::plan::{self, MERCHANTS, STOPPER, Script};
use super::record::Record;
use super::support::guest::Guest;
use super::support::merchant::{Answer, Received, StubMerchant};

/// Starts all of them.
pub async fn start(record: Arc<Record>) -> StubMerchant {
    StubMerchant::start_forgetful(move |received: &Received| answer(&record, received)).await
}

/// A merchant's name, where it is told, and its plugin.
pub struct Address {
    pub name: String,
    pub url: String,
    pub plugin: &'static str,
}

/// All of them.
pub fn addresses(merchant: &StubMerchant) -> Vec<Address> {
    let address = |number, plugin| {
        let name = format!("m{number}");
        Address { url: merchant.url(&format!("/{name}")), name, plugin }
    };
    let plain = (0..MERCHANTS).map(|number| address(number, "plain"));
    // Its plugin posts to the root.
    let stopper = Address { url: merchant.url("/"), ..address(STOPPER, "guest") };
    plain.chain([stopper]).collect()
}

/// A plugin that posts a notification's id, and takes any reply for the wish to hear no more; `plain` knows no such
/// reply. The addresses are those of [`Guest`]'s template: the request's body, and a verdict `stop` with a text.
pub fn stopping_plugin() -> Vec<u8> {
    let format = "(i32.store (i32.const 4220) (i32.load (local.get 0)))
        (i32.store (i32.const 4224) (i32.load offset=4 (local.get 0)))
        (i32.const 4192)";
    let judge = "(i32.store8 (i32.const 4260) (i32.const 2))
        (i32.store (i32.const 4264) (i32.const 0))
        (i32.store (i32.const 4268) (i32.const 5))
        (i32.const 4256)";
    Guest { format, judge, ..Guest::WELL_BEHAVED }.build()
}

fn answer(record: &Record, received: &Received) -> Answer {
    let path = received.path_and_query.split('?').next().unwrap_or_default();
    let (id, merchant) = match path {
        "/" => (String::from_utf8_lossy(&received.body).into_owned(), format!("m{STOPPER}")),
        path => (received.query("notify_id").unwrap_or_default(), path.trim_start_matches('/').to_owned()),
    };
    let Some(meaning) = plan::meaning(&id) else {
        record.strange(format!("a request that is none of ours: {}", received.path_and_query));
        return Answer::Status(500);
    };
    let mut answer = Answer::Confirm;
    record.requested(&id, &merchant, |before| {
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        answer = match meaning.script {
            Script::Refuse(times) if before < times => Answer::Refuse,
            Script::Never | Script::Stop => Answer::Refuse,
            Script::Hang(times) if before < times => Answer::Hang,
            Script::Reset(times) if before < times => Answer::Reset,
            Script::Refuse(_) | Script::Hang(_) | Script::Reset(_) => Answer::Confirm,
        };
        matches!(answer, Answer::Confirm)
    });
    answer
}
