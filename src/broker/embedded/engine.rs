//! The task that owns the broker's file: it writes what it is asked to, many things with one commit, and hands out what
//! comes due.
//!
//! It never polls: it sleeps until the next message is due, or until somebody asks for something. Which messages are
//! out is kept in memory only, so that a crash hands all of them back.
//!
//! After a write that failed nothing is handed out until one has succeeded again: what is handed out cannot be
//! settled then, and would go to the merchant over and over. Only what is on its way already still comes, once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::lease::{Lease, Returned, Waiting};
use super::poison::{self, Ask, Told};
use super::store::{self, Event, Group, Message};
use super::{Settings, refused};
use crate::broker::BrokerError;
use crate::clock;
use crate::domain::{Lane, Moment};
use crate::sqlite::{self, Problem};

/// How long after a failure it is tried whether the file can be written again.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How long a message rests whose delivery ended in a panic, so that it makes no hot loop.
const REST: Duration = Duration::from_secs(1);
/// The longest sleep: a clock that is set is noticed within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What the engine is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Put a new message in.
    Publish(Message, Answer),
    /// The same, also if one of its notification waits that is not due yet: that one is replaced.
    Hasten(Message, Answer),
    /// Put an event in.
    Tell(Event, Answer),
    /// Settle the message of that number, which is out.
    Settle(i64, Settlement, Answer),
    /// Look into the poison table, or take something out of it.
    Poison(Ask, oneshot::Sender<Result<Told, BrokerError>>),
    /// Hand out no more.
    StopTaking(oneshot::Sender<()>),
    /// Do what is asked by now, and end.
    Close,
}

/// Who asked, and waits until it is on the disk.
pub(super) type Answer = oneshot::Sender<Result<(), BrokerError>>;

/// How a message is settled.
#[derive(Debug)]
pub(super) enum Settlement {
    Park(Message),
    Finish(Option<Event>),
    Poison(String, Option<Event>),
}

/// The task's own.
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) connection: SqliteConnection,
    /// Held for as long as the file is.
    pub(super) lock: File,
    pub(super) commands: mpsc::Receiver<Command>,
    /// What the leases settle themselves with. Weak, so that the engine ends when everybody else is gone.
    pub(super) asking: mpsc::WeakSender<Command>,
    /// Leases that were dropped. Holds as many as can be out, so that there is always room for one.
    pub(super) returned: mpsc::Receiver<Returned>,
    pub(super) returning: mpsc::Sender<Returned>,
    /// Deliveries on their way to whoever asks for the next; holds as many as can be out. None when no more go out.
    pub(super) deliveries: Option<mpsc::Sender<Waiting>>,
    pub(super) health: watch::Sender<Result<(), String>>,
    pub(super) lanes: [LaneOut; 2],
    /// Those of them that rest until then before they go out again. All rest equally long.
    pub(super) resting: VecDeque<(Instant, i64)>,
    /// Those that were handed back and have not been settled since.
    pub(super) came_back: HashSet<i64>,
    /// This life's number: what was written in another one may have been out before.
    pub(super) life: i64,
    /// Whether so much waits that nothing new is taken.
    pub(super) full: bool,
}

/// What is out of one lane.
#[derive(Debug)]
pub(super) struct LaneOut {
    lane: Lane,
    /// How many may be out.
    most: usize,
    /// The messages that are out, and when each was due.
    out: HashMap<i64, Moment>,
    /// No message that is not out is due before; none at all if there is none.
    next_due: Option<Moment>,
}

impl LaneOut {
    /// Something may be due: it is looked at once.
    pub(super) fn new(lane: Lane, most: usize) -> Self {
        Self { lane, most, out: HashMap::new(), next_due: Some(Moment::EPOCH) }
    }

    fn room(&self) -> usize {
        self.most.saturating_sub(self.out.len())
    }

    fn wake_for(&mut self, due: Moment) {
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
    }
}

