//! Two ways through the gateway: one for all, and one for merchants that take long or fail.
//!
//! The rule: a merchant leaves the common lane when its attempts typically last so long that they would fill it, or when its
//! endpoint's breaker is open; and it comes back when they are much shorter than that, and the breaker is closed. Between the two it stays
//! where it is, so that it does not change with every attempt. What is typical is a mean in which the last
//! eight attempts weigh most: one attempt that hangs sends nobody away, two in a row may.

use std::time::Duration;

/// Which queue a message goes through, and of which deliveries it takes a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Everybody's.
    #[default]
    Main,
    /// For merchants that take long or fail.
    Slow,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Main, Self::Slow];

    /// A short name for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Slow => "slow",
        }
    }

    /// Where a merchant belongs that has been in this lane.
    #[must_use]
    pub(super) fn next(self, typical: Duration, breaker_is_open: bool, slow_after: Duration) -> Self {
        /// To come back, attempts must last at most this part of what sends a merchant away.
        const PART_TO_COME_BACK: u32 = 4;
        match self {
            _ if breaker_is_open || typical >= slow_after => Self::Slow,
            Self::Slow if typical > slow_after / PART_TO_COME_BACK => Self::Slow,
            Self::Slow | Self::Main => Self::Main,
        }
    }
}

/// How long a merchant's attempts typically last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Duration);

impl Pace {
    pub(super) fn note(&mut self, lasted: Duration) {
        self.0 = (self.0 * 7 + lasted) / 8;
    }

    pub(super) fn typical(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lanes(attempts: &[u64]) -> Vec<Lane> {
        let (mut pace, mut lane) = (Pace::default(), Lane::Main);
        let mut note = |lasted: &u64| {
            pace.note(Duration::from_millis(*lasted));
            lane = lane.next(pace.typical(), false, SECOND);
            lane
        };
        attempts.iter().map(&mut note).collect()
    }

    #[test]
    fn two_that_hang_send_a_merchant_away_and_some_twenty_that_do_not_bring_it_back() {
        assert_eq!(lanes(&[5_000, 5_000]), [Lane::Main, Lane::Slow]);
        let back = lanes(&[&[5_000; 40][..], &[5; 40][..]].concat());
        let stays = back[40..].iter().take_while(|lane| **lane == Lane::Slow).count();
        assert!((15..30).contains(&stays), "{stays}");
        // One in a hundred that hangs is nothing chronic.
        let rare: Vec<_> = (0..1_000).map(|number| if number % 100 == 0 { 5_000 } else { 20 }).collect();
        assert!(lanes(&rare).iter().all(|lane| *lane == Lane::Main));
    }

    #[test]
    fn an_open_breaker_sends_it_away_however_quickly_it_fails() {
        assert_eq!(Lane::Main.next(Duration::ZERO, true, SECOND), Lane::Slow);
        assert_eq!(Lane::Slow.next(Duration::ZERO, false, SECOND), Lane::Main);
    }

    proptest! {
        /// To change twice takes as many attempts as the mean needs from one bound to the other: a merchant whose attempts
        /// last about as long as the bound does not go to and fro.
        #[test]
        fn it_does_not_flap(attempts in proptest::collection::vec(0_u64..1_500, 100..400)) {
            let lanes = lanes(&attempts);
            let changes = lanes.windows(2).filter(|pair| pair[0] != pair[1]).count();
            prop_assert!(changes <= attempts.len() / 10 + 1, "{changes} changes in {}", attempts.len());
        }
    }
}
