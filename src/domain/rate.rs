//! How often a merchant may be asked: a token bucket, in whoever's time it is given.
//!
//! The bucket holds what a second brings, and one token in any case. Who finds none is promised the next one that nobody
//! was promised, and comes back for it: so those who wait are not overtaken by those who come.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::Moment;

/// So many attempts in so long, such as `50/s`, `100/m` or `2000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

/// The text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a whole number from 1 to 1000000 and a unit, such as `50/s`, `100/m` or `2000/h`")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        const MOST: u32 = 1_000_000;
        let (count, unit) = text.split_once('/').ok_or(InvalidRate)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(InvalidRate),
        };
        let count: NonZeroU32 = count.trim().parse().map_err(|_| InvalidRate)?;
        if count.get() > MOST {
            return Err(InvalidRate);
        }
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

/// A bucket that fills at a [`Rate`]. Begins full.
#[derive(Debug)]
pub(super) struct Bucket {
    /// From one token to the next, in nanoseconds.
    interval: i128,
    /// When the bucket would be full, were nothing taken or promised any more, in nanoseconds since the epoch.
    full_at: i128,
    /// How long an empty bucket takes until only its last token is missing, in nanoseconds.
    slack: i128,
    /// Tokens that were promised and not fetched.
    promised: i128,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        const SECOND: i128 = 1_000_000_000;
        let per = i128::try_from(rate.per.as_nanos()).unwrap_or(i128::MAX);
        let interval = per / i128::from(rate.count.get());
        Self { interval, full_at: 0, slack: (SECOND - interval).max(0), promised: 0 }
    }

    /// Takes a token. `returns` says that it comes back from a hold, and may have been promised one.
    ///
    /// # Errors
    /// There is none for it. It is promised the one of that moment, if that comes within `longest`; otherwise it is to
    /// ask again then.
    pub(super) fn take(&mut self, returns: bool, longest: Duration, now: Moment) -> Result<(), Moment> {
        let latest = nanoseconds(now.after(longest));
        let now = nanoseconds(now);
        let next = self.full_at - self.slack;
        // Those that were promised stand before `next`, one interval from each other.
        let to_come = if next > now { (next - now - 1) / self.interval } else { 0 };
        if returns && self.promised > to_come {
            self.promised -= 1;
            return Ok(());
        }
        if next > latest {
            return Err(moment(latest));
        }
        self.full_at = self.full_at.max(now) + self.interval;
        if next <= now {
            return Ok(());
        }
        self.promised += 1;
        Err(moment(next))
    }
}

const NANOSECONDS: i128 = 1_000_000;

fn nanoseconds(moment: Moment) -> i128 {
    i128::from(moment.unix_milliseconds()) * NANOSECONDS
}

/// Rounded up: early is worse than late.
fn moment(nanoseconds: i128) -> Moment {
    let milliseconds =
        nanoseconds.div_euclid(NANOSECONDS) + i128::from(nanoseconds.rem_euclid(NANOSECONDS) != 0);
    Moment::from_unix_milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: i64) -> Moment {
        Moment::from_unix_milliseconds(milliseconds)
    }

    #[test]
    fn rates_are_read_and_what_is_none_is_refused() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| (rate.count.get(), rate.per.as_secs()));
        assert_eq!(rate("50/s"), Ok((50, 1)));
        assert_eq!(rate("100 / m"), Ok((100, 60)));
        assert_eq!(rate("2000/h"), Ok((2_000, 3_600)));
        for wrong in ["", "50", "0/s", "-1/s", "1.5/s", "50/d", "/s", "1000001/s"] {
            assert_eq!(rate(wrong), Err(InvalidRate), "{wrong}");
        }
    }

    #[test]
    fn what_is_over_the_rate_is_promised_its_own_moment_and_then_goes_through() {
        let mut bucket = Bucket::new("4/s".parse().expect("a rate"));
        let hour = Duration::from_secs(3_600);
        let taken: Vec<_> = (0..7).map(|_| bucket.take(false, hour, at(1_000))).collect();
        let promised = [1_250, 1_500, 1_750].map(|moment| Err(at(moment)));
        assert_eq!(taken, [&[Ok(()); 4][..], &promised[..]].concat());
        // Nobody overtakes those that were promised something.
        assert_eq!(bucket.take(false, hour, at(1_250)), Err(at(2_000)));
        for moment in [1_250, 1_500, 1_750, 2_000] {
            assert_eq!(bucket.take(true, hour, at(moment)), Ok(()), "{moment}");
        }
        // What comes back too early, or was held for something else, is as good as new.
        assert_eq!(bucket.take(true, hour, at(2_000)), Err(at(2_250)));
        assert_eq!(bucket.take(true, hour, at(2_249)), Err(at(2_500)));
        assert_eq!(bucket.take(false, Duration::from_millis(500), at(2_249)), Err(at(2_749)), "no promise");
        assert_eq!(bucket.take(false, Duration::from_millis(500), at(2_249)), Err(at(2_749)), "no promise");
        assert_eq!(bucket.take(false, hour, at(9_000)), Ok(()));
    }

    proptest! {
        /// In no span of time do more go through than the bucket holds and the span brings; and whoever is held comes
        /// back to a token when it was promised one, if all do.
        #[test]
        fn no_more_go_through_than_the_rate_allows(
            count in 1_u32..2_000,
            gaps in proptest::collection::vec(0_u64..400, 1..300),
        ) {
            let rate = Rate { count: NonZeroU32::new(count).expect("not zero"), per: Duration::from_secs(1) };
            let mut bucket = Bucket::new(rate);
            let mut arrivals: std::collections::BTreeSet<(Moment, usize, bool)> = Default::default();
            let mut moment = at(0);
            for (number, gap) in gaps.iter().enumerate() {
                moment = moment.after(Duration::from_millis(*gap));
                arrivals.insert((moment, number, false));
            }
            let mut went = Vec::new();
            while let Some((now, number, returns)) = arrivals.pop_first() {
                match bucket.take(returns, Duration::from_secs(3_600), now) {
                    Ok(()) => went.push(now),
                    Err(promised) => {
                        prop_assert!(promised > now);
                        prop_assert!(!returns, "held again at the moment that it was promised");
                        arrivals.insert((promised, number, true));
                    }
                }
            }
            prop_assert_eq!(went.len(), gaps.len());
            for (first, from) in went.iter().enumerate() {
                for (last, until) in went.iter().enumerate().skip(first) {
                    let brings = until.since(*from).as_secs_f64() * f64::from(count);
                    let most = f64::from(count) + brings + 1.0;
                    prop_assert!((last - first + 1) as f64 <= most, "{} in {brings}", last - first + 1);
                }
            }
        }
    }
}
