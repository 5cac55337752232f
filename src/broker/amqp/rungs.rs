//! Which rung a wait is spent on: pure arithmetic.
//!
//! A rung is a queue in which every message lies for the same time. A ladder's delays each have a rung of their own,
//! and beside them stand alarm rungs, each twice as long as the one below it, for any other wait. A message climbs
//! onto the longest rung that is not longer than what remains; if it then comes back before it is due, it is parked
//! again with the rest. Parking twice or three times costs a publish each; being late costs the merchant's trust.

use std::time::Duration;

use crate::domain::Moment;

/// How much longer than the remaining wait a rung may be. A few milliseconds pass between a decision and its
/// parking, and a wait of 3 s must land on the rung of 3 s all the same. It is also the most that this adds to a
/// wait: the issue allows 100 ms, and RabbitMQ itself takes 10 to 20.
const SLACK: Duration = Duration::from_millis(50);

/// The shortest alarm rung. What remains below it is waited out in the process that takes the message up.
const SHORTEST_ALARM: u64 = 250;

/// How many alarm rungs there are: from 250 ms, doubling, to about 36 hours.
const ALARMS: u32 = 20;

/// The waits that the broker offers.
#[derive(Clone, Debug)]
pub(super) struct Rungs {
    /// In milliseconds, ascending, none twice.
    milliseconds: Vec<u64>,
}

impl Rungs {
    /// One rung for each of these delays, and the alarm rungs.
    pub(super) fn new(exact: &[Duration]) -> Self {
        let exact = exact.iter().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        let mut milliseconds: Vec<u64> =
            exact.chain((0..ALARMS).map(|doubling| SHORTEST_ALARM << doubling)).collect();
        milliseconds.sort_unstable();
        milliseconds.dedup();
        Self { milliseconds }
    }

    /// All of them, in milliseconds, from the shortest to the longest.
    pub(super) fn milliseconds(&self) -> &[u64] {
        &self.milliseconds
    }

    /// The rung for a message that is due then, in milliseconds; `None` if what remains is too short for any rung:
    /// the message can go straight to the work queue.
    pub(super) fn pick(&self, due: Moment, now: Moment) -> Option<u64> {
        let longest = due.since(now) + SLACK;
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        // Nothing that is due already waits, however short the shortest rung is.
        if due <= now {
            return None;
        }
        let above = self.milliseconds.partition_point(|rung| *rung <= longest);
        above.checked_sub(1).and_then(|index| self.milliseconds.get(index)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Ladder;
    use proptest::prelude::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::EPOCH.after(Duration::from_millis(milliseconds))
    }

    fn default_rungs() -> Rungs {
        Rungs::new(Ladder::default().delays())
    }

    #[test]
    fn every_ladder_delay_lands_on_its_own_rung_even_when_parked_a_little_late() {
        for delay in Ladder::default().delays() {
            let delay = u64::try_from(delay.as_millis()).expect("short");
            for late in [0, 1, 20, 50] {
                assert_eq!(
                    default_rungs().pick(at(delay), at(late)),
                    Some(delay),
                    "{delay} parked after {late}"
                );
            }
            assert!(default_rungs().pick(at(delay), at(51)) < Some(delay));
        }
    }

    #[test]
    fn what_is_due_and_what_is_nearly_due_waits_on_no_rung() {
        let rungs = default_rungs();
        for (due, rung) in [(0, None), (1, None), (199, None), (200, Some(250)), (499, Some(500))] {
            assert_eq!(rungs.pick(at(due), at(0)), rung, "due in {due} ms");
        }
        assert_eq!(rungs.pick(at(0), at(1_000)), None);
        assert_eq!(rungs.pick(at(u64::MAX), at(0)), Some(131_072_000));
        assert_eq!(rungs.milliseconds().len(), 26);
        assert_eq!(Rungs::new(&[Duration::from_millis(100)]).pick(at(60), at(0)), Some(100));
    }

    proptest! {
        /// However long the wait and however slow each hop, the message is back no later than its due moment plus
        /// the slack plus what the last hop itself was late, within few hops.
        #[test]
        fn hops_end_at_the_due_moment_and_are_few(
            exact in proptest::collection::vec(100_u64..700_000, 0..8),
            wait in 0_u64..400_000_000,
            lateness in proptest::collection::vec(0_u64..100, 64),
        ) {
            let exact: Vec<_> = exact.into_iter().map(Duration::from_millis).collect();
            let rungs = Rungs::new(&exact);
            let due = at(wait);
            let mut now = at(0);
            let mut last = Duration::ZERO;
            let mut hops = 0;
            while let Some(rung) = rungs.pick(due, now) {
                last = Duration::from_millis(lateness[hops]);
                now = now.after(Duration::from_millis(rung) + last);
                hops += 1;
                prop_assert!(hops < 40, "{hops} hops");
            }
            prop_assert!(now.since(due) <= SLACK + last, "{:?} late", now.since(due));
            prop_assert!(due.since(now) < Duration::from_millis(SHORTEST_ALARM));
        }
    }
}
