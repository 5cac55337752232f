//! What came of an attempt: the plugin's word on a reply, or the host's on why there was none.

use std::fmt;
use std::time::Duration;

/// What a merchant's reply means, by the merchant's plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The merchant has heard it.
    Confirmed {
        /// A detail worth keeping, such as an order's final status.
        detail: Option<String>,
    },
    /// Not heard: try again.
    Retry {
        /// Not before so long from now.
        after: Option<Duration>,
        /// What about the reply was not a confirmation.
        reason: String,
    },
    /// The merchant wants no more of it.
    Stop {
        /// Why, for people.
        reason: String,
    },
}

/// Why there is no reply to judge. Always means: try again; one that was refused an address has not even been tried, and
/// is held ([`HoldReason::AddressRefused`](super::HoldReason::AddressRefused)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportFailure {
    /// The host's name has no address.
    NameNotResolved,
    /// No address of the host may be connected to. Nothing was sent.
    AddressRefused,
    /// No connection came about.
    ConnectFailed,
    /// No connection came about in time.
    ConnectTimedOut,
    /// The proxy on the way could not be reached, or made no connection.
    ProxyRefused,
    /// The TLS handshake failed, or the certificate is not trusted.
    TlsFailed,
    /// Nothing of a reply came in time.
    FirstByteTimedOut,
    /// The reply began and did not end in time.
    TotalTimedOut,
    /// The connection ended before the reply did.
    ConnectionLost,
    /// What came is no HTTP.
    InvalidResponse,
    /// The reply's header section is larger than the bound.
    HeadersTooLarge,
    /// The gateway was cut off in this attempt, and in its repetition too: what the merchant answered is not known.
    Interrupted,
}

impl TransportFailure {
    /// All of them, in this order.
    pub const ALL: [Self; 12] = [
        Self::NameNotResolved,
        Self::AddressRefused,
        Self::ConnectFailed,
        Self::ConnectTimedOut,
        Self::ProxyRefused,
        Self::TlsFailed,
        Self::FirstByteTimedOut,
        Self::TotalTimedOut,
        Self::ConnectionLost,
        Self::InvalidResponse,
        Self::HeadersTooLarge,
        Self::Interrupted,
    ];

    /// A short name for logs, records and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NameNotResolved => "name_not_resolved",
            Self::AddressRefused => "address_refused",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimedOut => "connect_timed_out",
            Self::ProxyRefused => "proxy_refused",
            Self::TlsFailed => "tls_failed",
            Self::FirstByteTimedOut => "first_byte_timed_out",
            Self::TotalTimedOut => "total_timed_out",
            Self::ConnectionLost => "connection_lost",
            Self::InvalidResponse => "invalid_response",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NameNotResolved => "the merchant's host name has no address",
            Self::AddressRefused => "no address of the merchant's host may be connected to",
            Self::ConnectFailed => "no connection to the merchant came about",
            Self::ConnectTimedOut => "no connection to the merchant came about in time",
            Self::ProxyRefused => "the proxy made no connection to the merchant",
            Self::TlsFailed => "the TLS handshake with the merchant failed",
            Self::FirstByteTimedOut => "the merchant did not begin to answer in time",
            Self::TotalTimedOut => "the merchant did not finish its answer in time",
            Self::ConnectionLost => "the connection ended before the answer did",
            Self::InvalidResponse => "what the merchant sent is no HTTP",
            Self::HeadersTooLarge => "the answer's headers are larger than the bound",
            Self::Interrupted => {
                "the gateway was stopped twice in the middle of this attempt; its answer is not known"
            }
        })
    }
}
