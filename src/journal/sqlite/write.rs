//! A group is written with one commit.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _, query};

use super::living::Living;
use super::{json, lookup, missing, operations, release, transcripts, trim};
use crate::domain::{Moment, Standing, TakeUp};
use crate::journal::group::{Beginnings, Group, Records, Row, Written};
use crate::journal::retention::Retention;
use crate::journal::writer::{Database, Fault};
use crate::journal::{Acceptance, State};
use crate::sqlite::{self, Durability, Problem};

/// The file, open for writing.
pub(super) struct File {
    pub(super) connection: SqliteConnection,
    pub(super) living: Living,
    pub(super) transcripts_kept: Duration,
}

#[async_trait]
impl Database for File {
    async fn write(&mut self, group: &Group) -> Result<Written, Fault> {
        let durability = if group.is_weighty() { Durability::Disk } else { Durability::Process };
        let written = async {
            sqlite::set_durability(&mut self.connection, durability).await?;
            sqlite::begin(&mut self.connection).await?;
            let written = self.write_rows(group).await;
            sqlite::end(&mut self.connection, written).await
        };
        written.await.map_err(|error| Problem::from(error).into())
    }

    async fn try_to_write(&mut self) -> Result<(), Fault> {
        sqlite::try_to_write(&mut self.connection).await.map_err(|error| Problem::from(error).into())
    }

    async fn trim(&mut self, retention: &Retention, now: Moment) -> Result<bool, Fault> {
        trim::trim(&mut self.connection, retention, now).await.map_err(|error| Problem::from(error).into())
    }

    async fn close(self: Box<Self>) -> Result<(), Fault> {
        self.connection.close().await.map_err(|error| Problem::from(error).into())
    }
}

impl File {
    async fn write_rows(&mut self, group: &Group) -> Result<Written, sqlx::Error> {
        let connection = &mut self.connection;
        let mut acceptances = Vec::with_capacity(group.accepts.len());
        for (row, _) in &group.accepts {
            acceptances.push(accept(connection, row).await?);
        }
        if !group.accepted.is_empty() {
            let ids: Vec<_> = group.accepted.iter().map(|(id, _)| id).collect();
            query(ACCEPTED).bind(json(&State::Accepted)).bind(json(&ids)).execute(&mut *connection).await?;
        }
        let recordings = write_records(connection, group).await?;
        let take_ups = write_beginnings(connection, group, &self.living).await?;
        if !group.told.is_empty() {
            query(TOLD).bind(json(&group.told)).execute(&mut *connection).await?;
        }
        let mut missing = Vec::with_capacity(group.searches.len());
        for (search, sought, _) in &group.searches {
            missing.push(missing::take(connection, search, *sought).await?);
        }
        let mut released = Vec::with_capacity(group.releases.len());
        for (wanted, _) in &group.releases {
            released.push(release::write(connection, wanted).await?);
        }
        write_attempts(connection, group).await?;
        transcripts::write(connection, &group.transcripts, self.transcripts_kept).await?;
        let mut operated = Vec::with_capacity(group.operations.len());
        for (operation, _) in &group.operations {
            operated.push(operations::write(connection, operation).await?);
        }
        Ok(Written { acceptances, take_ups, recordings, missing, released, operated })
    }
}

async fn write_records(
    connection: &mut SqliteConnection,
    group: &Group,
) -> Result<Vec<Option<Standing>>, sqlx::Error> {
    if group.records.is_empty() {
        return Ok(Vec::new());
    }
    let found = lookup::find(connection, group.records.iter().map(|(row, _)| &row.id)).await?;
    let Records { rows, recordings } = group.decide_records(&found);
    sqlite::insert(connection, INSERT_NOTIFICATION, RECORD, &rows, |values, (row, state)| {
        bind(values, row, state);
    })
    .await?;
    Ok(recordings)
}

