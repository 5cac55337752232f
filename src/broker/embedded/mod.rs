//! One SQLite file, for a first try, for plugin authors and for one small machine: no server is needed.
//!
//! One task owns the file (`engine`); what it does to it stands in `store`. Whoever asks for something waits until it
//! is on the disk, together with all others that asked meanwhile. Due times are the machine's clock's; when that is
//! set, waits follow it within a minute.
//!
//! There is never more than one message of a notification: publishing one that waits already does nothing, and
//! hastening it replaces what waits.
//!
//! Only one process may have the file open: a lock on the file beside it, `<file>.lock`, which stays there, sees to that.
//!
//! Absent on purpose: other producers. What comes in comes by [`Broker::publish`]. The payment centre's events stay in
//! the table `outcome`, the latest so many; poisoned messages stay in the table `poison` until somebody takes them out.

mod engine;
mod lease;
mod poison;
mod store;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::engine::{Command, Engine, LaneOut};
use self::lease::Waiting;
use self::poison::{Ask, Told};
use self::store::{Event, Message};
use super::{Broker, BrokerError, Delivery, PoisonMessage, PoisonPage};
use crate::clock;
use crate::domain::{Envelope, Lane, OutcomeEvent};
use crate::sqlite::{self, Place, Problem};

/// Where the embedded broker's file is, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file. Its folder must be there.
    pub file: PathBuf,
    /// The most deliveries of the main lane that may be out at a time.
    pub prefetch: usize,
    /// The same of the slow lane.
    pub slow_prefetch: usize,
    /// The most messages that are written with one commit. As many may wait to be written; who comes later waits to
    /// be let in.
    pub batch: usize,
    /// How many of the payment centre's events are kept; the oldest go first.
    pub outcomes_kept: u64,
    /// How many bytes of the file may be in use before nothing new is taken in. What is there goes on.
    pub largest: u64,
    /// How long a write waits for another program that holds the file, such as somebody's `sqlite3`.
    pub patience: Duration,
}

impl Settings {
    /// A broker in that file, with the default bounds: 256 out and 64 of the slow lane, 512 to a commit, 100,000 events, 64 GiB, 5 s.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let (file, patience) = (file.into(), Duration::from_secs(5));
        let (prefetch, slow_prefetch) = (256, 64);
        Self {
            file,
            prefetch,
            slow_prefetch,
            batch: 512,
            outcomes_kept: 100_000,
            largest: 64 << 30,
            patience,
        }
    }
}

