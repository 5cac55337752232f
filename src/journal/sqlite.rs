//! The journal in one SQLite file.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{Acceptance, Entry, Journal, JournalError, Story};
use crate::domain::{Envelope, NotificationId, Recorded};

/// Where the journal is, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub file: PathBuf,
}

impl Settings {
    /// A journal in that file, with the default bounds.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }
}

/// Comes next.
#[derive(Debug)]
pub struct SqliteJournal;

impl SqliteJournal {
    /// Comes next.
    ///
    /// # Errors
    /// Always, for now.
    #[allow(clippy::unused_async, reason = "it comes next")]
    pub async fn open(_: Settings) -> Result<Self, JournalError> {
        Err(JournalError::Closed)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn accept(&self, _: &Envelope) -> Result<Acceptance, JournalError> {
        Err(JournalError::Closed)
    }

    async fn accepted(&self, _: &NotificationId) -> Result<(), JournalError> {
        Err(JournalError::Closed)
    }

    async fn record(&self, _: Entry) -> Result<Recorded, JournalError> {
        Err(JournalError::Closed)
    }

    async fn story(&self, _: &NotificationId) -> Result<Option<Story>, JournalError> {
        Err(JournalError::Closed)
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    async fn close(&self) {}
}
