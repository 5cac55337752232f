//! Held notifications that could go on, because what held them is gone.
//!
//! They are found by a connection that only reads, page by page in the order in which they were last touched, so that
//! a long list holds up nobody who writes; and are changed by the writer, some at a time.

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Row as _, query};

use super::missing;
use super::rows::States;
use crate::domain::{MerchantId, NotificationId};
use crate::journal::found::{Missing, readable};
use crate::journal::group::Wanted;
use crate::journal::{Release, ReleasePlace, State};

/// The next page of what could be released, and where the one after it begins.
pub(super) async fn find(
    readers: &PgPool,
    release: &Release,
) -> Result<(Vec<String>, Option<ReleasePlace>), sqlx::Error> {
    let from = release.from.unwrap_or(ReleasePlace { updated_at: i64::MIN, row: i64::MIN });
    let merchants: Vec<&str> = release.merchants.iter().map(MerchantId::as_str).collect();
    let rows = query(FIND)
        .bind(release.now.unix_milliseconds())
        .bind(from.updated_at)
        .bind(from.row)
        .bind(merchants)
        .bind(release.causes.to_vec())
        .bind(release.now.after(release.due_after).unix_milliseconds())
        .bind(i64::try_from(release.most).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await?;
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<_>, _>>()?;
    // A page that is not full is the last.
    let last = rows.last().filter(|_| rows.len() >= release.most);
    Ok((ids, last.map(place).transpose()?))
}

fn place(row: &PgRow) -> Result<ReleasePlace, sqlx::Error> {
    Ok(ReleasePlace { updated_at: row.try_get("updated_at")?, row: row.try_get("number")? })
}

/// Releases those of them that are still held. What is due soon has an attempt under way, or comes by itself.
///
/// The same as `Progress::released`: due now, the row of holds begun anew, and the count of holds as it was.
pub(super) async fn write(
    connection: &mut PgConnection,
    wanted: &Wanted,
) -> Result<Vec<Missing>, sqlx::Error> {
    let rows = query(STILL_HELD)
        .bind(&wanted.ids)
        .bind(wanted.now.after(wanted.due_after).unix_milliseconds())
        .fetch_all(&mut *connection)
        .await?;
    let mut released = Vec::with_capacity(rows.len());
    let mut states: Vec<(NotificationId, State)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let missing = missing::found(row)?;
        let Some((id, State::Held { next_attempt, cause, reason, holds, replay, .. })) =
            readable(&missing.id, &missing.state)
        else {
            continue;
        };
        let (due, since) = (wanted.now, wanted.now);
        let state = State::Held { next_attempt, due, cause, reason, holds, since, replay };
        released.push(Missing { state: super::rows::json(&state), ..missing });
        states.push((id, state));
    }
    let states = states.iter().map(|(id, state)| (id, wanted.now, state));
    States::of(states).write(connection).await?;
    Ok(released)
}

const FIND: &str = "SELECT number, id, updated_at FROM notification
    WHERE phase = 'held' AND updated_at < $1 AND (updated_at, number) > ($2, $3)
    AND merchant_id = ANY($4) AND cause = ANY($5) AND due > $6
    ORDER BY updated_at, number LIMIT $7";

/// They are locked by now.
const STILL_HELD: &str = "SELECT id, raw, first_seen, state FROM notification
    WHERE phase = 'held' AND id = ANY($1) AND due > $2";
