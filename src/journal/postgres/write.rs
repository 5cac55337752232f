//! A group is written with one commit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, query, raw_sql};
use tokio::time::timeout;

use super::living::Living;
use super::lookup::{self, Locked};
use super::problem::Problem;
use super::rows::{self, States};
use super::{connection, missing, operations, release, schema, transcripts, trim};
use crate::domain::{Moment, NotificationId, TakeUp};
use crate::journal::group::{Beginnings, Group, Records, Row, Written};
use crate::journal::retention::Retention;
use crate::journal::writer::{Database, Fault};
use crate::journal::{Acceptance, State};

/// How long the server may take for one transaction. Longer than it gives itself for one statement.
const LONGEST: Duration = Duration::from_secs(15);
/// How long taking back what failed may take, and saying goodbye.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The server, as the writer has it.
pub(super) struct Server {
    pub(super) options: PgConnectOptions,
    /// `None` when it broke, or the server was never there yet.
    pub(super) connection: Option<PgConnection>,
    /// The tables are known to be of this program's version.
    pub(super) brought_up: bool,
    pub(super) living: Living,
    pub(super) transcripts_kept: Duration,
}

#[async_trait]
impl Database for Server {
    async fn write(&mut self, group: &Arc<Group>) -> Result<Written, Fault> {
        let mut connection = self.connected().await?;
        let writing = write(&mut connection, group, &mut self.living, self.transcripts_kept);
        let written = timeout(LONGEST, writing).await.map_err(|_| Problem::Silent(LONGEST));
        self.keep(connection, written).await
    }

    async fn look(&mut self) -> Result<(), Fault> {
        let mut connection = self.connected().await?;
        let looked = timeout(LONGEST, raw_sql("SELECT").execute(&mut connection)).await;
        let looked = looked.map(|looked| looked.map(drop)).map_err(|_| Problem::Silent(LONGEST));
        self.keep(connection, looked).await
    }

    async fn try_to_write(&mut self) -> Result<(), Fault> {
        let mut connection = self.connected().await?;
        // No more room is told by the row's; a standby by its refusal.
        let trial =
            raw_sql("BEGIN; INSERT INTO trial VALUES (repeat(md5('room'), 2048)); DELETE FROM trial; COMMIT");
        let tried = timeout(LONGEST, trial.execute(&mut connection)).await;
        let tried = tried.map(|tried| tried.map(drop)).map_err(|_| Problem::Silent(LONGEST));
        self.keep(connection, tried).await
    }

    async fn trim(&mut self, retention: &Retention, now: Moment) -> Result<bool, Fault> {
        let mut connection = self.connected().await?;
        let trimming = trim::trim(&mut connection, retention, now);
        let trimmed = timeout(LONGEST, trimming).await.map_err(|_| Problem::Silent(LONGEST));
        self.keep(connection, trimmed).await
    }

    async fn close(self: Box<Self>) -> Result<(), Fault> {
        self.living.leave().await;
        if let Some(connection) = self.connection {
            // Whoever does not hear it notices anyhow.
            let _ = timeout(LAST_WORD, connection.close()).await;
        }
        Ok(())
    }
}

impl Server {
    /// The connection, or a new one, if the tables are still what they were.
    async fn connected(&mut self) -> Result<PgConnection, Problem> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = connection::open(&self.options).await?;
        if self.brought_up {
            schema::check(&mut connection).await?;
        } else {
            schema::bring_up(&mut connection).await?;
            self.brought_up = true;
        }
        Ok(connection)
    }

    /// Keeps the connection if it is of use still: one that failed is, if it can take back what was done.
    async fn keep<T>(
        &mut self,
        mut connection: PgConnection,
        done: Result<Result<T, sqlx::Error>, Problem>,
    ) -> Result<T, Fault> {
        let error = match done {
            Ok(Ok(done)) => {
                self.connection = Some(connection);
                return Ok(done);
            }
            Ok(Err(error)) => Problem::from(error),
            // In the middle of something, it is of no use.
            Err(problem) => return Err(problem.into()),
        };
        // Somewhere else it may be better.
        if matches!(error, Problem::Away(_)) {
            return Err(error.into());
        }
        let taken_back = timeout(LAST_WORD, raw_sql("ROLLBACK").execute(&mut connection)).await;
        if matches!(taken_back, Ok(Ok(_))) {
            self.connection = Some(connection);
        }
        Err(error.into())
    }
}

