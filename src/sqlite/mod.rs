//! The two SQLite files, the embedded broker's and the journal's: how one is opened, how it is written, and what an error
//! means to people.
//!
//! The rule: a file is touched only when it is known to be ours and of a version that we know. It has one connection that
//! writes, a [`Writable`], which works on a thread of its own: a whole group of rows in one go, because going
//! to another thread and back for each statement takes longer than the statement. Whoever only reads has connections of
//! sqlx's ([`options`]).
//!
//! A commit is there for every process at once. That it outlasts a machine that loses power, too, is what [`Writable::sync`]
//! makes sure of, for all commits before it; [`Durability::Disk`] has each commit do that by itself.
//!
//! Absent on purpose: queries. Each file's own module has its own.

mod thread;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, query_scalar};

use thread::Owner;

/// What a file is, and how it came to be: one step for each version.
#[derive(Debug)]
pub(crate) struct Schema {
    /// What the file is called in messages.
    pub(crate) name: &'static str,
    /// SQLite's `application_id`, by which a file is known to be one of ours.
    pub(crate) application_id: i32,
    /// Step n brings version n to n + 1. A step that has been released is never changed.
    pub(crate) steps: &'static [&'static str],
}

/// Where a file is and what it is held to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: PathBuf,
    /// The largest that it may become, in bytes. What would make it larger is refused as if the disk were full.
    pub(crate) largest: u64,
    /// How long to wait for another process that holds the file.
    pub(crate) patience: Duration,
}

/// Why a file cannot be used. Does not name the file: the caller does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("it cannot be opened: {0}; see to its folder and its permissions")]
    File(#[from] io::Error),
    #[error(
        "another process has it open; two of them must not share it, so stop that one or name another file"
    )]
    InUse,
    #[error("it is no SQLite file ({0}); name another file, or move this one away")]
    NoDatabase(String),
    #[error("it is no {0}; name another file, or move this one away")]
    Foreign(&'static str),
    #[error(
        "it is of version {found}, and this program knows up to {known}: it was written by a newer one; use that"
    )]
    Newer { found: i64, known: usize },
    #[error(
        "it is of version {found}, and this program reads {known}: start its gateway once, which brings it up"
    )]
    Older { found: i64, known: usize },
    #[error("it is damaged ({0}); move it away, keep it, and restore a copy")]
    Damaged(String),
    #[error("{0}; make room, and it goes on by itself")]
    Full(String),
    #[error("another process holds it ({0})")]
    Busy(String),
    #[error("SQLite said: {0}")]
    Other(String),
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let said = error.as_database_error();
        let text = said.map_or_else(|| error.to_string(), ToString::to_string);
        Self::of(said.and_then(|error| error.code()?.parse().ok()), text)
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::of(error.sqlite_error().map(|said| said.extended_code), error.to_string())
    }
}

impl Problem {
    fn of(code: Option<i32>, text: String) -> Self {
        // The primary result code is the low byte: https://www.sqlite.org/rescode.html
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(text),
            Some(11) => Self::Damaged(text),
            Some(13) => Self::Full(text),
            Some(26) => Self::NoDatabase(text),
            Some(_) | None => Self::Other(text),
        }
    }
}

/// A file that is open for writing.
pub(crate) struct Writable {
    connection: Owner<Connection>,
    /// The write-ahead log, beside the file.
    log: Owner<File>,
}

/// What a commit outlasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The process: whatever is known of it, other processes know as well. After [`Writable::sync`] also a machine that
    /// loses power.
    Process,
    /// A machine that loses power.
    Disk,
}

impl Writable {
    /// Opens the file; makes it if it is not there, and brings an older version up.
    pub(crate) async fn open(
        place: &Place,
        schema: &'static Schema,
        durability: Durability,
    ) -> Result<Self, Problem> {
        let mut log = place.file.clone().into_os_string();
        log.push("-wal");
        let place = place.clone();
        let connection = Owner::start("sqlite", move || open(&place, schema, durability)).await?;
        // SQLite has its locks on the file and on the one with the ending `-shm`; closing this one ends none. It is there for
        // as long as the connection is.
        let log = Owner::start("sqlite-sync", move || open_log(Path::new(&log))).await?;
        Ok(Self { connection, log })
    }

    /// Does that with the connection, where waiting is allowed.
    pub(crate) async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.connection.ask(work).await?)
    }

    /// The same within a transaction, which is committed if it goes well and leaves nothing if not.
    pub(crate) async fn transaction<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.with(move |connection| transaction(connection, work)).await
    }

    /// What makes all commits up to now outlast a loss of power. It needs the file no more, so that others can be written
    /// meanwhile.
    ///
    /// SQLite itself syncs the log before anything of it goes into the file, so what has gone there is safe already. Should
    /// this fail, nobody knows any more what of the log is on the disk, and no later success says so: the file is to be
    /// opened anew.
    pub(crate) fn sync(&self) -> impl Future<Output = Result<(), Problem>> + Send + use<> {
        let log = self.log.clone();
        async move { Ok(log.ask(|log| log.sync_data()).await?) }
    }

    /// Writes something and takes it away again: whether the file can be written and may grow. Every schema has the
    /// table.
    pub(crate) async fn try_to_write(&mut self) -> Result<(), Problem> {
        self.transaction(|connection| {
            connection.execute_batch("INSERT INTO trial VALUES (zeroblob(65536)); DELETE FROM trial")
        })
        .await
    }

    /// Ends it. When this returns, the file is closed.
    pub(crate) async fn close(self) -> Result<(), Problem> {
        // The connection goes, and what takes its place is of no file.
        let closed = self.connection.ask(|connection| {
            let nothing = Connection::open_in_memory()?;
            std::mem::replace(connection, nothing).close().map_err(|(_, error)| error)
        });
        Ok(closed.await?)
    }
}

