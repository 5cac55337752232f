//! Notifications that answer a question.
//!
//! Each way is written so that one index has its rows in the order of the answer, and no other does. Those of one order
//! are looked up before they are sorted, whatever PostgreSQL believes of how many there are.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::rows;
use crate::journal::search::{self, Cursor, Line, Page, Question, Way};

/// A page.
pub(super) async fn search(
    readers: &PgPool,
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
    let mut statement = QueryBuilder::new("");
    for (index, way) in ways.iter().enumerate() {
        statement.push(if index == 0 { "SELECT * FROM (" } else { ") AS way UNION ALL SELECT * FROM (" });
        statement.push("SELECT first_seen, number, id, merchant_id, merchant_order_id, updated_at, state ");
        push_way(&mut statement, question, *way, from);
        statement.push(" ORDER BY first_seen DESC, number DESC LIMIT ").push_bind(limit);
    }
    statement.push(") AS way ORDER BY first_seen DESC, number DESC LIMIT ").push_bind(limit);
    let rows = statement.build().fetch_all(readers).await?;
    let lines = rows.iter().map(line).collect::<Result<_, _>>()?;
    Ok(search::page(lines, most))
}

/// How many there are; counts no further than `most`.
pub(super) async fn count(readers: &PgPool, question: &Question, most: u64) -> Result<u64, sqlx::Error> {
    let ways = question.ways();
    if ways.is_empty() {
        return Ok(0);
    }
    let mut statement = QueryBuilder::new("SELECT count(*) FROM (");
    for (index, way) in ways.iter().enumerate() {
        statement.push(if index == 0 { "SELECT 1 " } else { " UNION ALL SELECT 1 " });
        push_way(&mut statement, question, *way, None);
    }
    statement.push(" LIMIT ").push_bind(i64::try_from(most).unwrap_or(i64::MAX)).push(") AS found");
    let count: i64 = statement.build_query_scalar().fetch_one(readers).await?;
    Ok(count.unsigned_abs())
}

/// From where, and which of them.
fn push_way(statement: &mut QueryBuilder<Postgres>, question: &Question, way: Way, from: Option<Cursor>) {
    let Question { merchant, order, since, until, .. } = question;
    match way {
        Way::All => {
            statement.push("FROM notification WHERE true");
        }
        Way::Confirmed => {
            statement.push("FROM notification WHERE outcome = 'confirmed'");
        }
        Way::Undelivered(class) => {
            statement.push("FROM notification WHERE outcome IS DISTINCT FROM 'confirmed'");
            statement.push(" AND coalesce(outcome, phase) = ").push_bind(class);
        }
        Way::Order => {
            let order = order.as_deref().map(|order| rows::text(order).into_owned());
            statement.push(OF_ORDER).push_bind(order);
            // In here, so that another merchant's rows of that number are neither kept nor sorted.
            if let Some(merchant) = merchant {
                statement.push(" AND merchant_id = ").push_bind(merchant.as_str().to_owned());
            }
            statement.push(") SELECT * FROM found) AS of_order WHERE true");
            if let Some(classes) = question.classes() {
                statement.push(" AND coalesce(outcome, phase) = ANY(").push_bind(classes).push(")");
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
            statement.push(" AND (first_seen, number) < (").push_bind(first_seen);
            statement.push(", ").push_bind(row).push(")");
        }
        (None, Some(until)) => {
            statement.push(" AND first_seen < ").push_bind(until.unix_milliseconds());
        }
        (None, None) => {}
    }
}

/// Up to the order itself.
const OF_ORDER: &str = "FROM (WITH found AS MATERIALIZED (
    SELECT first_seen, number, id, merchant_id, merchant_order_id, updated_at, state, phase, outcome
    FROM notification WHERE merchant_order_id = ";

fn line(row: &PgRow) -> Result<Line, sqlx::Error> {
    Ok(Line {
        place: Cursor { first_seen: row.try_get("first_seen")?, row: row.try_get("number")? },
        id: row.try_get("id")?,
        merchant: row.try_get("merchant_id")?,
        order: row.try_get("merchant_order_id")?,
        updated_at: row.try_get("updated_at")?,
        state: row.try_get("state")?,
    })
}
