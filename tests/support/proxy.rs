//! A network between two programs that a test can break: a TCP proxy on a loopback port of its own.
//!
//! ```ignore
//! let proxy = Proxy::start(broker).await;
//! // … have something connect to `proxy.address()` …
//! proxy.black_hole();      // all connections hang, old and new
//! proxy.release();         // … and go on, nothing missing
//! proxy.cut(Cut::Reset);   // all are gone
//! proxy.refuse().await;    // … and no new one comes about
//! ```
//!
//! Rule: bytes are held, slowed or cut off, never altered, dropped or reordered: TCP would not either.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// How a connection is ended, towards both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By a RST: what was on its way is gone, and the other side is told.
    Reset,
    /// By a FIN, as a program does that ends in order, between any two bytes.
    Close,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// What holds for all connections just now.
#[derive(Clone, Copy, Debug)]
struct Weather {
    refuses: bool,
    is_black_hole: bool,
    delay_there: Duration,
    delay_back: Duration,
    bytes_per_second: Option<u32>,
    /// How often all connections were cut, and how the last time.
    cuts: u64,
    cut: Cut,
}

/// See the module. Ends with its value, and all its connections with it.
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: watch::Receiver<bool>,
    taken: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    server: JoinHandle<()>,
    /// Bound and never listening, it keeps the port ours while connections are refused.
    _keeps_the_port: TcpSocket,
}

impl Proxy {
    /// Starts on a free loopback port, carrying everything to this address.
    pub async fn start(target: SocketAddr) -> Self {
        let weather = watch::Sender::new(Weather {
            refuses: false,
            is_black_hole: false,
            delay_there: Duration::ZERO,
            delay_back: Duration::ZERO,
            bytes_per_second: None,
            cuts: 0,
            cut: Cut::Reset,
        });
        let keeps_the_port = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = keeps_the_port.local_addr().expect("a bound socket has an address");
        let (now_listening, listening) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let taken = Arc::new(AtomicUsize::new(0));
        let server = Server {
            address,
            target,
            weather: weather.subscribe(),
            taken: taken.clone(),
            open: open.clone(),
        };
        let server = tokio::spawn(server.run(now_listening));
        let proxy =
            Self { address, weather, listening, taken, open, server, _keeps_the_port: keeps_the_port };
        proxy.until_listening(true).await;
        proxy
    }

