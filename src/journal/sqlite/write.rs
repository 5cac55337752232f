//! A group is written with one commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, Result, params};

use super::living::Living;
use super::{json, lookup, missing, operations, release, transcripts, trim};
use crate::domain::{Moment, Standing, TakeUp};
use crate::journal::group::{Beginnings, Group, Records, Row, Written};
use crate::journal::retention::Retention;
use crate::journal::writer::{Database, Fault, Sync};
use crate::journal::{Acceptance, State};
use crate::sqlite::Writable;

/// The file, open for writing.
pub(super) struct File {
    pub(super) file: Writable,
    pub(super) living: Arc<Living>,
    pub(super) transcripts_kept: Duration,
}

#[async_trait]
impl Database for File {
    async fn write(&mut self, group: &Arc<Group>) -> std::result::Result<Written, Fault> {
        let (group, living, kept) = (Arc::clone(group), Arc::clone(&self.living), self.transcripts_kept);
        Ok(self.file.transaction(move |connection| write_rows(connection, &group, &living, kept)).await?)
    }

    fn sync(&mut self) -> Option<Sync> {
        let sync = self.file.sync();
        Some(Box::pin(async { Ok(sync.await?) }))
    }

    async fn try_to_write(&mut self) -> std::result::Result<(), Fault> {
        Ok(self.file.try_to_write().await?)
    }

    async fn trim(&mut self, retention: &Retention, now: Moment) -> std::result::Result<bool, Fault> {
        let retention = *retention;
        Ok(self.file.with(move |connection| trim::trim(connection, &retention, now)).await?)
    }

    async fn close(self: Box<Self>) -> std::result::Result<(), Fault> {
        Ok(self.file.close().await?)
    }
}

fn write_rows(connection: &Connection, group: &Group, living: &Living, kept: Duration) -> Result<Written> {
    if !group.accepted.is_empty() {
        let mut accepted = connection.prepare_cached(ACCEPTED)?;
        let state = json(&State::Accepted);
        for id in &group.accepted {
            accepted.execute(params![state, id.as_str()])?;
        }
    }
    let acceptances = group.accepts.iter().map(|(row, _)| accept(connection, row));
    let acceptances = acceptances.collect::<Result<_>>()?;
    let recordings = write_records(connection, group)?;
    let take_ups = write_beginnings(connection, group, living)?;
    if !group.told.is_empty() {
        let mut told = connection.prepare_cached(TOLD)?;
        for (id, replay) in &group.told {
            told.execute(params![id.as_str(), replay])?;
        }
    }
    let missing = group.searches.iter().map(|(search, sought, _)| missing::take(connection, search, *sought));
    let missing = missing.collect::<Result<_>>()?;
    let released = group.releases.iter().map(|(wanted, _)| release::write(connection, wanted));
    let released = released.collect::<Result<_>>()?;
    write_attempts(connection, group)?;
    transcripts::write(connection, &group.transcripts, kept)?;
    let operated = group.operations.iter().map(|(operation, _)| operations::write(connection, operation));
    let operated = operated.collect::<Result<_>>()?;
    Ok(Written { acceptances, take_ups, recordings, missing, released, operated })
}

fn write_records(connection: &Connection, group: &Group) -> Result<Vec<Option<Standing>>> {
    if group.records.is_empty() {
        return Ok(Vec::new());
    }
    let found = lookup::find(connection, group.records.iter().map(|(row, _)| &row.id))?;
    let Records { rows, recordings } = group.decide_records(&found);
    let mut record = connection.prepare_cached(RECORD)?;
    for (row, state) in rows {
        bind(&mut record, row, state)?;
        record.raw_execute()?;
    }
    Ok(recordings)
}

