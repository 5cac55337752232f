//! https: whom the client believes, and HTTP/2.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use paynotify::domain::TransportFailure;
use paynotify::http::{Client, Identity, InvalidIdentity, InvalidRoots, Reach, Settings, Timeouts, TlsRoots};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::peer::{Peer, read_request};
use crate::{client, failure, post, strangers, text};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type Reply = Response<BoxBody<Bytes, std::convert::Infallible>>;

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn roots(&self) -> TlsRoots {
        TlsRoots::private(self.pem().as_bytes()).expect("a certificate")
    }

    /// A server's settings with a certificate for a name or address.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let anyone = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider's own")
            .with_no_client_auth();
        self.certified(anyone, name, protocols)
    }

    /// The same, but the server talks only to clients that have a certificate of the same authority.
    pub(crate) fn server_for_the_certified(&self, name: &str) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let certified = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has it")
            .with_client_cert_verifier(verifier.build().expect("a verifier"));
        self.certified(certified, name, &[])
    }

    /// A certificate of this authority's, and its key, PEM.
    pub(crate) fn certificate_and_key(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(["gateway.example".to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn certified(
        &self,
        builder: ConfigBuilder<ServerConfig, WantsServerCert>,
        name: &str,
        protocols: &[&str],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let mut config = builder
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().expect("a private key"),
            )
            .expect("key and certificate fit");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A peer that shakes hands, reads one request of HTTP/1.1 and confirms it.
pub(crate) async fn confirming(address: IpAddr, tls: TlsAcceptor) -> Peer {
    Peer::start_at(address, move |_, stream| {
        let tls = tls.clone();
        async move {
            // Where one does not believe the other, the handshake fails on this side too. What was said of that is to arrive.
            let mut stream = match tls.accept(stream).into_fallible().await {
                Ok(stream) => stream,
                Err((_, stream)) => return crate::peer::hold(stream).await,
            };
            read_request(&mut stream).await;
            let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsuccess";
            stream.write_all(reply).await.expect("the client is there");
            stream.shutdown().await.expect("the client is there");
        }
    })
    .await
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}/notify?a=%2f")
}

#[tokio::test]
async fn a_private_authority_is_believed_when_it_is_named() {
    let authority = Authority::new();
    let peer = confirming(LOCAL, authority.server("127.0.0.1", &[])).await;
    let both = strangers().and_private(authority.pem().as_bytes()).expect("a certificate");
    for roots in [authority.roots(), both] {
        let client = Client::new(&Settings::default(), &roots, &Reach::anywhere());
        assert_eq!(text(&client.send(post(&https(peer.address))).await.expect("a reply")), (200, "success"));
    }
}

#[tokio::test]
async fn a_stranger_is_not_believed() {
    let peer = confirming(LOCAL, Authority::new().server("127.0.0.1", &[])).await;
    let system = TlsRoots::system().expect("this system trusts somebody");
    for roots in [strangers(), system] {
        let client = Client::new(&Settings::default(), &roots, &Reach::anywhere());
        assert_eq!(failure(&client, &https(peer.address)).await, TransportFailure::TlsFailed);
    }
}

#[tokio::test]
async fn another_name_is_not_believed() {
    let authority = Authority::new();
    let peer = confirming(LOCAL, authority.server("shop.example", &[])).await;
    let client = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());
    assert_eq!(failure(&client, &https(peer.address)).await, TransportFailure::TlsFailed);
}

#[tokio::test]
async fn a_peer_that_does_not_believe_us() {
    // With TLS 1.3 that is learnt only when the reply is awaited.
    let authority = Authority::new();
    let tls = authority.server_for_the_certified("127.0.0.1");
    let peer = Peer::start(move |_, stream| {
        let tls = tls.clone();
        async move {
            let Err((_, stream)) = tls.accept(stream).into_fallible().await else { panic!("not certified") };
            crate::peer::hold(stream).await;
        }
    })
    .await;
    let client = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());
    assert_eq!(failure(&client, &https(peer.address)).await, TransportFailure::TlsFailed);
}

