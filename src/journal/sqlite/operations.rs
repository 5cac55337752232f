//! What operators do, written; and what they ask, read.

use rusqlite::{Connection, OptionalExtension, params};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteConnection, query};

use super::{json, missing};
use crate::domain::{Moment, NotificationId};
use crate::journal::operations::{
    AuditRow, Begin, Counts, Deed, EndedCount, HeldCount, Noted, Operated, Operation, Pause, ReplayNote,
    ReplayOrder, Replayed, WaitingCount, audit_name, begun, decide,
};
use crate::sqlite::Problem;

/// Does one thing that an operator wants.
pub(super) fn write(connection: &Connection, operation: &Operation) -> rusqlite::Result<Operated> {
    match operation {
        Operation::Replay(wanted) => {
            replay(connection, wanted).map(|replayed| Operated::Replayed(Box::new(replayed)))
        }
        Operation::Note(name, noted) => note(connection, name, noted).map(Operated::Noted),
    }
}

fn replay(connection: &Connection, wanted: &ReplayOrder) -> rusqlite::Result<Replayed> {
    const FIND: &str =
        "SELECT id, raw, first_seen, state, told IS NOT NULL AS told FROM notification WHERE id = ?1";
    const BEGIN_ANEW: &str = "UPDATE notification
        SET state = ?2, updated_at = max(updated_at, ?3), told = NULL WHERE id = ?1";
    let ReplayOrder { id, order, .. } = wanted;
    let there = |row: &rusqlite::Row<'_>| Ok((missing::found(row)?, row.get::<_, bool>("told")?));
    let there = connection.prepare_cached(FIND)?.query_row([id.as_str()], there).optional()?;
    let Some((found, told)) = there else { return Ok(Replayed::Unknown) };
    match decide(&found, told, wanted) {
        None => Ok(Replayed::Unknown),
        Some(Begin::Refuse(why, state)) => Ok(Replayed::Refused { why, state }),
        Some(Begin::Again) => Ok(begun(found, None, order.at)),
        Some(Begin::Write(state, number)) => {
            let (state, at) = (json(&state), order.at.unix_milliseconds());
            connection.prepare_cached(BEGIN_ANEW)?.execute(params![id.as_str(), state, at])?;
            connection
                .prepare_cached("INSERT INTO replay VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
                .execute(params![id.as_str(), number, at, order.by, order.reason])?;
            if wanted.audited {
                let (whom, order) = (id.as_str().to_owned(), order.clone());
                let name = audit_name();
                note(connection, &name, &Noted { deed: Deed::Replay, whom, order })?;
            }
            Ok(begun(found, Some(state), order.at))
        }
    }
}

/// Whether it changed anything.
fn note(connection: &Connection, name: &str, noted: &Noted) -> rusqlite::Result<bool> {
    let Noted { deed, whom, order } = noted;
    let at = order.at.unix_milliseconds();
    let changed = match deed {
        Deed::Pause => connection
            .prepare_cached("INSERT INTO pause VALUES (?1, ?2, ?3, ?4) ON CONFLICT (merchant_id) DO NOTHING")?
            .execute(params![whom, at, order.by, order.reason])?,
        Deed::Resume => {
            connection.prepare_cached("DELETE FROM pause WHERE merchant_id = ?1")?.execute([whom])?
        }
        Deed::Replay | Deed::ReplayRange | Deed::Mend | Deed::Discard | Deed::Rollback => 1,
    };
    if changed == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING")?
        .execute(params![name, at, order.by, deed.name(), whom, order.reason])?;
    Ok(true)
}

/// The replays of a notification, the first first.
pub(super) async fn replays(
    connection: &mut SqliteConnection,
    id: &NotificationId,
) -> Result<Vec<ReplayNote>, sqlx::Error> {
    let select =
        query("SELECT number, at, by_whom, reason FROM replay WHERE notification_id = ?1 ORDER BY number");
    let rows = select.bind(id.as_str()).fetch_all(connection).await?;
    let note = |row: &SqliteRow| {
        let at = moment(row, "at")?;
        let (by, reason) = (row.try_get("by_whom")?, row.try_get("reason")?);
        Ok(ReplayNote { replay: row.try_get("number")?, at, by, reason })
    };
    rows.iter().map(note).collect()
}

/// The merchants that are paused.
pub(super) async fn pauses(readers: &SqlitePool) -> Result<Vec<Pause>, Problem> {
    let rows = query("SELECT merchant_id, since, by_whom, reason FROM pause ORDER BY merchant_id");
    let pause = |row: &SqliteRow| {
        let merchant = row.try_get::<&str, _>("merchant_id")?.parse();
        Ok(Pause {
            merchant: merchant.map_err(|_| Problem::Damaged("a pause's merchant_id".to_owned()))?,
            since: moment(row, "since")?,
            by: row.try_get("by_whom")?,
            reason: row.try_get("reason")?,
        })
    };
    rows.fetch_all(readers).await?.iter().map(pause).collect()
}

/// A page of the audit, the latest first.
pub(super) async fn audit(
    readers: &SqlitePool,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<AuditRow>, sqlx::Error> {
    let select = query(
        "SELECT name, at, by_whom, deed, whom, reason FROM audit WHERE ?1 IS NULL OR name < ?1
        ORDER BY name DESC LIMIT ?2",
    );
    let rows = select.bind(after).bind(i64::try_from(most).unwrap_or(i64::MAX)).fetch_all(readers).await?;
    let entry = |row: &SqliteRow| {
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
pub(super) async fn counts(readers: &SqlitePool, ended_since: Moment) -> Result<Counts, sqlx::Error> {
    let mut transaction = readers.begin().await?;
    let new = query(NEW).fetch_one(&mut *transaction).await?;
    let at_once = query(DUE_AT_ONCE).fetch_optional(&mut *transaction).await?;
    let waiting = query(WAITING).fetch_all(&mut *transaction).await?;
    let held = query(HELD).fetch_all(&mut *transaction).await?;
    let ended = query(UNCONFIRMED).bind(ended_since.unix_milliseconds()).fetch_all(&mut *transaction).await?;
    let waits = |row: &SqliteRow| {
        Ok(WaitingCount {
            merchant: row.try_get(0)?,
            next_attempt: row.try_get(1)?,
            count: count(row, 2)?,
            next_due: text_moment(row, 3)?,
            oldest: Moment::from_unix_milliseconds(row.try_get(4)?),
        })
    };
    let is_held = |row: &SqliteRow| {
        let (cause, merchant) = (row.try_get(0)?, row.try_get(1)?);
        Ok(HeldCount { cause, merchant, count: count(row, 2)?, since: text_moment(row, 3)? })
    };
    let has_ended = |row: &SqliteRow| {
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

// Without statistics SQLite would go by the phase, and look at each row. These indexes have all that is asked for.

const NEW: &str =
    "SELECT count(*), min(updated_at) FROM notification WHERE phase IN ('received', 'accepted')";

/// Along the index, from the oldest on: of those that are looked at only what waits for its `not_before` is passed over, and no
/// more than so many are. What SQLite cannot read, because it is too deep, is not waited with.
const DUE_AT_ONCE: &str = "SELECT updated_at FROM (
        SELECT updated_at, CAST(raw AS TEXT) AS text FROM notification INDEXED BY notification_by_phase
        WHERE phase = 'accepted' ORDER BY updated_at LIMIT 1000
    ) WHERE coalesce(iif(json_valid(text), unixepoch(text ->> 'not_before'), NULL) * 1000, 0) <= updated_at
    ORDER BY updated_at LIMIT 1";

const WAITING: &str = "SELECT merchant_id, next_attempt, count(*), min(due), min(updated_at)
    FROM notification INDEXED BY notification_waiting
    WHERE phase = 'waiting' GROUP BY merchant_id, next_attempt ORDER BY merchant_id, next_attempt";

const HELD: &str = "SELECT cause, merchant_id, count(*), min(since)
    FROM notification INDEXED BY notification_held
    WHERE phase = 'held' GROUP BY cause, merchant_id ORDER BY cause, merchant_id";

const UNCONFIRMED: &str = "SELECT outcome, count(*), min(updated_at)
    FROM notification INDEXED BY notification_unconfirmed
    WHERE phase = 'ended' AND outcome IN ('stopped', 'exhausted', 'abandoned') AND updated_at >= ?1
    GROUP BY outcome ORDER BY outcome";

fn count(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs)
}

/// A moment within a state is a text.
fn text_moment(row: &SqliteRow, column: usize) -> Result<Moment, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("`{text}` is no moment").into()))
}

fn moment(row: &SqliteRow, column: &str) -> Result<Moment, sqlx::Error> {
    row.try_get(column).map(Moment::from_unix_milliseconds)
}
