//! What the two SQLite files, the embedded broker's and the journal's, have in common: how one is opened, how rows are
//! written in groups, and what an error means to people.
//!
//! The rule: a file is touched only when it is known to be ours and of a version that we know, and a commit that
//! returns is on the disk (write-ahead log, `synchronous = FULL`), unless it was said that it need not be.
//!
//! Absent on purpose: queries. Each file's own module has its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::query_builder::Separated;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, QueryBuilder, Sqlite, query, query_scalar};

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
        let code = said.and_then(|error| error.code()?.parse::<i32>().ok());
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

/// Opens the file for writing; makes it if it is not there, and brings an older version up.
pub(crate) async fn open(place: &Place, schema: &Schema) -> Result<SqliteConnection, Problem> {
    create(&place.file)?;
    let size = place.file.metadata()?.len();
    let mut connection = options(place).connect().await?;
    let version = version(&mut connection, schema, size).await?;
    for number in version..schema.steps.len() {
        begin(&mut connection).await?;
        let stepped = take_step(&mut connection, schema, number).await;
        end(&mut connection, stepped).await?;
    }
    query("PRAGMA journal_mode = WAL").execute(&mut connection).await?;
    query("PRAGMA synchronous = FULL").execute(&mut connection).await?;
    let page: i64 = query_scalar("PRAGMA page_size").fetch_one(&mut connection).await?;
    let largest = i64::try_from(place.largest).unwrap_or(i64::MAX) / page.max(1);
    pragma(&mut connection, "max_page_count", largest.clamp(1, i64::from(u32::MAX - 1))).await?;
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

/// What the next commits outlast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The process: whatever is known of it, other processes know as well.
    Process,
    /// A machine that loses power. A file that is opened is so until it is told otherwise.
    Disk,
}

/// Says what the next commits outlast. Costs nothing beside a commit.
pub(crate) async fn set_durability(
    connection: &mut SqliteConnection,
    durability: Durability,
) -> Result<(), sqlx::Error> {
    // With a write-ahead log NORMAL leaves the file whole too, and only does not wait for the disk:
    // https://www.sqlite.org/pragma.html#pragma_synchronous
    let synchronous = match durability {
        Durability::Process => "PRAGMA synchronous = NORMAL",
        Durability::Disk => "PRAGMA synchronous = FULL",
    };
    query(synchronous).execute(connection).await.map(drop)
}

/// Begins a transaction that has the right to write from its beginning, so that it cannot fail for want of it halfway.
/// What is done in it goes to [`end`].
///
/// It is not sqlx's own `Transaction`: that one counts how deep it is, and loses count when SQLite itself rolls back,
/// which it does when the disk is full. The connection would be of no use any more.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query("BEGIN IMMEDIATE").execute(connection).await.map(drop)
}

/// Commits what was done, or takes it back if it failed. When this returns the good, it is on the disk.
pub(crate) async fn end<T>(
    connection: &mut SqliteConnection,
    done: Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let done = match done {
        Ok(good) => query("COMMIT").execute(&mut *connection).await.map(|_| good),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // SQLite may have rolled back already; then this fails, and that is well.
        let _ = query("ROLLBACK").execute(connection).await;
    }
    done
}

/// Inserts rows, many with one statement. `head` ends before `VALUES`, `tail` begins after the rows; `bind` pushes
/// one row's values. There are three sizes of statement only, so that each is prepared once.
pub(crate) async fn insert<T>(
    connection: &mut SqliteConnection,
    head: &str,
    tail: &str,
    rows: &[T],
    bind: impl Fn(&mut Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    for size in [64, 8, 1] {
        while let Some((chunk, after)) = rest.split_at_checked(size) {
            let mut statement = QueryBuilder::new(head);
            statement.push_values(chunk, |mut values, row| bind(&mut values, row));
            statement.push(tail).build().execute(&mut *connection).await?;
            rest = after;
        }
    }
    Ok(())
}

/// Writes something and takes it away again: whether the file can be written and may grow. Every schema has the table.
pub(crate) async fn try_to_write(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    begin(connection).await?;
    let trial = sqlx::raw_sql("INSERT INTO trial VALUES (zeroblob(65536)); DELETE FROM trial");
    let tried = trial.execute(&mut *connection).await.map(drop);
    end(connection, tried).await
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
async fn version(connection: &mut SqliteConnection, schema: &Schema, size: u64) -> Result<usize, Problem> {
    /// Looking through the whole file takes about a second for so many bytes. Damage in a larger file shows when
    /// the page is met.
    const LOOKED_THROUGH: u64 = 1 << 30;
    let number = async |connection: &mut SqliteConnection, sql| {
        query_scalar::<_, i64>(sql).fetch_one(connection).await
    };
    let application = number(connection, "PRAGMA application_id").await?;
    let found = number(connection, "PRAGMA user_version").await?;
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema").await?;
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
        let verdict: String = query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
        if verdict != "ok" {
            return Err(Problem::Damaged(verdict));
        }
    }
    Ok(version)
}

async fn take_step(
    connection: &mut SqliteConnection,
    schema: &Schema,
    number: usize,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(schema.steps.get(number).copied().unwrap_or_default()).execute(&mut *connection).await?;
    pragma(connection, "application_id", i64::from(schema.application_id)).await?;
    pragma(connection, "user_version", i64::try_from(number + 1).unwrap_or(i64::MAX)).await
}

/// Pragmas take no bound values; a name of ours and a number need no quoting.
async fn pragma(connection: &mut SqliteConnection, name: &str, value: i64) -> Result<(), sqlx::Error> {
    query(AssertSqlSafe(format!("PRAGMA {name} = {value}"))).execute(connection).await.map(|_| ())
}
