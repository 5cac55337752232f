//! The task that writes: it takes all that waits, up to a bound, writes it with one commit, and answers each.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _, query};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::living::Living;
use super::missing::{Missing, Sought};
use super::{error, json, lookup, missing, release, transcripts};
use crate::domain::{
    Beginning, Known, MerchantId, Moment, Notification, NotificationId, Recorded, Standing, TakeUp, Taken,
    take_up,
};
use crate::journal::{Acceptance, Attempt, JournalError, Recording, Search, State, Transcript};
use crate::sqlite::{self, Durability, Problem};

/// How long after a write that failed it is tried whether writing works again, if nobody writes before.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A notification as it is written.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: NotificationId,
    pub(super) merchant: MerchantId,
    pub(super) order: Option<String>,
    pub(super) first_seen: Moment,
    pub(super) at: Moment,
    pub(super) digest: Digest,
    pub(super) raw: Bytes,
    pub(super) state: State,
}

impl Row {
    /// A notification as it comes from its queue or its sender.
    pub(super) fn new(notification: &Notification, first_seen: Moment, state: State) -> Self {
        Self {
            id: notification.id().clone(),
            merchant: notification.merchant().clone(),
            order: notification.record.merchant_order_id.clone(),
            first_seen,
            at: first_seen,
            digest: digest(&SHA256, &notification.raw),
            raw: notification.raw.clone(),
            state,
        }
    }
}

/// What is written beside a notification.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) attempt: Option<Attempt>,
    pub(super) transcript: Option<Transcript>,
}

type Answer<A> = oneshot::Sender<Result<A, JournalError>>;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Command {
    Accept(Box<Row>, Answer<Acceptance>),
    Accepted(NotificationId, Answer<()>),
    /// A message of this notification is taken up.
    TakeUp(Box<Row>, Box<Taken>, Answer<TakeUp>),
    Record(Box<Row>, Box<Notes>, Answer<Recording>),
    /// The payment centre has been told of this one's end.
    Told(NotificationId),
    Seek(Search, Sought, Answer<Vec<Missing>>),
    Release(release::Wanted, Answer<Vec<Missing>>),
    /// Write what is waiting by now, and end.
    Close,
}

/// The task's own.
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) living: Living,
    pub(super) waiting: mpsc::Receiver<Command>,
    pub(super) batch: usize,
    pub(super) transcripts_kept: Duration,
    pub(super) place: String,
    pub(super) health: watch::Sender<Result<(), String>>,
}

impl Writer {
    /// Writes until it is told to close, or nobody is left to ask for anything.
    pub(super) async fn run(mut self) {
        let mut taken = Vec::with_capacity(self.batch);
        loop {
            let healthy = self.health.borrow().is_ok();
            let patience = if healthy { Duration::MAX } else { TRY_AGAIN };
            match timeout(patience, self.waiting.recv_many(&mut taken, self.batch)).await {
                Ok(0) => break,
                Ok(_) => {
                    let group = self.sort(taken.drain(..));
                    let (living, kept) = (&self.living, self.transcripts_kept);
                    let written = group.write(&mut self.connection, living, kept).await;
                    let written = written.map_err(Problem::from);
                    self.note(&written);
                    group.answer(written, &self.place);
                }
                Err(_) => {
                    let written = sqlite::try_to_write(&mut self.connection).await.map_err(Problem::from);
                    self.note(&written);
                }
            }
        }
        if let Err(failure) = self.connection.close().await {
            tracing::error!(%failure, journal = %self.place, "the journal's file was not closed well");
        }
    }

    fn sort(&mut self, taken: impl Iterator<Item = Command>) -> Group {
        let mut group = Group::default();
        for command in taken {
            match command {
                Command::Accept(row, answer) => group.accepts.push((*row, answer)),
                Command::Accepted(id, answer) => group.accepted.push((id, answer)),
                Command::TakeUp(row, message, answer) => group.messages.push((*row, *message, answer)),
                Command::Record(row, notes, answer) => {
                    let Notes { attempt, transcript } = *notes;
                    group.attempts.extend(attempt.map(|attempt| (row.id.clone(), attempt)));
                    group
                        .transcripts
                        .extend(transcript.map(|transcript| (row.id.clone(), row.at, transcript)));
                    group.records.push((*row, answer));
                }
                Command::Told(id) => group.told.push(id),
                Command::Seek(search, sought, answer) => group.searches.push((search, sought, answer)),
                Command::Release(wanted, answer) => group.releases.push((wanted, answer)),
                // What is in the queue already is still written.
                Command::Close => self.waiting.close(),
            }
        }
        group
    }

