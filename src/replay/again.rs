//! Making an attempt again, from its transcript.

use std::sync::Arc;

use super::difference::{Difference, Part, differences, of_verdicts, short};
use super::transcript::{KeptRequest, KeptVerdict, Step, Transcript};
use crate::domain::Notification;
use crate::plugin::{AnsweredBy, CallError, Called, Conditions, HostCall, HostCalls, Keys, Plugin};

/// An attempt that was made again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The request, or the fault in its place.
    pub format: Step<KeptRequest>,
    /// The verdict on the reply that is in the transcript, or the fault in its place; `None` if there was no reply.
    pub judge: Option<Step<KeptVerdict>>,
    /// Where that differs from the transcript. Empty: it is the same to the byte.
    pub differences: Vec<Difference>,
}

/// Why an attempt cannot be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayed {
    /// Its transcript says what cannot be.
    #[error("its transcript is damaged: {0} cannot be")]
    Damaged(&'static str),
    /// There was no room for the call.
    #[error("{0}")]
    Busy(CallError),
}

/// Makes the attempt again with that plugin: has it format the request, and judge the recorded reply. `crypto` answers
/// from the transcript; what it was not asked then, `keys` answer, if there are any.
///
/// # Errors
/// The transcript is damaged, or the plugin's host has no room.
pub async fn again(
    plugin: &Plugin,
    notification: &Notification,
    transcript: &Transcript,
    keys: &Keys,
) -> Result<Replayed, NotReplayed> {
    let attempt = transcript.attempt.context().ok_or(NotReplayed::Damaged("its attempt"))?;
    let endpoint = Arc::new(transcript.endpoint.clone());
    let conditions = |recorded: &HostCalls| Conditions {
        endpoint: Arc::clone(&endpoint),
        keys: keys.clone(),
        recorded: Some(recorded.clone()),
    };
    let before = &transcript.format;
    let formatted = plugin.format_under(notification, conditions(&before.host_calls), &attempt).await;
    let format: Step<KeptRequest> = step(&formatted)?;
    let mut found = differences(&before.made, &format.made);
    found.extend(of_host_calls(&before.host_calls, &format.host_calls));
    let mut judge = None;
    if let (Some(reply), Some(before)) = (&transcript.reply, &transcript.judge) {
        let reply = reply.reply().ok_or(NotReplayed::Damaged("its reply"))?;
        let judged = plugin.judge_under(notification, conditions(&before.host_calls), &attempt, &reply).await;
        let step: Step<KeptVerdict> = step(&judged)?;
        found.extend(of_verdicts(Some(&before.made), Some(&step.made)));
        found.extend(of_host_calls(&before.host_calls, &step.host_calls));
        judge = Some(step);
    }
    Ok(Replayed { format, judge, differences: found })
}

fn step<'a, R, T: From<&'a R>>(called: &'a Called<R>) -> Result<Step<T>, NotReplayed> {
    Step::of(called).ok_or(NotReplayed::Busy(CallError::Busy))
}

/// What was asked otherwise, not at all, or besides.
fn of_host_calls(before: &HostCalls, now: &HostCalls) -> Vec<Difference> {
    let mut found: Vec<Difference> = now.calls.iter().filter_map(not_from_the_record).collect();
    let answered = |call: &&HostCall| matches!(call.answered_by, AnsweredBy::Record | AnsweredBy::StandIn);
    let answers = now.calls.iter().filter(answered).count();
    if answers < before.calls.len() {
        let was = format!("{} calls", before.calls.len());
        let is = format!("{answers} of them");
        let function = before.calls.last().map_or("sign", |call| call.function.name());
        found.push(short(Part::HostCall(function.to_owned()), Some(was), Some(is)));
    }
    if before.left_out {
        let was = "more calls, or longer answers, than are kept".to_owned();
        found.push(short(Part::HostCall("sign".to_owned()), Some(was), None));
    }
    found
}

fn not_from_the_record(call: &HostCall) -> Option<Difference> {
    let whose = match call.answered_by {
        AnsweredBy::Record => return None,
        AnsweredBy::Key => "was not made with these arguments; the merchant's key has answered it now",
        AnsweredBy::StandIn => {
            "was made with other arguments; the recorded answer has its place, and is no signature of what is signed now"
        }
        AnsweredBy::Nobody => "was not made; nothing is recorded to answer it",
    };
    let is = format!("the one with the key `{}` {whose}", call.key);
    Some(short(Part::HostCall(call.function.name().to_owned()), None, Some(is)))
}

impl Replayed {
    /// Whether it is the same to the byte.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}
