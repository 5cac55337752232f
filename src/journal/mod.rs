//! What happened: one row for every attempt and one for every notification, kept beyond the broker.
//!
//! The rule: a row is durable before the broker is told to forget what it tells of. The proof of that is
//! [`Recorded`], which only this module makes.
//!
//! The journal decides nothing and is asked nothing on the way of a notification: it is written there, and read by
//! people through the API.

mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::{Envelope, MerchantId, Moment, NotificationId, Recorded};

pub use sqlite::{Settings, SqliteJournal};

/// The record of everything that happened.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Notes that a notification has come in and is about to be published to the broker.
    ///
    /// # Errors
    /// Nothing was noted.
    async fn accept(&self, envelope: &Envelope) -> Result<Acceptance, JournalError>;

    /// Notes that an accepted notification is durable at the broker.
    ///
    /// # Errors
    /// It was not noted; the notification may be published once more when its sender asks again.
    async fn accepted(&self, id: &NotificationId) -> Result<(), JournalError>;

    /// Records an attempt, a hold or an ending, and what became of the notification by it.
    ///
    /// # Errors
    /// Nothing was recorded; the caller tries again, and meanwhile keeps the message at the broker.
    async fn record(&self, entry: Entry) -> Result<Recorded, JournalError>;

    /// The whole story of a notification; `None` when the journal has never heard of it.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, JournalError>;

    /// Whether the journal can be written just now; if not, why.
    fn ready(&self) -> Result<(), String>;

    /// Writes what is still waiting, and closes.
    async fn close(&self);
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
    },
    /// It waits for something that is not the merchant's fault.
    Held {
        /// The attempt that waits.
        next_attempt: u32,
        /// When it is tried again.
        due: Moment,
        /// What it waits for.
        reason: String,
    },
    /// It has ended.
    Ended {
        /// [`crate::domain::Outcome::name`].
        outcome: String,
        /// [`crate::domain::Outcome::detail`].
        detail: Option<String>,
        /// How many attempts were made.
        attempts_made: u32,
    },
}

/// One attempt, as it is kept. Bodies are not kept, nor is the request's query, which may hold a merchant's secret.
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
}

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It has been closed.
    #[error("the journal is closed")]
    Closed,
    /// The database said no.
    #[error("the journal at {place}: {problem}")]
    Database {
        /// The file or server.
        place: String,
        /// What it said.
        problem: String,
    },
}
