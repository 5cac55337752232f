//! Notifications under way that nothing has been heard of for long, and ended ones that nobody may have been told of.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};

use crate::domain::Moment;
use crate::journal::Search;
use crate::journal::found::Missing;
use crate::journal::group::Sought;
use crate::journal::retention::Retention;

/// Takes some: notes that something has happened to them now, so that nobody takes them again soon.
pub(super) async fn take(
    connection: &mut PgConnection,
    search: &Search,
    sought: Sought,
) -> Result<Vec<Missing>, sqlx::Error> {
    let take = match sought {
        Sought::UnderWay => query(TAKE_UNDER_WAY),
        Sought::Untold => query(TAKE_UNTOLD),
    };
    let rows = take
        .bind(search.now.unix_milliseconds())
        .bind(Retention::before(search.now, search.missing_after))
        .bind(i64::try_from(search.most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(found).collect()
}

/// What another gateway is writing just now is heard of, and so not missing.
const TAKE_UNDER_WAY: &str = "WITH taken AS MATERIALIZED (
        SELECT id FROM notification
        WHERE phase IN ('accepted', 'waiting', 'held') AND updated_at < $2 AND due < $2 AND coalesce(begun_at, 0) < $2
        LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE notification SET updated_at = $1 FROM taken WHERE notification.id = taken.id
    RETURNING notification.id, raw, first_seen, state";

const TAKE_UNTOLD: &str = "WITH taken AS MATERIALIZED (
        SELECT id FROM notification WHERE phase = 'ended' AND NOT told AND updated_at < $2
        LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE notification SET updated_at = $1 FROM taken WHERE notification.id = taken.id
    RETURNING notification.id, raw, first_seen, state";

/// From the columns `id`, `raw`, `first_seen` and `state`.
pub(super) fn found(row: &PgRow) -> Result<Missing, sqlx::Error> {
    Ok(Missing {
        id: row.try_get("id")?,
        raw: row.try_get("raw")?,
        first_seen: Moment::from_unix_milliseconds(row.try_get("first_seen")?),
        state: row.try_get("state")?,
    })
}