impl Engine {
    /// Runs until it is told to close, or nobody is left to ask for anything.
    pub(super) async fn run(mut self) {
        let mut taken = Vec::with_capacity(self.settings.batch);
        loop {
            while let Ok(returned) = self.returned.try_recv() {
                self.receive(returned);
            }
            while let Some((_, number)) = self.resting.pop_front_if(|(wakes, _)| *wakes <= Instant::now()) {
                self.take_back(number);
            }
            if let Err(error) = self.hand_out().await {
                self.note(Err(&error.into()));
            }
            let pause = self.pause();
            tokio::select! {
                count = self.commands.recv_many(&mut taken, self.settings.batch) => match count {
                    0 => break,
                    _ => self.carry_out(taken.drain(..)).await,
                },
                Some(returned) = self.returned.recv() => self.receive(returned),
                () = sleep(pause) => if !self.is_well() {
                    let tried = sqlite::try_to_write(&mut self.connection).await.map_err(Problem::from);
                    self.note(tried.as_ref().copied());
                },
            }
        }
        let file = self.settings.file.display();
        if let Err(failure) = self.connection.close().await {
            tracing::error!(%failure, %file, "the broker's file was not closed well");
        }
        drop(self.lock);
    }

    fn is_well(&self) -> bool {
        self.health.borrow().is_ok()
    }

    /// Keeps what `ready` says, and tells the log when it changes.
    fn note(&self, result: Result<(), &Problem>) {
        let health = result.map_err(|problem| refused(&self.settings.file, problem).to_string());
        match (&health, self.is_well()) {
            (Err(problem), true) => {
                tracing::error!(problem, "nothing is handed out until the file can be used again")
            }
            (Ok(()), false) => {
                tracing::info!(file = %self.settings.file.display(), "the file can be used again")
            }
            (Err(_), false) | (Ok(()), true) => {}
        }
        let _before = self.health.send_replace(health);
    }

    /// How long nothing is to be done if nobody asks for anything.
    fn pause(&self) -> Duration {
        if !self.is_well() {
            return TRY_AGAIN;
        }
        let waking = self.lanes.iter().filter(|lane| self.deliveries.is_some() && lane.room() > 0);
        let due = waking.filter_map(|lane| lane.next_due).min();
        let due = due.map_or(Duration::MAX, |due| due.since(clock::now()).min(LONGEST_SLEEP));
        let wakes = self.resting.front().map(|(wakes, _)| wakes.saturating_duration_since(Instant::now()));
        due.min(wakes.unwrap_or(Duration::MAX))
    }

    fn receive(&mut self, Returned { number, rests }: Returned) {
        if rests {
            self.resting.push_back((Instant::now() + REST, number));
        } else {
            self.take_back(number);
        }
    }

    fn take_back(&mut self, number: i64) {
        for lane in &mut self.lanes {
            if let Some(due) = lane.out.remove(&number) {
                self.came_back.insert(number);
                lane.wake_for(due);
            }
        }
    }

    fn wake_for(&mut self, due: Moment, lane: Lane) {
        self.lanes.iter_mut().filter(|out| out.lane == lane).for_each(|out| out.wake_for(due));
    }

    /// Hands out what is due, as far as there is room.
    async fn hand_out(&mut self) -> Result<(), sqlx::Error> {
        let now = clock::now();
        let (Some(deliveries), Some(asking)) = (self.deliveries.clone(), self.asking.upgrade()) else {
            return Ok(());
        };
        if !self.is_well() {
            return Ok(());
        }
        for lane in &mut self.lanes {
            let room = lane.room();
            if room == 0 || lane.next_due.is_none_or(|due| due > now) {
                continue;
            }
            let messages = store::due(&mut self.connection, lane.lane, now, lane.out.keys(), room).await?;
            if messages.len() < room {
                lane.next_due = store::next_due(&mut self.connection, lane.lane, now).await?;
            }
            for message in messages {
                lane.out.insert(message.number, message.due);
                let redelivered = message.life != self.life || self.came_back.contains(&message.number);
                let lease = Lease::new(message.number, asking.clone(), self.returning.clone());
                // There is room for all that can be out. If nobody is there to take it, its lease comes back at once.
                let _ = deliveries.try_send(Waiting { message, redelivered, lease });
            }
        }
        Ok(())
    }

