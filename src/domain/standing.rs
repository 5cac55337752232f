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
    /// Which replay ended: [`Progress::replay`].
    pub replay: u32,
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

/// The beginning of an attempt, as it is noted before the attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The attempt's [`Progress::place`].
    pub place: (u32, u32, u32),
    /// The gateway that makes it: a number that each process draws for itself.
    pub gateway: u64,
    /// When.
    pub at: Moment,
    /// It had been begun before, and nothing was recorded of it.
    pub again: bool,
}

/// What to do with a message.
#[derive(Debug)]
pub enum TakeUp {
    /// Make the attempt that it asks for, once this beginning of it is noted.
    Attempt(Beginning),
    /// Keep it, and ask again a little later: a gateway that lives may be at this very attempt.
    Wait,
    /// Make none, but count one that was not answered: it was begun twice, and cut off each time.
    Interrupted,
    /// Make none: it is behind.
    Behind(Behind),
}

/// What to do with a message that makes no attempt.
#[derive(Debug)]
pub enum Behind {
    /// Replace it with one of this progress.
    Follow(Progress),
    /// Tell the payment centre, which may not have been told, and forget it.
    Finish(Ending),
    /// Forget it.
    Forget(Recorded),
    /// It names a notification that it is not: nobody may have it.
    Refuse,
}

impl Behind {
    /// A short name for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Follow(_) => "follow",
            Self::Finish(_) => "finish",
            Self::Forget(_) => "forget",
            Self::Refuse => "refuse",
        }
    }
}

/// A message as a gateway takes it up.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// What it asks for.
    pub progress: Progress,
    /// It may have been handed out before.
    pub redelivered: bool,
    /// The gateway that takes it up.
    pub gateway: u64,
    /// When. A gateway that asks once more about the same message, because it had no answer, says the same moment.
    pub at: Moment,
    /// [`super::Policy::further_message_lag`].
    pub lag: Duration,
}

/// Decides what to do with a message. `begun` is the last beginning that was noted of its notification;
/// `lives` says whether a gateway lives, of which it is asked only where that matters.
///
/// An attempt that another gateway began a moment ago may be under way: a message waits for it. One that comes for the
/// first time does that in the queue. One that was handed out before may be the very message that the other gateway
/// lost, by being killed or by losing its connection: it is kept in hand, so that its duty (see [`behind`]) is not
/// forgotten, and waits only while that gateway lives.
#[must_use]
pub fn take_up(
    taken: &Taken,
    known: Known,
    begun: Option<Beginning>,
    lives: impl FnOnce(u64) -> bool,
) -> TakeUp {
    let Taken { progress, redelivered, gateway, at, lag } = *taken;
    match known {
        Known::AnotherText => return TakeUp::Behind(Behind::Refuse),
        Known::Standing(standing) => {
            if let Some(behind) = behind(&progress, redelivered, standing, lag) {
                return TakeUp::Behind(behind);
            }
        }
        Known::Nothing => {}
    }
    let place = progress.place();
    let beginning = |again| Beginning { place, gateway, at, again };
    let Some(last) = begun.filter(|begun| begun.place == place) else {
        return TakeUp::Attempt(beginning(false));
    };
    if last == beginning(last.again) {
        return TakeUp::Attempt(last);
    }
    if last.gateway != gateway && at < last.at.after(lag) {
        if !redelivered {
            return TakeUp::Behind(Behind::Follow(Progress { due: last.at.after(lag), ..progress }));
        }
        if lives(last.gateway) {
            return TakeUp::Wait;
        }
    }
    if last.again { TakeUp::Interrupted } else { TakeUp::Attempt(beginning(true)) }
}

/// What to do with a message whose attempt has been made; nothing for one that is as far as its notification.
///
/// `redelivered` says that the message may have been handed out before. Then it may be the very message whose
/// handling led to what is known, and was cut off before it had a successor or its event was published: so it does
/// both (again). A message that comes for the first time never has that duty: it waits for `lag` longer than the one
/// that goes on, so that the two are not attempted at once.
#[must_use]
pub fn behind(progress: &Progress, redelivered: bool, standing: Standing, lag: Duration) -> Option<Behind> {
    match standing {
        // It was begun anew, and the journal forgot that: as one that is further than the journal, it goes on.
        Standing::Ended(ending) if progress.replay > ending.replay => None,
        Standing::Ended(ending) if redelivered => Some(Behind::Finish(ending)),
        Standing::Ended(ending) => Some(Behind::Forget(ending.recorded)),
        Standing::Waiting(latest) if progress.place() >= latest.place() => None,
        Standing::Waiting(latest) if redelivered => Some(Behind::Follow(latest)),
        Standing::Waiting(latest) => Some(Behind::Follow(Progress { due: latest.due.after(lag), ..latest })),
    }
}

impl Progress {
    /// What a later progress of the same notification has more of: replays, attempts of one replay, and then holds of one attempt.
    #[must_use]
    pub fn place(&self) -> (u32, u32, u32) {
        (self.replay, self.attempt.get(), self.held.map_or(0, |held| held.count.get()))
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
