//! One merchant's client: its connections, and one exchange over them.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{self, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::TokioTimer;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::address_guard::Reach;
use super::connect::Connector;
use super::opened::Opened;
use super::resolve::{Resolve, SystemNames};
use super::{Settings, TlsRoots, failure};
use crate::domain::{Reply, Request, TransportFailure};

/// How a request introduces itself unless the plugin has it introduce itself otherwise.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("paynotify/", env!("CARGO_PKG_VERSION")));

/// hyper refuses a smaller one.
const SHORTEST_HEADER_SECTION: usize = 8 * 1024;

/// The smallest window that HTTP/2 knows of (RFC 9113 section 6.9.2).
const SMALLEST_WINDOW: u32 = 65_535;

/// How much may come in over one HTTP/2 connection, for all its replies together, before it is read.
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The client of one merchant. Requests may be sent over it side by side; dropping it closes all its connections.
pub struct Client {
    settings: Settings,
    pool: legacy::Client<Connector, Full<Bytes>>,
    /// Only held for its end.
    _connections: Arc<Connections>,
}

impl Client {
    /// A client without a connection yet, whose connections go no further than `reach`. Cheap: no task, no socket, no copy of
    /// the trusted authorities.
    #[must_use]
    pub fn new(settings: &Settings, roots: &TlsRoots, reach: &Reach) -> Self {
        Self::with_resolver(settings, roots, reach, Arc::new(SystemNames::new()))
    }

    /// The same, with another name look-up than the system's.
    #[must_use]
    pub fn with_resolver(
        settings: &Settings,
        roots: &TlsRoots,
        reach: &Reach,
        names: Arc<dyn Resolve>,
    ) -> Self {
        let connections = Arc::new(Connections::default());
        let settings = Settings {
            longest_header_section: settings.longest_header_section.max(SHORTEST_HEADER_SECTION),
            ..*settings
        };
        let header_list = u32::try_from(settings.longest_header_section).unwrap_or(u32::MAX);
        let stream_window = u32::try_from(settings.longest_reply)
            .unwrap_or(HTTP2_CONNECTION_WINDOW)
            .clamp(SMALLEST_WINDOW, HTTP2_CONNECTION_WINDOW);
        let pool = legacy::Client::builder(Driver(Arc::downgrade(&connections)))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_connections)
            .http1_max_buf_size(settings.longest_header_section)
            .http1_max_headers(settings.most_headers)
            .http2_max_header_list_size(header_list)
            .http2_initial_stream_window_size(stream_window)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            // When the peer closes an idle connection just as a request is handed to it, the request is taken back and
            // put on another. hyper hands it back only when not one byte of it was written; one that may have been
            // received, even in part, fails and is not repeated here.
            .retry_canceled_requests(true)
            .build(Connector::new(roots, settings.timeouts, reach.clone(), names));
        Self { settings, pool, _connections: connections }
    }

    /// Sends a request and takes in the reply: its status, header section and body up to the bound. Interim replies (1xx)
    /// are passed over. When the body is longer than the bound, the reply is complete with what there is, marked as
    /// truncated, and its connection is closed (over HTTP/2, its stream).
    ///
    /// Dropping the future ends the exchange and its connection; the merchant may have received the request all the
    /// same.
    ///
    /// # Errors
    /// The one reason why there is no reply. It always means: try again.
    pub async fn send(&self, request: Request) -> Result<Reply, TransportFailure> {
        let authority = request.uri.authority().cloned();
        let result = self.exchange(outgoing(request)).await;
        result.map_err(|failed| {
            // The path and query stay out of the log: they may hold what is the merchant's alone.
            let authority = authority.as_ref().map(tracing::field::display);
            let (failure, cause) = (failed.failure.name(), failed.cause);
            if failed.failure == TransportFailure::AddressRefused {
                // Somebody's configuration is wrong, or somebody is trying something: an operator is to know which address.
                tracing::warn!(merchant_authority = authority, failure, cause, "no connection is made");
            } else if failed.failure == TransportFailure::ProxyRefused {
                // That is between us and the proxy: the operator's affair, not the merchant's.
                tracing::warn!(
                    merchant_authority = authority,
                    failure,
                    cause,
                    "the proxy made no connection"
                );
            } else {
                tracing::debug!(merchant_authority = authority, failure, cause, "no reply");
            }
            failed.failure
        })
    }

    /// Sends a request and takes in the head of its reply, within the bound of the whole exchange; the body is taken piece by
    /// piece then, for as long as it goes on. For commands that listen: no merchant's reply is taken so.
    ///
    /// # Errors
    /// The one reason why there is no reply.
    pub async fn open(&self, request: Request) -> Result<Opened, TransportFailure> {
        let end = later(Instant::now(), self.settings.timeouts.total);
        let response = timeout_at(end, self.pool.request(outgoing(request))).await;
        let response = response.map_err(|_| TransportFailure::TotalTimedOut)?;
        let (head, body) = response.map_err(|error| failure::of(&error))?.into_parts();
        Ok(Opened { status: head.status, body })
    }

    async fn exchange(&self, mut request: http::Request<Full<Bytes>>) -> Result<Reply, Failed> {
        let timeouts = self.settings.timeouts;
        let start = Instant::now();
        let end = later(start, timeouts.total);

        let mut connection = capture_connection(&mut request);
        let mut response = self.pool.request(request);
        let connected = async {
            tokio::select! {
                biased;
                early = &mut response => Some(early),
                () = async { connection.wait_for_connection_metadata().await; } => None,
            }
        };
        let connected = timeout_at(end.min(later(start, timeouts.connect)), connected)
            .await
            .map_err(|_| TransportFailure::ConnectTimedOut)?;
        // Over HTTP/1.1 the connection ends with the exchange. One of HTTP/2 would be used again, and if its other end has
        // vanished, for every request to this merchant until the system gives it up, many minutes later.
        let silent = |failure: TransportFailure| {
            connection.connection_metadata().as_ref().inspect(|connection| connection.poison());
            Failed::from(failure)
        };
        let response = match connected {
            Some(early) => early,
            None => timeout_at(end.min(later(Instant::now(), timeouts.first_byte)), response)
                .await
                .map_err(|_| silent(TransportFailure::FirstByteTimedOut))?,
        }?;
        timeout_at(end, self.read(response)).await.map_err(|_| silent(TransportFailure::TotalTimedOut))?
    }

    async fn read(&self, response: http::Response<Incoming>) -> Result<Reply, Failed> {
        let (head, mut incoming) = response.into_parts();
        if head.headers.len() > self.settings.most_headers {
            return Err(TransportFailure::HeadersTooLarge.into());
        }
        let longest = self.settings.longest_reply;
        let mut body = BytesMut::new();
        let mut truncated = false;
        while let Some(frame) = incoming.frame().await {
            // Frames are data or trailers, and trailers say nothing that a plugin could judge.
            let Ok(data) = frame?.into_data() else { continue };
            truncated = data.len() > longest - body.len();
            body.extend_from_slice(&data[..data.len().min(longest - body.len())]);
            if truncated {
                break;
            }
        }
        Ok(Reply { status: head.status, headers: head.headers, body: body.freeze(), truncated })
    }
}

