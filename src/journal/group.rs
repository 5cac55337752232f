//! What waits to be written, sorted into a group that is written with one commit, and what is decided about it.
//!
//! Nothing in here knows a database. Each store looks up what the group names ([`Found`]), has the decisions made here, and
//! writes what they come to.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::found::{Found, Missing, standing};
use super::operations::{Operated, Operation};
use super::{Acceptance, Attempt, Entry, JournalError, Recording, Search, State, Transcript};
use crate::domain::{
    Beginning, Known, MerchantId, Moment, Notification, NotificationId, Recorded, Standing, TakeUp, Taken,
    take_up,
};

/// A notification as it is written.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: NotificationId,
    pub(super) merchant: MerchantId,
    pub(super) order: Option<String>,
    pub(super) first_seen: Moment,
    pub(super) at: Moment,
    /// Before this no first attempt is made.
    pub(super) not_before: Option<Moment>,
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
            not_before: notification.record.not_before,
            digest: digest(&SHA256, &notification.raw),
            raw: notification.raw.clone(),
            state,
        }
    }

    /// What happened to it, and what is written beside it.
    pub(super) fn of(entry: Entry) -> (Self, Notes) {
        let notes = Notes { attempt: entry.attempt, transcript: entry.transcript };
        let row = Self {
            id: entry.notification_id,
            merchant: entry.merchant_id,
            order: entry.merchant_order_id,
            first_seen: entry.first_seen,
            at: entry.at,
            // It has been attempted, or held, so that its state says when it is due.
            not_before: None,
            digest: digest(&SHA256, &entry.raw),
            raw: entry.raw,
            state: entry.state,
        };
        (row, notes)
    }
}

/// What is written beside a notification.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) attempt: Option<Attempt>,
    pub(super) transcript: Option<Transcript>,
}

pub(super) type Answer<A> = oneshot::Sender<Result<A, JournalError>>;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Command {
    Accept(Box<Row>, Answer<Acceptance>),
    /// It is durable at the broker.
    Accepted(NotificationId),
    /// A message of this notification is taken up.
    TakeUp(Box<Row>, Box<Taken>, Answer<TakeUp>),
    Record(Box<Row>, Box<Notes>, Answer<Recording>),
    /// The payment centre has been told of the end of this one's replay.
    Told(NotificationId, u32),
    Seek(Search, Sought, Answer<Vec<Missing>>),
    Release(Wanted, Answer<Vec<Missing>>),
    Operate(Operation, Answer<Operated>),
    /// Write what is waiting by now, and end.
    Close,
}

/// What is sought.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sought {
    /// Notifications whose attempt is overdue.
    UnderWay,
    /// Notifications that have ended untold.
    Untold,
}

/// What is to be released.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) ids: Vec<String>,
    pub(super) now: Moment,
    pub(super) due_after: Duration,
}

/// What is written with one commit. That a notification is at the broker is written before anything is accepted, because its
/// sender is answered without waiting for that note and may ask again. The order between the other kinds does not matter: nobody
/// asks for one thing about a notification before the one before is answered.
#[derive(Default)]
pub(super) struct Group {
    pub(super) accepts: Vec<(Row, Answer<Acceptance>)>,
    pub(super) accepted: Vec<NotificationId>,
    pub(super) messages: Vec<(Row, Taken, Answer<TakeUp>)>,
    pub(super) records: Vec<(Row, Answer<Recording>)>,
    pub(super) attempts: Vec<(NotificationId, Attempt)>,
    pub(super) transcripts: Vec<(NotificationId, Moment, Transcript)>,
    pub(super) told: Vec<(NotificationId, u32)>,
    pub(super) searches: Vec<(Search, Sought, Answer<Vec<Missing>>)>,
    pub(super) releases: Vec<(Wanted, Answer<Vec<Missing>>)>,
    /// Written after all others.
    pub(super) operations: Vec<(Operation, Answer<Operated>)>,
}

/// The answers to a group that was written, in the order in which it was asked.
pub(super) struct Written {
    pub(super) acceptances: Vec<Acceptance>,
    pub(super) take_ups: Vec<TakeUp>,
    /// Where an entry came too late: what was there.
    pub(super) recordings: Vec<Option<Standing>>,
    pub(super) missing: Vec<Vec<Missing>>,
    pub(super) released: Vec<Vec<Missing>>,
    pub(super) operated: Vec<Operated>,
}

/// What the entries of a group come to.
pub(super) struct Records<'a> {
    /// The rows, each with the state that it has from now on: a later row of one notification has the last word.
    pub(super) rows: Vec<(&'a Row, &'a State)>,
    /// [`Written::recordings`].
    pub(super) recordings: Vec<Option<Standing>>,
}

/// What the messages of a group come to.
pub(super) struct Beginnings<'a> {
    /// The beginnings to be noted: a later one of one notification has the last word.
    pub(super) rows: Vec<(&'a Row, Beginning)>,
    /// [`Written::take_ups`].
    pub(super) take_ups: Vec<TakeUp>,
}

impl Group {
    /// Sorts what was taken from the queue. What is in there already when the writer is told to close is still written.
    pub(super) fn of(taken: impl Iterator<Item = Command>, waiting: &mut mpsc::Receiver<Command>) -> Self {
        let mut group = Self::default();
        for command in taken {
            match command {
                Command::Accept(row, answer) => group.accepts.push((*row, answer)),
                Command::Accepted(id) => group.accepted.push(id),
                Command::TakeUp(row, message, answer) => group.messages.push((*row, *message, answer)),
                Command::Record(row, notes, answer) => {
                    let Notes { attempt, transcript } = *notes;
                    group.attempts.extend(attempt.map(|attempt| (row.id.clone(), attempt)));
                    group
                        .transcripts
                        .extend(transcript.map(|transcript| (row.id.clone(), row.at, transcript)));
                    group.records.push((*row, answer));
                }
                Command::Told(id, replay) => group.told.push((id, replay)),
                Command::Seek(search, sought, answer) => group.searches.push((search, sought, answer)),
                Command::Release(wanted, answer) => group.releases.push((wanted, answer)),
                Command::Operate(operation, answer) => group.operations.push((operation, answer)),
                Command::Close => waiting.close(),
            }
        }
        group
    }

