//! Notifications as they are found in a database: how far they have come, and what to publish or tell of them.

use bytes::Bytes;

use super::State;
use crate::domain::{
    AttemptNumber, Beginning, Ending, Envelope, Held, Known, Lane, Moment, Notification, NotificationId,
    Outcome, OutcomeEvent, Progress, Recorded, Standing,
};

/// How far a notification has come.
pub(super) struct Found {
    pub(super) digest: Vec<u8>,
    pub(super) first_seen: Moment,
    pub(super) state: State,
    pub(super) begun: Option<Beginning>,
}

impl Found {
    /// What that means for a message of that content.
    pub(super) fn known(&self, digest: &[u8]) -> Known {
        if self.digest != digest {
            return Known::AnotherText;
        }
        standing(&self.state, self.first_seen).map_or(Known::Nothing, Known::Standing)
    }
}

/// The notification's name and state as they are read from their texts.
///
/// A row whose state cannot be read counts as one that is not there: the next entry mends it, and nobody else waits
/// for that.
pub(super) fn readable(id: &str, state: &str) -> Option<(NotificationId, State)> {
    let (Ok(parsed), Ok(state)) = (id.parse(), serde_json::from_str(state)) else {
        tracing::error!(
            notification = id,
            state,
            "the journal has a state that cannot be read; it is passed over"
        );
        return None;
    };
    Some((parsed, state))
}

/// What a durable state says of how far the notification has come; nothing for one that has only come in.
pub(super) fn standing(state: &State, first_seen: Moment) -> Option<Standing> {
    let waiting = |attempt: &u32, due: &Moment, held, replay: &u32| {
        let attempt = AttemptNumber::new(*attempt)?;
        Some(Standing::Waiting(Progress { attempt, due: *due, first_seen, held, replay: *replay }))
    };
    match state {
        State::Received | State::Accepted => None,
        State::Waiting { next_attempt, due, replay } => waiting(next_attempt, due, None, replay),
        State::Held { next_attempt, due, holds, since, replay, .. } => {
            waiting(next_attempt, due, Some(Held { since: *since, count: *holds }), replay)
        }
        State::Ended { outcome, detail, attempts_made, ended_at, replay } => Some(Standing::Ended(Ending {
            outcome: Outcome::named(outcome, detail.clone())?,
            attempts: *attempts_made,
            first_seen,
            at: *ended_at,
            replay: *replay,
            recorded: Recorded::after_commit(),
        })),
    }
}

/// A notification that is to be published again, or whose end is to be told.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) id: String,
    pub(super) raw: Vec<u8>,
    pub(super) first_seen: Moment,
    pub(super) state: String,
}

impl Missing {
    fn read(self) -> Option<(Notification, State, Moment)> {
        let notification = Notification::parse(Bytes::from(self.raw)).ok();
        let state = serde_json::from_str(&self.state).ok();
        let read =
            notification.zip(state).map(|(notification, state)| (notification, state, self.first_seen));
        if read.is_none() {
            tracing::error!(
                notification = self.id,
                "it is missing at the broker, and its record cannot be read"
            );
        }
        read
    }

    /// What the payment centre is to be told; nothing if it cannot be read.
    pub(super) fn event(self) -> Option<OutcomeEvent> {
        let (notification, state, first_seen) = self.read()?;
        match standing(&state, first_seen)? {
            Standing::Ended(Ending { outcome, attempts, first_seen, at, replay, .. }) => {
                let event = OutcomeEvent::new(&notification, &outcome, attempts, first_seen, at);
                Some(event.of_replay(replay))
            }
            Standing::Waiting(_) => None,
        }
    }

    /// What to publish; nothing if it cannot be read, or is not due yet: the first attempt's moment is in the record.
    pub(super) fn envelope(self, now: Moment) -> Option<Envelope> {
        let (notification, state, first_seen) = self.read()?;
        let progress = match standing(&state, first_seen) {
            None => Progress::new(&notification, first_seen),
            Some(Standing::Waiting(progress)) => progress,
            Some(Standing::Ended(_)) => return None,
        };
        let due = progress.due <= now;
        due.then(|| Envelope { notification, progress: Progress { due: now, ..progress }, lane: Lane::Main })
    }
}
