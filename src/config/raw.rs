//! The gateway's file, key by key. Unknown keys are refused; what is left out has the default that `default.toml`
//! documents, and a test holds the two to each other.

use std::path::PathBuf;

use serde::Deserialize;

use super::values::{AllowedSubnet, Count, Delay, JitterPart, Part, SecretText, SecretTexts, Span};
use crate::domain::{Jitter, MerchantId};
use crate::replay::Keep;

const HOUR: u64 = 60 * 60 * 1_000;
const GIB: u64 = 1 << 30;

/// A time-out.
type Timeout = Span<10, { HOUR }>;
/// A number of bytes.
type Bytes = Count<1, { GIB }>;
/// A number of things that are kept or done side by side.
type Room = Count<1, 65_536>;

macro_rules! table {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }

        impl $name {
            /// The table's keys, for the test that looks for them among the printed defaults.
            #[cfg(test)]
            pub(super) const KEYS: &[&str] = &[$(stringify!($field)),*];
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

table! {
    /// The whole file.
    Gateway {
        data: PathBuf = "data".into(),
        plugins: PathBuf = "plugins".into(),
        merchants: PathBuf = "merchants".into(),
        api: Api = Api::default(),
        broker: Broker = Broker::default(),
        delivery: Delivery = Delivery::default(),
        http: Http = Http::default(),
        plugin: Plugin = Plugin::default(),
        dropin: Dropin = Dropin::default(),
        journal: Journal = Journal::default(),
        outcomes: Outcomes = Outcomes::default(),
        traces: Traces = Traces::default(),
        log: Log = Log::default(),
    }
}

table! {
    /// `[api]`
    Api {
        listen: std::net::SocketAddr = std::net::SocketAddr::from(([127, 0, 0, 1], 8460)),
        insecure_listen: bool = false,
        tokens: Vec<Token> = Vec::new(),
        tls: Option<Tls> = None,
        requests_per_second: Count<1, 1_000_000> = Count::of(5_000),
        merchant_requests_per_second: Count<1, 1_000_000> = Count::of(10),
        longest_body_bytes: Bytes = Bytes::of(1 << 20),
        longest_headers_bytes: Count<{ 8 << 10 }, { 1 << 20 }> = Count::of(16 << 10),
        most_headers: Count<10, 1_000> = Count::of(100),
        headers_timeout: Timeout = Timeout::of_milliseconds(30_000),
        request_timeout: Timeout = Timeout::of_milliseconds(30_000),
        connections: Room = Room::of(1_024),
        live_listeners: Room = Room::of(64),
        console: bool = true,
    }
}

/// `[api.tls]`
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// `[[api.tokens]]`
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) merchant: Option<MerchantId>,
    pub(super) sha256: String,
}

/// `api.tokens.role`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Ingest,
    Read,
    Operate,
    Merchant,
}

/// `broker.kind`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum BrokerKind {
    Embedded,
    Amqp,
}

table! {
    /// `[broker]`
    Broker {
        kind: BrokerKind = BrokerKind::Embedded,
        prefetch: Count<1, 2_000> = Count::of(256),
        slow_prefetch: Count<1, 2_000> = Count::of(64),
        longest_message_bytes: Bytes = Bytes::of(2 << 20),
        amqp: Amqp = Amqp::default(),
        sources: Vec<Source> = Vec::new(),
    }
}

table! {
    /// `[broker.amqp]`
    Amqp {
        url: Option<SecretTexts> = None,
        ca_file: Option<PathBuf> = None,
        prefix: String = "paynotify".into(),
        connect_timeout: Timeout = Timeout::of_milliseconds(2_000),
        heartbeat: Span<1_000, { HOUR }> = Span::of_milliseconds(2_000),
        confirm_timeout: Timeout = Timeout::of_milliseconds(10_000),
        publishers: Count<1, 16> = Count::of(2),
        management_url: Option<SecretText> = None,
        audit_interval: Span<100, { HOUR }> = Span::of_milliseconds(60_000),
        rung_lateness: Span<100, { HOUR }> = Span::of_milliseconds(30_000),
    }
}

/// `[[broker.sources]]`
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) merchant: MerchantId,
    pub(super) format: SourceFormat,
}

/// `broker.sources.format`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceFormat {
    Url,
}

table! {
    /// `[delivery]`
    Delivery {
        ladder: Vec<Delay> = crate::domain::Ladder::default().delays().iter().copied().map(Delay).collect(),
        jitter: JitterPart = JitterPart(Jitter::NONE),
        longest_retry_after: Span<0, { 7 * 24 * HOUR }> = Span::of_milliseconds(HOUR),
        longest_hold: Span<1_000, { 365 * 24 * HOUR }> = Span::of_milliseconds(72 * HOUR),
        further_message_lag: Span<0, { HOUR }> = Span::of_milliseconds(30_000),
        missing_after: Span<1_000, { 365 * 24 * HOUR }> = Span::of_milliseconds(10 * 60_000),
        in_flight_per_merchant: Room = Room::of(32),
        slow_after: Timeout = Timeout::of_milliseconds(1_000),
        breaker_after: Count<1, 1_000_000> = Count::of(10),
        breaker_pause: Span<100, { HOUR }> = Span::of_milliseconds(5_000),
        breaker_longest: Span<100, { 24 * HOUR }> = Span::of_milliseconds(60_000),
        drain: Span<0, { HOUR }> = Span::of_milliseconds(20_000),
        replay_most: Count<1, 1_000_000> = Count::of(10_000),
        replay_per_second: Count<1, 10_000> = Count::of(50),
    }
}

