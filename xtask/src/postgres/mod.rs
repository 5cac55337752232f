//! Real PostgreSQL servers for tests.
//!
//! Rule: nothing of the machine's own is touched. A [`Server`] has a port and a folder of its own, listens on 127.0.0.1 only, and
//! is gone when its value is dropped or its process dies, however it dies. The one thing done to the machine is
//! [`ensure_installed`], which installs the package and leaves no service running. (Debian's package also makes an empty cluster
//! `main`; nobody starts it.)

mod install;
mod server;

use anyhow::Result;

pub use install::ensure_installed;
pub use server::{Durability, Server};

/// The variable that tells tests the URL of a server they share, without a database's name: `cargo xtask test` sets it.
pub const SHARED_URL_VARIABLE: &str = "PAYNOTIFY_TEST_POSTGRES";

/// A server for a test that makes a database of its own there: the shared one, or else one of its own.
pub enum Database {
    /// The run's; only its URL is known.
    Shared(String),
    /// This test's alone.
    Own(Server),
}

impl Database {
    /// The shared server if there is one. Otherwise one is started, which takes a few seconds.
    pub fn shared_or_own() -> Result<Self> {
        match std::env::var(SHARED_URL_VARIABLE).ok().filter(|url| !url.is_empty()) {
            Some(url) => Ok(Self::Shared(url)),
            None => Server::start(Durability::None).map(Self::Own),
        }
    }

    /// Where to connect to the database of that name.
    pub fn url(&self, database: &str) -> String {
        match self {
            Self::Shared(url) => format!("{url}/{database}"),
            Self::Own(server) => server.url(database),
        }
    }
}
