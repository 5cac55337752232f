//! The journal in one SQLite file.
//!
//! The writer has the one connection that writes (`write`); a few connections that only read serve the API (`reader`).
//! Several processes may share a file: each waits for the others' commits, up to a bound, and knows which of them live (`living`).

mod living;
mod lookup;
mod missing;
mod operations;
mod reader;
mod release;
mod search;
mod transcripts;
mod trim;
mod write;

pub use reader::Readers;
pub use transcripts::look_up;

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::SqlitePoolOptions;

use self::living::Living;
use super::JournalError;
use super::batched::{Batched, Bounds};
use super::writer::{Fault, error};
use crate::sqlite::{self, Durability, Place, Problem, Schema, Writable};

/// The `application_id` is "pnj1" in ASCII.
const SCHEMA: Schema = Schema {
    name: "paynotify journal",
    application_id: 0x706e_6a31,
    steps: &[
        include_str!("schema.sql"),
        include_str!("schema-2.sql"),
        include_str!("schema-3.sql"),
        include_str!("schema-4.sql"),
        include_str!("schema-5.sql"),
    ],
};

/// Connections that read.
const READERS: u32 = 4;

/// Where the journal is, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file. Its folder must be there.
    pub file: PathBuf,
    /// The largest that the file may become, in bytes. What would make it larger is refused as if the disk were full.
    pub largest: u64,
    /// What holds for any journal. Its patience is how long a write waits for another process that holds the file.
    pub bounds: Bounds,
}

impl Settings {
    /// A journal in that file, with the default bounds, and at most 1 TiB large.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), largest: 1 << 40, bounds: Bounds::default() }
    }
}

/// The journal in one SQLite file. To be closed with [`Journal::close`](super::Journal::close).
pub type SqliteJournal = Batched<Readers>;

impl SqliteJournal {
    /// Opens the journal; makes the file if it is not there, and brings an older version up.
    ///
    /// # Errors
    /// The file is not there and cannot be made, is damaged, is no journal, or is a newer program's.
    pub async fn open(settings: Settings) -> Result<Self, JournalError> {
        let Settings { file, largest, bounds } = settings;
        let name = file.display().to_string();
        let wrong = |problem: Problem| error(&name, &Fault::from(problem));
        let place = Place { file, largest, patience: bounds.patience };
        // The writer syncs what has to outlast a loss of power.
        let file = Writable::open(&place, &SCHEMA, Durability::Process).await.map_err(wrong)?;
        let living = Living::join(&place.file).map_err(|problem| wrong(Problem::from(problem)))?;
        let gateway = living.gateway();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(bounds.patience)
            .connect_lazy_with(sqlite::options(&place).read_only(true));
        let (living, transcripts_kept) = (Arc::new(living), bounds.retention.transcripts);
        let file = write::File { file, living, transcripts_kept };
        Ok(Self::start(name, gateway, &bounds, Box::new(file), Readers(readers), Ok(())))
    }
}

/// SQLite itself waits for who holds the file, so that nothing is worth being tried again at once.
impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem: problem.to_string(), passes: false }
    }
}

/// For types of ours, which have no way to fail.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
