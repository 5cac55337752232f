//! Notifications under way that nothing has been heard of for long.

use std::time::Duration;

use bytes::Bytes;
use sqlx::{Row as _, SqliteConnection, query};

use super::lookup;
use crate::domain::{Envelope, Moment, Notification, Progress, Standing};
use crate::journal::{Search, State};

/// A notification as it is found.
#[derive(Debug)]
pub(super) struct Missing {
    id: String,
    raw: Vec<u8>,
    first_seen: Moment,
    state: String,
}

/// Takes some: notes that something has happened to them now, so that nobody takes them again soon.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    search: &Search,
) -> Result<Vec<Missing>, sqlx::Error> {
    let heard_before = before(search.now, search.missing_after);
    let rows = query(TAKE)
        .bind(search.now.unix_milliseconds())
        .bind(heard_before.unix_milliseconds())
        .bind(heard_before.to_string())
        .bind(i64::try_from(search.most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let missing = rows.iter().map(|row| {
        Ok(Missing {
            id: row.try_get("id")?,
            raw: row.try_get("raw")?,
            first_seen: Moment::from_unix_milliseconds(row.try_get("first_seen")?),
            state: row.try_get("state")?,
        })
    });
    missing.collect()
}

/// Moments in a state are texts of one length, which sort as the moments do. Whatever is due has not been touched since
/// it was written down, so the index on `updated_at` leaves few to look at.
const TAKE: &str = "UPDATE notification SET updated_at = ?1 WHERE id IN (
    SELECT id FROM notification
    WHERE phase IN ('accepted', 'waiting', 'held') AND updated_at < ?2
    AND coalesce(state ->> 'due', '') < ?3 AND coalesce(begun_at, 0) < ?2
    AND (phase != 'accepted' OR coalesce(unixepoch(CAST(raw AS TEXT) ->> 'not_before') * 1000, 0) < ?2)
    LIMIT ?4
) RETURNING id, raw, first_seen, state";

fn before(now: Moment, span: Duration) -> Moment {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Moment::from_unix_milliseconds(now.unix_milliseconds().saturating_sub(span))
}

impl Missing {
    /// What to publish; nothing if it cannot be read, or is not due yet: the first attempt's moment is in the record.
    pub(super) fn envelope(self, now: Moment) -> Option<Envelope> {
        let notification = Notification::parse(Bytes::from(self.raw)).ok();
        let state: Option<State> = serde_json::from_str(&self.state).ok();
        let (Some(notification), Some(state)) = (notification, state) else {
            tracing::error!(
                notification = self.id,
                "it is missing at the broker, and its record cannot be read"
            );
            return None;
        };
        let progress = match lookup::standing(&state, self.first_seen) {
            None => Progress::new(&notification, self.first_seen),
            Some(Standing::Waiting(progress)) => progress,
            Some(Standing::Ended(_)) => return None,
        };
        let due = progress.due <= now;
        due.then(|| Envelope { notification, progress: Progress { due: now, ..progress } })
    }
}
