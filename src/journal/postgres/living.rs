//! Which of the gateways that share the journal live.
//!
//! Each holds an advisory lock, named by its number, on a connection of its own. The server lets go of it when that session ends:
//! at once when the process is killed, because the system then closes its connections.
//!
//! But a session also ends when the server is killed or a connection is cut, and the gateway lives on. It notices within
//! [`LOOK`] and takes its lock again. Therefore one that has no lock counts as dead only once it has been seen without one
//! for [`GRACE`]. Whoever is wrongly taken to live makes a message wait, at most for `further_message_lag`; whoever is wrongly taken to
//! be dead, because it is cut off from the database for longer, may have its merchant told twice, under one id.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, query_scalar};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::connection;
use super::problem::Problem;

/// How often a gateway sees whether it still has its lock.
const LOOK: Duration = Duration::from_millis(400);
/// How long one must have been seen without a lock before it counts as dead.
const GRACE: Duration = Duration::from_secs(2);

/// This gateway's own lock, and what is known of the others.
pub(super) struct Living {
    gateway: u64,
    /// Since when others have been seen without their lock.
    without: HashMap<u64, Instant>,
    /// Dropped when the lock is to go.
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Living {
    /// Counts this process among the living, until it ends or [`leaves`](Self::leave); if the server is away, once it is there.
    pub(super) async fn join(options: &PgConnectOptions, patience: Duration) -> Result<Self, Problem> {
        let gateway = rand::random();
        let mut lock = Lock { options: options.clone(), gateway, connection: None, held: false };
        match lock.take().await {
            // Whoever has drawn the same number out of so many may keep it.
            Ok(()) if !lock.held => {
                return Err(Problem::Busy("the gateway's number is taken; start again".to_owned()));
            }
            Ok(()) => {}
            // As long as nobody is there nothing can be taken up, and the lock is taken as soon as there is.
            Err(problem) if problem.is_absence() => lock.connection = None,
            Err(problem) => return Err(problem),
        }
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(lock.keep(stopped, patience));
        Ok(Self { gateway, without: HashMap::new(), stop, keeper })
    }

    /// A number that each process draws for itself.
    pub(super) fn gateway(&self) -> u64 {
        self.gateway
    }

    /// Those of the gateways that are to be taken to live.
    pub(super) async fn of(
        &mut self,
        gateways: HashSet<u64>,
        connection: &mut PgConnection,
    ) -> Result<HashSet<u64>, sqlx::Error> {
        if gateways.is_empty() {
            return Ok(gateways);
        }
        let locks: Vec<i64> = query_scalar(LOCKS).fetch_all(connection).await?;
        let locks: HashSet<u64> = locks.into_iter().map(i64::cast_unsigned).collect();
        let now = Instant::now();
        // What nobody asks about any more is forgotten, so that the dead do not pile up.
        self.without.retain(|gateway, since| !locks.contains(gateway) && now < *since + GRACE * 100);
        let lives = |gateway: &u64| {
            locks.contains(gateway) || now < *self.without.entry(*gateway).or_insert(now) + GRACE
        };
        Ok(gateways.into_iter().filter(lives).collect())
    }

    /// Lets go of the lock.
    pub(super) async fn leave(self) {
        drop(self.stop);
        if let Err(failure) = self.keeper.await {
            tracing::error!(%failure, "who keeps the gateway's lock has failed");
        }
    }
}

/// Locks named by a number of 64 bits: <https://www.postgresql.org/docs/current/view-pg-locks.html>
const LOCKS: &str = "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

struct Lock {
    options: PgConnectOptions,
    gateway: u64,
    connection: Option<PgConnection>,
    held: bool,
}

impl Lock {
    async fn keep(mut self, mut stopped: oneshot::Receiver<()>, patience: Duration) {
        loop {
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = &mut stopped => break,
            }
            let had = self.held;
            let looked = timeout(patience, self.take()).await.unwrap_or(Err(Problem::Silent(patience)));
            if let Err(problem) = looked {
                (self.connection, self.held) = (None, false);
                if had {
                    tracing::warn!(%problem, "the journal's database does not know any more that this gateway lives");
                }
            }
        }
        if let Some(connection) = self.connection {
            // The server notices anyhow.
            let _ = timeout(patience, connection.close()).await;
        }
    }

    /// Sees that the connection is there and has the lock. The lock may be held for a while by a session of ours that the server
    /// does not know to be gone: then we count as living anyhow.
    async fn take(&mut self) -> Result<(), Problem> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connection::open(&self.options).await?),
        };
        if self.held {
            query_scalar::<_, i32>("SELECT 1").fetch_one(connection).await?;
        } else {
            let lock = query_scalar("SELECT pg_try_advisory_lock($1)").bind(self.gateway.cast_signed());
            self.held = lock.fetch_one(connection).await?;
        }
        Ok(())
    }
}