#[tokio::test]
async fn a_peer_that_wants_to_know_who_we_are() {
    let authority = Authority::new();
    let peer = confirming(LOCAL, authority.server_for_the_certified("127.0.0.1")).await;
    let url = https(peer.address);
    let known = |of: &Authority| {
        let (certificate, key) = of.certificate_and_key();
        let identity = Identity::new(&certificate, &key).expect("they fit");
        let roots = authority.roots().with_identity(&identity).expect("usable");
        Client::new(&Settings::default(), &roots, &Reach::anywhere())
    };
    assert_eq!(text(&known(&authority).send(post(&url)).await.expect("a reply")), (200, "success"));
    assert_eq!(failure(&known(&Authority::new()), &url).await, TransportFailure::TlsFailed, "another's");
    let nobody = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());
    assert_eq!(failure(&nobody, &url).await, TransportFailure::TlsFailed, "no certificate");
}

#[test]
fn who_we_are_is_checked_before_anybody_asks() {
    let authority = Authority::new();
    let ((certificate, key), (_, other)) = (authority.certificate_and_key(), authority.certificate_and_key());
    let identity = Identity::new(&certificate, &key).expect("they fit");
    assert_eq!(identity, Identity::new(&certificate, &key).expect("they fit"));
    assert_eq!(format!("{identity:?}"), "Identity(***)");
    let roots = authority.roots();
    assert_ne!(roots, roots.with_identity(&identity).expect("usable"), "connections are not shared");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, part) in [
        ("", &*key, "no `BEGIN CERTIFICATE`"),
        (&*key, &*key, "no `BEGIN CERTIFICATE`"),
        (&*certificate, "", "no private key"),
        (&*certificate, "hunter2", "no private key"),
        (&*certificate, encrypted, "not encrypted"),
        (&*certificate, &*other, "not the key of that certificate"),
    ] {
        let error = Identity::new(certificate, key).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(matches!(error, InvalidIdentity::Certificate(_)), part.contains("CERTIFICATE"));
    }
}

#[tokio::test]
async fn what_is_no_tls() {
    let plain = Peer::start(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        crate::peer::hold(stream).await;
    })
    .await;
    assert_eq!(failure(&client(), &https(plain.address)).await, TransportFailure::TlsFailed);
    let closing = Peer::start(|_, stream| async move { drop(stream) }).await;
    assert_eq!(failure(&client(), &https(closing.address)).await, TransportFailure::TlsFailed);
}

