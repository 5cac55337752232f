//! Merchants behind a forward proxy: a small one of the tests' own that speaks CONNECT and remembers what it was asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use paynotify::domain::TransportFailure;
use paynotify::http::{Client, Proxy, Reach, Resolve, Settings, TlsRoots};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::peer::{Peer, read_request};
use crate::tls::{Authority, confirming};
use crate::{failure, post, strangers, text};

/// How the proxy treats whoever asks.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    Connects,
    /// Only those who show user and password.
    WantsCredentials,
    Answers(&'static [u8]),
    /// Never says a word.
    Hangs,
}

pub(crate) struct ProxyPeer {
    pub(crate) peer: Peer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ProxyPeer {
    pub(crate) async fn start(manner: Manner) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asked_of = Arc::clone(&asked);
        let peer = Peer::start(move |_, mut stream| {
            let asked = Arc::clone(&asked_of);
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let head = String::from_utf8(head).expect("text");
                asked.lock().expect("nobody panicked").push(head.clone());
                let answer: &[u8] = match manner {
                    Manner::Connects => b"",
                    // "me:p@ss word"
                    Manner::WantsCredentials
                        if head.contains("\r\nproxy-authorization: Basic bWU6cEBzcyB3b3Jk\r\n") =>
                    {
                        b""
                    }
                    Manner::WantsCredentials => b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                    Manner::Answers(bytes) => bytes,
                    Manner::Hangs => return crate::peer::hold(stream).await,
                };
                if !answer.is_empty() {
                    let _ = stream.write_all(answer).await;
                    return crate::peer::hold(stream).await;
                }
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
                let target: SocketAddr = target.expect("CONNECT").parse().expect("an address, and no name");
                match TcpStream::connect(target).await {
                    Ok(mut merchant) => {
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 me\r\n\r\n")
                            .await;
                        let _ = copy_bidirectional(&mut stream, &mut merchant).await;
                    }
                    Err(_) => {
                        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
                    }
                }
            }
        })
        .await;
        Self { peer, asked }
    }

    fn proxy(&self, user: &str) -> Proxy {
        let local = "127.0.0.1".parse().expect("a subnet");
        Proxy::new(&format!("http://{user}{}", self.peer.address), [local]).expect("a proxy")
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

/// A name server that knows one name, and says each time what it was told to say that time; the last for ever.
struct Names(Vec<Vec<IpAddr>>, Mutex<usize>);

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        assert_eq!(host, "shop.example");
        let mut asked = self.1.lock().expect("nobody panicked");
        let answer = self.0[(*asked).min(self.0.len() - 1)].clone();
        *asked += 1;
        Ok(answer)
    }
}

/// 127.0.0.2 has the part of a public address.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn client(proxy: Proxy, port: u16, roots: &TlsRoots, answers: &[&[IpAddr]]) -> Client {
    let reach = Reach::guarded(["127.0.0.2".parse().expect("a subnet")], [port]).through(Some(proxy));
    let names = Names(answers.iter().map(|answer| answer.to_vec()).collect(), Mutex::new(0));
    Client::with_resolver(&Settings::default(), roots, &reach, Arc::new(names))
}

async fn merchant() -> Peer {
    Peer::start_at(PUBLIC, |_, mut stream| async move {
        let request = read_request(&mut stream).await;
        let head = String::from_utf8_lossy(&request).into_owned();
        assert!(head.starts_with("POST /notify?a=%2f HTTP/1.1\r\n"), "the merchant sees no proxy: {head}");
        assert!(head.contains("\r\nhost: shop.example:") && !head.contains("proxy"), "{head}");
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nsuccess")
            .await;
    })
    .await
}

#[tokio::test]
async fn an_http_merchant_is_told_through_a_tunnel_to_the_address_that_was_checked() {
    let (proxy, merchant) = (ProxyPeer::start(Manner::Connects).await, merchant().await);
    let port = merchant.address.port();
    let client = client(proxy.proxy(""), port, &strangers(), &[&[IpAddr::V4(Ipv4Addr::LOCALHOST), PUBLIC]]);
    let url = format!("http://shop.example:{port}/notify?a=%2f");
    assert_eq!(text(&client.send(post(&url)).await.expect("a reply")), (200, "success"));
    assert_eq!(
        proxy.asked(),
        [format!("CONNECT 127.0.0.2:{port} HTTP/1.1\r\nhost: 127.0.0.2:{port}\r\n\r\n")]
    );
}

