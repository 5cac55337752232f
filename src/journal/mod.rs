//! What happened: one row for every attempt and one for every notification, kept beyond the broker.
//!
//! The rule: a row is durable before the broker is told to forget what it tells of. The proof of that is
//! [`Recorded`], which only this module makes.
//!
//! It decides nothing. A message that is taken up is held against it, so that a notification of which there are several
//! messages is told once ([`crate::domain::take_up`] decides, and is asked where nobody else can come between); everything
//! else is read by people, through the API.

mod batched;
mod found;
mod group;
mod operations;
mod postgres;
mod retention;
mod search;
mod sqlite;
mod writer;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Envelope, MerchantId, Moment, Notification, NotificationId, OutcomeEvent, Recorded, Standing, TakeUp,
    Taken,
};

pub use batched::{Batched, Bounds, Reader};
pub use operations::{
    AuditRow, Counts, Deed, EndedCount, HeldCount, Noted, Order, Pause, ReplayNote, ReplayOrder, Replayed,
    WaitingCount,
};
pub use postgres::{
    PostgresJournal, Readers as PostgresReaders, Settings as PostgresSettings, look_up as look_up_on_postgres,
};
pub use retention::Retention;
pub use search::{Cursor, Ended, InvalidCursor, Page, Phase, Question, Summary};
pub use sqlite::{Readers as SqliteReaders, Settings, SqliteJournal, look_up};

/// The record of everything that happened.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Notes that a notification has come in and is about to be published to the broker.
    ///
    /// # Errors
    /// Nothing was noted.
    async fn accept(&self, envelope: &Envelope) -> Result<Acceptance, JournalError>;

    /// Notes that an accepted notification is durable at the broker. Returns before it is written: should the note be lost, the
    /// journal hears of it with the first attempt, and the notification may be published once more when its sender asks again
    /// before that.
    async fn accepted(&self, id: &NotificationId);

    /// What other gateways know this process by: a number that each draws for itself.
    fn gateway(&self) -> u64;

    /// Takes a message up: has [`take_up`](crate::domain::take_up) decide by what is known of its notification, and
    /// notes the beginning of the attempt, if there is to be one, before any other gateway can ask.
    ///
    /// The note is there for every process that shares the journal, also when this one is killed. It need not
    /// outlast a machine that loses power: what it tells of has no consequence but the attempt itself.
    ///
    /// # Errors
    /// Nothing was noted, and no attempt may be made: it could not be recorded, and would be made again after a crash.
    async fn take_up(&self, notification: &Notification, message: Taken) -> Result<TakeUp, JournalError>;

    /// Records an attempt, a hold or an ending, and what became of the notification by it.
    ///
    /// # Errors
    /// Nothing was recorded; the caller tries again, and meanwhile keeps the message at the broker.
    async fn record(&self, entry: Entry) -> Result<Recording, JournalError>;

    /// Those of the notifications under way that are missing, at most as many as are asked for, each with its next
    /// attempt due now. Nobody else is given them, nor this caller again, before they would be missing once more.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    async fn missing(&self, search: Search) -> Result<Vec<Envelope>, JournalError>;

    /// Some of the notifications that are held and could go on now: each with its attempt due now and its row of holds
    /// begun anew ([`Progress::released`](crate::domain::Progress::released)), in the journal and in what is returned.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    async fn release(&self, release: Release) -> Result<Released, JournalError>;

    /// Notes that the payment centre has been told how a notification ended. Returns before it is written: should the
    /// note be lost, the payment centre is told again. `replay` says of which end: a note that comes late says nothing of a
    /// later one's.
    async fn told(&self, id: &NotificationId, replay: u32);

    /// Those of the notifications that have ended of which the payment centre is not known to have been told for so
    /// long. Otherwise as [`missing`](Self::missing).
    ///
    /// # Errors
    /// The journal cannot be read or written.
    async fn untold(&self, search: Search) -> Result<Vec<OutcomeEvent>, JournalError>;

    /// The whole story of a notification; `None` when the journal has never heard of it.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, JournalError>;

    /// Begins a notification that has ended anew, if [`begin_anew`](crate::domain::begin_anew) says so. What is returned is to be
    /// published; should that not happen, it is [`missing`](Self::missing) in a while.
    ///
    /// # Errors
    /// It is not known whether it was begun: whoever asks for the same once more, at the same moment, gets the same answer.
    async fn replay(&self, wanted: ReplayOrder) -> Result<Replayed, JournalError>;

    /// Notes in the audit what an operator does. A pause or resumption takes effect with it. Says whether it changes anything.
    ///
    /// # Errors
    /// Nothing is known to be noted.
    async fn note(&self, noted: Noted) -> Result<bool, JournalError>;

    /// The merchants that are paused, by their ids.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn pauses(&self) -> Result<Vec<Pause>, JournalError>;

    /// A page of the audit, the latest entry first; `after` is the [place](AuditRow::place) of the last one of the page before.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn audit(&self, after: Option<&str>, most: usize) -> Result<Vec<AuditRow>, JournalError>;

    /// How much there is where. Those that have ended are counted from that moment on.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn counts(&self, ended_since: Moment) -> Result<Counts, JournalError>;

    /// Those of the notifications that answer the question, from a place on, the newest first: at most so many.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn search(
        &self,
        question: &Question,
        from: Option<Cursor>,
        most: usize,
    ) -> Result<Page, JournalError>;

    /// How many answer the question; counts no further than `most`, and so takes no longer.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn count(&self, question: &Question, most: u64) -> Result<u64, JournalError>;

    /// The transcript of an attempt. Of several of one number the last counts; without a number, the last attempt's.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Result<Lookup, JournalError>;

    /// Whether the journal can be written just now; if not, why.
    fn ready(&self) -> Result<(), String>;

    /// Writes what is still waiting, and closes.
    async fn close(&self);

    /// Waits until it has ended: after [`close`](Self::close), or by a fault of the program, which only a new start
    /// of the program mends.
    async fn ended(&self);
}