/// The log, and its name on the disk.
fn open_log(file: &Path) -> Result<File, io::Error> {
    let log = OpenOptions::new().read(true).write(true).open(file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(log)
}

/// It has the right to write from its beginning, so that it cannot fail for want of it halfway. rusqlite's own
/// transaction would fail when SQLite itself has rolled back, which it does when the disk is full.
pub(crate) fn transaction<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if !connection.is_autocommit() {
        // One that neither commit nor rollback has ended.
        connection.execute_batch("ROLLBACK")?;
    }
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work(connection).and_then(|good| {
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(good)
    });
    if done.is_err() {
        // SQLite may have rolled back already; then this fails, and that is well.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn open(place: &Place, schema: &Schema, durability: Durability) -> Result<Connection, Problem> {
    /// Statements that are kept prepared.
    const STATEMENTS: usize = 64;
    /// Pages of 4 KiB in the log before they go into the file. More of them spare writing, but a disk that is full stays so until
    /// the log has found room in the file.
    const PAGES_IN_LOG: i64 = 1_000;
    /// What SQLite keeps of the file in memory, in KiB.
    const CACHE: i64 = 16 << 10;
    create(&place.file)?;
    let size = place.file.metadata()?.len();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&place.file, flags)?;
    connection.busy_timeout(place.patience)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let version = version(&connection, schema, size)?;
    for number in version..schema.steps.len() {
        transaction(&connection, |connection| take_step(connection, schema, number))?;
    }
    let synchronous = match durability {
        // With a write-ahead log NORMAL leaves the file whole too, and only does not wait for the disk:
        // https://www.sqlite.org/pragma.html#pragma_synchronous
        Durability::Process => "NORMAL",
        Durability::Disk => "FULL",
    };
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Problem::Other(format!("there is no write-ahead log in that place, but `{mode}`")));
    }
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", PAGES_IN_LOG)?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    let page = number(&connection, "PRAGMA page_size")?;
    let largest = i64::try_from(place.largest).unwrap_or(i64::MAX) / page.max(1);
    connection.pragma_update(None, "max_page_count", largest.clamp(1, i64::from(u32::MAX - 1)))?;
    // What a process before this one has left in the log goes into the file, and onto the disk: should its last sync have
    // failed, this is the next. Another process that has the file may hinder it, and does the same with its own.
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        // A disk that is full is no reason not to start: what can be read is, and the next write tells.
        tracing::warn!(%error, file = %place.file.display(), "what is in the write-ahead log was not brought into the file yet");
    }
    // Makes the log, if there is none.
    transaction(&connection, |_| Ok(()))?;
    Ok(connection)
}

/// Opens a file that is there, of this version, for reading only. Another process may be writing to it.
pub(crate) async fn open_to_read(place: &Place, schema: &Schema) -> Result<SqliteConnection, Problem> {
    place.file.metadata()?;
    let mut connection = options(place).read_only(true).connect().await?;
    let application: i64 = query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    if application != i64::from(schema.application_id) {
        return Err(Problem::Foreign(schema.name));
    }
    let found: i64 = query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
    let known = schema.steps.len();
    match usize::try_from(found) {
        Ok(version) if version == known => Ok(connection),
        Ok(version) if version < known => Err(Problem::Older { found, known }),
        Ok(_) | Err(_) => Err(Problem::Newer { found, known }),
    }
}

/// How connections to the file are made.
pub(crate) fn options(place: &Place) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&place.file)
        .busy_timeout(place.patience)
        // Rows come from SQLite's thread in batches of this size.
        .row_buffer_size(512)
        .disable_statement_logging()
}

/// Locks the file `<file>.lock`, which stays there, for as long as the returned handle lives.
pub(crate) fn lock(file: &Path) -> Result<File, Problem> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    create(Path::new(&name))?;
    let lock = OpenOptions::new().write(true).open(&name)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(Problem::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes the file if it is not there, for its owner's eyes only: it holds payments. One that is there is not even
/// opened, because closing it again would end the locks that SQLite has on it elsewhere in this process:
/// <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
fn create(file: &Path) -> Result<(), io::Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The file's version, 0 for a new one, if it is ours and whole. `size` is in bytes.
fn version(connection: &Connection, schema: &Schema, size: u64) -> Result<usize, Problem> {
    /// Looking through the whole file takes about a second for so many bytes. Damage in a larger file shows when
    /// the page is met.
    const LOOKED_THROUGH: u64 = 1 << 30;
    let application = number(connection, "PRAGMA application_id")?;
    let found = number(connection, "PRAGMA user_version")?;
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    if application != i64::from(schema.application_id) {
        return Err(Problem::Foreign(schema.name));
    }
    let known = schema.steps.len();
    let version = usize::try_from(found).ok().filter(|version| *version <= known);
    let version = version.ok_or(Problem::Newer { found, known })?;
    if size <= LOOKED_THROUGH {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Problem::Damaged(verdict));
        }
    }
    Ok(version)
}

/// Bytes of the file that hold something. What is removed leaves free pages, which are used again.
pub(crate) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let used = "SELECT (page_count - freelist_count) * page_size
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    connection.prepare_cached(used)?.query_row([], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

fn take_step(connection: &Connection, schema: &Schema, number: usize) -> rusqlite::Result<()> {
    connection.execute_batch(schema.steps.get(number).copied().unwrap_or_default())?;
    connection.pragma_update(None, "application_id", schema.application_id)?;
    connection.pragma_update(None, "user_version", i64::try_from(number + 1).unwrap_or(i64::MAX))
}
