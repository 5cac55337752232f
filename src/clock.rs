//! The wall clock, read in one place. `domain` never reads it: moments are handed in.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Moment;

/// The moment it is. A clock set to before 1970 counts as 1970.
#[must_use]
pub fn now() -> Moment {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_unix_milliseconds(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The same in nanoseconds since the epoch, for spans of time that are measured more finely.
#[must_use]
pub fn nanoseconds() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
