//! What is wrong with a database, for people, and whether it passes.

use std::time::Duration;

use crate::journal::writer::Fault;

/// Why a database cannot be used. Does not name it: the caller does.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("it cannot be reached ({0}); it is tried again and again")]
    Away(String),
    #[error("it did not answer within {0:?}; it is tried again and again")]
    Silent(Duration),
    #[error(
        "TLS with it does not come about ({0}); see to `sslmode` and `sslrootcert` in `journal.url`, and to its certificate"
    )]
    Untrusted(String),
    #[error("it refuses us ({0}); see to user, password and database in `journal.url`")]
    Refused(String),
    #[error("the user may not do that ({0}); make it the owner of the database")]
    Forbidden(String),
    #[error(
        "its text is {0}, and must be UTF8: make it with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding(String),
    #[error("it has tables of somebody else; the journal needs a database of its own")]
    Foreign,
    #[error(
        "it is of version {found}, and this program knows up to {known}: it was written by a newer one; use that"
    )]
    Newer { found: i32, known: i32 },
    #[error(
        "it is of version {found}, and this program reads {known}: start its gateway once, which brings it up"
    )]
    Older { found: i32, known: i32 },
    #[error("{0}; make room, and it goes on by itself")]
    Full(String),
    #[error("another gateway or somebody else holds what is needed ({0})")]
    Busy(String),
    #[error("PostgreSQL said: {0}")]
    Other(String),
}

impl Problem {
    /// Nobody is there, who may come.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Self::Away(_) | Self::Silent(_) => true,
            Self::Untrusted(_)
            | Self::Refused(_)
            | Self::Forbidden(_)
            | Self::Encoding(_)
            | Self::Foreign
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Full(_)
            | Self::Busy(_)
            | Self::Other(_) => false,
        }
    }
}

/// Whether it is about whom we believe, and not about whether somebody is there.
fn is_of_tls(error: &sqlx::Error) -> bool {
    // A file that the URL names, or what the TLS library says in the middle of the handshake.
    let within = |error: &std::io::Error| {
        error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
            || error.kind() == std::io::ErrorKind::NotFound
    };
    matches!(error, sqlx::Error::Tls(_)) || matches!(error, sqlx::Error::Io(error) if within(error))
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let Some(said) = error.as_database_error() else {
            use sqlx::Error as E;
            // What it complains of may be a part of the URL.
            if matches!(error, E::Configuration(_)) {
                return Self::Refused("the URL's options are wrong".to_owned());
            }
            if is_of_tls(&error) {
                return Self::Untrusted(error.to_string());
            }
            // A row that is not found was removed in between.
            let passes = matches!(
                error,
                E::Io(_)
                    | E::Protocol(_)
                    | E::PoolTimedOut
                    | E::PoolClosed
                    | E::WorkerCrashed
                    | E::BeginFailed
                    | E::RowNotFound
            );
            return if passes { Self::Away(error.to_string()) } else { Self::Other(error.to_string()) };
        };
        let text = said.message().to_owned();
        let code = said.code().unwrap_or_default();
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        match (code.get(..2).unwrap_or_default(), &*code) {
            ("28" | "3D", _) => Self::Refused(text),
            (_, "42501") => Self::Forbidden(text),
            (_, "53100") => Self::Full(text),
            // Too many connections; shutting down, starting up, cut off by an operator; a standby, or what has become one.
            ("08" | "53", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25006") => Self::Away(text),
            // Deadlock, a transaction that stood still, lock not available, a statement that took too long.
            ("40" | "25", _) | (_, "55P03" | "57014") => Self::Busy(text),
            _ => Self::Other(text),
        }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let passes = matches!(
            problem,
            Problem::Away(_) | Problem::Silent(_) | Problem::Busy(_) | Problem::Untrusted(_)
        );
        Self { problem: problem.to_string(), passes }
    }
}
