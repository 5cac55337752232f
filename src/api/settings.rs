//! Bounds of the API.

use std::path::PathBuf;
use std::time::Duration;

use super::doors::Rates;
use super::tokens::Token;

/// How the API is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who is let in; everybody, if there is none.
    pub tokens: Vec<Token>,
    /// Whether it listens on the loopback alone.
    pub loopback: bool,
    /// With what it proves who it is; without, it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How many requests are answered, in a second.
    pub rates: Rates,
    /// The longest body of a request, in bytes.
    pub longest_body: usize,
    /// The longest header section of a request, in bytes. At least 8 KiB.
    pub longest_headers: usize,
    /// How many header fields a request may have.
    pub most_headers: usize,
    /// How long a TLS handshake, and how long a request's header section, may take; also how long a connection without
    /// a request is kept.
    pub headers_timeout: Duration,
    /// How long it may take from the end of the header section to the beginning of the answer, the body's coming included.
    pub request_timeout: Duration,
    /// How many connections there are at once; further ones wait.
    pub connections: usize,
    /// How many may listen to attempts as they happen, at once.
    pub live_listeners: usize,
    /// Whether the operators' console is served.
    pub console: bool,
}

/// The files of a certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
