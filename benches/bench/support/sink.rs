//! The merchants: an HTTP server on a port of its own that does what a point's script says.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::process::processor_time;

/// What is done with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What the path's plugin takes for a confirmation: `success`, or `ok` below `/acme`.
    Confirm,
    /// 200 with the body `fail`, which no plugin takes for one.
    Refuse,
    /// Nothing, for ever.
    Hang,
}

/// Sees each request's path and query, and decides.
pub(crate) trait Script: Fn(&str) -> Answer + Send + Sync + 'static {}
impl<F: Fn(&str) -> Answer + Send + Sync + 'static> Script for F {}

/// It and its connections end with its value.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl Sink {
    /// On a free port.
    pub(crate) fn start(script: impl Script) -> Result<Self> {
        Place::new()?.open(script)
    }

    /// An absolute URL at it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Where a sink is to be. Nobody else can have the port, and until it is opened connections are refused.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    socket: TcpSocket,
}

impl Place {
    /// On a free port.
    pub(crate) fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// From now on there is somebody.
    pub(crate) fn open(self, script: impl Script) -> Result<Sink> {
        let listener = self.socket.listen(4_096)?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(script)));
        Ok(Sink { address: self.address, _server: server })
    }
}

/// The number at the end of the id in a request of the plugin `plain`.
pub(crate) fn number(path_and_query: &str) -> Option<usize> {
    id(path_and_query)?.rsplit('-').next()?.parse().ok()
}

/// The id in a request of the plugin `plain`.
pub(crate) fn id(path_and_query: &str) -> Option<&str> {
    path_and_query.split_once("notify_id=")?.1.split('&').next()
}

async fn serve(listener: TcpListener, script: Arc<impl Script>) {
    let mut connections = JoinSet::new();
    // An error of accepting is that of a client that has gone already.
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(converse(stream, Arc::clone(&script)));
        }
        while connections.try_join_next().is_some() {}
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, hyper::Error>> + Send>>;

async fn converse(stream: TcpStream, script: Arc<impl Script>) {
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let script = Arc::clone(&script);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            body.collect().await?;
            let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
            let body: &[u8] = match script(path) {
                Answer::Confirm if path.starts_with("/acme") => b"ok",
                Answer::Confirm => b"success",
                Answer::Refuse => b"fail",
                Answer::Hang => std::future::pending().await,
            };
            Ok(Response::new(Full::from(body)))
        }) as Answering
    });
    // A gateway that goes away in the middle is no error here.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// Counts what is confirmed, with what a process has worked when the first and when the last came: start-up and shutdown
/// are not in it.
#[derive(Default)]
pub(crate) struct Laps {
    heard: AtomicUsize,
    target: AtomicUsize,
    process: AtomicUsize,
    ends: watch::Sender<Ends>,
}

#[derive(Clone, Default)]
struct Ends {
    first: Option<Mark>,
    last: Option<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    worked: Duration,
}

/// What a lap has shown.
#[derive(Clone, Copy)]
pub(crate) struct Lap {
    pub(crate) per_second: f64,
    /// Microseconds of processors for each notification.
    pub(crate) processor: f64,
    /// When the last came.
    pub(crate) end: Instant,
}

impl Laps {
    /// The script that confirms and counts.
    pub(crate) fn script(self: &Arc<Self>) -> impl Script {
        let laps = Arc::clone(self);
        move |_: &str| {
            laps.hear();
            Answer::Confirm
        }
    }

    /// Counts one.
    pub(crate) fn hear(&self) {
        let heard = self.heard.fetch_add(1, Ordering::AcqRel) + 1;
        let is_last = heard == self.target.load(Ordering::Acquire);
        if heard == 1 || is_last {
            let process = u32::try_from(self.process.load(Ordering::Acquire)).unwrap_or_default();
            let mark = Some(Mark { at: Instant::now(), worked: processor_time(process).unwrap_or_default() });
            self.ends.send_modify(|ends| {
                if heard == 1 {
                    ends.first = mark;
                }
                if is_last {
                    ends.last = mark;
                }
            });
        }
    }

    /// Begins anew: so many are to come. The process can be named a moment later, before the first comes.
    pub(crate) fn expect(&self, count: usize) {
        self.ends.send_replace(Ends::default());
        self.target.store(count, Ordering::Release);
        self.heard.store(0, Ordering::Release);
    }

    /// Whose processor time is taken.
    pub(crate) fn watch(&self, process: u32) {
        self.process.store(usize::try_from(process).unwrap_or_default(), Ordering::Release);
    }

    /// How many have come.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::Acquire)
    }

    /// Waits until the last has come.
    pub(crate) async fn lap(&self, longest: Duration) -> Result<Lap> {
        let count = self.target.load(Ordering::Acquire);
        let mut ends = self.ends.subscribe();
        let ended = tokio::time::timeout(longest, ends.wait_for(|ends| ends.last.is_some())).await;
        let Ok(ended) = ended else {
            anyhow::bail!("after {longest:?} the sink had heard {} of {count}", self.heard());
        };
        let Ends { first, last } = ended.context("the sink has ended")?.clone();
        let (first, last) = (first.context("no first")?, last.context("no last")?);
        // The first is where the time begins, and is not among what was done in it.
        let done = count.saturating_sub(1).max(1) as f64;
        Ok(Lap {
            per_second: done / (last.at - first.at).as_secs_f64(),
            processor: (last.worked.saturating_sub(first.worked)).as_secs_f64() * 1e6 / done,
            end: last.at,
        })
    }
}
