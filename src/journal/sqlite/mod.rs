//! The journal in one SQLite file.
//!
//! One task owns the one connection that writes (`writer`); a few connections that only read serve the API (`reader`).
//! What is asked of the writer while it writes is written together, with one commit, next: so the cost of making
//! something durable is shared by all that wait for it.
//!
//! Several processes may share a file: each waits for the others' commits, up to a bound, and knows which of them live (`living`).
//!
//! Absent on purpose: deleting anything but old transcripts. Who runs the gateway decides how long a record is kept.

mod living;
mod lookup;
mod missing;
mod reader;
mod release;
mod transcripts;
mod writer;

pub use transcripts::look_up;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::living::Living;
use self::missing::{Missing, Sought};
use self::writer::{Command, Notes, Row};
use super::{Acceptance, Entry, Journal, JournalError, Recording, Release, Released, Search, State, Story};
use crate::domain::{Envelope, Notification, NotificationId, OutcomeEvent, TakeUp, Taken};
use crate::sqlite::{self, Place, Problem, Schema};

/// The `application_id` is "pnj1" in ASCII.
const SCHEMA: Schema = Schema {
    name: "paynotify journal",
    application_id: 0x706e_6a31,
    steps: &[include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")],
};

/// Connections that read.
const READERS: u32 = 4;

/// Where the journal is, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file. Its folder must be there.
    pub file: PathBuf,
    /// The most entries that are written with one commit.
    pub batch: usize,
    /// The most entries that may wait to be written; who comes later waits to be let in.
    pub queue: usize,
    /// The largest that the file may become, in bytes. What would make it larger is refused as if the disk were full.
    pub largest: u64,
    /// How long a write waits for another process that holds the file.
    pub patience: Duration,
    /// How long transcripts are kept.
    pub transcripts_kept: Duration,
}

impl Settings {
    /// A journal in that file, with the default bounds: 256 entries to a commit, 1,024 waiting, 1 TiB, 5 s, 30 days.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            batch: 256,
            queue: 1_024,
            largest: 1 << 40,
            patience: Duration::from_secs(5),
            transcripts_kept: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

/// The journal in one SQLite file. To be closed with [`Journal::close`].
#[derive(Debug)]
pub struct SqliteJournal {
    commands: mpsc::Sender<Command>,
    readers: SqlitePool,
    place: String,
    gateway: u64,
    /// The last write's result.
    health: watch::Receiver<Result<(), String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteJournal {
    /// Opens the journal; makes the file if it is not there, and brings an older version up.
    ///
    /// # Errors
    /// The file is not there and cannot be made, is damaged, is no journal, or is a newer program's.
    pub async fn open(settings: Settings) -> Result<Self, JournalError> {
        let name = settings.file.display().to_string();
        let place = Place { file: settings.file, largest: settings.largest, patience: settings.patience };
        let connection = sqlite::open(&place, &SCHEMA).await.map_err(|problem| error(&name, &problem))?;
        let living = Living::join(&place.file).map_err(|problem| error(&name, &Problem::from(problem)))?;
        let gateway = living.gateway();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(settings.patience)
            .connect_lazy_with(sqlite::options(&place).read_only(true));
        let (commands, waiting) = mpsc::channel(settings.queue.max(1));
        let (report, health) = watch::channel(Ok(()));
        let writer = writer::Writer {
            connection,
            living,
            waiting,
            batch: settings.batch.max(1),
            transcripts_kept: settings.transcripts_kept,
            place: name.clone(),
            health: report,
        };
        let writer = Mutex::new(Some(tokio::spawn(writer.run())));
        Ok(Self { commands, readers, place: name, gateway, health, writer })
    }

    async fn ask<A>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<A, JournalError>>) -> Command,
    ) -> Result<A, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn accept(&self, envelope: &Envelope) -> Result<Acceptance, JournalError> {
        let row = Row::new(&envelope.notification, envelope.progress.first_seen, State::Received);
        self.ask(|answer| Command::Accept(Box::new(row), answer)).await
    }