/// The answer to a notification that comes in over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was not known, or it was known and never reached the broker: publish it.
    Publish,
    /// The same notification is there already: nothing more is to be done.
    AlreadyThere,
    /// Another notification has that name.
    Conflict,
}

/// What counts as missing.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The moment.
    pub now: Moment,
    /// How long after it was due nothing may have been heard of a notification, at least.
    pub missing_after: Duration,
    /// The most that are wanted.
    pub most: usize,
}

/// Which held notifications are released.
#[derive(Clone, Debug)]
pub struct Release {
    /// The moment. What has been held since then is left alone.
    pub now: Moment,
    /// Whose.
    pub merchants: Arc<[MerchantId]>,
    /// Only what is held for one of these: [`HoldReason::name`](crate::domain::HoldReason::name).
    pub causes: &'static [&'static str],
    /// What is due within so long comes by itself.
    pub due_after: Duration,
    /// Where to go on; at first, nothing.
    pub from: Option<ReleasePlace>,
    /// The most that are wanted.
    pub most: usize,
}

/// How far a release has come in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasePlace {
    pub(in crate::journal) updated_at: i64,
    pub(in crate::journal) row: i64,
}

/// What was released.
#[derive(Debug)]
pub struct Released {
    /// To be published. May be fewer than were asked for, even when there are more.
    pub envelopes: Vec<Envelope>,
    /// Where to go on; nothing when that was all.
    pub next: Option<ReleasePlace>,
}

/// What became of an entry.
#[derive(Debug)]
pub enum Recording {
    /// It is how far the notification has come now.
    Current(Recorded),
    /// The notification had come that far, or further, by another message. The attempt is kept; nothing else is.
    Behind(Standing),
}

/// What happened to a notification just now.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which one.
    pub notification_id: NotificationId,
    /// Whose.
    pub merchant_id: MerchantId,
    /// The merchant's number of the order.
    pub merchant_order_id: Option<String>,
    /// The record's text, for a notification that the journal meets for the first time.
    pub raw: Bytes,
    /// When the gateway first saw it.
    pub first_seen: Moment,
    /// When this happened.
    pub at: Moment,
    /// What the notification is now.
    pub state: State,
    /// The attempt, if one was made.
    pub attempt: Option<Attempt>,
    /// What went into the attempt's plugin calls and what came out of them, if that is to be kept. There is one, too, of an
    /// attempt that came to nothing by its plugin's fault.
    pub transcript: Option<Transcript>,
}

/// An attempt's transcript, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The attempt's number.
    pub number: u32,
    /// Which replay the attempt was made in; 0 before the first.
    pub replay: u32,
    /// A JSON object that the journal does not look into.
    pub content: String,
}

/// What is there of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing has been heard of the notification.
    Unknown,
    /// Nothing is kept of the attempt.
    NotKept {
        /// The attempts of which something is.
        numbers: Vec<u32>,
    },
    /// This.
    Found(Kept),
}

/// An attempt's transcript, and the notification that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The notification's text.
    pub raw: Bytes,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The transcript.
    pub transcript: Transcript,
}

