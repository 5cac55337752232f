//! What is told of one attempt or hold when it is over: to the journal, as an entry; to the log and to those who listen, as one
//! wide event.
//!
//! It decides nothing; what follows has been decided when it is called.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock;
use crate::domain::{Envelope, Moment, NextStep};
use crate::journal::{self, Entry, State};
use crate::live::{Live, WideEvent};
use crate::replay::Transcript;

/// What the journal keeps of it.
pub(super) fn entry(
    envelope: &Envelope,
    attempt: Option<journal::Attempt>,
    transcript: Option<&Transcript>,
    step: &NextStep,
) -> Entry {
    let at = clock::now();
    let replay = envelope.progress.replay;
    let state = match step {
        NextStep::Retry(progress) => {
            State::Waiting { next_attempt: progress.attempt.get(), due: progress.due, replay }
        }
        NextStep::Hold(progress, reason) => State::Held {
            next_attempt: progress.attempt.get(),
            due: progress.due,
            cause: reason.name().to_owned(),
            reason: reason.to_string(),
            holds: progress.held.map_or(NonZeroU32::MIN, |held| held.count),
            since: progress.held.map_or(at, |held| held.since),
            replay,
        },
        NextStep::Finish(outcome) => State::Ended {
            outcome: outcome.name().to_owned(),
            detail: outcome.detail().map(str::to_owned),
            attempts_made: outcome.attempts(envelope.progress.attempt),
            ended_at: at,
            replay,
        },
    };
    Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: envelope.notification.record.merchant_order_id.clone(),
        raw: envelope.notification.raw.clone(),
        first_seen: envelope.progress.first_seen,
        at,
        state,
        attempt,
        transcript: transcript.map(|transcript| journal::Transcript {
            number: envelope.progress.attempt.get(),
            replay,
            content: transcript.to_json(),
        }),
    }
}

/// Tells the log, and whoever listens, of an attempt or a hold: the envelope, how late it was taken up, the attempt if a
/// request went out, and what follows.
pub(super) fn tell(
    live: Option<&Live>,
    (envelope, late): (&Envelope, Duration),
    attempt: Option<&journal::Attempt>,
    step: &NextStep,
    at: Moment,
) {
    let (next, due, reason) = match step {
        NextStep::Retry(progress) => ("retry", Some(progress.due), None),
        NextStep::Hold(progress, reason) => ("hold", Some(progress.due), Some(reason.to_string().into())),
        NextStep::Finish(outcome) => (outcome.name(), None, outcome.detail().map(Cow::from)),
    };
    let event = WideEvent {
        at,
        notification: envelope.notification.id(),
        merchant: envelope.notification.merchant(),
        order: envelope.notification.record.merchant_order_id.as_deref(),
        attempt: envelope.progress.attempt.get(),
        replay: envelope.progress.replay,
        late_ms: whole_milliseconds(late),
        plugin: attempt.map(|attempt| attempt.plugin.as_str()),
        url: attempt.map(|attempt| attempt.url.as_str()),
        status: attempt.and_then(|attempt| attempt.status),
        result: attempt.map(|attempt| attempt.result.as_str()),
        duration_ms: attempt.map(|attempt| whole_milliseconds(attempt.duration)),
        next,
        due,
        reason,
    };
    event.log();
    if let Some(live) = live {
        live.tell(&event);
    }
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
