//! The address guard on real connections: what a name server says is believed by nobody.
//!
//! No test leaves the machine. 127.0.0.2, which is allowed, has the part of a public address; 127.0.0.1 that of a place
//! where nobody may go.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use paynotify::domain::TransportFailure;
use paynotify::http::{Client, Reach, Resolve, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{failure, post, strangers, text};

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SECRET: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A name server that answers with one list after the other; the last one stays.
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Rebinding {
    fn new(answers: &[&[IpAddr]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(host, "shop.example");
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[number.min(self.answers.len() - 1)].clone())
    }
}

/// Two servers at the same port: a merchant's, and one that nobody is to find.
struct Place {
    merchant: TcpListener,
    secret: TcpListener,
    port: u16,
}

impl Place {
    async fn new() -> Self {
        loop {
            let merchant = TcpListener::bind((PUBLIC, 0)).await.expect("127.0.0.2 has a free port");
            let port = merchant.local_addr().expect("bound").port();
            if let Ok(secret) = TcpListener::bind((SECRET, port)).await {
                return Self { merchant, secret, port };
            }
        }
    }

    fn client(&self, names: Arc<Rebinding>) -> Client {
        let reach = Reach::guarded(["127.0.0.2".parse().expect("a subnet")], [self.port]);
        Client::with_resolver(&Settings::default(), &strangers(), &reach, names)
    }

    fn url(&self) -> String {
        format!("http://shop.example:{}/", self.port)
    }

    /// The merchant answers one request and closes.
    async fn serve_one(&self) {
        let (mut stream, _) = self.merchant.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.windows(9).any(|end| end == b"\r\n\r\nhello") {
            assert_ne!(stream.read_buf(&mut request).await.expect("read"), 0);
        }
        let reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\nsuccess";
        stream.write_all(reply).await.expect("written");
    }

    fn nobody_came_to_the_secret(&self) {
        assert!(self.secret.accept().now_or_never().is_none(), "somebody got through");
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_does_not_get_through() {
    let place = Place::new().await;
    let names = Rebinding::new(&[&[PUBLIC], &[SECRET]]);
    let client = place.client(Arc::clone(&names));
    let (reply, ()) = tokio::join!(client.send(post(&place.url())), place.serve_one());
    assert_eq!(text(&reply.expect("a reply")), (200, "success"));
    assert_eq!(names.asked(), 1, "what was checked is what was connected to: nobody asked once more");
    for times in 2..5 {
        assert_eq!(failure(&client, &place.url()).await, TransportFailure::AddressRefused);
        assert_eq!(names.asked(), times);
    }
    place.nobody_came_to_the_secret();
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_tried() {
    let place = Place::new().await;
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    let names = Rebinding::new(&[&[SECRET, mapped, PUBLIC, SECRET], &[mapped, SECRET], &[]]);
    let client = place.client(names);
    let (reply, ()) = tokio::join!(client.send(post(&place.url())), place.serve_one());
    assert_eq!(text(&reply.expect("a reply")), (200, "success"));
    assert_eq!(failure(&client, &place.url()).await, TransportFailure::AddressRefused);
    assert_eq!(failure(&client, &place.url()).await, TransportFailure::NameNotResolved);
    place.nobody_came_to_the_secret();
}

#[tokio::test]
async fn an_address_in_the_url_and_a_port_that_nobody_named_are_refused() {
    let place = Place::new().await;
    let client = place.client(Rebinding::new(&[&[PUBLIC]]));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/", place.port);
            assert_eq!(failure(&client, &url).await, TransportFailure::AddressRefused, "{url}");
        }
    }
    let reach = Reach::guarded(["127.0.0.0/8".parse().expect("a subnet")], []);
    let client = Client::new(&Settings::default(), &strangers(), &reach);
    for host in ["127.0.0.1", "127.0.0.2"] {
        let url = format!("http://{host}:{}/", place.port);
        assert_eq!(failure(&client, &url).await, TransportFailure::AddressRefused, "{url}");
    }
    place.nobody_came_to_the_secret();
    assert!(place.merchant.accept().now_or_never().is_none(), "its port was not named");
}
