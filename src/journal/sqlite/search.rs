//! Notifications that answer a question.
//!
//! Each way names the index that it takes, because SQLite, which knows nothing of how many rows there are of what, may
//! choose another: a statement whose index does not do fails, and the tests with it.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::journal::search::{self, Cursor, Line, Page, Question, Way};

/// A page.
pub(super) async fn search(
    readers: &SqlitePool,
    question: &Question,
    from: Option<Cursor>,
    most: usize,
) -> Result<Page, sqlx::Error> {
    let ways = question.ways();
    if ways.is_empty() {
        return Ok(Page::default());
    }
    // One more, which says that there are more.
    let limit = i64::try_from(most).unwrap_or(i64::MAX - 1) + 1;
    // The ways lead to places, which the indices know; only those of the page are looked at.
    let mut statement = QueryBuilder::new(
        "SELECT place.first_seen, place.row, id, merchant_id, merchant_order_id, updated_at, state FROM (",
    );
    for (index, way) in ways.iter().enumerate() {
        statement.push(if index == 0 { "SELECT * FROM (" } else { ") UNION ALL SELECT * FROM (" });
        statement.push("SELECT first_seen, rowid AS row ");
        push_way(&mut statement, question, *way, from);
        statement.push(" ORDER BY first_seen DESC, rowid DESC LIMIT ").push_bind(limit);
    }
    statement.push(") ORDER BY first_seen DESC, row DESC LIMIT ").push_bind(limit);
    statement.push(
        ") AS place CROSS JOIN notification ON notification.rowid = place.row
        ORDER BY place.first_seen DESC, place.row DESC",
    );
    let rows = statement.build().fetch_all(readers).await?;
    let lines = rows.iter().map(line).collect::<Result<_, _>>()?;
    Ok(search::page(lines, most))
}

/// How many there are; counts no further than `most`.
pub(super) async fn count(readers: &SqlitePool, question: &Question, most: u64) -> Result<u64, sqlx::Error> {
    let ways = question.ways();
    if ways.is_empty() {
        return Ok(0);
    }
    let mut statement = QueryBuilder::new("SELECT count(*) FROM (");
    for (index, way) in ways.iter().enumerate() {
        statement.push(if index == 0 { "SELECT 1 " } else { " UNION ALL SELECT 1 " });
        push_way(&mut statement, question, *way, None);
    }
    statement.push(" LIMIT ").push_bind(i64::try_from(most).unwrap_or(i64::MAX)).push(")");
    let count: i64 = statement.build_query_scalar().fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

/// From where, and which of them.
fn push_way(statement: &mut QueryBuilder<Sqlite>, question: &Question, way: Way, from: Option<Cursor>) {
    let Question { merchant, order, since, until, .. } = question;
    statement.push(match (way, merchant) {
        (Way::All | Way::Confirmed, None) => "FROM notification INDEXED BY notification_by_time WHERE true",
        (Way::All | Way::Confirmed, Some(_)) => {
            "FROM notification INDEXED BY notification_by_merchant WHERE true"
        }
        (Way::Undelivered(_), _) => {
            "FROM notification INDEXED BY notification_undelivered WHERE outcome IS NOT 'confirmed'"
        }
        (Way::Order, _) => "FROM notification INDEXED BY notification_by_order WHERE true",
    });
    match way {
        Way::All => {}
        Way::Confirmed => {
            statement.push(" AND outcome = 'confirmed'");
        }
        Way::Undelivered(class) => {
            statement.push(" AND coalesce(outcome, phase) = ").push_bind(class);
        }
        Way::Order => {
            statement.push(" AND merchant_order_id = ").push_bind(order.clone());
            if let Some(classes) = question.classes() {
                let classes = super::json(&classes);
                statement.push(" AND coalesce(outcome, phase) IN (SELECT value FROM json_each(");
                statement.push_bind(classes).push("))");
            }
        }
    }
    if let Some(merchant) = merchant {
        statement.push(" AND merchant_id = ").push_bind(merchant.as_str().to_owned());
    }
    if let Some(since) = since {
        statement.push(" AND first_seen >= ").push_bind(since.unix_milliseconds());
    }
    match (from, until) {
        // It is before the end already.
        (Some(Cursor { first_seen, row }), _) => {
            statement.push(" AND (first_seen, rowid) < (").push_bind(first_seen);
            statement.push(", ").push_bind(row).push(")");
        }
        (None, Some(until)) => {
            statement.push(" AND first_seen < ").push_bind(until.unix_milliseconds());
        }
        (None, None) => {}
    }
}

fn line(row: &SqliteRow) -> Result<Line, sqlx::Error> {
    Ok(Line {
        place: Cursor { first_seen: row.try_get("first_seen")?, row: row.try_get("row")? },
        id: row.try_get("id")?,
        merchant: row.try_get("merchant_id")?,
        order: row.try_get("merchant_order_id")?,
        updated_at: row.try_get("updated_at")?,
        state: row.try_get("state")?,
    })
}