/// Notes the beginnings of the attempts that follow. A notification that is not there is written down.
async fn write_beginnings(
    connection: &mut SqliteConnection,
    group: &Group,
    living: &Living,
) -> Result<Vec<TakeUp>, sqlx::Error> {
    if group.messages.is_empty() {
        return Ok(Vec::new());
    }
    let found = lookup::find(connection, group.messages.iter().map(|(row, ..)| &row.id)).await?;
    let Beginnings { rows, take_ups } = group.decide_beginnings(&found, |gateway| living.lives(gateway));
    sqlite::insert(connection, INSERT_BEGUN, BEGIN, &rows, |values, (row, beginning)| {
        bind(values, row, &row.state);
        values
            .push_bind(beginning.place.0)
            .push_bind(beginning.place.1)
            .push_bind(beginning.place.2)
            .push_bind(beginning.gateway.cast_signed())
            .push_bind(beginning.at.unix_milliseconds())
            .push_bind(beginning.again);
    })
    .await?;
    Ok(take_ups)
}

async fn write_attempts(connection: &mut SqliteConnection, group: &Group) -> Result<(), sqlx::Error> {
    sqlite::insert(connection, INSERT_ATTEMPT, "", &group.attempts, |values, (id, attempt)| {
        values
            .push_bind(id.as_str())
            .push_bind(attempt.number)
            .push_bind(attempt.started_at.unix_milliseconds())
            .push_bind(i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX))
            .push_bind(&attempt.plugin)
            .push_bind(&attempt.method)
            .push_bind(&attempt.url)
            .push_bind(attempt.status)
            .push_bind(&attempt.reply)
            .push_bind(&attempt.result)
            .push_bind(&attempt.detail)
            .push_bind(attempt.replay);
    })
    .await
}

const INSERT_NOTIFICATION: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state) ";

const INSERT_BEGUN: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state,
    begun_replay, begun_attempt, begun_holds, begun_by, begun_at, begun_again) ";

const BEGIN: &str = " ON CONFLICT (id) DO UPDATE SET
    begun_replay = excluded.begun_replay, begun_attempt = excluded.begun_attempt, begun_holds = excluded.begun_holds, begun_by = excluded.begun_by,
    begun_at = excluded.begun_at, begun_again = excluded.begun_again";

const RECORD: &str = " ON CONFLICT (id) DO UPDATE SET
    updated_at = max(updated_at, excluded.updated_at), state = excluded.state";

const ACCEPTED: &str =
    "UPDATE notification SET state = ?1 WHERE phase = 'received' AND id IN (SELECT value FROM json_each(?2))";

const TOLD: &str = "UPDATE notification SET told = 1 FROM (SELECT value ->> 0 AS id, value ->> 1 AS replay FROM json_each(?1)) AS of
    WHERE notification.id = of.id AND phase = 'ended' AND coalesce(state ->> 'replay', 0) = of.replay";

const INSERT_ATTEMPT: &str = "INSERT INTO attempt
    (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail, replay) ";

/// Writes a new notification down; one that is there stays as it is, and says what it is.
async fn accept(connection: &mut SqliteConnection, row: &Row) -> Result<Acceptance, sqlx::Error> {
    let mut statement = sqlx::QueryBuilder::new(INSERT_NOTIFICATION);
    statement.push_values([row], |mut values, row| bind(&mut values, row, &row.state));
    statement.push(" ON CONFLICT (id) DO UPDATE SET updated_at = updated_at RETURNING digest, phase");
    let there = statement.build().fetch_one(connection).await?;
    let digest: &[u8] = there.try_get("digest")?;
    let phase: &str = there.try_get("phase")?;
    Ok(match (digest == row.digest.as_ref(), phase) {
        (false, _) => Acceptance::Conflict,
        (true, "received") => Acceptance::Publish,
        (true, _) => Acceptance::AlreadyThere,
    })
}

fn bind(
    values: &mut sqlx::query_builder::Separated<'_, sqlx::Sqlite, &'static str>,
    row: &Row,
    state: &State,
) {
    values
        .push_bind(row.id.as_str())
        .push_bind(row.merchant.as_str())
        .push_bind(&row.order)
        .push_bind(row.first_seen.unix_milliseconds())
        .push_bind(row.at.unix_milliseconds())
        .push_bind(row.digest.as_ref())
        .push_bind(&*row.raw)
        .push_bind(json(state));
}
