//! The proxy that other tests trust to break a network for them.

#![allow(missing_docs)]

mod support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::proxy::{Cut, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Longer than anything undelayed takes.
const A_WHILE: Duration = Duration::from_millis(300);

/// One connection through a proxy, held at both ends.
struct Line {
    proxy: Proxy,
    near: TcpStream,
    far: TcpStream,
    listener: TcpListener,
}

impl Line {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let proxy = Proxy::start(listener.local_addr().expect("bound")).await;
        let near = TcpStream::connect(proxy.address()).await.expect("connected");
        let (far, _) = listener.accept().await.expect("carried on");
        Self { proxy, near, far, listener }
    }

    async fn passes_both_ways(&mut self) {
        pass(&mut self.near, &mut self.far).await;
        pass(&mut self.far, &mut self.near).await;
    }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"word").await.expect("written");
    let mut word = [0; 4];
    to.read_exact(&mut word).await.expect("it comes");
    assert_eq!(&word, b"word");
}

/// What ends a stream, within a second: `None` for an orderly end.
async fn end_of(stream: &mut TcpStream) -> Option<ErrorKind> {
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(1), stream.read_to_end(&mut rest)).await.expect("it ends");
    assert_eq!(rest, b"", "nothing more comes");
    read.err().map(|error| error.kind())
}

#[tokio::test]
async fn what_goes_in_comes_out_on_the_other_side_and_an_end_is_passed_on() {
    let Line { proxy, near, far, listener: _listener } = Line::new().await;
    let sent: Vec<u8> =
        (0..1_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[2]).collect();
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let write = async {
        near_out.write_all(&sent).await.expect("written");
        near_out.shutdown().await.expect("ended");
    };
    let mut received = Vec::new();
    let (_, read) = tokio::join!(write, far_in.read_to_end(&mut received));
    read.expect("an orderly end");
    assert!(received == sent, "byte for byte");
    // The way back is still open.
    far_out.write_all(b"bye").await.expect("written");
    far_out.shutdown().await.expect("ended");
    let mut answer = Vec::new();
    near_in.read_to_end(&mut answer).await.expect("an orderly end");
    assert_eq!(
        (answer.as_slice(), proxy.url("amqp://me@host:1/%2f")),
        (&b"bye"[..], format!("amqp://me@{}/%2f", proxy.address()))
    );
}

#[tokio::test]
async fn a_cut_ends_both_sides_as_it_was_asked_to() {
    for (cut, seen) in [(Cut::Reset, Some(ErrorKind::ConnectionReset)), (Cut::Close, None)] {
        let mut line = Line::new().await;
        line.passes_both_ways().await;
        assert_eq!(line.proxy.connections(), 1);
        line.proxy.cut(cut);
        assert_eq!(end_of(&mut line.near).await, seen, "{cut:?}");
        assert_eq!(end_of(&mut line.far).await, seen, "{cut:?}");
        // A connection that comes later is no longer concerned.
        let near = TcpStream::connect(line.proxy.address()).await.expect("connected");
        let (far, _) = line.listener.accept().await.expect("carried on");
        Line { near, far, ..line }.passes_both_ways().await;
    }
}

#[tokio::test]
async fn new_connections_are_refused_while_old_ones_go_on() {
    let mut line = Line::new().await;
    for _ in 0..3 {
        line.proxy.refuse().await;
        let refused = TcpStream::connect(line.proxy.address()).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        line.passes_both_ways().await;
        line.proxy.accept().await;
        TcpStream::connect(line.proxy.address()).await.expect("connected");
        line.listener.accept().await.expect("carried on");
    }
}

#[tokio::test]
async fn a_black_hole_swallows_nothing_for_good() {
    let mut line = Line::new().await;
    line.passes_both_ways().await;
    line.proxy.black_hole();
    line.near.write_all(b"held").await.expect("written");
    let mut new = TcpStream::connect(line.proxy.address()).await.expect("taken all the same");
    new.write_all(b"new").await.expect("written");
    assert!(timeout(A_WHILE, line.far.read_u8()).await.is_err(), "nothing comes through");
    line.proxy.release();
    let mut held = [0; 4];
    line.far.read_exact(&mut held).await.expect("it comes");
    assert_eq!(&held, b"held");
    let (mut far, _) = line.listener.accept().await.expect("carried on");
    let mut word = [0; 3];
    far.read_exact(&mut word).await.expect("it comes");
    assert_eq!(&word, b"new");
    // And one that is cut in the dark never arrives.
    line.proxy.black_hole();
    line.near.write_all(b"lost").await.expect("written");
    line.proxy.cut(Cut::Reset);
    assert_eq!(end_of(&mut line.far).await, Some(ErrorKind::ConnectionReset));
    line.proxy.release();
}

#[tokio::test]
async fn each_way_has_a_delay_of_its_own_and_it_does_not_add_up() {
    let mut line = Line::new().await;
    line.proxy.delay(A_WHILE, Duration::ZERO);
    let began = Instant::now();
    for _ in 0..20 {
        line.near.write_all(b"word").await.expect("written");
        tokio::task::yield_now().await;
    }
    let mut words = [0; 80];
    line.far.read_exact(&mut words).await.expect("it comes");
    let there = began.elapsed();
    pass(&mut line.far, &mut line.near).await;
    let back = began.elapsed() - there;
    assert!(there >= A_WHILE && there < A_WHILE * 3, "{there:?}");
    assert!(back < A_WHILE, "{back:?}");
}

#[tokio::test]
async fn a_throttled_line_is_slow() {
    let mut line = Line::new().await;
    line.proxy.throttle(Some(20_000));
    let began = Instant::now();
    line.near.write_all(&[7; 10_000]).await.expect("written");
    let mut all = vec![0; 10_000];
    line.far.read_exact(&mut all).await.expect("it comes");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(SocketAddr::from(([127, 0, 0, 1], line.proxy.address().port())), line.proxy.address());
}