/// What a notification is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It came in over HTTP and is not known to have reached the broker yet.
    Received,
    /// It waits for its first attempt.
    Accepted,
    /// It waits on its ladder for the next attempt.
    Waiting {
        /// The next attempt's number.
        next_attempt: u32,
        /// When it is due.
        due: Moment,
        /// Which replay it is of, from 1; left out of what was never replayed.
        #[serde(default, skip_serializing_if = "is_none")]
        replay: u32,
    },
    /// It waits for something that is not the merchant's fault.
    Held {
        /// The attempt that waits.
        next_attempt: u32,
        /// When it is tried again.
        due: Moment,
        /// What it waits for, in a word: [`crate::domain::HoldReason::name`]. Empty in what an older version has written.
        #[serde(default)]
        cause: String,
        /// What it waits for.
        reason: String,
        /// How many times in a row it has been held.
        holds: NonZeroU32,
        /// When the first of these holds began.
        since: Moment,
        /// As of one that waits.
        #[serde(default, skip_serializing_if = "is_none")]
        replay: u32,
    },
    /// It has ended.
    Ended {
        /// [`crate::domain::Outcome::name`].
        outcome: String,
        /// [`crate::domain::Outcome::detail`].
        detail: Option<String>,
        /// How many attempts were made; of a replay, in that replay.
        attempts_made: u32,
        /// When it ended.
        ended_at: Moment,
        /// As of one that waits.
        #[serde(default, skip_serializing_if = "is_none")]
        replay: u32,
    },
}

/// For serde, which asks by reference: what was never replayed says nothing of it.
fn is_none(replay: &u32) -> bool {
    *replay == 0
}

impl State {
    /// What a later state of the same notification has more of.
    fn place(&self) -> (u32, u8, u32, u32) {
        match self {
            Self::Received => (0, 0, 0, 0),
            Self::Accepted => (0, 1, 0, 0),
            Self::Waiting { next_attempt, replay, .. } => (*replay, 2, *next_attempt, 0),
            Self::Held { next_attempt, holds, replay, .. } => (*replay, 2, *next_attempt, holds.get()),
            Self::Ended { replay, .. } => (*replay, 3, 0, 0),
        }
    }

    /// Whether a notification that is in this state stays in it when the other is recorded.
    ///
    /// One that is the same to the millisecond is taken for the same entry, recorded twice because its first answer
    /// was lost: whoever recorded it has not acted upon it yet.
    fn outlasts(&self, other: &Self) -> bool {
        self.place() >= other.place() && self != other
    }
}

/// One attempt, as it is told in a story. Bodies are not, nor is the request's query, which may hold a merchant's secret:
/// those are in the transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its number, from 1. A number can come twice: after a crash, or when a plugin failed to judge the reply.
    pub number: u32,
    /// When it began.
    pub started_at: Moment,
    /// How long it took, with both plugin calls.
    #[serde(serialize_with = "milliseconds", rename = "duration_ms")]
    pub duration: Duration,
    /// The plugin that formatted it: name and content hash.
    pub plugin: String,
    /// The request's method.
    pub method: String,
    /// The request's URL without its query.
    pub url: String,
    /// The reply's status, if there was a reply.
    pub status: Option<u16>,
    /// The beginning of the reply's body, as text, for people; at most 256 characters.
    pub reply: Option<String>,
    /// What it came to: `confirmed`, `retry`, `stop`, a transport failure's name, or `plugin_fault`.
    pub result: String,
    /// The same for people.
    pub detail: Option<String>,
    /// Which replay it was made in, from 1; left out before the first.
    #[serde(skip_serializing_if = "is_none")]
    pub replay: u32,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Everything that is known of one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Which one.
    pub notification_id: NotificationId,
    /// Whose.
    pub merchant_id: MerchantId,
    /// The merchant's number of the order.
    pub merchant_order_id: Option<String>,
    /// When the gateway first saw it.
    pub first_seen: Moment,
    /// When something last happened to it.
    pub updated_at: Moment,
    /// What it is now.
    #[serde(flatten)]
    pub state: State,
    /// Its attempts, the oldest first.
    pub attempts: Vec<Attempt>,
    /// Who has begun it anew, the first first. Left out of what was never replayed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<ReplayNote>,
}

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It has been closed.
    #[error("the journal is closed")]
    Closed,
    /// What was written last failed, and nothing has been written since.
    #[error("it could not be written: {0}")]
    Unwritable(String),
    /// The database said no.
    #[error("the journal at {place}: {problem}")]
    Database {
        /// The file or server.
        place: String,
        /// What it said.
        problem: String,
    },
}
