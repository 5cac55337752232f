//! The journal on any database: what is asked for goes to the one task that writes, or to whoever reads.
//!
//! What is asked of the writer while it writes is written together, with one commit, next: so the cost of making something
//! durable is shared by all that wait for it.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::found::Missing;
use super::group::{Command, Row, Sought, Wanted};
use super::operations::{Operated, Operation, audit_name};
use super::retention::Retention;
use super::writer::{Database, Fault, Writer, error};
use super::{
    Acceptance, AuditRow, Counts, Cursor, Entry, Journal, JournalError, Lookup, Noted, Page, Pause, Question,
    Recording, Release, ReleasePlace, Released, ReplayOrder, Replayed, Search, State, Story,
};
use crate::domain::{Envelope, Moment, Notification, NotificationId, OutcomeEvent, TakeUp, Taken};

/// What holds for a journal on any database.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most entries that are written with one commit.
    pub batch: usize,
    /// The most entries that may wait to be written; who comes later waits to be let in.
    pub queue: usize,
    /// How long a write waits for a database that is held by another process, or is away, before it fails.
    pub patience: Duration,
    /// What is kept, and for how long.
    pub retention: Retention,
}

impl Default for Bounds {
    /// 256 entries to a commit, 1,024 waiting, 5 s, and [`Retention::default`].
    fn default() -> Self {
        Self { batch: 256, queue: 1_024, patience: Duration::from_secs(5), retention: Retention::default() }
    }
}

/// Who reads a journal's database.
#[async_trait]
pub trait Reader: Send + Sync {
    /// [`Journal::story`].
    ///
    /// # Errors
    /// What the database said.
    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, String>;

    /// [`Journal::search`].
    ///
    /// # Errors
    /// What the database said.
    async fn search(&self, question: &Question, from: Option<Cursor>, most: usize) -> Result<Page, String>;

    /// [`Journal::count`].
    ///
    /// # Errors
    /// What the database said.
    async fn count(&self, question: &Question, most: u64) -> Result<u64, String>;

    /// [`Journal::look_up`].
    ///
    /// # Errors
    /// What the database said.
    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Result<Lookup, String>;

    /// The next page of the ids that could be released, and where the one after it begins.
    ///
    /// # Errors
    /// What the database said.
    async fn held(&self, release: &Release) -> Result<(Vec<String>, Option<ReleasePlace>), String>;

    /// [`Journal::pauses`].
    ///
    /// # Errors
    /// What the database said.
    async fn pauses(&self) -> Result<Vec<Pause>, String>;

    /// [`Journal::audit`].
    ///
    /// # Errors
    /// What the database said.
    async fn audit(&self, after: Option<&str>, most: usize) -> Result<Vec<AuditRow>, String>;

    /// [`Journal::counts`].
    ///
    /// # Errors
    /// What the database said.
    async fn counts(&self, ended_since: Moment) -> Result<Counts, String>;

    /// Ends it.
    async fn close(&self);

    /// Whether it has been ended.
    fn is_closed(&self) -> bool;
}

/// A journal. To be closed with [`Journal::close`].
#[derive(Debug)]
pub struct Batched<R> {
    commands: mpsc::Sender<Command>,
    reader: R,
    place: String,
    gateway: u64,
    /// The last write's result.
    health: watch::Receiver<Result<(), String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl<R: Reader> Batched<R> {
    /// Starts the task that writes. `place` is what the database is called in messages; `health`, whether it can be used as yet.
    pub(super) fn start(
        place: String,
        gateway: u64,
        bounds: &Bounds,
        database: Box<dyn Database>,
        reader: R,
        health: Result<(), String>,
    ) -> Self {
        let (commands, waiting) = mpsc::channel(bounds.queue.max(1));
        let (report, health) = watch::channel(health);
        let writer = Writer {
            database,
            waiting,
            batch: bounds.batch.max(1),
            patience: bounds.patience,
            retention: bounds.retention,
            place: place.clone(),
            health: report,
            unwritten: Vec::new(),
        };
        let writer = Mutex::new(Some(tokio::spawn(writer.run())));
        Self { commands, reader, place, gateway, health, writer }
    }

    async fn ask<A>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<A, JournalError>>) -> Command,
    ) -> Result<A, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }

    /// What was read, or why it was not.
    fn read<A>(&self, read: Result<A, String>) -> Result<A, JournalError> {
        match read {
            Ok(read) => Ok(read),
            Err(_) if self.reader.is_closed() => Err(JournalError::Closed),
            Err(problem) => Err(error(&self.place, &Fault { problem, passes: false })),
        }
    }
}