/// The certificate is for the name, which only the client and the merchant speak of.
#[tokio::test]
async fn an_https_merchant_is_known_by_its_name_through_the_tunnel() {
    let authority = Authority::new();
    let proxy = ProxyPeer::start(Manner::WantsCredentials).await;
    let merchant = confirming(PUBLIC, authority.server("shop.example", &[])).await;
    let port = merchant.address.port();
    let client = client(proxy.proxy("me:p%40ss%20word@"), port, &authority.roots(), &[&[PUBLIC]]);
    let url = format!("https://shop.example:{port}/notify?a=%2f");
    assert_eq!(text(&client.send(post(&url)).await.expect("a reply")), (200, "success"));
    let by_address = format!("https://127.0.0.2:{port}/notify?a=%2f");
    assert_eq!(failure(&client, &by_address).await, TransportFailure::TlsFailed, "not its name");
    let asked = proxy.asked();
    assert!(
        asked.len() == 2 && asked.iter().all(|head| head.starts_with(&format!("CONNECT 127.0.0.2:{port} ")))
    );
    assert!(asked.iter().all(|head| !head.contains("shop.example")), "{asked:?}");
}

#[tokio::test]
async fn a_name_that_is_bound_anew_does_not_get_through_a_proxy() {
    let (proxy, merchant) = (ProxyPeer::start(Manner::Connects).await, merchant().await);
    let port = merchant.address.port();
    let secret = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = client(proxy.proxy(""), port, &strangers(), &[&[PUBLIC], &[secret]]);
    let url = format!("http://shop.example:{port}/notify?a=%2f");
    client.send(post(&url)).await.expect("a reply");
    for url in [&*url, &format!("http://127.0.0.1:{port}/"), &format!("https://[::ffff:127.0.0.1]:{port}/")] {
        assert_eq!(failure(&client, url).await, TransportFailure::AddressRefused);
    }
    assert_eq!(proxy.asked().len(), 1, "the proxy was not even asked");
}

#[tokio::test]
async fn a_proxy_that_makes_no_connection_is_a_failure_by_name() {
    let nobody = Peer::start_at(PUBLIC, |_, stream| async move { drop(stream) }).await;
    let port = nobody.address.port();
    let url = format!("http://shop.example:{port}/");
    for (manner, expected) in [
        (Manner::WantsCredentials, TransportFailure::ProxyRefused),
        (
            Manner::Answers(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
            TransportFailure::ProxyRefused,
        ),
        (Manner::Answers(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), TransportFailure::ProxyRefused),
        (Manner::Answers(b"220 smtp.example\r\n\r\n"), TransportFailure::ProxyRefused),
        (Manner::Hangs, TransportFailure::ConnectTimedOut),
    ] {
        let proxy = ProxyPeer::start(manner).await;
        let client = client(proxy.proxy("me:wrong@"), port, &strangers(), &[&[PUBLIC]]);
        assert_eq!(failure(&client, &url).await, expected);
    }
    assert_eq!(nobody.connections(), 0);
    // A merchant behind it that is away; the next of its addresses is tried.
    let proxy = ProxyPeer::start(Manner::Connects).await;
    let merchant = merchant().await;
    let (port, url) =
        (merchant.address.port(), format!("http://shop.example:{}/notify?a=%2f", merchant.address.port()));
    let away = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
    let reach =
        Reach::guarded(["127.0.0.2/31".parse().expect("a subnet")], [port]).through(Some(proxy.proxy("")));
    let names = Arc::new(Names(vec![vec![away, PUBLIC]], Mutex::new(0)));
    let client = Client::with_resolver(&Settings::default(), &strangers(), &reach, names);
    assert_eq!(text(&client.send(post(&url)).await.expect("a reply")), (200, "success"));
    assert_eq!(proxy.asked().len(), 2);
    // The proxy itself is away.
    let gone = proxy.proxy("");
    drop(proxy);
    let client = self::client(gone, port, &strangers(), &[&[PUBLIC]]);
    crate::support::amqp::until("the proxy is gone", async || {
        failure(&client, &url).await == TransportFailure::ProxyRefused
    })
    .await;
}

/// A merchant may be told where the proxy is only if the merchant's own addresses say so; and the proxy may be only where it is allowed.
#[tokio::test]
async fn the_proxys_address_is_allowed_for_the_proxy_alone() {
    let proxy = ProxyPeer::start(Manner::Connects).await;
    let port = proxy.peer.address.port();
    let client = client(proxy.proxy(""), port, &strangers(), &[&[IpAddr::V4(Ipv4Addr::LOCALHOST)]]);
    let url = format!("http://shop.example:{port}/");
    assert_eq!(failure(&client, &url).await, TransportFailure::AddressRefused);
    assert!(proxy.asked().is_empty());
    // By a name, so that it turns out only when it is connected to.
    let refused = Proxy::new(&format!("http://shop.example:{port}"), []).expect("a proxy");
    let client = self::client(refused, port, &strangers(), &[&[PUBLIC]]);
    assert_eq!(failure(&client, &url).await, TransportFailure::AddressRefused);
    assert_eq!(proxy.peer.connections(), 0);
}
