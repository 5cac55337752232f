//! How far notifications have come, looked up with one query for many.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, query};

use super::json;
use crate::domain::{
    AttemptNumber, Beginning, Ending, Held, Known, Moment, NotificationId, Outcome, Progress, Recorded,
    Standing,
};
use crate::journal::State;

/// A notification as it is found.
pub(super) struct Found {
    pub(super) digest: Vec<u8>,
    pub(super) first_seen: Moment,
    pub(super) state: State,
    pub(super) begun: Option<Beginning>,
}

/// Those of the notifications that are there.
pub(super) async fn find<'a>(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = &'a NotificationId>,
) -> Result<HashMap<NotificationId, Found>, sqlx::Error> {
    let ids: Vec<_> = ids.collect();
    let select = query(
        "SELECT id, digest, first_seen, state, begun_attempt, begun_holds, begun_by, begun_at, begun_again
        FROM notification
        WHERE id IN (SELECT value FROM json_each(?1))",
    );
    let rows = select.bind(json(&ids)).fetch_all(connection).await?;
    let found = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// A row whose state cannot be read counts as one that is not there: the next entry mends it, and nobody else waits
/// for that.
fn found(row: &SqliteRow) -> Result<Option<(NotificationId, Found)>, sqlx::Error> {
    let (id, state): (&str, &str) = (row.try_get("id")?, row.try_get("state")?);
    let (Ok(parsed), Ok(state)) = (id.parse(), serde_json::from_str(state)) else {
        tracing::error!(
            notification = id,
            state,
            "the journal has a state that cannot be read; it is passed over"
        );
        return Ok(None);
    };
    let first_seen = Moment::from_unix_milliseconds(row.try_get("first_seen")?);
    let (digest, begun) = (row.try_get("digest")?, begun(row)?);
    Ok(Some((parsed, Found { digest, first_seen, state, begun })))
}

/// The beginning that was noted last.
fn begun(row: &SqliteRow) -> Result<Option<Beginning>, sqlx::Error> {
    let Some(attempt) = row.try_get("begun_attempt")? else { return Ok(None) };
    Ok(Some(Beginning {
        place: (attempt, row.try_get("begun_holds")?),
        gateway: row.try_get::<i64, _>("begun_by")?.cast_unsigned(),
        at: Moment::from_unix_milliseconds(row.try_get("begun_at")?),
        again: row.try_get("begun_again")?,
    }))
}

impl Found {
    /// What that means for a message of that content.
    pub(super) fn known(&self, digest: &[u8]) -> Known {
        if self.digest != digest {
            return Known::AnotherText;
        }
        standing(&self.state, self.first_seen).map_or(Known::Nothing, Known::Standing)
    }
}

/// What a durable state says of how far the notification has come; nothing for one that has only come in.
pub(super) fn standing(state: &State, first_seen: Moment) -> Option<Standing> {
    let waiting = |attempt: &u32, due: &Moment, held| {
        let attempt = AttemptNumber::new(*attempt)?;
        Some(Standing::Waiting(Progress { attempt, due: *due, first_seen, held }))
    };
    match state {
        State::Received | State::Accepted => None,
        State::Waiting { next_attempt, due } => waiting(next_attempt, due, None),
        State::Held { next_attempt, due, holds, since, .. } => {
            waiting(next_attempt, due, Some(Held { since: *since, count: *holds }))
        }
        State::Ended { outcome, detail, attempts_made, ended_at } => Some(Standing::Ended(Ending {
            outcome: Outcome::named(outcome, detail.clone())?,
            attempts: *attempts_made,
            first_seen,
            at: *ended_at,
            recorded: Recorded::after_commit(),
        })),
    }
}
