//! A forward proxy between the gateway and merchants: tunnels by CONNECT (RFC 9110 section 9.3.6).
//!
//! The rule: the proxy is asked for an *address*, never for a name. The merchant's name is looked up here, what came is checked as
//! without a proxy, and exactly that goes into the CONNECT; TLS and the `host` field inside of the tunnel have the name. So what a proxy
//! believes of names is of no consequence, and a name that is bound anew gains nothing.
//!
//! That holds for `http` URLs, too: they go through a tunnel as well. The other form of asking a proxy, an absolute URL in the
//! request line, is deliberately absent: with a name in it the proxy would look it up again, and with an address in it the proxy has to put that
//! into `host` (RFC 9112 section 3.2.2), where the merchant's name belongs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::address_guard::{Reach, Subnet};

/// The longest head of an answer.
const LONGEST_HEAD: usize = 8 * 1024;

/// Where a proxy is, and who we are to it. Cheap to clone. Does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    host: String,
    port: u16,
    /// User and password as the header has them.
    credentials: Option<Zeroizing<String>>,
    /// Where the proxy itself may be.
    reach: Reach,
}

impl Proxy {
    /// The proxy at `http://user:password@host:port`, user and password percent-encoded where they need be, at a public address or
    /// one of the `allowed` subnets.
    ///
    /// # Errors
    /// What is wrong, without any of the text: it may hold a password.
    pub fn new(text: &str, allowed: impl IntoIterator<Item = Subnet>) -> Result<Self, InvalidProxy> {
        let url = url::Url::parse(text).map_err(|_| InvalidProxy::Form)?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let (Some(host), "http", true) = (url.host_str().filter(|host| !host.is_empty()), url.scheme(), bare)
        else {
            return Err(InvalidProxy::Form);
        };
        let port = url.port().unwrap_or(80);
        let reach = Reach::guarded(allowed, [port]);
        reach.check_host(host, port).map_err(|refusal| InvalidProxy::Refused(refusal.to_string()))?;
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let mut plain = Zeroizing::new(decoded(user).ok_or(InvalidProxy::Form)?);
                plain.push(b':');
                plain.extend_from_slice(&Zeroizing::new(
                    decoded(password.unwrap_or_default()).ok_or(InvalidProxy::Form)?,
                ));
                Some(Zeroizing::new(STANDARD.encode(&*plain)))
            }
        };
        Ok(Self(Arc::new(Inner { host: host.to_owned(), port, credentials, reach })))
    }

    /// Its host's name or address; an IPv6 address has its brackets.
    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    /// Where the proxy itself may be.
    pub(super) fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Has the proxy, to which this connection is, connect it to that address.
    ///
    /// # Errors
    /// It did not.
    pub(super) async fn tunnel(&self, mut stream: TcpStream, to: SocketAddr) -> Result<TcpStream, NoTunnel> {
        let mut request = Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n"));
        if let Some(credentials) = &self.0.credentials {
            request.push_str("proxy-authorization: Basic ");
            request.push_str(credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = BytesMut::new();
        let end = loop {
            if let Some(at) = head.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            if head.len() >= LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
                return Err(NoTunnel::Nonsense);
            }
        };
        match status(&head).ok_or(NoTunnel::Nonsense)? {
            // Whoever is behind the tunnel waits for us to speak first.
            200..=299 if head.len() == end => Ok(stream),
            200..=299 => Err(NoTunnel::Nonsense),
            status => Err(NoTunnel::Refused(status)),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({}:{})", self.0.host, self.0.port)
    }
}

/// The status of `HTTP/1.1 200 …`.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let (b' ', digits) = (*rest.get(1)?, rest.get(2..5)?) else { return None };
    let ends = matches!(rest.get(5), Some(b' ' | b'\r'));
    std::str::from_utf8(digits).ok().filter(|_| ends && digits.iter().all(u8::is_ascii_digit))?.parse().ok()
}

/// Percent-decodes.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        decoded.push(hex::decode(digits).ok()?[0]);
        rest = after;
    }
    Some(decoded)
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTunnel {
    #[error("the proxy answered {0}{hint}", hint = hint(*.0))]
    Refused(u16),
    #[error("what the proxy answered is no HTTP")]
    Nonsense,
    #[error("the connection to the proxy broke: {0}")]
    Broken(#[from] std::io::Error),
}

fn hint(status: u16) -> &'static str {
    match status {
        407 => ": it wants other credentials; see to user and password in `proxy`",
        403 | 405 => ": it may not connect there by its own rules; have it allow CONNECT to that port",
        _ => "",
    }
}

/// Why a text names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// It has not the form of one.
    #[error(
        "is no proxy such as \"http://proxy.example:3128\" or \"http://user:password@proxy.example:3128\""
    )]
    Form,
    /// No connection to it can come about.
    #[error("{0}: if it is meant, name it or its subnet in `proxy_allow_addresses`")]
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_its_password_never_shown() {
        let local: Subnet = "127.0.0.1".parse().expect("a subnet");
        let proxy = Proxy::new("http://me:p%40ss%3a@127.0.0.1:3128", [local]).expect("a proxy");
        assert_eq!(format!("{proxy:?}"), "Proxy(127.0.0.1:3128)");
        assert_eq!(proxy.0.credentials.as_deref().map(String::as_str), Some(&*STANDARD.encode("me:p@ss:")));
        let plain = Proxy::new("http://proxy.example", []).expect("a proxy");
        assert_eq!((plain.host(), plain.port(), &plain.0.credentials), ("proxy.example", 80, &None));
        assert_ne!(proxy, plain);
        for wrong in [
            "",
            "proxy.example:3128",
            "https://proxy.example:3128",
            "socks5://proxy.example:3128",
            "http://proxy.example:3128/path",
            "http://proxy.example/?hunter2",
            "http://me:hunter%2@proxy.example",
            "http://:3128",
        ] {
            assert_eq!(Proxy::new(wrong, []), Err(InvalidProxy::Form), "{wrong}");
        }
        let refused = Proxy::new("http://me:hunter2@127.0.0.1:3128", []).expect_err("refused").to_string();
        assert!(refused.contains("loopback") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_status_is_read_from_its_line_alone() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407\r\n\r\n", Some(407)),
            ("HTTP/1.1  200 OK\r\n\r\n", None),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/2 200 OK\r\n\r\n", None),
            ("HTTP/1.1 2", None),
            ("220 smtp.example\r\n\r\n", None),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head}");
        }
    }
}
