//! How much is kept, and what need not be kept any more: it goes, some at a time.
//!
//! What PostgreSQL's files take does not shrink when something is removed, and how much of them is free is not easily had. So the bytes of
//! records and transcripts are counted as they come and go, with a flat rate for attempts; indexes and free room come on top.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_scalar, raw_sql};

use super::write::begin;
use crate::domain::Moment;
use crate::journal::retention::Retention;

/// What an attempt counts for.
const ATTEMPT: i64 = 500;
/// Gateways count in rows of their own, so that none waits for another; there are so many rows at most.
const SLOTS: u64 = 64;

/// What so many attempts count for.
pub(super) fn of_attempts(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX / ATTEMPT).saturating_mul(ATTEMPT)
}

/// Counts bytes that have come, or gone.
pub(super) async fn count(
    connection: &mut PgConnection,
    gateway: u64,
    bytes: i64,
) -> Result<(), sqlx::Error> {
    if bytes == 0 {
        return Ok(());
    }
    let slot = i32::try_from(gateway % SLOTS).unwrap_or_default();
    query("INSERT INTO volume VALUES ($1, $2) ON CONFLICT (slot) DO UPDATE SET bytes = volume.bytes + $2")
        .bind(slot)
        .bind(bytes)
        .execute(connection)
        .await
        .map(drop)
}

/// Removes some of what is too old or too much; whether there may be more. Of gateways that do it at once each takes what the others leave.
pub(super) async fn trim(
    connection: &mut PgConnection,
    retention: &Retention,
    now: Moment,
) -> Result<bool, sqlx::Error> {
    begin(connection, false).await?;
    let kept: i64 = query_scalar("SELECT coalesce(sum(bytes), 0)::bigint FROM volume")
        .fetch_one(&mut *connection)
        .await?;
    let full = u64::try_from(kept).unwrap_or_default() > retention.bytes;
    let (gone, more) = remove(connection, retention, now, full).await?;
    count(connection, 0, -gone).await?;
    raw_sql("COMMIT").execute(connection).await?;
    Ok(more)
}

/// How many bytes have gone, and whether there may be more.
async fn remove(
    connection: &mut PgConnection,
    retention: &Retention,
    now: Moment,
    full: bool,
) -> Result<(i64, bool), sqlx::Error> {
    let most = retention.most();
    if full {
        let lengths: Vec<i32> =
            query_scalar(OLDEST_TRANSCRIPTS).bind(most).fetch_all(&mut *connection).await?;
        if !lengths.is_empty() {
            return Ok((sum(lengths), true));
        }
    }
    let before = retention.ended_before(now, full);
    // What was done is kept as long as what it was done to.
    query(AUDIT).bind(before).bind(most).execute(&mut *connection).await?;
    let ended: Vec<(String, i32)> =
        sqlx::query_as(ENDED).bind(before).bind(most).fetch_all(&mut *connection).await?;
    let (ids, lengths): (Vec<String>, Vec<i32>) = ended.into_iter().unzip();
    if ids.is_empty() {
        return Ok((0, false));
    }
    let attempts = query("DELETE FROM attempt WHERE notification_id = ANY($1)").bind(&ids);
    let attempts = attempts.execute(&mut *connection).await?.rows_affected();
    let replays = query("DELETE FROM replay WHERE notification_id = ANY($1)").bind(&ids);
    replays.execute(&mut *connection).await?;
    let transcripts: Vec<i32> = query_scalar(
        "DELETE FROM transcript WHERE notification_id = ANY($1) RETURNING octet_length(content)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    let gone = sum(lengths) + sum(transcripts) + of_attempts(attempts);
    Ok((gone, full || ids.len() >= retention.at_once))
}

fn sum(lengths: Vec<i32>) -> i64 {
    lengths.into_iter().map(i64::from).sum()
}

const OLDEST_TRANSCRIPTS: &str =
    "WITH old AS MATERIALIZED (SELECT id FROM transcript ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
    DELETE FROM transcript USING old WHERE transcript.id = old.id RETURNING octet_length(content)";

const AUDIT: &str =
    "DELETE FROM audit WHERE name IN (SELECT name FROM audit ORDER BY name LIMIT $2) AND at < $1";

const ENDED: &str = "WITH old AS MATERIALIZED (
        SELECT id FROM notification WHERE phase = 'ended' AND told AND updated_at < $1 ORDER BY updated_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM notification USING old WHERE notification.id = old.id RETURNING notification.id, octet_length(raw)";
