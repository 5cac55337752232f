//! Peers that do not answer, or not in HTTP: each way of it has its name.

use paynotify::domain::TransportFailure;
use paynotify::http::{Client, Reach, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::peer::{Peer, read_request, reset};
use crate::{SOON, client, failure, post, strangers};

async fn check(expected: TransportFailure, replies: &[&str]) {
    for reply in replies {
        // The client must not need to see the connection end.
        let peer = Peer::answering(*reply).await;
        let start = Instant::now();
        assert_eq!(failure(&client(), &peer.url("/")).await, expected, "{reply:?}");
        assert!(start.elapsed() < SOON, "{reply:?} was waited for");
    }
}

async fn check_closing(expected: TransportFailure, replies: &[&str]) {
    for reply in replies {
        let peer = Peer::closing_after(*reply).await;
        assert_eq!(failure(&client(), &peer.url("/")).await, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    drop(listener);
    assert_eq!(failure(&client(), &format!("http://{address}/")).await, TransportFailure::ConnectFailed);
    assert_eq!(failure(&client(), &format!("https://{address}/")).await, TransportFailure::ConnectFailed);
}

#[tokio::test]
async fn a_name_without_an_address() {
    // No name server is asked for a label this long (RFC 1035 section 2.3.4), so that this needs no network.
    let name = format!("{}.invalid", "x".repeat(64));
    assert_eq!(failure(&client(), &format!("http://{name}/")).await, TransportFailure::NameNotResolved);
}

#[tokio::test]
async fn what_is_no_http() {
    check(
        TransportFailure::InvalidResponse,
        &[
            "success\r\n",
            "SSH-2.0-OpenSSH_10.0\r\n",
            "\u{16}\u{3}\u{1}\0\0",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 99 Low\r\n\r\n",
            "HTTP/9.9 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ncontent-length: 8\r\n\r\nsuccess",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nsuccess",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nsuccess",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn header_sections_without_measure() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(64 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x:1\r\n".repeat(2000));
    let status = format!("HTTP/1.1 200 {}", "x".repeat(64 * 1024));
    check(TransportFailure::HeadersTooLarge, &[&long, &many, &status]).await;

    let peer = Peer::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.expect("the client is there");
        while stream.write_all(b"x: y\r\n").await.is_ok() {}
    })
    .await;
    let start = Instant::now();
    assert_eq!(failure(&client(), &peer.url("/")).await, TransportFailure::HeadersTooLarge);
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn as_many_header_fields_as_allowed() {
    let client =
        Client::new(&Settings { most_headers: 150, ..Settings::default() }, &strangers(), &Reach::anywhere());
    for (count, fits) in [(149, true), (150, false)] {
        let fields = "x:1\r\n".repeat(count);
        let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n")).await;
        let reply = client.send(post(&peer.url("/"))).await;
        let fitted = reply.map(|reply| reply.headers.len());
        assert_eq!(fitted, if fits { Ok(150) } else { Err(TransportFailure::HeadersTooLarge) });
    }
}

#[tokio::test]
async fn connections_closed_too_early() {
    check_closing(
        TransportFailure::ConnectionLost,
        &[
            "",
            "HTTP/1.1 2",
            "HTTP/1.1 200 OK\r\ncontent-len",
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsuccess",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nsuccess",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nsuccess\r\n0\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn connections_closed_at_once() {
    let peer = Peer::start(|_, stream| async move { drop(stream) }).await;
    assert_eq!(failure(&client(), &peer.url("/")).await, TransportFailure::ConnectionLost);
    let peer = Peer::start(|_, stream| async move { reset(stream) }).await;
    assert_eq!(failure(&client(), &peer.url("/")).await, TransportFailure::ConnectionLost);
}

#[tokio::test]
async fn resets() {
    for part in ["", "HTTP/1.1 200 OK\r\nx:", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsucc"] {
        let peer = Peer::start(move |_, mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(part.as_bytes()).await.expect("the client is there");
            reset(stream);
        })
        .await;
        assert_eq!(failure(&client(), &peer.url("/")).await, TransportFailure::ConnectionLost, "{part:?}");
    }
}
