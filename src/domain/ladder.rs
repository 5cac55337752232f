//! How long to wait after a refusal: one delay for each rung, and past the last rung the end.

use std::time::Duration;

/// The waits between a merchant's attempts. Never empty, never too long, so that no merchant is tried for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    delays: Vec<Duration>,
    jitter: Jitter,
}

impl Ladder {
    /// The most rungs a ladder may have.
    pub const MOST_RUNGS: usize = 100;
    /// The shortest wait.
    pub const SHORTEST: Duration = Duration::from_millis(100);
    /// The longest wait.
    pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// A ladder of these waits.
    ///
    /// # Errors
    /// There are none or too many of them, one is too short or too long, or one is no whole number of milliseconds.
    pub fn new(delays: Vec<Duration>, jitter: Jitter) -> Result<Self, InvalidLadder> {
        if delays.is_empty() || delays.len() > Self::MOST_RUNGS {
            return Err(InvalidLadder::Rungs(delays.len()));
        }
        let wrong = |delay: &&Duration| {
            !(Self::SHORTEST..=Self::LONGEST).contains(*delay)
                || !delay.subsec_nanos().is_multiple_of(1_000_000)
        };
        match delays.iter().find(wrong) {
            Some(delay) => Err(InvalidLadder::Delay(*delay)),
            None => Ok(Self { delays, jitter }),
        }
    }

    /// The delays, in the order in which they are climbed. Each needs a rung of its own in a broker that keeps rungs.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// How waits are spread.
    #[must_use]
    pub fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// How long to wait after the attempt of that number was refused; `None` past the last rung.
    /// `random` spreads the wait when the ladder has jitter: any number, all equally likely.
    #[must_use]
    pub fn delay_after(&self, attempt: super::AttemptNumber, random: u64) -> Option<Duration> {
        let index = usize::try_from(attempt.get() - 1).ok()?;
        self.delays.get(index).map(|delay| self.jitter.spread(*delay, random))
    }
}

impl Default for Ladder {
    /// 3, 30, 60, 120, 180, 300 seconds, without jitter.
    fn default() -> Self {
        let delays = [3, 30, 60, 120, 180, 300].map(Duration::from_secs).to_vec();
        Self { delays, jitter: Jitter::NONE }
    }
}

/// How much longer than its rung a wait may become, in thousandths of the rung. Never shorter: a ladder's delay is
/// the least wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// Waits are exact.
    pub const NONE: Self = Self(0);

    /// So many thousandths, at most 1,000: up to twice the wait.
    #[must_use]
    pub fn from_thousandths(thousandths: u16) -> Option<Self> {
        (thousandths <= 1_000).then_some(Self(thousandths))
    }

    fn spread(self, delay: Duration, random: u64) -> Duration {
        if self == Self::NONE {
            return delay;
        }
        let most = delay.as_millis() * u128::from(self.0) / 1_000;
        let more = u128::from(random) * (most + 1) / (u128::from(u64::MAX) + 1);
        delay + Duration::from_millis(u64::try_from(more).unwrap_or(0))
    }
}

/// Why a ladder is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLadder {
    /// Too few or too many rungs.
    #[error("a ladder has 1 to {most} delays, and this one has {0}", most = Ladder::MOST_RUNGS)]
    Rungs(usize),
    /// A delay out of bounds.
    #[error("a delay is between 100 ms and 7 days, in whole milliseconds, and {0:?} is not")]
    Delay(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AttemptNumber;

    fn attempt(number: u32) -> AttemptNumber {
        AttemptNumber::new(number).expect("not zero")
    }

    #[test]
    fn the_default_ladder_is_the_documented_one() {
        let ladder = Ladder::default();
        let waits: Vec<_> = (1..=7).map(|number| ladder.delay_after(attempt(number), u64::MAX)).collect();
        let seconds = |number| Some(Duration::from_secs(number));
        assert_eq!(
            waits,
            [seconds(3), seconds(30), seconds(60), seconds(120), seconds(180), seconds(300), None]
        );
    }

    #[test]
    fn jitter_only_lengthens_and_within_its_bound() {
        let jitter = Jitter::from_thousandths(100).expect("in bounds");
        let ladder = Ladder::new(vec![Duration::from_secs(10)], jitter).expect("valid");
        assert_eq!(ladder.delay_after(attempt(1), 0), Some(Duration::from_secs(10)));
        assert_eq!(ladder.delay_after(attempt(1), u64::MAX), Some(Duration::from_secs(11)));
        assert_eq!(Jitter::from_thousandths(1_001), None);
    }

    #[test]
    fn ladders_out_of_bounds_are_refused() {
        let seconds = Duration::from_secs;
        assert_eq!(Ladder::new(vec![], Jitter::NONE), Err(InvalidLadder::Rungs(0)));
        assert_eq!(Ladder::new(vec![seconds(1); 101], Jitter::NONE), Err(InvalidLadder::Rungs(101)));
        for wrong in [Duration::ZERO, Duration::from_micros(100_500), seconds(604_801)] {
            assert_eq!(Ladder::new(vec![wrong], Jitter::NONE), Err(InvalidLadder::Delay(wrong)));
        }
    }
}
