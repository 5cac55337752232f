//! From a name to addresses.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Whoever knows the addresses of names. What it says is believed by nobody: each address is checked before it is used.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a host, in the order in which they are to be tried.
    ///
    /// # Errors
    /// The name has none, or nobody can be asked.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// How many look-ups may run at a time for one merchant. The system's look-up blocks a thread, cannot be stopped and may
/// take longer than any time-out of ours; without this bound, merchants with dead name servers would take all threads.
const MOST_LOOKUPS: usize = 4;

/// The system's name look-up.
pub(super) struct SystemNames {
    running: Arc<Semaphore>,
}

impl SystemNames {
    pub(super) fn new() -> Self {
        Self { running: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }
}

#[async_trait::async_trait]
impl Resolve for SystemNames {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        let looking_up = tokio::task::spawn_blocking(move || {
            let addresses = (host.as_str(), 0).to_socket_addrs();
            // Given back when the thread is free again, even if nobody waits for the answer any more.
            drop(permit);
            addresses
        });
        let addresses = looking_up.await.map_err(io::Error::other).flatten()?;
        Ok(addresses.map(|address: SocketAddr| address.ip()).collect())
    }
}
