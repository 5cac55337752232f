//! Replies that nobody would send: each gets a verdict, and the failure of a server is never a confirmation.

use super::advice;
use super::odd_replies;
use super::report::Outcome;
use super::shops::{self, Shop};
use super::subject::Subject;
use crate::domain::{Notification, Verdict};
use crate::kit::form::{CaseReply, Judged};
use crate::plugin::{CallError, Fault};

/// Has the plugin judge all of them.
pub(super) async fn check(subject: &Subject, notification: &Notification, shops: &[Shop]) -> Outcome {
    let mut outcome = Outcome::passed(String::new());
    let [mut confirmed, mut retried, mut stopped] = [0_usize; 3];
    for (number, answer) in odd_replies::replies().into_iter().enumerate() {
        for shop in shops::some(shops, number) {
            let what = &answer.what;
            let given = || {
                let judged = Judged { reply: CaseReply::of(&answer.reply), verdict: None };
                shop.given(notification, Some(judged))
            };
            match subject.judge(notification, &shop.endpoint, &shop.attempt, &answer.reply).await {
                Ok(Verdict::Confirmed { .. }) if answer.is_failure => outcome.wrong_for(
                    format!("{what} is taken for a confirmation"),
                    "confirm only what the merchant answers when it has heard: a server that fails has not"
                        .to_owned(),
                    given(),
                ),
                Ok(Verdict::Confirmed { .. }) => confirmed += 1,
                Ok(Verdict::Retry { .. }) => retried += 1,
                Ok(Verdict::Stop { .. }) => stopped += 1,
                Err(CallError::Busy) => outcome.wrong("there was no room for a call", "try again"),
                Err(CallError::Fault(fault)) => {
                    let change = match &fault {
                        Fault::Refused { .. } => {
                            "judge every reply: what cannot be read is `retry`, with the reason"
                        }
                        Fault::Trapped(_)
                        | Fault::TimedOut(_)
                        | Fault::OverLimit(_)
                        | Fault::InvalidRequest(_)
                        | Fault::Panicked(_) => advice::on_fault(&fault),
                    };
                    outcome.wrong_for(format!("{what}: it {fault}"), change.to_owned(), given());
                }
            }
            if outcome.is_enough() {
                outcome.text = format!("stopped after {} replies", number + 1);
                return outcome;
            }
        }
    }
    outcome.text = format!("{confirmed} confirmed, {retried} to be tried again, {stopped} stopped");
    outcome
}
