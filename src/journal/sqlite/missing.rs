//! Notifications under way that nothing has been heard of for long, and ended ones that nobody may have been told of.

use rusqlite::{Connection, Result, Row, params};

use crate::domain::Moment;
use crate::journal::Search;
use crate::journal::found::Missing;
use crate::journal::group::Sought;
use crate::journal::retention::Retention;

/// Takes some: notes that something has happened to them now, so that nobody takes them again soon.
pub(super) fn take(connection: &Connection, search: &Search, sought: Sought) -> Result<Vec<Missing>> {
    let heard_before = Moment::from_unix_milliseconds(Retention::before(search.now, search.missing_after));
    let (now, before) = (search.now.unix_milliseconds(), heard_before.unix_milliseconds());
    let most = i64::try_from(search.most).unwrap_or(i64::MAX);
    match sought {
        Sought::UnderWay => connection
            .prepare_cached(TAKE_UNDER_WAY)?
            .query_map(params![now, before, most, heard_before.to_string()], found)?
            .collect(),
        Sought::Untold => {
            connection.prepare_cached(TAKE_UNTOLD)?.query_map(params![now, before, most], found)?.collect()
        }
    }
}

/// Moments in a state are texts of one length, which sort as the moments do. Whatever is due has not been touched since
/// it was written down, so the index on `updated_at` leaves few to look at. What is nested deeper than SQLite reads is not waited with.
const TAKE_UNDER_WAY: &str = "UPDATE notification SET updated_at = ?1 WHERE id IN (
    SELECT id FROM notification
    WHERE phase IN ('accepted', 'waiting', 'held') AND updated_at < ?2
    AND coalesce(state ->> 'due', '') < ?4 AND coalesce(begun_at, 0) < ?2
    AND (phase != 'accepted' OR coalesce(iif(json_valid(CAST(raw AS TEXT)),
        unixepoch(CAST(raw AS TEXT) ->> 'not_before'), NULL) * 1000, 0) < ?2)
    LIMIT ?3
) RETURNING id, raw, first_seen, state";

const TAKE_UNTOLD: &str = "UPDATE notification SET updated_at = ?1 WHERE id IN (
    SELECT id FROM notification WHERE phase = 'ended' AND told IS NULL AND updated_at < ?2 LIMIT ?3
) RETURNING id, raw, first_seen, state";

/// From the columns `id`, `raw`, `first_seen` and `state`.
pub(super) fn found(row: &Row<'_>) -> Result<Missing> {
    Ok(Missing {
        id: row.get("id")?,
        raw: row.get("raw")?,
        first_seen: Moment::from_unix_milliseconds(row.get("first_seen")?),
        state: row.get("state")?,
    })
}
