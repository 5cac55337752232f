//! What is already known of a notification when a message of it is taken up, and what follows from that.
//!
//! There can be several messages of one notification: it was published twice, or a crash came between the confirm of
//! a message's successor and the acknowledgement of the message. The journal knows how far the notification has come.
//! A message that is behind that makes no attempt; it *follows* the one that goes on.
//!
//! The rule: no message is forgotten before its notification has ended. One that is needless today is the one that
//! saves the notification tomorrow, should an operator delete the queue in which the other one lies.

use std::time::Duration;

use super::{Moment, Outcome, Progress, Recorded};

/// How a notification ended, as the journal has it.
#[derive(Debug)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the gateway first saw the notification.
    pub first_seen: Moment,
    /// When it ended.
    pub at: Moment,
    /// That this is durable.
    pub recorded: Recorded,
}

/// How far a notification has come.
#[derive(Debug)]
pub enum Standing {
    /// It waits for an attempt.
    Waiting(Progress),
    /// It has ended.
    Ended(Ending),
}

/// What is known of the notification that a message names.
#[derive(Debug)]
pub enum Known {
    /// Nothing, or only that it has come in.
    Nothing,
    /// A notification of that name, and with other content.
    AnotherText,
    /// How far it has come.
    Standing(Standing),
}

/// What to do with a message.
#[derive(Debug)]
pub enum TakeUp {
    /// Make the attempt that it asks for.
    Attempt,
    /// Make none: replace it with one of this progress.
    Follow(Progress),
    /// Make none: tell the payment centre, which may not have been told, and forget it.
    Finish(Ending),
    /// Make none, and forget it.
    Forget(Recorded),
    /// It names a notification that it is not: nobody may have it.
    Refuse,
}

impl TakeUp {
    /// A short name for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Follow(_) => "follow",
            Self::Finish(_) => "finish",
            Self::Forget(_) => "forget",
            Self::Refuse => "refuse",
        }
    }
}

/// Decides what to do with a message of that progress.
///
/// `redelivered` says that the message may have been handed out before. Then it may be the very message whose
/// handling led to what is known, and was cut off before it had a successor or its event was published: so it does
/// both (again). A message that comes for the first time never has that duty: it waits for `lag` longer than the one
/// that goes on, so that the two are not attempted at once.
#[must_use]
pub fn take_up(progress: &Progress, redelivered: bool, known: Known, lag: Duration) -> TakeUp {
    match known {
        Known::Nothing => TakeUp::Attempt,
        Known::AnotherText => TakeUp::Refuse,
        Known::Standing(Standing::Ended(ending)) if redelivered => TakeUp::Finish(ending),
        Known::Standing(Standing::Ended(ending)) => TakeUp::Forget(ending.recorded),
        Known::Standing(Standing::Waiting(latest)) => {
            if progress.place() >= latest.place() {
                TakeUp::Attempt
            } else if redelivered {
                TakeUp::Follow(latest)
            } else {
                TakeUp::Follow(Progress { due: latest.due.after(lag), ..latest })
            }
        }
    }
}

impl Progress {
    /// What a later progress of the same notification has more of: attempts, and then holds of one attempt.
    #[must_use]
    pub fn place(&self) -> (u32, u32) {
        (self.attempt.get(), self.held.map_or(0, |held| held.count.get()))
    }
}