    /// In front of the RabbitMQ that this URL names.
    pub async fn before(amqp_url: &str) -> Self {
        let url = url::Url::parse(amqp_url).expect("a URL");
        let port = url.port().expect("a URL with a port");
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// That URL, by way of this proxy.
    pub fn url(&self, amqp_url: &str) -> String {
        let mut url = url::Url::parse(amqp_url).expect("a URL");
        url.set_ip_host(self.address.ip()).expect("an AMQP URL has a host");
        url.set_port(Some(self.address.port())).expect("an AMQP URL has a port");
        url.to_string()
    }

    /// How many connections it has taken so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many connections are open just now.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Cuts all connections that are open now.
    pub fn cut(&self, how: Cut) {
        self.weather.send_modify(|weather| {
            weather.cuts += 1;
            weather.cut = how;
        });
    }

    /// Refuses new connections from now on; old ones stay.
    pub async fn refuse(&self) {
        self.weather.send_modify(|weather| weather.refuses = true);
        self.until_listening(false).await;
    }

    /// Ends a [`Proxy::refuse`].
    pub async fn accept(&self) {
        self.weather.send_modify(|weather| weather.refuses = false);
        self.until_listening(true).await;
    }

    /// From now on what is read takes so much longer, there and back.
    pub fn delay(&self, there: Duration, back: Duration) {
        self.weather.send_modify(|weather| {
            weather.delay_there = there;
            weather.delay_back = back;
        });
    }

    /// Nothing gets through any more, and nobody is told: connections stay open, new ones are taken, nothing is read
    /// and nothing forwarded.
    pub fn black_hole(&self) {
        self.weather.send_modify(|weather| weather.is_black_hole = true);
    }

    /// Ends a [`Proxy::black_hole`]: what has waited goes on its way, unless its connection was cut meanwhile.
    pub fn release(&self) {
        self.weather.send_modify(|weather| weather.is_black_hole = false);
    }

    /// At most so many bytes a second on each connection and way; `None` for as many as there are.
    pub fn throttle(&self, bytes_per_second: Option<u32>) {
        self.weather.send_modify(|weather| weather.bytes_per_second = bytes_per_second);
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listening = self.listening.clone();
        listening.wait_for(|listening| *listening == wanted).await.expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The port can be listened on, left and listened on again, because every socket that is bound to it allows that.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket takes the option");
    socket.bind(address).expect("the address is free");
    socket
}

struct Server {
    address: SocketAddr,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    taken: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// The connections' tasks are this task's own, so that they end with it.
    async fn run(mut self, listening: watch::Sender<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let listener = socket(self.address).listen(128).expect("the port is ours");
            listening.send_replace(true);
            self.take(&listener, &mut connections).await;
            drop(listener);
            listening.send_replace(false);
            if self.weather.wait_for(|weather| !weather.refuses).await.is_err() {
                return;
            }
        }
    }

    /// Takes connections until they are to be refused.
    async fn take(&self, listener: &TcpListener, connections: &mut JoinSet<()>) {
        let mut weather = self.weather.clone();
        loop {
            tokio::select! {
                _ = weather.wait_for(|weather| weather.refuses) => return,
                accepted = listener.accept() => {
                    let (client, _) = accepted.expect("a loopback listener accepts");
                    self.taken.fetch_add(1, Ordering::Relaxed);
                    let open = Open::one_more(&self.open);
                    let (target, weather) = (self.target, self.weather.clone());
                    connections.spawn(async move {
                        carry(client, target, weather).await;
                        drop(open);
                    });
                    while connections.try_join_next().is_some() {}
                }
            }
        }
    }
}

/// One connection counts as open for as long as this lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries one connection until both sides have ended it, one has broken it, or it is cut.
async fn carry(mut client: TcpStream, target: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let born = weather.borrow().cuts;
    let carried = weather.clone();
    let mut far = None;
    let ending = tokio::select! {
        cut = weather.wait_for(|weather| weather.cuts > born) => cut.map_or(Cut::Close, |weather| weather.cut),
        broken = converse(&mut client, target, &mut far, carried) => {
            // Two orderly ends have been passed on; anything else is passed on as what it was.
            if broken.is_ok() { Cut::Close } else { Cut::Reset }
        }
    };
    for mut stream in std::iter::once(client).chain(far) {
        // It may be gone by now, and then there is nothing to end.
        let _ = match ending {
            Cut::Reset => stream.set_zero_linger(),
            Cut::Close => stream.shutdown().await,
        };
    }
}

async fn converse(
    client: &mut TcpStream,
    target: SocketAddr,
    far: &mut Option<TcpStream>,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    passable(&mut weather).await;
    let far = far.insert(TcpStream::connect(target).await?);
    for stream in [&*client, &*far] {
        stream.set_nodelay(true)?;
    }
    let (client_in, client_out) = client.split();
    let (far_in, far_out) = far.split();
    let there = pump(client_in, far_out, Way::There, weather.clone());
    let back = pump(far_in, client_out, Way::Back, weather.clone());
    tokio::try_join!(there, back).map(drop)
}

/// Carries bytes one way until that way is ended by whom they come from.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: Way,
    weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    // So much is on its way at once at most: what is slow here is felt where it comes from.
    let (sender, receiver) = mpsc::channel(256);
    tokio::try_join!(read(from, sender, way, weather.clone()), write(to, receiver, weather)).map(drop)
}

async fn read(
    mut from: ReadHalf<'_>,
    on_its_way: mpsc::Sender<(Instant, Bytes)>,
    way: Way,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    loop {
        passable(&mut weather).await;
        let mut chunk = BytesMut::with_capacity(16 * 1024);
        if from.read_buf(&mut chunk).await? == 0 {
            return Ok(());
        }
        let delay = match way {
            Way::There => weather.borrow().delay_there,
            Way::Back => weather.borrow().delay_back,
        };
        if on_its_way.send((Instant::now() + delay, chunk.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut on_its_way: mpsc::Receiver<(Instant, Bytes)>,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    while let Some((due, chunk)) = on_its_way.recv().await {
        tokio::time::sleep_until(due).await;
        let pace = weather.borrow().bytes_per_second;
        if let Some(bytes_per_second) = pace {
            let length = u32::try_from(chunk.len()).expect("a chunk is short");
            tokio::time::sleep(Duration::from_secs(1) * length / bytes_per_second.max(1)).await;
        }
        passable(&mut weather).await;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

/// Waits while everything is held.
async fn passable(weather: &mut watch::Receiver<Weather>) {
    // Without its proxy, a connection is about to be aborted.
    let _ = weather.wait_for(|weather| !weather.is_black_hole).await;
}
