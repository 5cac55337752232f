//! A merchant that does what a test's script says and remembers all it was sent.
//!
//! ```ignore
//! let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Refuse, Answer::Confirm])).await;
//! // … have something deliver to `merchant.url("/notify")` …
//! let received = merchant.wait_for(3, Duration::from_secs(10)).await;
//! ```
//!
//! It speaks HTTP/1.1 on a loopback port of its own, keeps connections alive, and ends with its value.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use paynotify::domain::Moment;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// What the merchant does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 with the body `success`.
    Confirm,
    /// 200 with the body `fail`.
    Refuse,
    /// That status, with an empty body.
    Status(u16),
    /// That status, header fields and body.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Never answers; the connection stays open.
    Hang,
    /// Answers so much later.
    After(Duration, Box<Answer>),
    /// Answers once that is true.
    Once(watch::Receiver<bool>, Box<Answer>),
    /// Resets the connection (RST) instead of answering.
    Reset,
}

/// A request as it came, and when.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: http::Method,
    /// Byte for byte as on the wire.
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When its last byte had come, for measuring how long something took.
    pub at: Instant,
    /// The same by the wall clock, for comparing with recorded moments.
    pub moment: Moment,
    /// Which of the merchant's connections it came over, counted from 0.
    pub connection: usize,
}

impl Received {
    /// The first value of a query field, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path_and_query.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// Decides what becomes of a request.
pub trait Script: FnMut(&Received) -> Answer + Send + 'static {}
impl<F: FnMut(&Received) -> Answer + Send + 'static> Script for F {}

/// The same answer to everything.
pub fn always(answer: Answer) -> impl Script {
    move |_: &Received| answer.clone()
}

/// One answer after the other to whatever comes; the last one for ever.
pub fn in_turn(answers: impl Into<Vec<Answer>>) -> impl Script {
    let mut turns = Turns::new(answers.into());
    move |_: &Received| turns.next()
}

/// To each order answers of its own, one after the other and the last one for ever. `order_of` finds the order in a
/// request; a request for an order that has no answers is confirmed.
pub fn by_order<O, A>(
    order_of: impl Fn(&Received) -> Option<String> + Send + 'static,
    answers: impl IntoIterator<Item = (O, A)>,
) -> impl Script
where
    O: Into<String>,
    A: Into<Vec<Answer>>,
{
    let mut turns: HashMap<String, Turns> =
        answers.into_iter().map(|(order, answers)| (order.into(), Turns::new(answers.into()))).collect();
    move |received: &Received| {
        order_of(received).and_then(|order| turns.get_mut(&order)).map_or(Answer::Confirm, Turns::next)
    }
}

struct Turns {
    answers: Vec<Answer>,
    next: usize,
}

impl Turns {
    fn new(answers: Vec<Answer>) -> Self {
        assert!(!answers.is_empty(), "a script has at least one answer");
        Self { answers, next: 0 }
    }

    fn next(&mut self) -> Answer {
        let answer = self.answers[self.next.min(self.answers.len() - 1)].clone();
        self.next += 1;
        answer
    }
}

/// See the module.
pub struct StubMerchant {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    server: JoinHandle<()>,
}

/// What all connections write down together.
struct Ledger {
    received: watch::Sender<Vec<Received>>,
    script: Mutex<Box<dyn Script>>,
    connections: AtomicUsize,
    /// Whether requests are remembered.
    remembers: bool,
}

impl StubMerchant {
    /// Starts on a free loopback port.
    pub async fn start(script: impl Script) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// The same, but it remembers nothing: for a script that keeps a record of its own of very many requests.
    pub async fn start_forgetful(script: impl Script) -> Self {
        Self::open(SocketAddr::from(([127, 0, 0, 1], 0)), script, false).await
    }

    /// Starts at a given address: for a merchant that was away and comes back.
    pub async fn start_at(address: SocketAddr, script: impl Script) -> Self {
        Self::open(address, script, true).await
    }