    fn note<T>(&self, written: &Result<T, Problem>) {
        let health = written.as_ref().map(|_| ()).map_err(|problem| error(&self.place, problem).to_string());
        let _before = self.health.send_replace(health);
    }
}

/// What is written with one commit. The order between the kinds does not matter: nobody asks for one thing about a
/// notification before the one before is answered.
#[derive(Default)]
struct Group {
    accepts: Vec<(Row, Answer<Acceptance>)>,
    accepted: Vec<(NotificationId, Answer<()>)>,
    messages: Vec<(Row, Taken, Answer<TakeUp>)>,
    records: Vec<(Row, Answer<Recording>)>,
    attempts: Vec<(NotificationId, Attempt)>,
    transcripts: Vec<(NotificationId, Moment, Transcript)>,
    told: Vec<NotificationId>,
    searches: Vec<(Search, Sought, Answer<Vec<Missing>>)>,
    releases: Vec<(release::Wanted, Answer<Vec<Missing>>)>,
}

/// The answers to a group that was written, in the order in which it was asked.
struct Written {
    acceptances: Vec<Acceptance>,
    take_ups: Vec<TakeUp>,
    /// Where an entry came too late: what was there.
    recordings: Vec<Option<Standing>>,
    missing: Vec<Vec<Missing>>,
    released: Vec<Vec<Missing>>,
}

impl Group {
    async fn write(
        &self,
        connection: &mut SqliteConnection,
        living: &Living,
        transcripts_kept: Duration,
    ) -> Result<Written, sqlx::Error> {
        let durability = if self.is_weighty() { Durability::Disk } else { Durability::Process };
        sqlite::set_durability(connection, durability).await?;
        sqlite::begin(connection).await?;
        let written = async {
            let written = self.write_rows(connection, living).await?;
            transcripts::write(connection, &self.transcripts, transcripts_kept).await?;
            Ok(written)
        };
        let written = written.await;
        sqlite::end(connection, written).await
    }

    async fn write_rows(
        &self,
        connection: &mut SqliteConnection,
        living: &Living,
    ) -> Result<Written, sqlx::Error> {
        let mut acceptances = Vec::with_capacity(self.accepts.len());
        for (row, _) in &self.accepts {
            acceptances.push(accept(connection, row).await?);
        }
        if !self.accepted.is_empty() {
            let ids: Vec<_> = self.accepted.iter().map(|(id, _)| id).collect();
            query(ACCEPTED).bind(json(&State::Accepted)).bind(json(&ids)).execute(&mut *connection).await?;
        }
        let recordings = self.write_records(connection).await?;
        let take_ups = self.write_beginnings(connection, living).await?;
        let mut missing = Vec::with_capacity(self.searches.len());
        if !self.told.is_empty() {
            query(TOLD).bind(json(&self.told)).execute(&mut *connection).await?;
        }
        for (search, sought, _) in &self.searches {
            missing.push(missing::take(connection, search, *sought).await?);
        }
        let mut released = Vec::with_capacity(self.releases.len());
        for (wanted, _) in &self.releases {
            released.push(release::write(connection, wanted).await?);
        }
        sqlite::insert(connection, INSERT_ATTEMPT, "", &self.attempts, |values, (id, attempt)| {
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
                .push_bind(&attempt.detail);
        })
        .await?;
        Ok(Written { acceptances, take_ups, recordings, missing, released })
    }

