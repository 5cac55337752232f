//! Exchanges that end with a reply: what is on the wire, what comes back, and which connection is used.

use std::time::Duration;

use paynotify::domain::TransportFailure;
use paynotify::http::{Client, Reach, Settings, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::peer::{Peer, hold, read_request};
use crate::support::merchant::{Answer, StubMerchant, always, by_order, in_turn};
use crate::{SOON, client, failure, post, request, strangers, text};

const SUCCESS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsuccess";
const FAIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfail";

/// An exchange can be part of a task that moves between threads: checked by the compiler.
fn sendable<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn a_merchant_that_confirms() {
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let client = client();
    let url = merchant.url("/notify?order=A%2fB+1");
    let first = sendable(client.send(post(&url))).await.expect("a reply");
    assert_eq!(text(&first), (200, "fail"));
    let second = client.send(post(&url)).await.expect("a reply");
    assert_eq!(text(&second), (200, "success"));
    assert!(!second.truncated);

    let received = merchant.wait_for(2, SOON).await;
    assert_eq!(received[1].path_and_query, "/notify?order=A%2fB+1");
    assert_eq!(received[1].query("order").as_deref(), Some("A/B 1"));
    assert_eq!(received[1].body, "hello");
    assert_eq!(received[1].method, "POST");
    assert!(received[0].at <= received[1].at && received[0].moment <= received[1].moment);
    assert_eq!(merchant.connections(), 1, "the second request goes over the connection of the first");
}

#[tokio::test]
async fn a_scripted_merchant_answers_order_by_order() {
    let script = by_order(
        |received| received.query("order"),
        [("a", vec![Answer::Status(503), Answer::Confirm]), ("b", vec![Answer::Reset])],
    );
    let merchant = StubMerchant::start(script).await;
    let client = client();
    let (a, b) = (merchant.url("/?order=a"), merchant.url("/?order=b"));
    assert_eq!(text(&client.send(post(&a)).await.expect("a reply")), (503, ""));
    assert_eq!(failure(&client, &b).await, TransportFailure::ConnectionLost);
    assert_eq!(text(&client.send(post(&a)).await.expect("a reply")), (200, "success"));
    assert_eq!(merchant.requests().len(), 3);

    merchant.follow(always(Answer::After(
        Duration::from_millis(1),
        Box::new(Answer::Reply(418, vec![("x-tea", "yes".into())], b"short".to_vec())),
    )));
    let reply = client.send(post(&a)).await.expect("a reply");
    assert_eq!((text(&reply), reply.headers["x-tea"].as_bytes()), ((418, "short"), b"yes".as_slice()));
}

/// Sends one request to a peer that notes down its bytes.
async fn on_the_wire(method: &str, path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> (String, String) {
    let (seen, mut bytes) = mpsc::channel(1);
    let peer = Peer::start(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await).await.expect("the test listens");
            stream.write_all(SUCCESS.as_bytes()).await.expect("the client is there");
            hold(stream).await;
        }
    })
    .await;
    client().send(request(method, &peer.url(path), headers, body)).await.expect("a reply");
    let bytes = bytes.recv().await.expect("a request came");
    (bytes.iter().map(|byte| char::from(*byte)).collect(), peer.address.to_string())
}

