//! The task that writes: it takes all that waits, up to a bound, writes it with one commit, and answers each.
//!
//! A database that is away is waited for: the group stays in hand for as long as the journal's patience lasts, while others wait
//! in the queue, and then at its door. Then each is told that nothing was written, and asks again or not as it likes.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::JournalError;
use super::group::{Command, Group, Written};
use super::retention::Retention;
use crate::clock;

/// How long nobody may have written before it is found out whether the database is there, and after a write that failed
/// whether writing works again.
const LOOK: Duration = Duration::from_secs(1);
/// The first pause before a group is written again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where groups are written to. The writer's own.
#[async_trait]
pub(super) trait Database: Send {
    /// Writes the group with one commit: all of it, or nothing.
    async fn write(&mut self, group: &Group) -> Result<Written, Fault>;

    /// Finds out whether it is there. A file is, as long as it is open.
    async fn look(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Finds out whether it can be written.
    async fn try_to_write(&mut self) -> Result<(), Fault>;

    /// Removes some of what need not be kept any more, a bounded number with one commit; says whether there may be more.
    async fn trim(&mut self, retention: &Retention, now: crate::domain::Moment) -> Result<bool, Fault>;

    /// Ends it.
    async fn close(self: Box<Self>) -> Result<(), Fault>;
}

/// Why nothing was written.
#[derive(Debug)]
pub(super) struct Fault {
    /// For people.
    pub(super) problem: String,
    /// It passes by itself, and soon, in all likelihood: the same group can be written again.
    pub(super) passes: bool,
}

/// The task's own.
pub(super) struct Writer {
    pub(super) database: Box<dyn Database>,
    pub(super) waiting: mpsc::Receiver<Command>,
    pub(super) batch: usize,
    pub(super) patience: Duration,
    pub(super) retention: Retention,
    pub(super) place: String,
    pub(super) health: watch::Sender<Result<(), String>>,
}

impl Writer {
    /// Writes until it is told to close, or nobody is left to ask for anything.
    pub(super) async fn run(mut self) {
        let mut taken = Vec::with_capacity(self.batch);
        let mut trim_at = Instant::now() + self.retention.pause;
        loop {
            let healthy = self.health.borrow().is_ok();
            let until_trim = trim_at.saturating_duration_since(Instant::now());
            let wait = if healthy { LOOK.min(until_trim) } else { LOOK };
            match timeout(wait, self.waiting.recv_many(&mut taken, self.batch)).await {
                Ok(0) => break,
                Ok(_) => {
                    let group = Group::of(taken.drain(..), &mut self.waiting);
                    let written = self.write(&group).await;
                    let place = self.place.clone();
                    group.answer(written.map_err(|fault| move || error(&place, &fault)));
                }
                Err(_) if !healthy => {
                    let written = self.database.try_to_write().await;
                    self.note(&written);
                }
                Err(_) if Instant::now() < trim_at => {
                    let there = self.database.look().await;
                    self.note(&there);
                }
                Err(_) => {}
            }
            if Instant::now() >= trim_at && self.health.borrow().is_ok() {
                trim_at = Instant::now() + self.trim().await;
            }
        }
        if let Err(Fault { problem, .. }) = self.database.close().await {
            tracing::error!(problem, journal = %self.place, "the journal was not closed well");
        }
    }

    async fn write(&mut self, group: &Group) -> Result<Written, Fault> {
        let deadline = Instant::now() + self.patience;
        let mut pause = PAUSES.0;
        loop {
            let written = self.database.write(group).await;
            self.note(&written);
            // So that gateways whose database comes back do not all knock at once.
            let wait = pause.mul_f64(rand::random_range(0.5..1.0));
            match written {
                Err(fault) if fault.passes && Instant::now() + wait < deadline => {
                    tracing::warn!(problem = fault.problem, journal = %self.place, again_in = ?wait, "the journal was not written");
                    sleep(wait).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                written => return written,
            }
        }
    }

    /// Removes what need not be kept, and says after how long to look again.
    async fn trim(&mut self) -> Duration {
        match self.database.trim(&self.retention, clock::now()).await {
            Ok(true) => self.retention.pause_between,
            Ok(false) => self.retention.pause,
            Err(fault) => {
                tracing::error!(problem = fault.problem, journal = %self.place, "what need not be kept was not removed; it is tried again");
                self.note::<()>(&Err(fault));
                self.retention.pause
            }
        }
    }

    fn note<T>(&self, written: &Result<T, Fault>) {
        let health = written.as_ref().map(|_| ()).map_err(|fault| error(&self.place, fault).to_string());
        let _before = self.health.send_replace(health);
    }
}

pub(super) fn error(place: &str, fault: &Fault) -> JournalError {
    JournalError::Database { place: place.to_owned(), problem: fault.problem.clone() }
}