    /// Carries out all that was asked, with one commit, and then answers each.
    async fn carry_out(&mut self, commands: impl Iterator<Item = Command>) {
        let (mut group, mut publishing, mut telling, mut settling, mut stopping, mut poison) =
            (Group::default(), vec![], vec![], vec![], vec![], vec![]);
        for command in commands {
            match command {
                Command::Publish(_, answer) | Command::Hasten(_, answer) if self.full => {
                    drop(answer.send(Err(self.too_much())));
                }
                Command::Hasten(message, answer) => {
                    // What waits may be in either lane, and stays there.
                    publishing.push((message.due, None, answer));
                    group.hastened.push(message.clone());
                    group.new.push(message);
                }
                Command::Publish(message, answer) => {
                    publishing.push((message.due, Some(message.lane), answer));
                    group.new.push(message);
                }
                Command::Tell(event, answer) => {
                    group.events.push(event);
                    telling.push(answer);
                }
                Command::Settle(number, settlement, answer) => {
                    let parked_until = settle(&mut group, number, settlement);
                    settling.push((number, parked_until, answer));
                }
                Command::Poison(ask, answer) => poison.push((ask, answer)),
                Command::StopTaking(answer) => {
                    self.deliveries = None;
                    stopping.push(answer);
                }
                Command::Close => {
                    self.deliveries = None;
                    self.commands.close();
                }
            }
        }
        let nothing = publishing.is_empty() && telling.is_empty() && settling.is_empty();
        let written = if nothing { Ok(()) } else { self.write(&group).await };
        for (due, only, answer) in publishing {
            if written.is_ok() {
                let lanes = Lane::ALL.into_iter().filter(|lane| only.is_none_or(|only| only == *lane));
                lanes.for_each(|lane| self.wake_for(due, lane));
            }
            self.answer(answer, &written);
        }
        for (number, parked_until, answer) in settling {
            match (&written, parked_until) {
                (Ok(()), parked_until) => {
                    for lane in &mut self.lanes {
                        lane.out.remove(&number);
                    }
                    self.came_back.remove(&number);
                    parked_until.into_iter().for_each(|(due, lane)| self.wake_for(due, lane));
                }
                // It is still there, as it was.
                (Err(_), _) => self.take_back(number),
            }
            self.answer(answer, &written);
        }
        for answer in telling {
            self.answer(answer, &written);
        }
        for (ask, answer) in poison {
            let told = self.look_into_poison(ask).await;
            // Who does not wait any more for the answer does not get it.
            let _ = answer.send(told);
        }
        for answer in stopping {
            let _ = answer.send(());
        }
    }

    async fn look_into_poison(&mut self, ask: Ask) -> Result<Told, BrokerError> {
        let due = match &ask {
            Ask::PutBack(_, message) => Some(message.due),
            Ask::Count | Ask::List { .. } | Ask::One(_) | Ask::Discard(_) => None,
        };
        let terms = (self.life, clock::now(), self.settings.outcomes_kept);
        let told = poison::answer(&mut self.connection, ask, terms).await.map_err(Problem::from);
        if let (Ok(_), Some(due)) = (&told, due) {
            // What waits of its notification may be in either lane.
            Lane::ALL.into_iter().for_each(|lane| self.wake_for(due, lane));
        }
        told.map_err(|problem| refused(&self.settings.file, &problem))
    }

    async fn write(&mut self, group: &Group) -> Result<(), Problem> {
        let kept = self.settings.outcomes_kept;
        let written = store::write(&mut self.connection, group, self.life, clock::now(), kept)
            .await
            .map_err(Problem::from);
        self.note(written.as_ref().copied());
        if written.is_ok() {
            // Whether there is room is asked after the commit, and a failure to tell is met again by the next write.
            let used = store::used(&mut self.connection).await.unwrap_or(0);
            self.full = used >= self.settings.largest;
        }
        written
    }

    /// Who does not wait any more for its answer does not get it.
    fn answer(&self, answer: Answer, written: &Result<(), Problem>) {
        let _ =
            answer.send(written.as_ref().copied().map_err(|problem| refused(&self.settings.file, problem)));
    }

    fn too_much(&self) -> BrokerError {
        let bound = format!("so much waits that its bound of {} bytes is reached", self.settings.largest);
        refused(&self.settings.file, &Problem::Full(bound))
    }
}

/// Adds what settles the message to the group; says until when and in which lane it is parked, if it is.
fn settle(group: &mut Group, number: i64, settlement: Settlement) -> Option<(Moment, Lane)> {
    match settlement {
        Settlement::Park(message) => {
            let parked = (message.due, message.lane);
            group.parked.push((number, message));
            return Some(parked);
        }
        Settlement::Finish(event) => group.events.extend(event),
        Settlement::Poison(reason, event) => {
            group.poisoned.push((number, reason));
            group.events.extend(event);
        }
    }
    group.gone.push(number);
    None
}