    /// A state never goes back: an entry that comes too late leaves the state as it is.
    async fn write_records(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Option<Standing>>, sqlx::Error> {
        if self.records.is_empty() {
            return Ok(Vec::new());
        }
        let found = lookup::find(connection, self.records.iter().map(|(row, _)| &row.id)).await?;
        let mut latest: HashMap<_, _> = found.iter().map(|(id, found)| (id, &found.state)).collect();
        let mut rows = Vec::with_capacity(self.records.len());
        let mut recordings = Vec::with_capacity(self.records.len());
        for (row, _) in &self.records {
            let there = latest.get(&row.id).copied().filter(|there| there.outlasts(&row.state));
            let first_seen = found.get(&row.id).map_or(row.first_seen, |found| found.first_seen);
            recordings.push(there.and_then(|there| lookup::standing(there, first_seen)));
            let state = there.unwrap_or(&row.state);
            latest.insert(&row.id, state);
            rows.push((row, state));
        }
        sqlite::insert(connection, INSERT_NOTIFICATION, RECORD, &rows, |values, (row, state)| {
            bind(values, row, state);
        })
        .await?;
        Ok(recordings)
    }

    /// Has each message's step decided, and notes the beginnings of the attempts that follow. A notification that is
    /// not there is written down.
    async fn write_beginnings(
        &self,
        connection: &mut SqliteConnection,
        living: &Living,
    ) -> Result<Vec<TakeUp>, sqlx::Error> {
        if self.messages.is_empty() {
            return Ok(Vec::new());
        }
        let found = lookup::find(connection, self.messages.iter().map(|(row, ..)| &row.id)).await?;
        let mut noted: HashMap<&NotificationId, Beginning> = HashMap::new();
        let mut rows = Vec::with_capacity(self.messages.len());
        let mut take_ups = Vec::with_capacity(self.messages.len());
        for (row, message, _) in &self.messages {
            let there = found.get(&row.id);
            let known = there.map_or(Known::Nothing, |found| found.known(row.digest.as_ref()));
            let begun = noted.get(&row.id).copied().or_else(|| there?.begun);
            let step = take_up(message, known, begun, |gateway| living.lives(gateway));
            if let TakeUp::Attempt(beginning) = &step {
                noted.insert(&row.id, *beginning);
                rows.push((row, *beginning));
            }
            take_ups.push(step);
        }
        sqlite::insert(connection, INSERT_BEGUN, BEGIN, &rows, |values, (row, beginning)| {
            bind(values, row, &row.state);
            values
                .push_bind(beginning.place.0)
                .push_bind(beginning.place.1)
                .push_bind(beginning.gateway.cast_signed())
                .push_bind(beginning.at.unix_milliseconds())
                .push_bind(beginning.again);
        })
        .await?;
        Ok(take_ups)
    }

    /// Whether anything in it must outlast a machine that loses power.
    fn is_weighty(&self) -> bool {
        let Self { accepts, accepted, messages: _, records, attempts, transcripts: _, .. } = self;
        // A transcript comes with its record.
        !(accepts.is_empty() && accepted.is_empty() && records.is_empty() && attempts.is_empty())
    }

    /// Who does not wait any more for its answer does not get it.
    fn answer(self, written: Result<Written, Problem>, place: &str) {
        match written {
            Ok(Written { acceptances, take_ups, recordings, missing, released }) => {
                for ((.., answer), missing) in self.searches.into_iter().zip(missing) {
                    let _ = answer.send(Ok(missing));
                }
                for ((_, answer), released) in self.releases.into_iter().zip(released) {
                    let _ = answer.send(Ok(released));
                }
                for ((_, answer), acceptance) in self.accepts.into_iter().zip(acceptances) {
                    let _ = answer.send(Ok(acceptance));
                }
                self.accepted.into_iter().for_each(|(_, answer)| drop(answer.send(Ok(()))));
                for ((.., answer), take_up) in self.messages.into_iter().zip(take_ups) {
                    let _ = answer.send(Ok(take_up));
                }
                for ((_, answer), behind) in self.records.into_iter().zip(recordings) {
                    let current = || Recording::Current(Recorded::after_commit());
                    let _ = answer.send(Ok(behind.map_or_else(current, Recording::Behind)));
                }
            }
            Err(problem) => {
                let error = || error(place, &problem);
                self.accepts.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
                self.accepted.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
                self.searches.into_iter().for_each(|(.., answer)| drop(answer.send(Err(error()))));
                self.releases.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
                self.messages.into_iter().for_each(|(.., answer)| drop(answer.send(Err(error()))));
                self.records.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
            }
        }
    }
}

const INSERT_NOTIFICATION: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state) ";

const INSERT_BEGUN: &str = "INSERT INTO notification
    (id, merchant_id, merchant_order_id, first_seen, updated_at, digest, raw, state,
    begun_attempt, begun_holds, begun_by, begun_at, begun_again) ";

const BEGIN: &str = " ON CONFLICT (id) DO UPDATE SET
    begun_attempt = excluded.begun_attempt, begun_holds = excluded.begun_holds, begun_by = excluded.begun_by,
    begun_at = excluded.begun_at, begun_again = excluded.begun_again";

const RECORD: &str = " ON CONFLICT (id) DO UPDATE SET
    updated_at = max(updated_at, excluded.updated_at), state = excluded.state";

const ACCEPTED: &str =
    "UPDATE notification SET state = ?1 WHERE phase = 'received' AND id IN (SELECT value FROM json_each(?2))";

const TOLD: &str = "UPDATE notification SET told = 1 WHERE id IN (SELECT value FROM json_each(?1))";

const INSERT_ATTEMPT: &str = "INSERT INTO attempt
    (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail) ";

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