    /// All rows of notifications that may have to be written down.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        let accepts = self.accepts.iter().map(|(row, _)| row);
        let messages = self.messages.iter().map(|(row, ..)| row);
        accepts.chain(messages).chain(self.records.iter().map(|(row, _)| row))
    }

    /// Whether anything in it must outlast a machine that loses power.
    pub(super) fn is_weighty(&self) -> bool {
        let Self { accepts, messages: _, records, attempts, transcripts: _, operations, .. } = self;
        // A transcript comes with its record.
        !(accepts.is_empty() && records.is_empty() && attempts.is_empty() && operations.is_empty())
    }

    /// A state never goes back: an entry that comes too late leaves the state as it is.
    pub(super) fn decide_records<'a>(&'a self, found: &'a HashMap<NotificationId, Found>) -> Records<'a> {
        let mut latest: HashMap<_, _> = found.iter().map(|(id, found)| (id, &found.state)).collect();
        let mut rows = Vec::with_capacity(self.records.len());
        let mut recordings = Vec::with_capacity(self.records.len());
        for (row, _) in &self.records {
            let there = latest.get(&row.id).copied().filter(|there| there.outlasts(&row.state));
            let first_seen = found.get(&row.id).map_or(row.first_seen, |found| found.first_seen);
            recordings.push(there.and_then(|there| standing(there, first_seen)));
            let state = there.unwrap_or(&row.state);
            latest.insert(&row.id, state);
            rows.push((row, state));
        }
        Records { rows, recordings }
    }

    /// Has each message's step decided. `lives` says whether a gateway does.
    pub(super) fn decide_beginnings<'a>(
        &'a self,
        found: &HashMap<NotificationId, Found>,
        lives: impl Fn(u64) -> bool,
    ) -> Beginnings<'a> {
        let mut noted: HashMap<&NotificationId, Beginning> = HashMap::new();
        let mut rows = Vec::with_capacity(self.messages.len());
        let mut take_ups = Vec::with_capacity(self.messages.len());
        for (row, message, _) in &self.messages {
            let there = found.get(&row.id);
            let known = there.map_or(Known::Nothing, |found| found.known(row.digest.as_ref()));
            let begun = noted.get(&row.id).copied().or_else(|| there?.begun);
            let step = take_up(message, known, begun, &lives);
            if let TakeUp::Attempt(beginning) = &step {
                noted.insert(&row.id, *beginning);
                rows.push((row, *beginning));
            }
            take_ups.push(step);
        }
        Beginnings { rows, take_ups }
    }

    /// Answers what has no consequence that must outlast a machine that loses power: beginnings of attempts. Says whether there
    /// is more to answer.
    ///
    /// Who does not wait any more for its answer does not get it; so it is with all answers.
    pub(super) fn answer_beginnings(&mut self, written: &mut Written) -> bool {
        let (messages, take_ups) =
            (std::mem::take(&mut self.messages), std::mem::take(&mut written.take_ups));
        for ((row, message, answer), step) in messages.into_iter().zip(take_ups) {
            match step {
                TakeUp::Attempt(_) | TakeUp::Wait | TakeUp::Interrupted => drop(answer.send(Ok(step))),
                // The message is forgotten for the sake of what is there, which may not be on the disk yet.
                TakeUp::Behind(_) => {
                    self.messages.push((row, message, answer));
                    written.take_ups.push(step);
                }
            }
        }
        let Self { accepts, messages, records, searches, releases, operations, .. } = self;
        !(accepts.is_empty()
            && messages.is_empty()
            && records.is_empty()
            && searches.is_empty()
            && releases.is_empty()
            && operations.is_empty())
    }

    /// Answers what [`answer_beginnings`](Self::answer_beginnings) has left.
    pub(super) fn answer(self, written: Written) {
        let Written { acceptances, take_ups, recordings, missing, released, operated } = written;
        answer_all(self.operations.into_iter().map(|(_, answer)| answer), operated);
        answer_all(self.searches.into_iter().map(|(.., answer)| answer), missing);
        answer_all(self.releases.into_iter().map(|(_, answer)| answer), released);
        answer_all(self.accepts.into_iter().map(|(_, answer)| answer), acceptances);
        answer_all(self.messages.into_iter().map(|(.., answer)| answer), take_ups);
        let recorded = |behind: Option<Standing>| {
            behind.map_or_else(|| Recording::Current(Recorded::after_commit()), Recording::Behind)
        };
        let recordings = recordings.into_iter().map(recorded);
        answer_all(self.records.into_iter().map(|(_, answer)| answer), recordings);
    }

    /// Tells all that are not answered yet that nothing was written.
    pub(super) fn refuse(self, error: impl Fn() -> JournalError) {
        self.operations.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
        self.accepts.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
        self.searches.into_iter().for_each(|(.., answer)| drop(answer.send(Err(error()))));
        self.releases.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
        self.messages.into_iter().for_each(|(.., answer)| drop(answer.send(Err(error()))));
        self.records.into_iter().for_each(|(_, answer)| drop(answer.send(Err(error()))));
    }
}

fn answer_all<A>(answers: impl Iterator<Item = Answer<A>>, what: impl IntoIterator<Item = A>) {
    for (answer, what) in answers.zip(what) {
        let _ = answer.send(Ok(what));
    }
}
