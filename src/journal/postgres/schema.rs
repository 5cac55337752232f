//! The tables, and how they came to be: one step for each version.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_scalar, raw_sql};

use super::problem::Problem;

/// Step n brings version n to n + 1. A step that has been released is never changed.
const STEPS: &[&str] =
    &[include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")];

/// The version that this program knows.
const KNOWN: i32 = STEPS.len() as i32;

/// An advisory lock that whoever changes the tables holds: "pnj1" in ASCII.
const DOOR: i64 = 0x706e_6a31;

/// Brings the tables up to this program's version, or finds that it cannot. Gateways that start together take turns.
pub(super) async fn bring_up(connection: &mut PgConnection) -> Result<(), Problem> {
    // A step may take as long as it takes, and so may the gateway that is at it already.
    let begin = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
    raw_sql(begin).execute(&mut *connection).await?;
    let brought = take_steps(connection).await;
    let end = if brought.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = raw_sql(end).execute(connection).await;
    brought?;
    ended?;
    Ok(())
}

/// Finds out whether the tables are of this program's version.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), Problem> {
    match version(connection).await? {
        KNOWN => Ok(()),
        found if found > KNOWN => Err(Problem::Newer { found, known: KNOWN }),
        found => Err(Problem::Older { found, known: KNOWN }),
    }
}

async fn take_steps(connection: &mut PgConnection) -> Result<(), Problem> {
    query("SELECT pg_advisory_xact_lock($1)").bind(DOOR).execute(&mut *connection).await?;
    let found = version(connection).await?;
    let begun = usize::try_from(found).unwrap_or_default();
    let Some(steps) = STEPS.get(begun..) else { return Err(Problem::Newer { found, known: KNOWN }) };
    for step in steps {
        raw_sql(*step).execute(&mut *connection).await?;
    }
    if !steps.is_empty() {
        query("UPDATE paynotify_journal SET version = $1").bind(KNOWN).execute(connection).await?;
    }
    Ok(())
}

/// 0 where there are no tables.
async fn version(connection: &mut PgConnection) -> Result<i32, Problem> {
    let there = async |connection: &mut PgConnection, table: &str| {
        query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
            .bind(table.to_owned())
            .fetch_one(connection)
            .await
    };
    if there(connection, "paynotify_journal").await? {
        return Ok(query_scalar("SELECT version FROM paynotify_journal").fetch_one(connection).await?);
    }
    for table in ["notification", "attempt", "transcript", "volume", "trial", "replay", "pause", "audit"] {
        if there(connection, table).await? {
            return Err(Problem::Foreign);
        }
    }
    Ok(0)
}
