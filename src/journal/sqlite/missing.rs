//! Notifications under way that nothing has been heard of for long, and ended ones that nobody may have been told of.

use std::time::Duration;

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, query};

use super::lookup;
use crate::domain::{Ending, Envelope, Lane, Moment, Notification, OutcomeEvent, Progress, Standing};
use crate::journal::{Search, State};

/// A notification as it is found.
#[derive(Debug)]
pub(super) struct Missing {
    id: String,
    raw: Vec<u8>,
    first_seen: Moment,
    state: String,
}

/// What is sought.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sought {
    /// Notifications whose attempt is overdue.
    UnderWay,
    /// Notifications that have ended untold.
    Untold,
}

/// Takes some: notes that something has happened to them now, so that nobody takes them again soon.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    search: &Search,
    sought: Sought,
) -> Result<Vec<Missing>, sqlx::Error> {
    let heard_before = before(search.now, search.missing_after);
    let take = match sought {
        Sought::UnderWay => query(TAKE_UNDER_WAY),
        Sought::Untold => query(TAKE_UNTOLD),
    };
    let take = take
        .bind(search.now.unix_milliseconds())
        .bind(heard_before.unix_milliseconds())
        .bind(i64::try_from(search.most).unwrap_or(i64::MAX));
    let take = match sought {
        Sought::UnderWay => take.bind(heard_before.to_string()),
        Sought::Untold => take,
    };
    take.fetch_all(connection).await?.iter().map(Missing::of).collect()
}

/// Moments in a state are texts of one length, which sort as the moments do. Whatever is due has not been touched since
/// it was written down, so the index on `updated_at` leaves few to look at.
const TAKE_UNDER_WAY: &str = "UPDATE notification SET updated_at = ?1 WHERE id IN (
    SELECT id FROM notification
    WHERE phase IN ('accepted', 'waiting', 'held') AND updated_at < ?2
    AND coalesce(state ->> 'due', '') < ?4 AND coalesce(begun_at, 0) < ?2
    AND (phase != 'accepted' OR coalesce(unixepoch(CAST(raw AS TEXT) ->> 'not_before') * 1000, 0) < ?2)
    LIMIT ?3
) RETURNING id, raw, first_seen, state";

const TAKE_UNTOLD: &str = "UPDATE notification SET updated_at = ?1 WHERE id IN (
    SELECT id FROM notification WHERE phase = 'ended' AND told IS NULL AND updated_at < ?2 LIMIT ?3
) RETURNING id, raw, first_seen, state";

fn before(now: Moment, span: Duration) -> Moment {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Moment::from_unix_milliseconds(now.unix_milliseconds().saturating_sub(span))
}

impl Missing {
    /// From the columns `id`, `raw`, `first_seen` and `state`.
    pub(super) fn of(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            raw: row.try_get("raw")?,
            first_seen: Moment::from_unix_milliseconds(row.try_get("first_seen")?),
            state: row.try_get("state")?,
        })
    }

    fn read(self) -> Option<(Notification, State, Moment)> {
        let notification = Notification::parse(Bytes::from(self.raw)).ok();
        let state = serde_json::from_str(&self.state).ok();
        let read =
            notification.zip(state).map(|(notification, state)| (notification, state, self.first_seen));
        if read.is_none() {
            tracing::error!(
                notification = self.id,
                "it is missing at the broker, and its record cannot be read"
            );
        }
        read
    }

    /// What the payment centre is to be told; nothing if it cannot be read.
    pub(super) fn event(self) -> Option<OutcomeEvent> {
        let (notification, state, first_seen) = self.read()?;
        match lookup::standing(&state, first_seen)? {
            Standing::Ended(Ending { outcome, attempts, first_seen, at, .. }) => {
                Some(OutcomeEvent::new(&notification, &outcome, attempts, first_seen, at))
            }
            Standing::Waiting(_) => None,
        }
    }

    /// What to publish; nothing if it cannot be read, or is not due yet: the first attempt's moment is in the record.
    pub(super) fn envelope(self, now: Moment) -> Option<Envelope> {
        let (notification, state, first_seen) = self.read()?;
        let progress = match lookup::standing(&state, first_seen) {
            None => Progress::new(&notification, first_seen),
            Some(Standing::Waiting(progress)) => progress,
            Some(Standing::Ended(_)) => return None,
        };
        let due = progress.due <= now;
        due.then(|| Envelope { notification, progress: Progress { due: now, ..progress }, lane: Lane::Main })
    }
}