/// Notes the beginnings of the attempts that follow. A notification that is not there is written down.
fn write_beginnings(connection: &Connection, group: &Group, living: &Living) -> Result<Vec<TakeUp>> {
    if group.messages.is_empty() {
        return Ok(Vec::new());
    }
    let found = lookup::find(connection, group.messages.iter().map(|(row, ..)| &row.id))?;
    let Beginnings { rows, take_ups } = group.decide_beginnings(&found, |gateway| living.lives(gateway));
    let mut begin = connection.prepare_cached(BEGIN)?;
    for (row, beginning) in rows {
        bind(&mut begin, row, &row.state)?;
        begin.raw_bind_parameter(9, beginning.place.0)?;
        begin.raw_bind_parameter(10, beginning.place.1)?;
        begin.raw_bind_parameter(11, beginning.place.2)?;
        begin.raw_bind_parameter(12, beginning.gateway.cast_signed())?;
        begin.raw_bind_parameter(13, beginning.at.unix_milliseconds())?;
        begin.raw_bind_parameter(14, beginning.again)?;
        begin.raw_execute()?;
    }
    Ok(take_ups)
}

fn write_attempts(connection: &Connection, group: &Group) -> Result<()> {
    let mut insert = connection.prepare_cached(INSERT_ATTEMPT)?;
    for (id, attempt) in &group.attempts {
        insert.execute(params![
            id.as_str(),
            attempt.number,
            attempt.started_at.unix_milliseconds(),
            i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            attempt.plugin,
            attempt.method,
            attempt.url,
            attempt.status,
            attempt.reply,
            attempt.result,
            attempt.detail,
            attempt.replay,
        ])?;
    }
    Ok(())
}

/// Writes a new notification down; one that is there stays as it is, and says what it is.
fn accept(connection: &Connection, row: &Row) -> Result<Acceptance> {
    let mut accept = connection.prepare_cached(ACCEPT)?;
    bind(&mut accept, row, &row.state)?;
    let mut rows = accept.raw_query();
    let Some(there) = rows.next()? else { return Err(rusqlite::Error::QueryReturnedNoRows) };
    let same = there.get_ref("digest")?.as_blob()? == row.digest.as_ref();
    let acceptance = match (same, there.get_ref("phase")?.as_str()?) {
        (false, _) => Acceptance::Conflict,
        (true, "received") => Acceptance::Publish,
        (true, _) => Acceptance::AlreadyThere,
    };
    // To its end, or nothing is written.
    while rows.next()?.is_some() {}
    Ok(acceptance)
}

/// The first eight columns of a notification.
fn bind(statement: &mut CachedStatement<'_>, row: &Row, state: &State) -> Result<()> {
    statement.raw_bind_parameter(1, row.id.as_str())?;
    statement.raw_bind_parameter(2, row.merchant.as_str())?;
    statement.raw_bind_parameter(3, row.order.as_deref())?;
    statement.raw_bind_parameter(4, row.first_seen.unix_milliseconds())?;
    statement.raw_bind_parameter(5, row.at.unix_milliseconds())?;
    statement.raw_bind_parameter(6, row.digest.as_ref())?;
    statement.raw_bind_parameter(7, &*row.raw)?;
    statement.raw_bind_parameter(8, json(state))
}

const ACCEPT: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (id) DO UPDATE SET updated_at = updated_at RETURNING digest, phase";

const RECORD: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (id) DO UPDATE SET updated_at = max(updated_at, excluded.updated_at), state = excluded.state";

const BEGIN: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state,
    begun_replay, begun_attempt, begun_holds, begun_by, begun_at, begun_again)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT (id) DO UPDATE SET state = iif(phase = 'received', excluded.state, state),
    begun_replay = excluded.begun_replay, begun_attempt = excluded.begun_attempt,
    begun_holds = excluded.begun_holds, begun_by = excluded.begun_by, begun_at = excluded.begun_at,
    begun_again = excluded.begun_again";

const ACCEPTED: &str = "UPDATE notification SET state = ?1 WHERE id = ?2 AND phase = 'received'";

const TOLD: &str = "UPDATE notification SET told = 1
    WHERE id = ?1 AND phase = 'ended' AND coalesce(state ->> 'replay', 0) = ?2";

const INSERT_ATTEMPT: &str = "INSERT INTO attempt
    (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail, replay)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
