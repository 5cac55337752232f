//! One request to a merchant and its reply, as plain values: what passes between a plugin and the network.
//!
//! A plugin's request is checked here, once: only what has become a [`Request`] can be sent. A plugin may address
//! nothing but the origins of the merchant's file, and can put nothing into the request that changes where it ends or
//! how it is framed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use http::{Method, StatusCode};

use super::Moment;

/// A scheme, host and port (RFC 6454): what a merchant's file lets a plugin address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http or https URL without user information.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?.clone();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let port = match port_text(authority) {
            None | Some("") => default_port,
            Some(text) => text.parse().ok().filter(|port| *port > 0)?,
        };
        Some(Self { scheme, host: authority.host().to_ascii_lowercase(), port })
    }
}

impl Origin {
    /// The host as it stands in a URL: an IPv6 address has its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, which is the scheme's own where the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host, and port where it is not the scheme's own.
    fn authority(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// What stands after the host and its colon. `Authority::port` cannot tell a wrong port from none.
fn port_text(authority: &Authority) -> Option<&str> {
    authority.as_str().strip_prefix(authority.host())?.strip_prefix(':')
}

impl FromStr for Origin {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        text.parse::<Uri>().ok().as_ref().and_then(Self::of).ok_or_else(|| InvalidRequest::Url(cut(text)))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority())
    }
}

/// A request that keeps all rules.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// An absolute URL under one of the merchant's origins.
    pub uri: Uri,
    /// Without those that frame the message.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Bytes,
}

/// A request as a plugin hands it over: nothing about it is trusted.
#[derive(Clone, Debug)]
pub struct UncheckedRequest {
    /// The method.
    pub method: String,
    /// An absolute URL, or a path with query under the first of the origins.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl UncheckedRequest {
    /// Checks every rule of the contract's `http-request` against the merchant's origins, the first of which is that
    /// of its URL.
    ///
    /// # Errors
    /// Names the first rule that is broken.
    pub fn check(self, origins: &[Origin], longest_body: usize) -> Result<Request, InvalidRequest> {
        let method = method(&self.method)?;
        let uri = target(&self.url, origins)?;
        let headers = headers(&self.headers)?;
        if self.body.len() > longest_body {
            return Err(InvalidRequest::Body { length: self.body.len(), longest: longest_body });
        }
        Ok(Request { method, uri, headers, body: Bytes::from(self.body) })
    }
}

fn method(text: &str) -> Result<Method, InvalidRequest> {
    match text {
        "POST" => Ok(Method::POST),
        "GET" => Ok(Method::GET),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err(InvalidRequest::Method(cut(text))),
    }
}

fn target(url: &str, origins: &[Origin]) -> Result<Uri, InvalidRequest> {
    let wrong = || InvalidRequest::Url(cut(url));
    // `Uri` drops a fragment silently; here it would hide a mistake of the plugin's.
    if url.contains('#') || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong());
    }
    let main = origins.first().ok_or_else(wrong)?;
    let absolute = if url.starts_with('/') && !url.starts_with("//") {
        format!("{}://{}{url}", main.scheme, main.authority()).parse()
    } else {
        url.parse::<Uri>()
    };
    let uri = absolute.map_err(|_| wrong())?;
    let origin = Origin::of(&uri).ok_or_else(wrong)?;
    if !origins.contains(&origin) {
        return Err(InvalidRequest::Origin(cut(&origin.to_string())));
    }
    // One spelling of each origin: connections are pooled by it, and a plugin must not have as many as it can spell.
    let mut parts = uri.into_parts();
    parts.scheme = Some(origin.scheme.clone());
    parts.authority = Some(origin.authority().parse().map_err(|_| wrong())?);
    Uri::from_parts(parts).map_err(|_| wrong())
}

/// The header fields that frame a message or steer a connection (RFC 9110 section 7.6.1): the host's alone.
const FRAMING: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
];

/// The most header fields that a request may have.
const MOST_HEADERS: usize = 100;

fn headers(pairs: &[(String, Vec<u8>)]) -> Result<HeaderMap, InvalidRequest> {
    if pairs.len() > MOST_HEADERS {
        return Err(InvalidRequest::Headers(pairs.len()));
    }
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let wrong = || InvalidRequest::Header(cut(name));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        if FRAMING.contains(&name) || name.as_str() == "keep-alive" {
            return Err(wrong());
        }
        headers.append(name, HeaderValue::from_bytes(value).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// Why a plugin's request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not one of the methods.
    #[error("the request's method `{0}` is none of POST, GET, PUT, PATCH, DELETE, OPTIONS")]
    Method(String),
    /// Not a URL that can be requested.
    #[error(
        "`{0}` is neither an absolute http or https URL nor a path, percent-encoded and without a fragment"
    )]
    Url(String),
    /// Somebody else's place.
    #[error("the request is for {0}, which is no origin of the merchant's file")]
    Origin(String),
    /// Too many header fields.
    #[error("the request has {0} header fields, and {MOST_HEADERS} are allowed")]
    Headers(usize),
    /// A header field that is malformed or not the plugin's to set.
    #[error("the request's header field `{0}` is malformed or not a plugin's to set")]
    Header(String),
    /// Too long.
    #[error("the request's body has {length} bytes, and {longest} are allowed")]
    Body {
        /// How long it is.
        length: usize,
        /// How long it may be.
        longest: usize,
    },
}

