//! The task that writes: it takes all that waits, up to a bound, writes it with one commit, and answers each.
//!
//! A commit costs nearly the same for few entries as for many, so the writer that has just written several lets more come in for as
//! long as that took: it writes for half of its time at most, and whoever waits for it waits little longer than for a commit. When it
//! is not busy, an entry is written at once.
//!
//! An attempt may begin as soon as its beginning is committed. Everything else is answered when it outlasts a machine that loses
//! power; where a commit does not see to that by itself, the disk is waited for beside the next groups ([`Database::sync`]), once
//! for all that were committed meanwhile. Should the disk fail then, nobody knows what is on it: the journal ends, and the gateway
//! with it, and a new start finds out.
//!
//! A database that is away is waited for: the group stays in hand for as long as the journal's patience lasts, while others wait
//! in the queue, and then at its door. Then each is told that nothing was written, and asks again or not as it likes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::JournalError;
use super::group::{Command, Group, Written};
use super::retention::Retention;
use crate::clock;
use crate::domain::NotificationId;

/// How long nobody may have written before it is found out whether the database is there, and after a write that failed
/// whether writing works again.
const LOOK: Duration = Duration::from_secs(1);
/// A group of so many entries says that the writer is busy.
const BUSY: usize = 8;
/// The longest time for which it then lets more come in: a fraction of what an attempt takes over a network.
const LONGEST_GATHERING: Duration = Duration::from_millis(4);
/// The marks of acceptances that are kept when a group was not written. While nothing can be written nothing is accepted, so that
/// hardly more come than were on their way to the broker.
const MOST_UNWRITTEN: usize = 10_000;
/// The groups that may wait for the disk; then no more is written until one is through.
const SYNCING: usize = 16;
/// The first pause before a group is written again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where groups are written to. The writer's own.
#[async_trait]
pub(super) trait Database: Send {
    /// Writes the group with one commit: all of it, or nothing.
    async fn write(&mut self, group: &Arc<Group>) -> Result<Written, Fault>;

    /// What makes all that has been written by now outlast a machine that loses power. Nothing, if a commit does.
    fn sync(&mut self) -> Option<Sync> {
        None
    }

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

/// To be waited for, beside other writes. One that began later does for all before it.
pub(super) type Sync = BoxFuture<'static, Result<(), Fault>>;

/// Why nothing was written.
#[derive(Clone, Debug)]
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
    /// What is to be noted of acceptances whose group was not written.
    pub(super) unwritten: Vec<NotificationId>,
}

impl Writer {
    /// Writes until it is told to close, or nobody is left to ask for anything.
    pub(super) async fn run(mut self) {
        let mut taken = Vec::with_capacity(self.batch);
        let (syncing, waiting) = mpsc::channel(SYNCING);
        let syncer = Syncer { waiting, place: self.place.clone(), health: self.health.clone() };
        let syncer = tokio::spawn(syncer.run());
        let mut trim_at = Instant::now() + self.retention.pause;
        let mut gathering = Duration::ZERO;
        loop {
            let healthy = self.health.borrow().is_ok();
            let until_trim = trim_at.saturating_duration_since(Instant::now());
            let wait = if healthy { LOOK.min(until_trim) } else { LOOK };
            let received = tokio::select! {
                biased;
                () = syncing.closed() => break,
                received = timeout(wait, self.waiting.recv_many(&mut taken, self.batch)) => received,
            };
            match received {
                Ok(0) => break,
                Ok(_) => {
                    self.gather(&mut taken, gathering).await;
                    let is_busy = taken.len() >= BUSY;
                    let mut group = Group::of(taken.drain(..), &mut self.waiting);
                    group.accepted.append(&mut self.unwritten);
                    let group = Arc::new(group);
                    let began = Instant::now();
                    let written = self.write(&group).await;
                    gathering = if is_busy { began.elapsed().min(LONGEST_GATHERING) } else { Duration::ZERO };
                    // The database has let go of it.
                    if let Some(group) = Arc::into_inner(group) {
                        self.answer(group, written, &syncing).await;
                    }
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
        drop(syncing);
        if let Err(failure) = syncer.await {
            tracing::error!(%failure, journal = %self.place, "what waited for the disk was not answered");
        }
        if let Err(Fault { problem, .. }) = self.database.close().await {
            tracing::error!(problem, journal = %self.place, "the journal was not closed well");
        }
    }

    /// Lets more come in for so long, up to a group's bound.
    async fn gather(&mut self, taken: &mut Vec<Command>, gathering: Duration) {
        if gathering.is_zero() {
            return;
        }
        let until = Instant::now() + gathering;
        while let Some(room) = self.batch.checked_sub(taken.len()).filter(|room| *room > 0) {
            match timeout_at(until, self.waiting.recv_many(taken, room)).await {
                Ok(1..) => {}
                // Nobody is left, or the moment is over.
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Answers what is answered already, and has the rest wait for the disk.
    async fn answer(
        &mut self,
        mut group: Group,
        written: Result<Written, Fault>,
        syncing: &mpsc::Sender<Syncing>,
    ) {
        let place = self.place.as_str();
        let mut written = match written {
            Ok(written) => written,
            Err(fault) => {
                // Nobody waits for these, or would ask again.
                self.unwritten.append(&mut group.accepted);
                self.unwritten.truncate(MOST_UNWRITTEN);
                return group.refuse(|| error(place, &fault));
            }
        };
        if !group.answer_beginnings(&mut written) {
            return;
        }
        match self.database.sync() {
            None => group.answer(written),
            // Without a syncer nobody is answered any more, and the writer ends, too.
            Some(sync) => drop(syncing.send(Syncing { sync, group, written }).await),
        }
    }

    async fn write(&mut self, group: &Arc<Group>) -> Result<Written, Fault> {
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
        note(&self.health, &self.place, written);
    }
}

fn note<T>(health: &watch::Sender<Result<(), String>>, place: &str, written: &Result<T, Fault>) {
    let now = written.as_ref().map(|_| ()).map_err(|fault| error(place, fault).to_string());
    let _before = health.send_replace(now);
}

/// A group that is committed and waits for the disk.
struct Syncing {
    sync: Sync,
    group: Group,
    written: Written,
}

/// The task that waits for the disk. The writer's own, and its end is the writer's.
struct Syncer {
    waiting: mpsc::Receiver<Syncing>,
    place: String,
    health: watch::Sender<Result<(), String>>,
}

impl Syncer {
    async fn run(mut self) {
        let mut waiting = Vec::with_capacity(SYNCING);
        while self.waiting.recv_many(&mut waiting, SYNCING).await > 0 {
            let (mut groups, mut last) = (Vec::with_capacity(waiting.len()), None);
            for Syncing { sync, group, written } in waiting.drain(..) {
                groups.push((group, written));
                last = Some(sync);
            }
            let Some(sync) = last else { continue };
            match sync.await {
                Ok(()) => groups.into_iter().for_each(|(group, written)| group.answer(written)),
                Err(fault) => {
                    tracing::error!(problem = fault.problem, journal = %self.place, "the disk has not taken what was written, and what is on it is not known: the journal ends");
                    groups.into_iter().for_each(|(group, _)| group.refuse(|| error(&self.place, &fault)));
                    note::<()>(&self.health, &self.place, &Err(fault));
                    // Whoever waits behind these is not answered, either.
                    return;
                }
            }
        }
    }
}

pub(super) fn error(place: &str, fault: &Fault) -> JournalError {
    JournalError::Database { place: place.to_owned(), problem: fault.problem.clone() }
}
