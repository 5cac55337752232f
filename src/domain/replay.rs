//! Whether a notification that has ended may be begun anew, and with what progress.
//!
//! A replay is numbered, and the number comes first in the order of how far a notification has come ([`Progress::place`]): so
//! whatever message of an earlier one still lies in a queue is behind, and [`take_up`](super::take_up) needs no rule of its own for
//! it. Attempts are counted from 1 in each replay, because its ladder is climbed from its beginning.
//!
//! The rule: what is under way is never begun anew, nor what has ended and of which the payment centre may not have been told yet,
//! because that end would then never be told.

use super::{AttemptNumber, Moment, Outcome, Progress, Standing};

/// By which way an operator comes to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayRoute {
    /// By its id.
    Id,
    /// By its message in the poison queue, which leaves that queue with it.
    Poison,
}

/// Why a notification is not begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReplay {
    /// It has not ended.
    #[error("it has not ended")]
    UnderWay,
    /// Its end is being told.
    #[error("it has ended, and the payment centre is being told of that: ask again in a moment")]
    Untold,
    /// No number is left.
    #[error("it was begun anew as often as can be counted")]
    TooMany,
    /// Its message lies in the poison queue.
    #[error(
        "it was abandoned, and lies whole in the poison queue: once what held it is mended, put it back from there \
         (`POST /v1/poison/{{id}}/mend`)"
    )]
    Abandoned,
    /// Its message lies in the poison queue although it has ended in another way since.
    #[error(
        "it has ended otherwise since: replay it by its id if it is to be told once more, and discard this message"
    )]
    EndedSince,
}

/// The progress of the replay that begins now. `standing` is what is known of the notification, `told` whether the payment
/// centre is known to have been told of its end.
///
/// # Errors
/// Why there is none.
pub fn begin_anew(
    standing: Option<&Standing>,
    told: bool,
    route: ReplayRoute,
    now: Moment,
) -> Result<Progress, NoReplay> {
    let Some(Standing::Ended(ending)) = standing else { return Err(NoReplay::UnderWay) };
    match (&ending.outcome, route) {
        (Outcome::Abandoned { .. }, ReplayRoute::Id) => return Err(NoReplay::Abandoned),
        (Outcome::Abandoned { .. }, ReplayRoute::Poison) => {}
        (
            Outcome::Confirmed { .. } | Outcome::Stopped { .. } | Outcome::Exhausted { .. },
            ReplayRoute::Id,
        ) => {}
        (
            Outcome::Confirmed { .. } | Outcome::Stopped { .. } | Outcome::Exhausted { .. },
            ReplayRoute::Poison,
        ) => {
            return Err(NoReplay::EndedSince);
        }
    }
    if !told {
        return Err(NoReplay::Untold);
    }
    Ok(Progress {
        attempt: AttemptNumber::FIRST,
        due: now,
        first_seen: ending.first_seen,
        held: None,
        replay: ending.replay.checked_add(1).ok_or(NoReplay::TooMany)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Ending, Recorded};

    fn ended(outcome: &str, replay: u32) -> Standing {
        let outcome = Outcome::named(outcome, Some("why".to_owned())).expect("a name");
        let at = Moment::from_unix_milliseconds;
        let recorded = Recorded::after_commit();
        Standing::Ended(Ending { outcome, attempts: 7, first_seen: at(1), at: at(2), replay, recorded })
    }

    #[test]
    fn only_what_has_ended_and_was_told_is_begun_anew() {
        use ReplayRoute::{Id, Poison};
        let now = Moment::from_unix_milliseconds(9_000);
        let first = Progress {
            attempt: AttemptNumber::FIRST,
            due: now,
            first_seen: Moment::from_unix_milliseconds(1),
            held: None,
            replay: 1,
        };
        for (standing, told, route, expected) in [
            (None, true, Id, Err(NoReplay::UnderWay)),
            (Some(Standing::Waiting(first)), true, Id, Err(NoReplay::UnderWay)),
            (Some(ended("confirmed", 0)), true, Id, Ok(first)),
            (Some(ended("stopped", 0)), true, Id, Ok(first)),
            (Some(ended("exhausted", 4)), true, Id, Ok(Progress { replay: 5, ..first })),
            (Some(ended("exhausted", 4)), false, Id, Err(NoReplay::Untold)),
            (Some(ended("abandoned", 0)), true, Id, Err(NoReplay::Abandoned)),
            (Some(ended("abandoned", 1)), true, Poison, Ok(Progress { replay: 2, ..first })),
            (Some(ended("abandoned", 1)), false, Poison, Err(NoReplay::Untold)),
            (Some(ended("confirmed", 0)), true, Poison, Err(NoReplay::EndedSince)),
        ] {
            assert_eq!(begin_anew(standing.as_ref(), told, route, now), expected, "{standing:?} {route:?}");
        }
    }
}