/// Texts of a plugin's are quoted in errors, but not at any length, and without their query.
fn cut(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// What a merchant answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header fields as they came.
    pub headers: HeaderMap,
    /// The body up to the bound.
    pub body: Bytes,
    /// The body was longer than the bound.
    pub truncated: bool,
}

impl Reply {
    /// How long the merchant asks to be left alone: `Retry-After` (RFC 9110 section 10.2.3), in seconds or as a date.
    /// Anything else in that field counts as absent.
    #[must_use]
    pub fn retry_after(&self, now: Moment) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().map(Duration::from_secs);
        }
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Moment::from_unix_milliseconds(date.as_millisecond()).since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        method: &str,
        url: &str,
        headers: &[(&str, &[u8])],
        body: usize,
    ) -> Result<Request, InvalidRequest> {
        let origins = ["https://Shop.example/notify".parse(), "http://127.0.0.1:9000".parse()]
            .map(|origin: Result<Origin, _>| origin.expect("valid"));
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        UncheckedRequest { method: method.into(), url: url.into(), headers, body: vec![b'x'; body] }
            .check(&origins, 10)
    }

    #[test]
    fn a_request_under_the_merchants_origins_is_kept_to_the_byte() {
        for url in [
            "https://shop.example/notify?a=%2f&b=%20'",
            "https://shop.example:443/",
            "HTTPS://SHOP.EXAMPLE/x",
            "https://shop.example:/x",
            "https://shop.example:000443/x",
            "http://127.0.0.1:9000/?q",
        ] {
            let request = check("POST", url, &[], 0).expect(url);
            let path = url.splitn(4, '/').nth(3).expect("has a path");
            let authority = request.uri.authority().expect("has one").as_str();
            assert!(["shop.example", "127.0.0.1:9000"].contains(&authority), "one spelling of each origin");
            assert_eq!(request.uri.path_and_query().expect("has one").as_str(), format!("/{path}"));
        }
        let request = check("GET", "/p?x=1", &[("X-A", b"1"), ("x-a", b"\xff")], 10).expect("valid");
        assert_eq!(request.uri.to_string(), "https://shop.example/p?x=1");
        assert_eq!(request.headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn nothing_else_can_be_addressed() {
        for url in [
            "http://shop.example/",
            "https://shop.example:444/",
            "https://shop.example.evil/",
            "https://evil/?https://shop.example/",
            "https://shop.example@evil/",
            "https://user:password@shop.example/",
            "//evil/",
            "ftp://shop.example/",
            "shop.example",
            "https://shop.example:99999/",
            "https://shop.example/#x",
            "https://shop.example/a b",
            "https://shop.example/\r\nhost: evil",
            "https://shop.example/ü",
            "",
        ] {
            assert!(check("POST", url, &[], 0).is_err(), "{url}");
        }
    }

    #[test]
    fn framing_cannot_be_touched() {
        for (name, value) in [
            ("Host", b"evil".as_slice()),
            ("content-length", b"0"),
            ("Transfer-Encoding", b"chunked"),
            ("keep-alive", b"1"),
            ("x-a", b"1\r\nhost: evil"),
            ("x-a", b"\0"),
            ("x a", b"1"),
            ("", b"1"),
            ("x-a:", b"1"),
        ] {
            assert_eq!(
                check("POST", "/", &[(name, value)], 0).map(|_| ()),
                Err(InvalidRequest::Header(name.to_owned()))
            );
        }
        assert!(check("TRACE", "/", &[], 0).is_err());
        assert_eq!(
            check("POST", "/", &[], 11).map(|_| ()),
            Err(InvalidRequest::Body { length: 11, longest: 10 })
        );
        assert!(check("POST", "/", &vec![("a", b"".as_slice()); 101], 0).is_err());
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now: Moment = "2026-11-22T08:00:00Z".parse().expect("valid");
        let after = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            Reply { status: StatusCode::OK, headers, body: Bytes::new(), truncated: false }.retry_after(now)
        };
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Sun, 22 Nov 2026 08:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun, 22 Nov 2026 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }
}
