//! What need not be kept any more goes, some at a time.

use sqlx::{SqliteConnection, query, query_scalar};

use crate::domain::Moment;
use crate::journal::retention::Retention;
use crate::sqlite;

/// Removes some of what is too old or too much; whether there may be more.
pub(super) async fn trim(
    connection: &mut SqliteConnection,
    retention: &Retention,
    now: Moment,
) -> Result<bool, sqlx::Error> {
    let full = used(connection).await? > retention.bytes;
    sqlite::begin(connection).await?;
    let removed = remove(connection, retention, now, full).await;
    sqlite::end(connection, removed).await
}

async fn remove(
    connection: &mut SqliteConnection,
    retention: &Retention,
    now: Moment,
    full: bool,
) -> Result<bool, sqlx::Error> {
    let most = retention.most();
    if full {
        let removed = query(OLDEST_TRANSCRIPTS).bind(most).execute(&mut *connection).await?;
        if removed.rows_affected() > 0 {
            return Ok(true);
        }
    }
    let before = retention.ended_before(now, full);
    let ids: Vec<String> = query_scalar(ENDED).bind(before).bind(most).fetch_all(&mut *connection).await?;
    let named = super::json(&ids);
    query(AUDIT).bind(before).bind(most).execute(&mut *connection).await?;
    for of_each in [ATTEMPTS, TRANSCRIPTS, REPLAYS, NOTIFICATIONS] {
        query(of_each).bind(&named).execute(&mut *connection).await?;
    }
    Ok(!ids.is_empty() && (full || ids.len() >= retention.at_once))
}

/// Bytes of the file that hold something. What is removed leaves free pages, which are used again.
async fn used(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let used = "SELECT (page_count - freelist_count) * page_size
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    query_scalar::<_, i64>(used).fetch_one(connection).await.map(i64::unsigned_abs)
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
