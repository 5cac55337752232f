//! A point in time, as a number. There is no "now" in here: who needs it is given it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// In JSON it is RFC 3339 text in UTC; when read, any offset is taken and digits below the millisecond are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment so many milliseconds after the epoch. Held within the years 1 to 9999, so that it always prints.
    #[must_use]
    pub fn from_unix_milliseconds(milliseconds: i64) -> Self {
        const FIRST: i64 = -62_135_596_800_000;
        const LAST: i64 = 253_402_207_200_000;
        Self(milliseconds.clamp(FIRST, LAST))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `delay` later; parts of a millisecond round up, because early is worse than late.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let milliseconds = i64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Self::from_unix_milliseconds(self.0.saturating_add(milliseconds))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(formatter, "{timestamp:.3}"),
            Err(_) => write!(formatter, "{} ms", self.0),
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timestamp: jiff::Timestamp = text.parse()?;
        Ok(Self::from_unix_milliseconds(timestamp.as_millisecond()))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            de::Error::custom(format!("`{text}` is no RFC 3339 time such as 2026-01-31T08:00:00Z"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let moment: Moment = "2026-01-31T16:00:00.5+08:00".parse().expect("valid");
        assert_eq!(moment.to_string(), "2026-01-31T08:00:00.500Z");
        assert_eq!(moment.unix_milliseconds(), 1_769_846_400_500);
    }

    #[test]
    fn a_delay_is_never_cut_short() {
        let moment = Moment::from_unix_milliseconds(1_000);
        assert_eq!(moment.after(Duration::from_micros(1)).unix_milliseconds(), 1_001);
        assert_eq!(moment.after(Duration::MAX).to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(moment.since(moment.after(Duration::from_secs(1))), Duration::ZERO);
    }
}
