//! The journal in a database on PostgreSQL, which any number of gateways share.
//!
//! The writer has one connection (`connection`, `write`), the gateway's lock another (`living`), and a few more serve the API
//! (`reader`). A connection that breaks is made again when it is needed next.
//!
//! The rule: each transaction first writes down what is new, then locks the rows of all notifications that it names, in the order
//! of their ids, and decides only then. So two gateways never decide about one notification at once, and never wait for each other in a circle.
//!
//! Advisory locks belong to a session: in front of the server there may be no pool that hands sessions on by transaction.

mod connection;
mod living;
mod lookup;
mod missing;
mod operations;
mod problem;
mod reader;
mod release;
mod rows;
mod schema;
mod search;
mod transcripts;
mod trim;
mod write;

pub use reader::Readers;
pub use transcripts::look_up;

use std::fmt;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};

use self::living::Living;
use self::problem::Problem;
use super::JournalError;
use super::batched::{Batched, Bounds};
use super::writer::{Fault, error};

/// Connections that read.
const READERS: u32 = 4;

/// Where the journal is, and its bounds. Does not show the password.
#[derive(Clone)]
pub struct Settings {
    options: PgConnectOptions,
    /// What holds for any journal.
    pub bounds: Bounds,
}

impl Settings {
    /// A journal at that URL, `postgres://user:password@host:port/database?options`, with the default bounds. The options are libpq's.
    ///
    /// # Errors
    /// What is wrong with the URL, without any of it: it may hold a password.
    pub fn new(url: &str) -> Result<Self, String> {
        let is_ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options: Option<PgConnectOptions> = is_ours.then(|| url.parse().ok()).flatten();
        let options = options.ok_or("is no URL such as \"postgres://user:password@host:5432/database\"")?;
        let options = options.application_name("paynotify").disable_statement_logging();
        Ok(Self { options, bounds: Bounds::default() })
    }

    /// What the database is called in messages.
    fn place(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let database = self.options.get_database().unwrap_or(self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{host}:{port}/{database}"),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Settings");
        shown.field("place", &self.place()).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

/// The journal in a database on PostgreSQL. To be closed with [`Journal::close`](super::Journal::close).
pub type PostgresJournal = Batched<Readers>;

impl PostgresJournal {
    /// Opens the journal; makes its tables if there are none, and brings an older version up. If nobody is there, all of that is
    /// done as soon as somebody is; until then the journal is not [`ready`](super::Journal::ready).
    ///
    /// # Errors
    /// The database cannot be used, is no journal, or is a newer program's.
    pub async fn open(settings: Settings) -> Result<Self, JournalError> {
        let name = settings.place();
        let wrong = |problem: Problem| error(&name, &Fault::from(problem));
        let Settings { options, bounds } = settings;
        let (connection, health) = match connect(&options).await {
            Ok(connection) => (Some(connection), Ok(())),
            Err(problem) if problem.is_absence() => {
                tracing::warn!(%problem, journal = name, "the gateway starts without its journal, and is ready once that is there");
                (None, Err(wrong(problem).to_string()))
            }
            Err(problem) => return Err(wrong(problem)),
        };
        let living = Living::join(&options, bounds.patience).await.map_err(wrong)?;
        let gateway = living.gateway();
        let readers = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(bounds.patience)
            .after_connect(|connection, _| Box::pin(connection::set_bounds(connection)))
            .connect_lazy_with(options.clone());
        let server = write::Server {
            options,
            brought_up: connection.is_some(),
            connection,
            living,
            transcripts_kept: bounds.retention.transcripts,
        };
        Ok(Self::start(name.clone(), gateway, &bounds, Box::new(server), Readers(readers), health))
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Problem> {
    let mut connection = connection::open(options).await?;
    schema::bring_up(&mut connection).await?;
    Ok(connection)
}
