//! Peers that send too much, too slowly or nothing at all.

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Gateway, Store};
use crate::{ask, client};

async fn started(api: &str) -> Gateway {
    let mut gateway = Gateway::with_api(Store::Embedded, api, "");
    gateway.start();
    gateway.ready().await;
    gateway
}

async fn connected(gateway: &Gateway) -> TcpStream {
    let address = gateway.api();
    let address = address.strip_prefix("http://").expect("plain");
    TcpStream::connect(address).await.expect("it listens")
}

/// Sends this and no more; everything that comes until the gateway closes.
async fn answer_to(gateway: &Gateway, sent: &[u8]) -> String {
    let mut stream = connected(gateway).await;
    stream.write_all(sent).await.expect("sent");
    let mut answer = Vec::new();
    // Where the gateway closes with something unread, the system says so by a reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_too_slow_is_cut_off() {
    let mut gateway = started(
        "longest_body_bytes = 2000\nlongest_headers_bytes = 8192\nmost_headers = 20\nheaders_timeout = \"1s\"\n\
         request_timeout = \"1s\"",
    )
    .await;
    // Larger by little: what is far larger might be cut off before the answer is read.
    let long = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(8_300));
    assert!(answer_to(&gateway, long.as_bytes()).await.starts_with("HTTP/1.1 431"), "a long header section");
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(30));
    assert!(answer_to(&gateway, many.as_bytes()).await.starts_with("HTTP/1.1 431"), "many header fields");
    assert_eq!(answer_to(&gateway, b"").await, "", "a connection that says nothing is closed");
    let half = answer_to(&gateway, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n").await;
    assert!(!half.contains("200"), "a header section that does not end: {half}");
    let body = b"POST /v1/notifications HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    let slow = answer_to(&gateway, body).await;
    assert!(
        slow.starts_with("HTTP/1.1 408") && slow.contains("problem+json"),
        "a body that does not come: {slow}"
    );
    let client = client();
    let url = format!("{}/v1/notifications", gateway.api());
    let reply = ask(&client, (Method::POST, url), None, "x".repeat(2_001)).await.expect("an answer");
    assert_eq!(reply.status, 413);
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let mut gateway = Gateway::with_api(Store::Embedded, "connections = 2\nheaders_timeout = \"1h\"", "");
    gateway.start();
    let idle = [connected(&gateway).await, connected(&gateway).await];
    let mut third = connected(&gateway).await;
    third
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    let early = std::time::Duration::from_millis(300);
    let early = tokio::time::timeout(early, third.read_buf(&mut answer)).await;
    assert!(early.is_err(), "it was served beside two others");
    drop(idle);
    third.read_to_end(&mut answer).await.expect("an answer");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tokens_all_together_are_bound() {
    let mut gateway = started("requests_per_second = 2").await;
    let client = client();
    let url = format!("{}/v1/plugins", gateway.api());
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        let reply = ask(&client, (Method::GET, url.clone()), None, "").await.expect("an answer");
        statuses.push(reply.status.as_u16());
        assert!(statuses.len() < 10_000, "never refused");
    }
    assert!(statuses.starts_with(&[200, 200]), "{statuses:?}");
    let health = ask(&client, (Method::GET, format!("{}/healthz", gateway.api())), None, "").await;
    assert_eq!(health.expect("an answer").status, 200, "whoever asks whether it lives is not bound");
    assert!(gateway.stop().success());
}
