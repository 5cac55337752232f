//! The way to a merchant: one request out, one reply or a named failure back.
//!
//! Each merchant has a [`Client`] of its own, with connections of its own, so that one merchant's hanging connections
//! are nobody else's. The trusted authorities ([`TlsRoots`]) are read once and shared.
//!
//! The rule: whatever a peer does, [`Client::send`] ends within [`Timeouts::total`], holds no more of the reply than
//! [`Settings`] allows, and never sends a request twice of which the peer may have received a part.
//!
//! Where connections may go is said when a client is made ([`Reach`]): a merchant's only to public addresses and to what
//! its file allows, each address checked at the moment when it is connected to; by way of a proxy, too ([`Proxy`]).
//!
//! Deliberately absent: following redirects (a 3xx is a reply like any other, for the plugin to judge), cookies,
//! decompression, and retries. When to try again is for `domain` to decide. How many requests are under way to
//! one merchant at a time is bounded by whoever calls.

mod address_guard;
mod client;
mod connect;
mod failure;
mod identity;
mod opened;
mod proxy;
mod resolve;
mod tls;

use std::time::Duration;

pub use address_guard::{InvalidSubnet, Reach, Refusal, Subnet};
pub use client::Client;
pub use identity::{Identity, InvalidIdentity};
pub use opened::Opened;
pub use proxy::{InvalidProxy, Proxy};
pub use resolve::Resolve;
pub use tls::{InvalidRoots, TlsRoots};

/// How long each part of an exchange may take. They run side by side: the earliest that passes ends the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start until a connection is ready to take the request: name look-up, TCP and TLS handshake together.
    /// Default 2 s.
    pub connect: Duration,
    /// From then until the reply's status and header section have come. A peer that begins a header section and does not
    /// end it is cut off by this one as well. Default 5 s.
    pub first_byte: Duration,
    /// From the start until the reply's last byte. A peer that has answered and still does not read the request has its
    /// connection closed after twice as long. Default 5 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(5),
            total: Duration::from_secs(5),
        }
    }
}

/// The bounds of one merchant's [`Client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How many bytes of a reply's body are kept. The rest is not read. Default 64 KiB.
    pub longest_reply: usize,
    /// How many bytes a reply's status line and header section may have together; over HTTP/2, as RFC 9113 section
    /// 6.5.2 counts them (there, too many is an invalid response by name). At least 8 KiB, and less counts as that. Default 16 KiB.
    pub longest_header_section: usize,
    /// How many header fields a reply may have. Default 100.
    pub most_headers: usize,
    /// How many connections without a request are kept open to each of the merchant's origins. Over HTTP/2 there is
    /// only one connection to an origin. Default 8.
    pub idle_connections: usize,
    /// How long a connection without a request is kept open. Default 60 s.
    pub idle_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            longest_reply: 64 * 1024,
            longest_header_section: 16 * 1024,
            most_headers: 100,
            idle_connections: 8,
            idle_timeout: Duration::from_secs(60),
        }
    }
}