/// Begins a transaction. A commit that need not outlast the machine is seen by all others at once, all the same.
pub(super) async fn begin(connection: &mut PgConnection, is_weighty: bool) -> Result<(), sqlx::Error> {
    let begin = if is_weighty { "BEGIN" } else { "BEGIN; SET LOCAL synchronous_commit = off" };
    raw_sql(begin).execute(connection).await.map(drop)
}

async fn write(
    connection: &mut PgConnection,
    group: &Group,
    living: &mut Living,
    transcripts_kept: Duration,
) -> Result<Written, sqlx::Error> {
    begin(connection, group.is_weighty()).await?;
    let bytes = rows::insert_unknown(connection, group.rows()).await?;
    let mut locked = lookup::lock(connection, group).await?;
    if !group.rows().all(|row| locked.phases.contains_key(row.id.as_str())) {
        // It was removed in between, because it had ended long ago: the next try writes it down as a new one.
        return Err(sqlx::Error::RowNotFound);
    }
    if !group.accepted.is_empty() {
        let ids: Vec<&str> = group.accepted.iter().map(NotificationId::as_str).collect();
        ids.iter().for_each(|id| locked.is_at_the_broker(id));
        query(ACCEPTED).bind(rows::json(&State::Accepted)).bind(ids).execute(&mut *connection).await?;
    }
    let acceptances = group.accepts.iter().map(|(row, _)| acceptance(row, &locked)).collect();
    let Records { rows, recordings } = group.decide_records(&locked.found);
    let states = States::of(rows.into_iter().map(|(row, state)| (&row.id, row.at, state)));
    states.write(connection).await?;
    let take_ups = write_beginnings(connection, group, &locked, living).await?;
    if !group.told.is_empty() {
        let ids: Vec<&str> = group.told.iter().filter_map(|told| ended_so(told, &locked)).collect();
        query("UPDATE notification SET told = true WHERE id = ANY($1)")
            .bind(ids)
            .execute(&mut *connection)
            .await?;
    }
    let mut missing = Vec::with_capacity(group.searches.len());
    for (search, sought, _) in &group.searches {
        missing.push(missing::take(connection, search, *sought).await?);
    }
    let mut released = Vec::with_capacity(group.releases.len());
    for (wanted, _) in &group.releases {
        released.push(release::write(connection, wanted).await?);
    }
    let mut operated = Vec::with_capacity(group.operations.len());
    for (operation, _) in &group.operations {
        operated.push(operations::write(connection, operation).await?);
    }
    let attempts = rows::insert_attempts(connection, &group.attempts).await?;
    let more = transcripts::write(connection, &group.transcripts, transcripts_kept).await?;
    let slot = living.gateway();
    trim::count(connection, slot, bytes + more + trim::of_attempts(attempts)).await?;
    raw_sql("COMMIT").execute(connection).await?;
    Ok(Written { acceptances, take_ups, recordings, missing, released, operated })
}

const ACCEPTED: &str =
    "UPDATE notification SET state = $1, phase = 'accepted' WHERE phase = 'received' AND id = ANY($2)";

/// The notification, if it has ended as that replay, and has not been begun anew since.
fn ended_so<'a>((id, told): &'a (NotificationId, u32), locked: &Locked) -> Option<&'a str> {
    let state = &locked.found.get(id)?.state;
    matches!(state, State::Ended { replay, .. } if replay == told).then_some(id.as_str())
}

/// It is there by now, if only just.
fn acceptance(row: &Row, locked: &Locked) -> Acceptance {
    match locked.phases.get(row.id.as_str()) {
        Some((digest, _)) if digest != row.digest.as_ref() => Acceptance::Conflict,
        Some((_, phase)) if phase == "received" => Acceptance::Publish,
        Some(_) | None => Acceptance::AlreadyThere,
    }
}

async fn write_beginnings(
    connection: &mut PgConnection,
    group: &Group,
    locked: &Locked,
    living: &mut Living,
) -> Result<Vec<TakeUp>, sqlx::Error> {
    // Who lives is asked for those alone that a message in hand may wait for.
    let others = group.messages.iter().filter(|(_, message, _)| message.redelivered);
    let others = others.filter_map(|(row, message, _)| {
        let begun = locked.found.get(&row.id)?.begun?;
        (begun.gateway != message.gateway).then_some(begun.gateway)
    });
    let others: HashSet<u64> = others.collect();
    let live = living.of(others, connection).await?;
    let Beginnings { rows, take_ups } =
        group.decide_beginnings(&locked.found, |gateway| live.contains(&gateway));
    rows::note_beginnings(connection, &rows).await?;
    Ok(take_ups)
}
