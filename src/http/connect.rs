//! Getting a connection: name look-up, address guard, TCP, if need be a proxy's tunnel, TLS, within one time-out and with one named failure for each.
//!
//! The libraries' own errors do not say by type which of the steps failed. So each step is wrapped on its own, and
//! an error gets its name where it is known what was being done.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address_guard::Reach;
use super::proxy::Proxy;
use super::resolve::Resolve;
use super::{Timeouts, TlsRoots};
use crate::domain::TransportFailure;
use crate::unblocked::Unblocked;

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
    pub(super) fn new(roots: &TlsRoots, timeouts: Timeouts, reach: Reach, names: Arc<dyn Resolve>) -> Self {
        Self { https: HttpsConnector::from((Tcp { reach, names }, roots.config())), timeouts }
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

impl<T: Connection> Connection for Unblocked<T> {
    fn connected(&self) -> Connected {
        self.inner().connected()
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

/// Name look-up, the address guard, and TCP, straight or through a proxy's tunnel.
///
/// The look-up is done here and once: what it said is checked, and exactly the addresses that passed are handed to the
/// library, which looks nothing up by itself. So a name whose address changes between the look and the connection gains nothing.
#[derive(Clone)]
struct Tcp {
    reach: Reach,
    names: Arc<dyn Resolve>,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = NotConnected;
    type Future = Boxed<Self::Response, NotConnected>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, origin: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let host = origin.host().unwrap_or_default();
            let port =
                origin.port_u16().unwrap_or(if origin.scheme_str() == Some("http") { 80 } else { 443 });
            let addresses = this.checked_addresses(&this.reach, host, port).await?;
            match this.reach.proxy() {
                None => connect(addresses).await,
                Some(proxy) => this.tunnel(proxy, &addresses).await,
            }
        })
    }
}

/// To so many of a merchant's addresses a tunnel is asked for, one after the other.
const MOST_TUNNELS: usize = 4;

impl Tcp {
    /// A connection to the first of the addresses that the proxy connects to.
    async fn tunnel(
        &self,
        proxy: &Proxy,
        addresses: &[SocketAddr],
    ) -> Result<TokioIo<TcpStream>, NotConnected> {
        let of_proxy = |error: NotConnected| {
            if [TransportFailure::AddressRefused, TransportFailure::ConnectTimedOut].contains(&error.failure)
            {
                return error;
            }
            let cause = format!("the proxy cannot be reached ({})", error.failure.name());
            not_connected(TransportFailure::ProxyRefused, cause)
        };
        let places =
            self.checked_addresses(proxy.reach(), proxy.host(), proxy.port()).await.map_err(of_proxy)?;
        let mut refusal = NotConnected { failure: TransportFailure::ProxyRefused, cause: None };
        for address in addresses.iter().take(MOST_TUNNELS) {
            let stream = connect(places.clone()).await.map_err(of_proxy)?;
            match proxy.tunnel(stream.into_inner(), *address).await {
                Ok(stream) => return Ok(TokioIo::new(stream)),
                Err(error) => refusal = not_connected(TransportFailure::ProxyRefused, error),
            }
        }
        Err(refusal)
    }

    /// Those of a host's addresses that may be connected to; at least one.
    async fn checked_addresses(
        &self,
        reach: &Reach,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, NotConnected> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self
                .names
                .resolve(host)
                .await
                .map_err(|cause| not_connected(TransportFailure::NameNotResolved, cause))?,
        };
        let mut refusal = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            let address = SocketAddr::new(address, port);
            match reach.check(address) {
                Ok(()) => allowed.push(address),
                Err(reason) => refusal = Some(reason),
            }
        }
        match (allowed.is_empty(), refusal) {
            (false, _) => Ok(allowed),
            (true, Some(refusal)) => Err(not_connected(TransportFailure::AddressRefused, refusal)),
            (true, None) => Err(NotConnected { failure: TransportFailure::NameNotResolved, cause: None }),
        }
    }
}

/// Connects to the first that answers; of two families both are tried, a little apart (RFC 8305).
async fn connect(addresses: Vec<SocketAddr>) -> Result<TokioIo<TcpStream>, NotConnected> {
    // The library takes literal addresses without asking, so it is given a name that is nobody's.
    let port = addresses.first().map_or(0, SocketAddr::port);
    let uri = format!("http://checked.invalid:{port}")
        .parse()
        .map_err(|cause: http::uri::InvalidUri| not_connected(TransportFailure::ConnectFailed, cause))?;
    let mut tcp = HttpConnector::new_with_resolver(Checked(addresses));
    tcp.set_nodelay(true);
    tcp.call(uri).await.map_err(|cause| {
        let failure = tcp_failure(&cause);
        not_connected(failure, cause)
    })
}

fn not_connected(failure: TransportFailure, cause: impl Into<Cause>) -> NotConnected {
    NotConnected { failure, cause: Some(cause.into()) }
}

/// The connector's error type is private, but what it carries is the system's.
fn tcp_failure(error: &(dyn Error + 'static)) -> TransportFailure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // The system itself gives up on an address that does not answer.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return TransportFailure::ConnectTimedOut;
        }
        cause = error.source();
    }
    TransportFailure::ConnectFailed
}

/// Answers each question of the library's with what was checked.
#[derive(Clone)]
struct Checked(Vec<SocketAddr>);

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}
