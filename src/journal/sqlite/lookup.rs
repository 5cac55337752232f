//! How far notifications have come, looked up with one query for many.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, query};

use super::json;
use crate::domain::{Beginning, Moment, NotificationId};
use crate::journal::found::{Found, readable};

/// Those of the notifications that are there.
pub(super) async fn find<'a>(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = &'a NotificationId>,
) -> Result<HashMap<NotificationId, Found>, sqlx::Error> {
    let ids: Vec<_> = ids.collect();
    let select = query(
        "SELECT id, digest, first_seen, state, begun_replay, begun_attempt, begun_holds, begun_by, begun_at, begun_again
        FROM notification
        WHERE id IN (SELECT value FROM json_each(?1))",
    );
    let rows = select.bind(json(&ids)).fetch_all(connection).await?;
    let found = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn found(row: &SqliteRow) -> Result<Option<(NotificationId, Found)>, sqlx::Error> {
    let Some((id, state)) = readable(row.try_get("id")?, row.try_get("state")?) else { return Ok(None) };
    let first_seen = Moment::from_unix_milliseconds(row.try_get("first_seen")?);
    let (digest, begun) = (row.try_get("digest")?, begun(row)?);
    Ok(Some((id, Found { digest, first_seen, state, begun })))
}

/// The beginning that was noted last.
fn begun(row: &SqliteRow) -> Result<Option<Beginning>, sqlx::Error> {
    let Some(attempt) = row.try_get("begun_attempt")? else { return Ok(None) };
    Ok(Some(Beginning {
        place: (
            row.try_get::<Option<_>, _>("begun_replay")?.unwrap_or_default(),
            attempt,
            row.try_get("begun_holds")?,
        ),
        gateway: row.try_get::<i64, _>("begun_by")?.cast_unsigned(),
        at: Moment::from_unix_milliseconds(row.try_get("begun_at")?),
        again: row.try_get("begun_again")?,
    }))
}
