//! The journal in one SQLite file.

/// Comes next.
#[derive(Debug)]
pub struct Settings;

/// Comes next.
#[derive(Debug)]
pub struct SqliteJournal;