/// The request as hyper takes it. `host`, and `content-length` where there is a body, are hyper's to add.
fn outgoing(request: Request) -> http::Request<Full<Bytes>> {
    let Request { method, uri, mut headers, body } = request;
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    // A method that is used with a body says so when there is none (RFC 9110 section 8.6); there are servers that answer
    // 411 otherwise, and over HTTP/1.1 hyper leaves it out.
    if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut outgoing = http::Request::new(Full::new(body));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    outgoing
}

/// A moment that no clock can hold counts as one that nobody will see.
fn later(moment: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    moment + by.min(YEAR)
}

/// A failure with what the libraries say about it, for the log.
struct Failed {
    failure: TransportFailure,
    cause: Option<String>,
}

impl From<TransportFailure> for Failed {
    fn from(failure: TransportFailure) -> Self {
        Self { failure, cause: None }
    }
}

impl From<legacy::Error> for Failed {
    fn from(error: legacy::Error) -> Self {
        Self { failure: failure::of(&error), cause: Some(chain(&error)) }
    }
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        Self { failure: failure::of(&error), cause: Some(chain(&error)) }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The tasks that drive a client's connections. They end with it.
#[derive(Default)]
struct Connections(Mutex<Vec<AbortHandle>>);

impl Drop for Connections {
    fn drop(&mut self) {
        for task in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// Where hyper puts those tasks. A weak reference, because some of them hold the executor themselves.
#[derive(Clone)]
struct Driver(Weak<Connections>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Driver {
    fn execute(&self, future: F) {
        // Without a client or a runtime there is nothing left to drive, and dropping the future closes its connection.
        let (Some(connections), Ok(runtime)) = (self.0.upgrade(), Handle::try_current()) else { return };
        // Outside the lock: a runtime that is ending drops the future here and now, and that may bring us here again.
        let task = runtime.spawn(future).abort_handle();
        let mut tasks = connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}