#[async_trait]
impl<R: Reader> Journal for Batched<R> {
    async fn accept(&self, envelope: &Envelope) -> Result<Acceptance, JournalError> {
        let row = Row::new(&envelope.notification, envelope.progress.first_seen, State::Received);
        self.ask(|answer| Command::Accept(Box::new(row), answer)).await
    }

    async fn accepted(&self, id: &NotificationId) {
        // A journal that is closed loses no more than the note.
        let _ = self.commands.send(Command::Accepted(id.clone())).await;
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
        let (ids, next) = self.read(self.reader.held(&release).await)?;
        if ids.is_empty() {
            return Ok(Released { envelopes: Vec::new(), next });
        }
        let now = release.now;
        let wanted = Wanted { ids, now, due_after: release.due_after };
        let found = self.ask(|answer| Command::Release(wanted, answer)).await?;
        let envelopes = found.into_iter().filter_map(|found| found.envelope(now)).collect();
        Ok(Released { envelopes, next })
    }

    async fn told(&self, id: &NotificationId, replay: u32) {
        // A journal that is closed loses no more than the note.
        let _ = self.commands.send(Command::Told(id.clone(), replay)).await;
    }

    async fn untold(&self, search: Search) -> Result<Vec<OutcomeEvent>, JournalError> {
        let found = self.ask(|answer| Command::Seek(search, Sought::Untold, answer)).await?;
        Ok(found.into_iter().filter_map(Missing::event).collect())
    }

    async fn record(&self, entry: Entry) -> Result<Recording, JournalError> {
        let (row, notes) = Row::of(entry);
        self.ask(|answer| Command::Record(Box::new(row), Box::new(notes), answer)).await
    }

    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, JournalError> {
        self.read(self.reader.story(id).await)
    }

    async fn replay(&self, wanted: ReplayOrder) -> Result<Replayed, JournalError> {
        match self.ask(|answer| Command::Operate(Operation::Replay(wanted), answer)).await? {
            Operated::Replayed(replayed) => Ok(*replayed),
            Operated::Noted(_) => Ok(Replayed::Unknown),
        }
    }

    async fn note(&self, noted: Noted) -> Result<bool, JournalError> {
        let operation = Operation::Note(audit_name(), noted);
        match self.ask(|answer| Command::Operate(operation, answer)).await? {
            Operated::Noted(changed) => Ok(changed),
            Operated::Replayed(_) => Ok(false),
        }
    }

    async fn pauses(&self) -> Result<Vec<Pause>, JournalError> {
        self.read(self.reader.pauses().await)
    }

    async fn audit(&self, after: Option<&str>, most: usize) -> Result<Vec<AuditRow>, JournalError> {
        self.read(self.reader.audit(after, most).await)
    }

    async fn counts(&self, ended_since: Moment) -> Result<Counts, JournalError> {
        self.read(self.reader.counts(ended_since).await)
    }

    async fn search(
        &self,
        question: &Question,
        from: Option<Cursor>,
        most: usize,
    ) -> Result<Page, JournalError> {
        self.read(self.reader.search(question, from, most).await)
    }

    async fn count(&self, question: &Question, most: u64) -> Result<u64, JournalError> {
        self.read(self.reader.count(question, most).await)
    }

    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Result<Lookup, JournalError> {
        self.read(self.reader.look_up(id, number).await)
    }

    fn ready(&self) -> Result<(), String> {
        if self.commands.is_closed() {
            return Err(JournalError::Closed.to_string());
        }
        self.health.borrow().clone()
    }

    async fn close(&self) {
        // Readers first, so that the writer is the last one: it leaves SQLite's one file behind, and nothing beside it.
        self.reader.close().await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Settings, SqliteJournal};

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