    async fn open(address: SocketAddr, script: impl Script, remembers: bool) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let ledger = Arc::new(Ledger {
            received: watch::Sender::new(Vec::new()),
            script: Mutex::new(Box::new(script)),
            connections: AtomicUsize::new(0),
            remembers,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&ledger)));
        Self { address, ledger, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An absolute URL at this merchant.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("http://{}{path_and_query}", self.address)
    }

    /// Everything received so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.ledger.received.borrow().clone()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.ledger.connections.load(Ordering::Relaxed)
    }

    /// Waits until at least so many requests have come, and gives all that have; fails the test after `within`.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Vec<Received> {
        self.wait_until(within, |received| received.len() >= count).await
    }

    /// Waits until what has come satisfies a condition; fails the test after `within`.
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let mut received = self.ledger.received.subscribe();
        let waited = tokio::time::timeout(within, received.wait_for(|received| condition(received))).await;
        match waited {
            Ok(received) => received.expect("the ledger lives as long as the merchant").clone(),
            Err(_) => panic!("within {within:?} the merchant received only {:#?}", self.requests()),
        }
    }

    /// Follows another script from the next request on.
    pub fn follow(&self, script: impl Script) {
        *self.ledger.script.lock().expect("no script panics") = Box::new(script);
    }
}

impl Drop for StubMerchant {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The connections' tasks are this task's own, so that they end with it.
async fn serve(listener: TcpListener, ledger: Arc<Ledger>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a loopback listener accepts");
        let number = ledger.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(converse(stream, number, Arc::clone(&ledger)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, number: usize, ledger: Arc<Ledger>) {
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request| {
            let (ledger, reset) = (Arc::clone(&ledger), Arc::clone(&reset));
            Box::pin(async move { ledger.answer(request, number, &reset).await }) as Answering
        })
    };
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A peer that goes away in the middle is the test's business, not an error of the merchant's.
        _ended = &mut connection => {}
        () = reset.notified() => {
            let stream = connection.into_parts().io.into_inner();
            stream.set_zero_linger().expect("an open socket takes the option");
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, hyper::Error>> + Send>>;

impl Ledger {
    async fn answer(
        &self,
        request: http::Request<Incoming>,
        connection: usize,
        reset: &Notify,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let received = Received {
            method: head.method,
            path_and_query: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: head.headers,
            body,
            at: Instant::now(),
            moment: now(),
            connection,
        };
        let mut answer = (self.script.lock().expect("no script panics"))(&received);
        if self.remembers {
            self.received.send_modify(|all| all.push(received));
        }
        loop {
            answer = match answer {
                Answer::After(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                Answer::Once(mut told, then) => {
                    told.wait_for(|told| *told).await.expect("the test goes on");
                    *then
                }
                at_once @ (Answer::Confirm
                | Answer::Refuse
                | Answer::Status(_)
                | Answer::Reply(..)
                | Answer::Hang
                | Answer::Reset) => {
                    answer = at_once;
                    break;
                }
            };
        }
        if matches!(answer, Answer::Reset) {
            reset.notify_one();
        }
        match response(answer) {
            Some(response) => Ok(response),
            None => std::future::pending().await,
        }
    }
}

fn response(answer: Answer) -> Option<Response<Full<Bytes>>> {
    let (status, headers, body) = match answer {
        Answer::Confirm => (200, Vec::new(), b"success".to_vec()),
        Answer::Refuse => (200, Vec::new(), b"fail".to_vec()),
        Answer::Status(status) => (status, Vec::new(), Vec::new()),
        Answer::Reply(status, headers, body) => (status, headers, body),
        Answer::Hang | Answer::After(..) | Answer::Once(..) | Answer::Reset => return None,
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a script names statuses that exist");
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value).expect("a script's header values are valid");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    Some(response)
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    Moment::from_unix_milliseconds(i64::try_from(since.as_millis()).expect("and before the year 292 million"))
}
