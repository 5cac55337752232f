//! What operators do, written; and what they ask, read.

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Row as _, query};

use super::missing;
use super::problem::Problem;
use super::rows::{States, json, text};
use crate::domain::{Moment, NotificationId};
use crate::journal::operations::{
    AuditRow, Begin, Counts, Deed, EndedCount, HeldCount, Noted, Operated, Operation, Pause, ReplayNote,
    ReplayOrder, Replayed, WaitingCount, audit_name, begun, decide,
};

/// Does one thing that an operator wants. The notification that it names is locked by now.
pub(super) async fn write(
    connection: &mut PgConnection,
    operation: &Operation,
) -> Result<Operated, sqlx::Error> {
    match operation {
        Operation::Replay(wanted) => {
            let replayed = replay(connection, wanted).await?;
            Ok(Operated::Replayed(Box::new(replayed)))
        }
        Operation::Note(name, noted) => note(connection, name, noted).await.map(Operated::Noted),
    }
}

async fn replay(connection: &mut PgConnection, wanted: &ReplayOrder) -> Result<Replayed, sqlx::Error> {
    let ReplayOrder { id, order, .. } = wanted;
    let select = query("SELECT id, raw, first_seen, state, told FROM notification WHERE id = $1");
    let Some(row) = select.bind(id.as_str()).fetch_optional(&mut *connection).await? else {
        return Ok(Replayed::Unknown);
    };
    let found = missing::found(&row)?;
    match decide(&found, row.try_get("told")?, wanted) {
        None => Ok(Replayed::Unknown),
        Some(Begin::Refuse(why, state)) => Ok(Replayed::Refused { why, state }),
        Some(Begin::Again) => Ok(begun(found, None, order.at)),
        Some(Begin::Write(state, number)) => {
            States::of([(id, order.at, &state)].into_iter()).write(connection).await?;
            let untold = query("UPDATE notification SET told = false WHERE id = $1");
            untold.bind(id.as_str()).execute(&mut *connection).await?;
            query("INSERT INTO replay VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
                .bind(id.as_str())
                .bind(i64::from(number))
                .bind(order.at.unix_milliseconds())
                .bind(text(&order.by))
                .bind(text(&order.reason))
                .execute(&mut *connection)
                .await?;
            if wanted.audited {
                let (whom, order) = (id.as_str().to_owned(), order.clone());
                let name = audit_name();
                note(connection, &name, &Noted { deed: Deed::Replay, whom, order }).await?;
            }
            Ok(begun(found, Some(json(&state)), order.at))
        }
    }
}

/// Whether it changed anything.
async fn note(connection: &mut PgConnection, name: &str, noted: &Noted) -> Result<bool, sqlx::Error> {
    let Noted { deed, whom, order } = noted;
    let changed = match deed {
        Deed::Pause => {
            query("INSERT INTO pause VALUES ($1, $2, $3, $4) ON CONFLICT (merchant_id) DO NOTHING")
                .bind(whom)
                .bind(order.at.unix_milliseconds())
                .bind(text(&order.by))
                .bind(text(&order.reason))
                .execute(&mut *connection)
                .await?
                .rows_affected()
        }
        Deed::Resume => {
            let resume = query("DELETE FROM pause WHERE merchant_id = $1").bind(whom);
            resume.execute(&mut *connection).await?.rows_affected()
        }
        Deed::Replay | Deed::ReplayRange | Deed::Mend | Deed::Discard | Deed::Rollback => 1,
    };
    if changed == 0 {
        return Ok(false);
    }
    query("INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(order.at.unix_milliseconds())
        .bind(text(&order.by))
        .bind(deed.name())
        .bind(text(whom))
        .bind(text(&order.reason))
        .execute(connection)
        .await?;
    Ok(true)
}

/// The replays of a notification, the first first.
pub(super) async fn replays(
    connection: &mut PgConnection,
    id: &NotificationId,
) -> Result<Vec<ReplayNote>, sqlx::Error> {
    let select =
        query("SELECT number, at, by_whom, reason FROM replay WHERE notification_id = $1 ORDER BY number");
    let rows = select.bind(id.as_str()).fetch_all(connection).await?;
    let note = |row: &PgRow| {
        let replay = number(row.try_get("number")?);
        let (by, reason) = (row.try_get("by_whom")?, row.try_get("reason")?);
        Ok(ReplayNote { replay, at: moment(row, "at")?, by, reason })
    };
    rows.iter().map(note).collect()
}

/// The merchants that are paused.
pub(super) async fn pauses(readers: &PgPool) -> Result<Vec<Pause>, Problem> {
    let rows = query("SELECT merchant_id, since, by_whom, reason FROM pause ORDER BY merchant_id");
    let pause = |row: &PgRow| {
        let merchant = row.try_get::<&str, _>("merchant_id")?.parse();
        Ok(Pause {
            merchant: merchant.map_err(|_| Problem::Other("a pause's merchant_id is damaged".to_owned()))?,
            since: moment(row, "since")?,
            by: row.try_get("by_whom")?,
            reason: row.try_get("reason")?,
        })
    };
    rows.fetch_all(readers).await?.iter().map(pause).collect()
}

/// A page of the audit, the latest first.
pub(super) async fn audit(
    readers: &PgPool,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<AuditRow>, sqlx::Error> {
    let select = query(
        "SELECT name, at, by_whom, deed, whom, reason FROM audit WHERE $1::text IS NULL OR name < $1
        ORDER BY name DESC LIMIT $2",
    );
    let rows = select.bind(after).bind(i64::try_from(most).unwrap_or(i64::MAX)).fetch_all(readers).await?;
    let entry = |row: &PgRow| {
        Ok(AuditRow {
            place: row.try_get("name")?,
            at: moment(row, "at")?,
            by: row.try_get("by_whom")?,
            action: row.try_get("deed")?,
            whom: row.try_get("whom")?,
            reason: row.try_get("reason")?,
        })
    };
    rows.iter().map(entry).collect()
}

/// Counts, each from an index that has all that is asked for.
pub(super) async fn counts(readers: &PgPool, ended_since: Moment) -> Result<Counts, sqlx::Error> {
    let mut transaction = readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let new = query(NEW).fetch_one(&mut *transaction).await?;
    let at_once = query(DUE_AT_ONCE).fetch_optional(&mut *transaction).await?;
    let waiting = query(WAITING).fetch_all(&mut *transaction).await?;
    let held = query(HELD).fetch_all(&mut *transaction).await?;
    let ended = query(UNCONFIRMED).bind(ended_since.unix_milliseconds()).fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    let waits = |row: &PgRow| {
        Ok(WaitingCount {
            merchant: row.try_get(0)?,
            next_attempt: number(row.try_get(1)?),
            count: count(row, 2)?,
            next_due: Moment::from_unix_milliseconds(row.try_get(3)?),
            oldest: Moment::from_unix_milliseconds(row.try_get(4)?),
        })
    };
    let is_held = |row: &PgRow| {
        let text: &str = row.try_get(3)?;
        let since = text.parse().map_err(|_| sqlx::Error::Decode(format!("`{text}` is no moment").into()))?;
        Ok(HeldCount { cause: row.try_get(0)?, merchant: row.try_get(1)?, count: count(row, 2)?, since })
    };
    let has_ended = |row: &PgRow| {
        let oldest = Moment::from_unix_milliseconds(row.try_get(2)?);
        Ok(EndedCount { outcome: row.try_get(0)?, count: count(row, 1)?, oldest })
    };
    Ok(Counts {
        new: count(&new, 0)?,
        oldest_new: new.try_get::<Option<i64>, _>(1)?.map(Moment::from_unix_milliseconds),
        oldest_due_at_once: at_once
            .map(|row| row.try_get(0).map(Moment::from_unix_milliseconds))
            .transpose()?,
        waiting: waiting.iter().map(waits).collect::<Result<_, sqlx::Error>>()?,
        held: held.iter().map(is_held).collect::<Result<_, sqlx::Error>>()?,
        unconfirmed: ended.iter().map(has_ended).collect::<Result<_, sqlx::Error>>()?,
    })
}

const NEW: &str =
    "SELECT count(*), min(updated_at) FROM notification WHERE phase IN ('received', 'accepted')";

const DUE_AT_ONCE: &str = "SELECT updated_at FROM notification
    WHERE phase = 'accepted' AND due <= updated_at ORDER BY updated_at LIMIT 1";

const WAITING: &str =
    "SELECT merchant_id, next_attempt, count(*), min(due), min(updated_at) FROM notification
    WHERE phase = 'waiting' GROUP BY merchant_id, next_attempt ORDER BY merchant_id, next_attempt";

const HELD: &str = "SELECT cause, merchant_id, count(*), min(since) FROM notification
    WHERE phase = 'held' GROUP BY cause, merchant_id ORDER BY cause, merchant_id";

const UNCONFIRMED: &str = "SELECT outcome, count(*), min(updated_at) FROM notification
    WHERE phase = 'ended' AND outcome IN ('stopped', 'exhausted', 'abandoned') AND updated_at >= $1
    GROUP BY outcome ORDER BY outcome";

fn count(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs)
}

fn number(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn moment(row: &PgRow, column: &str) -> Result<Moment, sqlx::Error> {
    row.try_get(column).map(Moment::from_unix_milliseconds)
}