#[tokio::test]
async fn a_request_is_on_the_wire_to_the_byte() {
    let (bytes, host) = on_the_wire(
        "POST",
        "/a//b/../c/%2F%zz?x=1&x=%20+'{}|^&&=?/",
        &[("X-B", b"2"), ("x-a", b"\xe4 \t 1"), ("X-b", b"3"), ("content-type", b"text/plain")],
        b"\0\r\n\xff",
    )
    .await;
    assert_eq!(
        bytes,
        format!(
            "POST /a//b/../c/%2F%zz?x=1&x=%20+'{{}}|^&&=?/ HTTP/1.1\r\n\
             x-b: 2\r\nx-b: 3\r\nx-a: \u{e4} \t 1\r\ncontent-type: text/plain\r\n\
             user-agent: paynotify/{}\r\nhost: {host}\r\ncontent-length: 4\r\n\r\n\0\r\n\u{ff}",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[tokio::test]
async fn a_plugin_may_introduce_itself() {
    let (bytes, host) = on_the_wire("GET", "/", &[("User-Agent", b"shop/1")], b"").await;
    assert_eq!(bytes, format!("GET / HTTP/1.1\r\nuser-agent: shop/1\r\nhost: {host}\r\n\r\n"));
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let (bytes, _) = on_the_wire("POST", "/?only=query", &[], b"").await;
    assert!(bytes.starts_with("POST /?only=query HTTP/1.1\r\n"), "{bytes}");
    assert!(bytes.contains("\r\ncontent-length: 0\r\n"), "{bytes}");
}

#[tokio::test]
async fn a_redirect_is_a_reply() {
    let elsewhere = StubMerchant::start(always(Answer::Confirm)).await;
    let location = elsewhere.url("/moved");
    for status in [301, 302, 303, 307, 308] {
        let redirect = Answer::Reply(status, vec![("location", location.clone())], b"success".to_vec());
        let merchant = StubMerchant::start(always(redirect)).await;
        let reply = client().send(post(&merchant.url("/"))).await.expect("a reply");
        assert_eq!(text(&reply), (status, "success"));
        assert_eq!(reply.headers["location"], location);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn nothing_is_unpacked_or_remembered() {
    let headers = vec![("content-encoding", "gzip".to_owned()), ("set-cookie", "a=b".to_owned())];
    let merchant = StubMerchant::start(always(Answer::Reply(200, headers, b"success".to_vec()))).await;
    let client = client();
    for _ in 0..2 {
        let reply = client.send(post(&merchant.url("/"))).await.expect("a reply");
        assert_eq!(text(&reply), (200, "success"));
    }
    let received = merchant.wait_for(2, SOON).await;
    assert!(!received[1].headers.contains_key("cookie"));
    assert!(!received[1].headers.contains_key("accept-encoding"));
}

#[tokio::test]
async fn interim_replies_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let peer = Peer::answering(format!("{interim}{SUCCESS}")).await;
    let reply = client().send(post(&peer.url("/"))).await.expect("a reply");
    assert_eq!(text(&reply), (200, "success"));
    assert!(!reply.headers.contains_key("link"));
}

#[tokio::test]
async fn old_and_chunked_replies_are_read() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nsuc\r\n4\r\ncess\r\n0\r\nx: y\r\n\r\n";
    for reply in
        ["HTTP/1.0 200 OK\r\n\r\nsuccess", "HTTP/1.1 200\r\nconnection: close\r\n\r\nsuccess", chunked]
    {
        let peer = Peer::closing_after(reply).await;
        let reply = client().send(post(&peer.url("/"))).await.expect("a reply");
        assert_eq!(text(&reply), (200, "success"));
    }
}

const EARLY_REPLY: &[u8] = b"HTTP/1.1 413 Too Much\r\ncontent-length: 0\r\n\r\n";

/// A peer that reads a little of each request, then writes, and then does nothing until it is dropped.
async fn reading_no_further_than(bytes: &'static [u8]) -> Peer {
    Peer::start(move |_, mut stream| async move {
        let mut some = [0; 100];
        stream.read_exact(&mut some).await.expect("a request begins");
        stream.write_all(bytes).await.expect("the client is there");
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_reply_before_the_request_is_all_sent_counts() {
    let peer = reading_no_further_than(EARLY_REPLY).await;
    let timeouts = Timeouts { total: Duration::from_secs(1), ..Timeouts::default() };
    let client = Client::new(&Settings { timeouts, ..Settings::default() }, &strangers(), &Reach::anywhere());
    let long = vec![b'x'; 32 * 1024 * 1024];
    let reply = client.send(request("POST", &peer.url("/"), &[], &long)).await.expect("a reply");
    assert_eq!(text(&reply), (413, ""));
    until_only_the_peer_is_left().await;
}

#[tokio::test]
async fn a_request_that_is_never_read_is_given_up() {
    let peer = reading_no_further_than(b"").await;
    let timeouts = Timeouts { total: Duration::from_secs(1), ..Timeouts::default() };
    let client = Client::new(&Settings { timeouts, ..Settings::default() }, &strangers(), &Reach::anywhere());
    let long = vec![b'x'; 32 * 1024 * 1024];
    let failed = client.send(request("POST", &peer.url("/"), &[], &long)).await.map(|_| ());
    assert_eq!(failed, Err(TransportFailure::FirstByteTimedOut));
    until_only_the_peer_is_left().await;
}

#[tokio::test]
async fn a_client_that_is_dropped_leaves_nothing_behind() {
    let peer = reading_no_further_than(EARLY_REPLY).await;
    let client = client();
    let long = vec![b'x'; 32 * 1024 * 1024];
    client.send(request("POST", &peer.url("/"), &[], &long)).await.expect("a reply");
    // The rest of the request would be waited for much longer than the test waits.
    drop(client);
    until_only_the_peer_is_left().await;
}

/// The peer has a task for its listener and one for its connection. There is no event for "a task has ended".
async fn until_only_the_peer_is_left() {
    let tasks = tokio::runtime::Handle::current().metrics();
    let ended = async {
        while tasks.num_alive_tasks() > 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(SOON, ended).await;
    waited.unwrap_or_else(|_| panic!("{} tasks are left", tasks.num_alive_tasks()));
}

#[tokio::test]
async fn a_body_of_just_the_longest_length_is_whole() {
    let client =
        Client::new(&Settings { longest_reply: 7, ..Settings::default() }, &strangers(), &Reach::anywhere());
    for (body, kept, truncated) in
        [("", "", false), ("success", "success", false), ("success!", "success", true)]
    {
        let merchant =
            StubMerchant::start(always(Answer::Reply(200, vec![], body.as_bytes().to_vec()))).await;
        let reply = client.send(post(&merchant.url("/"))).await.expect("a reply");
        assert_eq!((text(&reply), reply.truncated), ((200, kept), truncated));
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_at_once_and_its_sender_stopped() {
    let (stopped, mut was_stopped) = mpsc::channel(1);
    let peer = Peer::start(move |_, mut stream| {
        let stopped = stopped.clone();
        async move {
            read_request(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.expect("the client is there");
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
            stopped.send(()).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let start = Instant::now();
    let reply = client.send(post(&peer.url("/"))).await.expect("a reply");
    assert!(start.elapsed() < SOON);
    assert_eq!((reply.body.len(), reply.truncated), (64 * 1024, true));
    timeout(SOON, was_stopped.recv()).await.expect("the connection is closed, not read on").expect("said so");
}

#[tokio::test]
async fn a_connection_that_the_peer_has_closed_is_not_used_again() {
    let (closed, mut was_closed) = mpsc::channel(1);
    let peer = Peer::start(move |number, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(SUCCESS.as_bytes()).await.expect("the client is there");
            if number == 0 {
                stream.shutdown().await.expect("the client is there");
                assert!(read_request(&mut stream).await.is_empty(), "the client closes its side too");
                closed.send(()).await.expect("the test listens");
            }
            hold(stream).await;
        }
    })
    .await;
    let client = client();
    for connections in [1, 2] {
        let reply = client.send(post(&peer.url("/"))).await.expect("a reply");
        assert_eq!((text(&reply), peer.connections()), ((200, "success"), connections));
        if connections == 1 {
            timeout(SOON, was_closed.recv()).await.expect("the client notices").expect("said so");
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_received_is_not_sent_twice() {
    let (seen, mut bytes) = mpsc::channel(10);
    let peer = Peer::start(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await).await.expect("the test listens");
            stream.write_all(SUCCESS.as_bytes()).await.expect("the client is there");
            // The second request is read to its end, and the connection closed without an answer.
            seen.send(read_request(&mut stream).await).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    client.send(post(&peer.url("/1"))).await.expect("a reply");
    assert_eq!(failure(&client, &peer.url("/2")).await, TransportFailure::ConnectionLost);
    assert!(bytes.recv().await.expect("came").starts_with(b"POST /1 "));
    assert!(bytes.recv().await.expect("came").starts_with(b"POST /2 "));
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_answers_nothing() {
    // A second reply sent along with the first must not be taken for the answer to the next request.
    let peer = Peer::start(|number, mut stream| async move {
        read_request(&mut stream).await;
        let reply = if number == 0 { format!("{FAIL}{SUCCESS}") } else { FAIL.to_owned() };
        stream.write_all(reply.as_bytes()).await.expect("the client is there");
        hold(stream).await;
    })
    .await;
    let client = client();
    for connections in [1, 2] {
        let reply = client.send(post(&peer.url("/"))).await.expect("a reply");
        assert_eq!((text(&reply), peer.connections()), ((200, "fail"), connections));
    }
}

#[tokio::test]
async fn connections_end_with_their_exchange_or_their_client() {
    let (closed, mut was_closed) = mpsc::channel(1);
    let peer = Peer::start(move |number, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            if number == 1 {
                stream.write_all(SUCCESS.as_bytes()).await.expect("the client is there");
            }
            closed.send(()).await.expect("the test listens");
            hold(stream).await;
            closed.send(()).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let mut event = async || timeout(SOON, was_closed.recv()).await.expect("in time").expect("said so");

    let exchange = client.send(post(&peer.url("/")));
    tokio::select! {
        _ = exchange => panic!("the peer does not answer"),
        () = event() => {} // The request has come, and the future is dropped.
    }
    event().await;

    client.send(post(&peer.url("/"))).await.expect("a reply");
    event().await;
    drop(client);
    event().await;
}

#[tokio::test]
async fn one_merchants_hanging_connections_are_nobody_elses() {
    let hanging = StubMerchant::start(always(Answer::Hang)).await;
    let healthy = StubMerchant::start(always(Answer::Confirm)).await;
    let (slow, quick) = (client(), client());
    let waiting = async {
        let url = hanging.url("/");
        futures_util::future::join_all((0..50).map(|_| slow.send(post(&url)))).await;
    };
    let served = async {
        hanging.wait_for(50, SOON).await;
        let start = Instant::now();
        for _ in 0..20 {
            quick.send(post(&healthy.url("/"))).await.expect("a reply");
        }
        start.elapsed()
    };
    tokio::select! {
        () = waiting => panic!("the hanging merchant was to hang"),
        elapsed = served => assert!(elapsed < SOON, "{elapsed:?}"),
    }
    assert_eq!((hanging.connections(), healthy.connections()), (50, 1));
}

#[tokio::test]
async fn no_more_connections_are_kept_idle_than_allowed() {
    let client = Client::new(
        &Settings { idle_connections: 2, ..Settings::default() },
        &strangers(),
        &Reach::anywhere(),
    );
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let url = merchant.url("/");
    for _ in 0..2 {
        for reply in futures_util::future::join_all((0..10).map(|_| client.send(post(&url)))).await {
            reply.expect("a reply");
        }
    }
    let received = merchant.wait_for(20, SOON).await;
    let mut reused: Vec<_> = received[10..].iter().map(|received| received.connection).collect();
    reused.retain(|connection| received[..10].iter().any(|earlier| earlier.connection == *connection));
    assert!(!reused.is_empty() && merchant.connections() > 10, "{reused:?} of {}", merchant.connections());
}
