//! What need not be kept any more goes, some at a time.

use rusqlite::{Connection, Result, params};

use crate::domain::Moment;
use crate::journal::retention::Retention;
use crate::sqlite;

/// Removes some of what is too old or too much; whether there may be more.
pub(super) fn trim(connection: &Connection, retention: &Retention, now: Moment) -> Result<bool> {
    let full = sqlite::used(connection)? > retention.bytes;
    sqlite::transaction(connection, |connection| remove(connection, retention, now, full))
}

fn remove(connection: &Connection, retention: &Retention, now: Moment, full: bool) -> Result<bool> {
    let most = retention.most();
    if full && connection.prepare_cached(OLDEST_TRANSCRIPTS)?.execute([most])? > 0 {
        return Ok(true);
    }
    let before = retention.ended_before(now, full);
    let mut ended = connection.prepare_cached(ENDED)?;
    let ids = ended.query_map(params![before, most], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
    connection.prepare_cached(AUDIT)?.execute(params![before, most])?;
    let named = super::json(&ids);
    for of_each in [ATTEMPTS, TRANSCRIPTS, REPLAYS, NOTIFICATIONS] {
        connection.prepare_cached(of_each)?.execute([&named])?;
    }
    Ok(!ids.is_empty() && (full || ids.len() >= retention.at_once))
}

const OLDEST_TRANSCRIPTS: &str =
    "DELETE FROM transcript WHERE id IN (SELECT id FROM transcript ORDER BY id LIMIT ?1)";

const ENDED: &str = "SELECT id FROM notification
    WHERE phase = 'ended' AND updated_at < ?1 AND told = 1 ORDER BY updated_at LIMIT ?2";

const ATTEMPTS: &str = "DELETE FROM attempt WHERE notification_id IN (SELECT value FROM json_each(?1))";

const TRANSCRIPTS: &str = "DELETE FROM transcript WHERE notification_id IN (SELECT value FROM json_each(?1))";

const REPLAYS: &str = "DELETE FROM replay WHERE notification_id IN (SELECT value FROM json_each(?1))";

/// What was done is kept as long as what it was done to.
const AUDIT: &str =
    "DELETE FROM audit WHERE name IN (SELECT name FROM audit ORDER BY name LIMIT ?2) AND at < ?1";

const NOTIFICATIONS: &str = "DELETE FROM notification WHERE id IN (SELECT value FROM json_each(?1))";
