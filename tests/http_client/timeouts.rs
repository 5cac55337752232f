//! Peers that take their time: which time-out ends it, and that it does.

use std::time::Duration;

use paynotify::domain::TransportFailure;
use paynotify::http::Timeouts;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::peer::{Peer, hold, read_request};
use crate::{SOON, failure, hasty_client};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// All time-outs long but those that are named.
const PATIENT: Timeouts = Timeouts { connect: LONG, first_byte: LONG, total: LONG };

async fn check(timeouts: Timeouts, url: &str, expected: TransportFailure) {
    let client = hasty_client(timeouts);
    let start = Instant::now();
    assert_eq!(failure(&client, url).await, expected, "{timeouts:?}");
    let elapsed = start.elapsed();
    assert!(elapsed >= SHORT, "given up after {elapsed:?}");
    assert!(elapsed < SHORT + SOON, "given up after {elapsed:?}");
}

/// Writes one byte after the other, for ever and slowly.
async fn drip(stream: &mut TcpStream, byte: &[u8]) {
    while stream.write_all(byte).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A listener that accepts nobody, and so many connections that the system takes no more for it.
async fn full_house() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has a free port");
    let listener = socket.listen(1).expect("a bound socket listens");
    let address = listener.local_addr().expect("a bound listener has an address");
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream.expect("taken into the queue"));
    }
    (listener, waiting)
}

#[tokio::test]
async fn a_connection_that_does_not_come_about() {
    let (listener, _waiting) = full_house().await;
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let expected = TransportFailure::ConnectTimedOut;
    check(Timeouts { connect: SHORT, ..PATIENT }, &url, expected).await;
    check(Timeouts { total: SHORT, ..PATIENT }, &url, expected).await;
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_about() {
    let peer = Peer::start(|_, stream| hold(stream)).await;
    let url = format!("https://{}/", peer.address);
    check(Timeouts { connect: SHORT, ..PATIENT }, &url, TransportFailure::ConnectTimedOut).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer() {
    let peer = Peer::answering("").await;
    let expected = TransportFailure::FirstByteTimedOut;
    check(Timeouts { first_byte: SHORT, ..PATIENT }, &peer.url("/"), expected).await;
    check(Timeouts { total: SHORT, ..PATIENT }, &peer.url("/"), expected).await;
}

#[tokio::test]
async fn a_peer_that_does_not_even_read() {
    let peer = Peer::start(|_, stream| async move {
        let _unread = stream;
        std::future::pending::<()>().await;
    })
    .await;
    check(Timeouts { total: SHORT, ..PATIENT }, &peer.url("/"), TransportFailure::FirstByteTimedOut).await;
}

#[tokio::test]
async fn interim_replies_without_end_are_no_answer() {
    let peer = Peer::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        drip(&mut stream, b"HTTP/1.1 102 Processing\r\n\r\n").await;
    })
    .await;
    let timeouts = Timeouts { first_byte: SHORT, ..PATIENT };
    check(timeouts, &peer.url("/"), TransportFailure::FirstByteTimedOut).await;
}

#[tokio::test]
async fn a_header_section_drop_by_drop() {
    let peer = Peer::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.expect("the client is there");
        drip(&mut stream, b"y").await;
    })
    .await;
    let timeouts = Timeouts { first_byte: SHORT, ..PATIENT };
    check(timeouts, &peer.url("/"), TransportFailure::FirstByteTimedOut).await;
}

#[tokio::test]
async fn a_body_drop_by_drop() {
    let peer = Peer::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.expect("the client is there");
        drip(&mut stream, b"y").await;
    })
    .await;
    let timeouts = Timeouts { total: SHORT, ..PATIENT };
    check(timeouts, &peer.url("/"), TransportFailure::TotalTimedOut).await;
}

#[tokio::test]
async fn a_body_that_is_promised_and_does_not_come() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsuccess").await;
    let timeouts = Timeouts { total: SHORT, first_byte: LONG, connect: LONG };
    check(timeouts, &peer.url("/"), TransportFailure::TotalTimedOut).await;
}