table! {
    /// `[http]`
    Http {
        connect_timeout: Timeout = Timeout::of_milliseconds(2_000),
        first_byte_timeout: Timeout = Timeout::of_milliseconds(5_000),
        total_timeout: Timeout = Timeout::of_milliseconds(5_000),
        longest_reply_bytes: Bytes = Bytes::of(64 << 10),
        longest_headers_bytes: Count<{ 8 << 10 }, { 1 << 20 }> = Count::of(16 << 10),
        idle_connections_per_merchant: Room = Room::of(8),
        idle_timeout: Timeout = Timeout::of_milliseconds(60_000),
        allow_addresses: Vec<AllowedSubnet> = Vec::new(),
        proxy: Option<SecretText> = None,
        proxy_allow_addresses: Vec<AllowedSubnet> = Vec::new(),
    }
}

table! {
    /// `[plugin]`
    Plugin {
        longest_component_bytes: Bytes = Bytes::of(64 << 20),
        call_timeout: Timeout = Timeout::of_milliseconds(1_000),
        memory_bytes: Count<{ 1 << 20 }, { 4 * GIB }> = Count::of(128 << 20),
        longest_request_bytes: Bytes = Bytes::of(1 << 20),
        host_calls: Count<1, 1_000_000> = Count::of(10_000),
        host_call_bytes: Bytes = Bytes::of(8 << 20),
        log_lines: Count<0, 10_000> = Count::of(32),
        log_line_bytes: Count<1, 65_536> = Count::of(1_024),
        table_elements: Count<1, 10_000_000> = Count::of(100_000),
        tables: Count<1, 1_000> = Count::of(64),
        memories: Count<1, 100> = Count::of(8),
        instances: Count<1, 1_000> = Count::of(256),
        stack_bytes: Count<{ 64 << 10 }, { 16 << 20 }> = Count::of(1 << 20),
        handles: Count<1, 1_000_000> = Count::of(1_000),
        resources: Count<1, 1_000_000> = Count::of(256),
        concurrent_calls: Count<1, 1_024> = Count::of(64),
        calls_per_plugin: Count<1, 1_024> = Count::of(8),
        kept_instances: Count<0, 1_024> = Count::of(256),
        kept_memory_bytes: Bytes = Bytes::of(2 << 20),
        longest_wait: Timeout = Timeout::of_milliseconds(1_000),
        pooling: bool = true,
        breaker_after: Count<1, 1_000_000> = Count::of(5),
        breaker_pause: Span<100, { HOUR }> = Span::of_milliseconds(10_000),
        breaker_longest: Span<100, { 24 * HOUR }> = Span::of_milliseconds(5 * 60_000),
        versions_kept: Count<1, 10_000> = Count::of(crate::plugin::Versions::MOST as u64),
        signers: Vec<String> = Vec::new(),
    }
}

table! {
    /// `[dropin]`
    Dropin {
        scan: Timeout = Timeout::of_milliseconds(1_000),
        settle: Timeout = Timeout::of_milliseconds(1_000),
    }
}

/// `journal.kind`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum JournalKind {
    Sqlite,
    Postgres,
}

table! {
    /// `[journal]`
    Journal {
        kind: JournalKind = JournalKind::Sqlite,
        url: Option<SecretText> = None,
        batch: Room = Room::of(256),
        queue: Room = Room::of(1_024),
        patience: Timeout = Timeout::of_milliseconds(5_000),
        ended_kept: Span<{ 24 * HOUR }, { 3_650 * 24 * HOUR }> = Span::of_milliseconds(3_650 * 24 * HOUR),
        largest_bytes: Count<{ 16 << 20 }, { 1 << 50 }> = Count::of(1 << 40),
        transcripts: Keep = Keep::All,
        transcripts_kept: Span<1_000, { 3_650 * 24 * HOUR }> = Span::of_milliseconds(30 * 24 * HOUR),
    }
}

table! {
    /// `[outcomes]`
    Outcomes {
        url: Option<SecretText> = None,
        token: Option<SecretText> = None,
        source: String = "/paynotify".into(),
        timeout: Timeout = Timeout::of_milliseconds(5_000),
        ca_file: Option<PathBuf> = None,
        allow_addresses: Vec<AllowedSubnet> = Vec::new(),
        queue: Room = Room::of(1_024),
        side_by_side: Count<1, 256> = Count::of(8),
        longest_pause: Span<100, { HOUR }> = Span::of_milliseconds(30_000),
        again_after: Span<1_000, { 24 * HOUR }> = Span::of_milliseconds(30_000),
    }
}

table! {
    /// `[traces]`
    Traces {
        endpoint: Option<SecretText> = None,
        headers_file: Option<PathBuf> = None,
        service: String = "paynotify".into(),
        sample_ratio: Part = Part(1.0),
        timeout: Timeout = Timeout::of_milliseconds(5_000),
        ca_file: Option<PathBuf> = None,
        allow_addresses: Vec<AllowedSubnet> = Vec::new(),
        queue: Count<64, { 1 << 20 }> = Count::of(8_192),
        batch: Count<1, 8_192> = Count::of(512),
        interval: Timeout = Timeout::of_milliseconds(1_000),
        longest_pause: Span<100, { HOUR }> = Span::of_milliseconds(30_000),
        patience: Span<0, { HOUR }> = Span::of_milliseconds(60_000),
    }
}

/// `log.format`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object on each line.
    Json,
}

table! {
    /// `[log]`
    Log {
        format: LogFormat = LogFormat::Text,
        level: String = "info".into(),
    }
}
