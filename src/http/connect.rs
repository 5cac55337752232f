//! Getting a connection: name look-up, TCP, TLS, within one time-out and with one named failure for each.
//!
//! The libraries' own errors do not say by type which of the three steps failed. So each step is wrapped on its own, and
//! an error gets its name where it is known what was being done.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::unblocked::Unblocked;
use super::{Timeouts, TlsRoots};
use crate::domain::TransportFailure;

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;
type Cause = Box<dyn Error + Send + Sync>;

/// Connects to http and https origins. Fails with [`NotConnected`] alone.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<Tcp>,
    /// That for connecting also bounds those connections that nobody waits for any more: when an idle one comes back while a new one is being
    /// made, the pool completes the new one in the background.
    timeouts: Timeouts,
}

impl Connector {
    pub(super) fn new(roots: &TlsRoots, timeouts: Timeouts) -> Self {
        let lookup = Lookup { running: Arc::new(Semaphore::new(MOST_LOOKUPS)) };
        let mut tcp = HttpConnector::new_with_resolver(lookup);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { https: HttpsConnector::from((Tcp(tcp), roots.config())), timeouts }
    }
}

impl Service<Uri> for Connector {
    type Response = Unblocked<MaybeHttpsStream<TokioIo<TcpStream>>>;
    type Error = NotConnected;
    type Future = Boxed<Self::Response, NotConnected>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, origin: Uri) -> Self::Future {
        let connecting = self.https.call(origin);
        let timeouts = self.timeouts;
        Box::pin(async move {
            match tokio::time::timeout(timeouts.connect, connecting).await {
                // By then every exchange that waits for this connection is over by its own time-out.
                Ok(Ok(stream)) => Ok(Unblocked::new(stream, timeouts.total.saturating_mul(2))),
                // What has no name yet does not come from `Tcp`, and all that is done besides is TLS.
                Ok(Err(cause)) => Err(match cause.downcast() {
                    Ok(named) => *named,
                    Err(cause) => NotConnected { failure: TransportFailure::TlsFailed, cause: Some(cause) },
                }),
                Err(_) => Err(NotConnected { failure: TransportFailure::ConnectTimedOut, cause: None }),
            }
        })
    }
}

/// Why there is no connection, and at which step.
#[derive(Debug)]
pub(super) struct NotConnected {
    pub(super) failure: TransportFailure,
    cause: Option<Cause>,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(formatter)
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// Name look-up and TCP.
#[derive(Clone)]
struct Tcp(HttpConnector<Lookup>);

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = NotConnected;
    type Future = Boxed<Self::Response, NotConnected>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, origin: Uri) -> Self::Future {
        let connecting = self.0.call(origin);
        Box::pin(async move {
            connecting.await.map_err(|cause| {
                let failure = tcp_failure(&cause);
                NotConnected { failure, cause: Some(cause.into()) }
            })
        })
    }
}

/// The connector's error type is private, but what it carries is ours or the system's.
fn tcp_failure(error: &(dyn Error + 'static)) -> TransportFailure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NotResolved>() {
            return TransportFailure::NameNotResolved;
        }
        // The system itself gives up on an address that does not answer.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return TransportFailure::ConnectTimedOut;
        }
        cause = error.source();
    }
    TransportFailure::ConnectFailed
}

/// How many look-ups may run at a time for one merchant. The system's look-up blocks a thread, cannot be stopped and may
/// take longer than any time-out of ours; without this bound, merchants with dead name servers would take all threads.
const MOST_LOOKUPS: usize = 4;

/// The system's name look-up.
#[derive(Clone)]
struct Lookup {
    running: Arc<Semaphore>,
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NotResolved;
    type Future = Boxed<Self::Response, NotResolved>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotResolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let running = Arc::clone(&self.running);
        Box::pin(async move {
            let permit =
                running.acquire_owned().await.map_err(|closed| NotResolved(io::Error::other(closed)))?;
            let looking_up = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                // Given back when the thread is free again, even if nobody waits for the answer any more.
                drop(permit);
                addresses
            });
            looking_up.await.map_err(io::Error::other).flatten().map_err(NotResolved)
        })
    }
}

/// The name has no address.
#[derive(Debug)]
struct NotResolved(io::Error);

impl fmt::Display for NotResolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name look-up failed")
    }
}

impl Error for NotResolved {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
