//! The one place where the clock on the wall is read. What decides is given the moment; see [`crate::domain`].

use std::time::SystemTime;

use crate::domain::Moment;

/// The moment, by the machine's clock, cut to whole milliseconds. A clock before 1970 counts as 1970.
#[must_use]
pub fn now() -> Moment {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment::from_unix_milliseconds(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
