//! How far notifications have come.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, Row};

use crate::domain::{Beginning, Moment, NotificationId};
use crate::journal::found::{Found, readable};

/// Those of the notifications that are there.
pub(super) fn find<'a>(
    connection: &Connection,
    ids: impl Iterator<Item = &'a NotificationId>,
) -> Result<HashMap<NotificationId, Found>> {
    let mut select = connection.prepare_cached(FIND)?;
    let rows = ids.map(|id| select.query_row([id.as_str()], found).optional());
    Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().flatten().collect())
}

const FIND: &str = "SELECT id, digest, first_seen, state, begun_attempt, begun_replay, begun_holds, begun_by, begun_at, begun_again
    FROM notification WHERE id = ?1";

fn found(row: &Row<'_>) -> Result<Option<(NotificationId, Found)>> {
    let Some((id, state)) = readable(row.get_ref(0)?.as_str()?, row.get_ref(3)?.as_str()?) else {
        return Ok(None);
    };
    let first_seen = Moment::from_unix_milliseconds(row.get(2)?);
    let (digest, begun) = (row.get(1)?, begun(row)?);
    Ok(Some((id, Found { digest, first_seen, state, begun })))
}

/// The beginning that was noted last.
fn begun(row: &Row<'_>) -> Result<Option<Beginning>> {
    let Some(attempt) = row.get(4)? else { return Ok(None) };
    Ok(Some(Beginning {
        place: (row.get::<_, Option<_>>(5)?.unwrap_or_default(), attempt, row.get(6)?),
        gateway: row.get::<_, i64>(7)?.cast_unsigned(),
        at: Moment::from_unix_milliseconds(row.get(8)?),
        again: row.get(9)?,
    }))
}