#[test]
fn authorities_that_cannot_be_read_are_refused() {
    let private = |text: &str| TlsRoots::private(text.as_bytes()).expect_err("refused");
    assert!(matches!(private(""), InvalidRoots::Empty));
    assert!(matches!(private("success"), InvalidRoots::Empty));
    assert!(matches!(
        private("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        InvalidRoots::Pem(_)
    ));
    assert!(matches!(
        private("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        InvalidRoots::Certificate(_)
    ));
}

/// A peer that answers every request over HTTP/2.
async fn http2(tls: TlsAcceptor, answer: fn(Request<Incoming>) -> Reply) -> Peer {
    Peer::start(move |_, stream| {
        let tls = tls.clone();
        async move {
            let stream = tls.accept(stream).await.expect("the client believes it");
            let service = service_fn(move |request| async move {
                assert_eq!(request.version(), Version::HTTP_2);
                Ok::<_, std::convert::Infallible>(answer(request))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // The client may hang up as it likes.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

fn confirmed() -> Reply {
    Response::new(Full::from("success").boxed())
}

#[tokio::test]
async fn http_2_where_the_peer_can() {
    let authority = Authority::new();
    let peer = http2(authority.server("127.0.0.1", &["h2", "http/1.1"]), |request| {
        assert_eq!(request.uri().path_and_query().expect("there is one"), "/notify?a=%2f");
        assert!(!request.headers().contains_key("host"), "`:authority` says it");
        confirmed()
    })
    .await;
    let client = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());
    let url = https(peer.address);
    client.send(post(&url)).await.expect("a reply");
    for reply in futures_util::future::join_all((0..20).map(|_| client.send(post(&url)))).await {
        assert_eq!(text(&reply.expect("a reply")), (200, "success"));
    }
    assert_eq!(peer.connections(), 1, "all over one connection");
}

#[tokio::test]
async fn an_http_2_connection_gone_silent_is_not_used_again() {
    let authority = Authority::new();
    let tls = authority.server("127.0.0.1", &["h2"]);
    let freeze = Arc::new(Notify::new());
    let frozen = Arc::clone(&freeze);
    let peer = Peer::start(move |number, stream| {
        let (tls, frozen) = (tls.clone(), Arc::clone(&frozen));
        async move {
            let stream = tls.accept(stream).await.expect("the client believes it");
            let service = service_fn(async |_| Ok::<_, std::convert::Infallible>(confirmed()));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                biased;
                // The connection stays open, and nobody attends to it any more.
                () = frozen.notified(), if number == 0 => std::future::pending().await,
                _ = &mut serving => {}
            }
        }
    })
    .await;
    let timeouts = Timeouts { first_byte: Duration::from_secs(1), ..Timeouts::default() };
    let client =
        Client::new(&Settings { timeouts, ..Settings::default() }, &authority.roots(), &Reach::anywhere());
    let url = https(peer.address);
    client.send(post(&url)).await.expect("a reply");
    freeze.notify_one();
    assert_eq!(failure(&client, &url).await, TransportFailure::FirstByteTimedOut);
    assert_eq!(peer.connections(), 1);
    client.send(post(&url)).await.expect("a reply");
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn http_2_without_measure() {
    let authority = Authority::new();
    let client = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());

    let endless = http2(authority.server("127.0.0.1", &["h2"]), |_| {
        let frames = std::iter::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b'x'; 10_000]))));
        Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))))
    })
    .await;
    let reply = client.send(post(&https(endless.address))).await.expect("a reply");
    assert_eq!((reply.body.len(), reply.truncated), (64 * 1024, true));

    let large = http2(authority.server("127.0.0.1", &["h2"]), |_| {
        let mut reply = confirmed();
        reply.headers_mut().insert("x", "x".repeat(20_000).parse().expect("a value"));
        reply
    })
    .await;
    // Named like any other breach of the protocol: see `src/http/failure.rs`.
    assert_eq!(failure(&client, &https(large.address)).await, TransportFailure::InvalidResponse);

    let many = http2(authority.server("127.0.0.1", &["h2"]), |_| {
        let mut reply = confirmed();
        for _ in 0..200 {
            reply.headers_mut().append("x", "y".parse().expect("a value"));
        }
        reply
    })
    .await;
    assert_eq!(failure(&client, &https(many.address)).await, TransportFailure::HeadersTooLarge);
}

#[tokio::test]
async fn http_2_that_is_none() {
    let authority = Authority::new();
    let client = Client::new(&Settings::default(), &authority.roots(), &Reach::anywhere());
    for (reply, expected) in [
        (b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), TransportFailure::InvalidResponse),
        (b"", TransportFailure::ConnectionLost),
    ] {
        let tls = authority.server("127.0.0.1", &["h2"]);
        let peer = Peer::start(move |_, stream| {
            let tls = tls.clone();
            async move {
                let mut stream = tls.accept(stream).await.expect("the client believes it");
                stream.write_all(reply).await.expect("the client is there");
                stream.shutdown().await.expect("the client is there");
            }
        })
        .await;
        assert_eq!(failure(&client, &https(peer.address)).await, expected);
    }
}
