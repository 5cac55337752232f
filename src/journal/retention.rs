//! How long what is kept for, and up to which size. The arithmetic alone; each store has its own deletes.
//!
//! The rule: only what has ended, and of whose end the payment centre was told, ever goes; with it go its attempts. What
//! is under way stays, however old it is. Transcripts go sooner, because they are the bulk.

use std::time::Duration;

use crate::domain::Moment;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How long transcripts are kept.
    pub transcripts: Duration,
    /// How long a notification is kept after it has ended. Must be longer than any message of it may still lie in a queue:
    /// a message of one that is forgotten would be taken for a new notification.
    pub ended: Duration,
    /// From so many bytes on the oldest goes before its time: transcripts first, then what has ended.
    pub bytes: u64,
    /// What ended so recently stays, even if it is too much: a message of it may still lie in a queue.
    pub youngest: Duration,
    /// The most rows that are removed with one commit, so that nobody who writes waits for long.
    pub at_once: usize,
    /// How long it is from one look to the next.
    pub pause: Duration,
    /// The same while there is more to remove.
    pub pause_between: Duration,
}

impl Default for Retention {
    /// 30 days, ten years, 1 TiB, a day; 500 rows at once, once a minute, or every 100 ms.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            transcripts: DAY * 30,
            ended: DAY * 3_650,
            bytes: 1 << 40,
            youngest: DAY,
            at_once: 500,
            pause: Duration::from_secs(60),
            pause_between: Duration::from_millis(100),
        }
    }
}

impl Retention {
    /// What was recorded before this moment is older than `kept`; in milliseconds since the epoch.
    pub(super) fn before(now: Moment, kept: Duration) -> i64 {
        now.unix_milliseconds().saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX))
    }

    /// What has ended before this moment goes; `full` says that there is too much.
    pub(super) fn ended_before(&self, now: Moment, full: bool) -> i64 {
        Self::before(now, if full { self.youngest.min(self.ended) } else { self.ended })
    }

    /// [`at_once`](Self::at_once), as databases count.
    pub(super) fn most(&self) -> i64 {
        i64::try_from(self.at_once).unwrap_or(i64::MAX)
    }
}