/// The broker in one SQLite file. To be closed with [`Broker::close`].
#[derive(Debug)]
pub struct EmbeddedBroker {
    commands: mpsc::Sender<Command>,
    deliveries: Mutex<mpsc::Receiver<Waiting>>,
    stopped: watch::Sender<bool>,
    /// The last write's result.
    health: watch::Receiver<Result<(), String>>,
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedBroker {
    /// Opens the broker; makes the file if it is not there, and brings an older version up.
    ///
    /// # Errors
    /// The file is not there and cannot be made, another process has it open, it is damaged, no broker's, or a newer
    /// program's.
    pub async fn open(settings: Settings) -> Result<Self, BrokerError> {
        let file = settings.file.clone();
        Self::prepare(settings).await.map_err(|problem| refused(&file, &problem))
    }

    async fn prepare(mut settings: Settings) -> Result<Self, Problem> {
        settings.prefetch = settings.prefetch.max(1);
        settings.slow_prefetch = settings.slow_prefetch.max(1);
        let out = settings.prefetch + settings.slow_prefetch;
        settings.batch = settings.batch.max(1);
        let lock = sqlite::lock(&settings.file)?;
        let place = Place { file: settings.file.clone(), largest: u64::MAX, patience: settings.patience };
        let mut connection = sqlite::open(&place, &store::SCHEMA).await?;
        let full = store::used(&mut connection).await? >= settings.largest;
        let (commands, asked) = mpsc::channel(settings.batch);
        let (returning, returned) = mpsc::channel(out);
        let (handing_out, deliveries) = mpsc::channel(out);
        let (report, health) = watch::channel(Ok(()));
        let lanes =
            [LaneOut::new(Lane::Main, settings.prefetch), LaneOut::new(Lane::Slow, settings.slow_prefetch)];
        let engine = Engine {
            settings,
            connection,
            lock,
            commands: asked,
            asking: commands.downgrade(),
            returned,
            returning,
            deliveries: Some(handing_out),
            health: report,
            lanes,
            resting: VecDeque::new(),
            came_back: HashSet::new(),
            life: rand::random(),
            full,
        };
        let engine = Mutex::new(Some(tokio::spawn(engine.run())));
        Ok(Self {
            commands,
            deliveries: Mutex::new(deliveries),
            stopped: watch::Sender::new(false),
            health,
            engine,
        })
    }

    async fn ask_for_poison(&self, ask: Ask) -> Result<Told, BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Poison(ask, answer)).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())?
    }

    fn has_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Publish(Message::new(envelope), answer);
        self.commands.send(command).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())?
    }

    async fn hasten(&self, envelope: &Envelope) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Hasten(Message::new(envelope), answer);
        self.commands.send(command).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())?
    }

    async fn tell(&self, event: &OutcomeEvent) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Tell(Event::new(event), answer)).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())?
    }

    async fn poison_count(&self) -> Result<u64, BrokerError> {
        match self.ask_for_poison(Ask::Count).await? {
            Told::Count(count) => Ok(count),
            Told::Page(_) | Told::One(_) | Told::Done(_) => Ok(0),
        }
    }

    async fn poisoned(&self, skip: usize, most: usize) -> Result<PoisonPage, BrokerError> {
        match self.ask_for_poison(Ask::List { skip, most }).await? {
            Told::Page(page) => Ok(page),
            Told::Count(_) | Told::One(_) | Told::Done(_) => Ok(PoisonPage::default()),
        }
    }

    async fn poison_message(&self, id: &str) -> Result<Option<PoisonMessage>, BrokerError> {
        let Ok(number) = id.parse() else { return Ok(None) };
        match self.ask_for_poison(Ask::One(number)).await? {
            Told::One(message) => Ok(message.map(|message| *message)),
            Told::Count(_) | Told::Page(_) | Told::Done(_) => Ok(None),
        }
    }

    async fn put_back(&self, id: &str, envelope: &Envelope) -> Result<bool, BrokerError> {
        let Ok(number) = id.parse() else { return Ok(false) };
        let ask = Ask::PutBack(number, Box::new(Message::new(envelope)));
        Ok(matches!(self.ask_for_poison(ask).await?, Told::Done(true)))
    }

    async fn discard(&self, id: &str) -> Result<bool, BrokerError> {
        let Ok(number) = id.parse() else { return Ok(false) };
        Ok(matches!(self.ask_for_poison(Ask::Discard(number)).await?, Told::Done(true)))
    }

    async fn next(&self) -> Option<Delivery> {
        let mut deliveries = self.deliveries.lock().await;
        if self.has_stopped() {
            return None;
        }
        let waiting = deliveries.recv().await?;
        // One that was handed out while taking stopped goes back.
        if self.has_stopped() { None } else { Some(waiting.open()) }
    }

    async fn stop_taking(&self) {
        self.stopped.send_replace(true);
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::StopTaking(answer)).await.is_ok() {
            // Either the engine has stopped handing out, or it has ended.
            let _ = answered.await;
        }
        let mut deliveries = self.deliveries.lock().await;
        while let Some(waiting) = deliveries.recv().await {
            drop(waiting);
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.commands.is_closed() {
            return Err(away().to_string());
        }
        self.health.borrow().clone()
    }

    async fn close(&self) {
        self.stop_taking().await;
        let mut engine = self.engine.lock().await;
        if let Some(task) = engine.take() {
            // The engine is there, or has ended already: both will do.
            let _ = self.commands.send(Command::Close).await;
            if let Err(failure) = task.await {
                tracing::error!(%failure, "the embedded broker's engine has failed");
            }
        }
    }

    async fn ended(&self) {
        self.commands.closed().await;
    }
}

fn away() -> BrokerError {
    BrokerError::Away("it is closed".to_owned())
}

fn refused(file: &Path, problem: &Problem) -> BrokerError {
    BrokerError::Refused(format!("{}: {problem}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_has_failed_is_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = EmbeddedBroker::open(Settings::new(folder.path().join("broker"))).await.expect("open");
        // As a panic would, this ends the task from outside.
        broker.engine.lock().await.as_ref().expect("it runs").abort();
        broker.ended().await;
        assert!(broker.ready().is_err());
        broker.close().await;
    }
}