    async fn accepted(&self, id: &NotificationId) -> Result<(), JournalError> {
        self.ask(|answer| Command::Accepted(id.clone(), answer)).await
    }

    fn gateway(&self) -> u64 {
        self.gateway
    }

    async fn take_up(&self, notification: &Notification, message: Taken) -> Result<TakeUp, JournalError> {
        // It has reached the broker: that is where it comes from.
        let row = Row::new(notification, message.progress.first_seen, State::Accepted);
        self.ask(|answer| Command::TakeUp(Box::new(row), Box::new(message), answer)).await
    }

    async fn missing(&self, search: Search) -> Result<Vec<Envelope>, JournalError> {
        let found = self.ask(|answer| Command::Seek(search, Sought::UnderWay, answer)).await?;
        Ok(found.into_iter().filter_map(|found| found.envelope(search.now)).collect())
    }

    async fn release(&self, release: Release) -> Result<Released, JournalError> {
        let (ids, next) = match release::find(&self.readers, &release).await {
            Ok(found) => found,
            Err(_) if self.readers.is_closed() => return Err(JournalError::Closed),
            Err(problem) => return Err(error(&self.place, &problem)),
        };
        if ids.is_empty() {
            return Ok(Released { envelopes: Vec::new(), next });
        }
        let now = release.now;
        let wanted = release::Wanted { ids, now, due_after: release.due_after };
        let found = self.ask(|answer| Command::Release(wanted, answer)).await?;
        let envelopes = found.into_iter().filter_map(|found| found.envelope(now)).collect();
        Ok(Released { envelopes, next })
    }

    async fn told(&self, id: &NotificationId) {
        // A journal that is closed loses no more than the note.
        let _ = self.commands.send(Command::Told(id.clone())).await;
    }

    async fn untold(&self, search: Search) -> Result<Vec<OutcomeEvent>, JournalError> {
        let found = self.ask(|answer| Command::Seek(search, Sought::Untold, answer)).await?;
        Ok(found.into_iter().filter_map(Missing::event).collect())
    }

    async fn record(&self, entry: Entry) -> Result<Recording, JournalError> {
        let notes = Notes { attempt: entry.attempt, transcript: entry.transcript };
        let row = Row {
            id: entry.notification_id,
            merchant: entry.merchant_id,
            order: entry.merchant_order_id,
            first_seen: entry.first_seen,
            at: entry.at,
            digest: digest(&SHA256, &entry.raw),
            raw: entry.raw,
            state: entry.state,
        };
        self.ask(|answer| Command::Record(Box::new(row), Box::new(notes), answer)).await
    }

    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, JournalError> {
        match reader::story(&self.readers, id).await {
            Ok(story) => Ok(story),
            Err(_) if self.readers.is_closed() => Err(JournalError::Closed),
            Err(problem) => Err(error(&self.place, &problem)),
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.commands.is_closed() {
            return Err(JournalError::Closed.to_string());
        }
        self.health.borrow().clone()
    }

    async fn close(&self) {
        // Readers first, so that the writer, as the last one, leaves one file behind, and nothing beside it.
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // The writer is there, or has ended already: both will do.
            let _ = self.commands.send(Command::Close).await;
            if let Err(failure) = writer.await {
                tracing::error!(%failure, journal = %self.place, "the journal's writer has failed");
            }
        }
    }

    async fn ended(&self) {
        self.commands.closed().await;
    }
}

/// For types of ours, which have no way to fail.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn error(place: &str, problem: &Problem) -> JournalError {
    JournalError::Database { place: place.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_has_failed_is_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = SqliteJournal::open(Settings::new(folder.path().join("journal"))).await.expect("open");
        assert!(journal.ready().is_ok());
        // As a panic would, this ends the task from outside.
        journal.writer.lock().await.as_ref().expect("it runs").abort();
        journal.ended().await;
        assert!(journal.ready().is_err());
        journal.close().await;
    }
}
