//! The one rule broken on purpose, so that a test can show that its breach would be seen: the acknowledgement comes
//! before the confirm of what replaces the message.
//!
//! This module is not in a release build. In a debug build it does nothing unless [`VARIABLE`] says so.

use std::sync::LazyLock;
use std::time::Duration;

/// The environment variable that a test sets to `ack-before-confirm`.
const VARIABLE: &str = "PAYNOTIFY_SABOTAGE";

/// How long after the acknowledgement the successor is published.
pub(super) const A_MOMENT: Duration = Duration::from_millis(100);

/// Whether messages are to be lost. Says so in the log, loudly, when asked for the first time.
pub(super) fn acknowledges_before_the_confirm() -> bool {
    static IS_SET: LazyLock<bool> = LazyLock::new(|| {
        let is_set = std::env::var_os(VARIABLE).is_some_and(|value| value == "ack-before-confirm");
        if is_set {
            tracing::error!("{VARIABLE} IS SET: THIS GATEWAY LOSES NOTIFICATIONS ON PURPOSE");
        }
        is_set
    });
    *IS_SET
}
