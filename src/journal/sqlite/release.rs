//! Held notifications that could go on, because what held them is gone.
//!
//! They are found by a connection that only reads, page by page in the order in which they were last touched, so that
//! a long list holds up nobody who writes; and are changed by the writer, some at a time.

use rusqlite::{Connection, params};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, query};

use super::{json, missing};
use crate::journal::found::Missing;
use crate::journal::group::Wanted;
use crate::journal::{Release, ReleasePlace};

/// The next page of what could be released, and where the one after it begins.
pub(super) async fn find(
    readers: &SqlitePool,
    release: &Release,
) -> Result<(Vec<String>, Option<ReleasePlace>), sqlx::Error> {
    let from = release.from.unwrap_or(ReleasePlace { updated_at: i64::MIN, row: i64::MIN });
    let rows = query(FIND)
        .bind(release.now.unix_milliseconds())
        .bind(from.updated_at)
        .bind(from.row)
        .bind(json(&&*release.merchants))
        .bind(json(&release.causes))
        .bind(release.now.after(release.due_after).to_string())
        .bind(i64::try_from(release.most).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await?;
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<_>, _>>()?;
    // A page that is not full is the last.
    let last = rows.last().filter(|_| rows.len() >= release.most);
    Ok((ids, last.map(place).transpose()?))
}

fn place(row: &SqliteRow) -> Result<ReleasePlace, sqlx::Error> {
    Ok(ReleasePlace { updated_at: row.try_get("updated_at")?, row: row.try_get("rowid")? })
}

/// Releases those of them that are still held. What is due soon has an attempt under way, or comes by itself.
pub(super) fn write(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Missing>> {
    let (now, due_after) = (wanted.now, wanted.now.after(wanted.due_after).to_string());
    connection
        .prepare_cached(RELEASE)?
        .query_map(
            params![now.unix_milliseconds(), now.to_string(), json(&wanted.ids), due_after],
            missing::found,
        )?
        .collect()
}

/// Moments in a state are texts of one length, which sort as the moments do.
const FIND: &str = "SELECT rowid, id, updated_at FROM notification
    WHERE phase = 'held' AND updated_at < ?1 AND (updated_at, rowid) > (?2, ?3)
    AND merchant_id IN (SELECT value FROM json_each(?4))
    AND state ->> 'cause' IN (SELECT value FROM json_each(?5)) AND state ->> 'due' > ?6
    ORDER BY updated_at, rowid LIMIT ?7";

/// The same as `Progress::released`: due now, the row of holds begun anew, and the count of holds as it was.
const RELEASE: &str = "UPDATE notification
    SET updated_at = max(updated_at, ?1), state = json_set(state, '$.due', ?2, '$.since', ?2)
    WHERE phase = 'held' AND id IN (SELECT value FROM json_each(?3)) AND state ->> 'due' > ?4
    RETURNING id, raw, first_seen, state";
