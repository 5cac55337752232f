//! The gateway's file and the merchants' files: read once, checked whole, before anything starts.
//!
//! The rule: what comes out of here is valid, and what is wrong is said with file, line and key. All problems that
//! can be found are found at once. What needs a loaded plugin to be checked is checked in [`crate::app`].

mod api;
mod document;
mod files;
mod merchant;
mod outcomes;
mod outward;
mod raw;
mod traces;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use document::Document;

use crate::broker::{self, Source, SourceFormat};
use crate::domain::{BreakerPolicy, GatePolicy, Ladder, Policy};
use crate::replay::Keep;
use crate::{http, journal, plugin};

pub use document::Problem;
pub use files::{Seen, Stamp, merchant_files, plugin_files};
pub use merchant::{LadderChoice, Merchant, Shadow, Timeouts};
pub use outcomes::Outcomes;
pub use outward::ProxyChoice;
pub use raw::LogFormat;
pub use traces::Traces;

/// Every default, with comments: what `paynotify config default` prints.
pub const DEFAULT: &str = include_str!("default.toml");

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    /// The gateway's file, for messages about it.
    pub file: PathBuf,
    /// The folder for what the gateway writes.
    pub data: PathBuf,
    /// The folder of plugins.
    pub plugins: PathBuf,
    /// The folder of merchants.
    pub merchants_folder: PathBuf,
    /// The merchants, by their id.
    pub merchants: Vec<Merchant>,
    /// The merchants' files as they were just before they were read.
    pub merchants_seen: Seen,
    /// How the two folders are watched.
    pub dropin: Dropin,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// How the API is served, and to whom.
    pub api: crate::api::Settings,
    /// Where notifications wait. The rungs are not filled in: they follow from the merchants' ladders.
    pub broker: Broker,
    /// The ladder of merchants without one of their own.
    pub ladder: Ladder,
    /// Bounds of the decisions.
    pub policy: Policy,
    /// Bounds of attempts for a merchant that does not say otherwise.
    pub gate: GatePolicy,
    /// How many deliveries of the main lane may be under way at once.
    pub prefetch: usize,
    /// The same of the slow lane.
    pub slow_prefetch: usize,
    /// How long a stop waits.
    pub drain: Duration,
    /// The most notifications that are begun anew with one request.
    pub replay_most: u64,
    /// How many of them in a second, at most.
    pub replay_per_second: u32,
    /// Bounds of the way to a merchant that does not say otherwise.
    pub http: http::Settings,
    /// Subnets that every merchant may be told at beside public addresses.
    pub allow_addresses: Vec<http::Subnet>,
    /// The way to merchants that do not say otherwise.
    pub proxy: ProxyChoice,
    /// Bounds of plugins.
    pub plugin: plugin::Settings,
    /// Where the journal is.
    pub journal: Journal,
    /// Of which attempts a transcript is kept.
    pub transcripts: Keep,
    /// The HTTP endpoint that is told of outcomes, if there is one.
    pub outcomes: Option<Outcomes>,
    /// The OpenTelemetry collector that spans are sent to, if there is one.
    pub traces: Option<Traces>,
    /// How many versions of plugins are kept besides those in use.
    pub versions_kept: usize,
    /// How logs look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: String,
}

/// How the folders of plugins and merchants are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropin {
    /// How long it is from one look to the next.
    pub scan: Duration,
    /// How long a file must have stayed the same before it counts.
    pub settle: Duration,
}

/// Which broker, and how.
#[derive(Debug)]
pub enum Broker {
    /// One SQLite file.
    Embedded(broker::embedded::Settings),
    /// RabbitMQ.
    Amqp(Box<broker::amqp::Settings>),
}

/// Which journal, and how.
#[derive(Clone, Debug)]
pub enum Journal {
    /// One SQLite file.
    Sqlite(journal::Settings),
    /// A database on PostgreSQL.
    Postgres(Box<journal::PostgresSettings>),
}

impl Config {
    /// Reads the gateway's file and every merchant's.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn load(file: &Path) -> Result<Self, Vec<Problem>> {
        Self::read(file, merchants)
    }

    /// Reads the gateway's file alone, as if there were no merchants: for what needs none of their keys.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load_without_merchants(file: &Path) -> Result<Self, Vec<Problem>> {
        Self::read(file, |_, _| Default::default())
    }

    fn read(
        file: &Path,
        merchants: impl FnOnce(&Path, &mut Vec<Problem>) -> (Seen, Vec<Merchant>),
    ) -> Result<Self, Vec<Problem>> {
        let document = Document::read(file).map_err(|problem| vec![problem])?;
        let raw: raw::Gateway = document.parse().map_err(|problem| vec![problem])?;
        let folder = document.folder();
        let mut problems = Vec::new();
        let merchants_folder = folder.join(&raw.merchants);
        let (merchants_seen, merchants) = merchants(&merchants_folder, &mut problems);
        let signers = plugin::Signers::parse(&raw.plugin.signers)
            .map_err(|index| {
                let problem = format!(
                    "entry {} is no public key of minisign's: the line that begins with RW",
                    index + 1
                );
                problems.push(document.wrong("plugin.signers", problem));
            })
            .unwrap_or_default();
        let ladder = ladder(&document, &raw.delivery, &mut problems);
        let data = folder.join(&raw.data);
        let api = api::settings(&document, &raw.api, &mut problems);
        let broker = broker(&document, &raw.broker, &data, &mut problems);
        let journal = journal(&document, &raw.journal, &data).map_err(|problem| problems.push(problem)).ok();
        let outcomes = outcomes::settings(&document, &raw.outcomes).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let traces = traces::settings(&document, &raw.traces).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let proxy = raw.http.proxy.as_ref().map_or(Ok(ProxyChoice::Straight), |text| {
            outward::proxy(&document, "http.proxy", text, &raw.http.proxy_allow_addresses)
        });
        let proxy = proxy.map_err(|problem| problems.push(problem)).ok();
        if let Err(error) = raw.log.level.parse::<tracing_subscriber::EnvFilter>() {
            problems.push(document.wrong("log.level", error));
        }
        // The longest record that is accepted must be one that is read again; an id may be added to it.
        if raw.broker.longest_message_bytes.get() < raw.api.longest_body_bytes.get() + 1_024 {
            let problem = "must be at least `api.longest_body_bytes` and 1024 more";
            problems.push(document.wrong("broker.longest_message_bytes", problem));
        }
        for (table, pause, longest) in [
            ("plugin", raw.plugin.breaker_pause.get(), raw.plugin.breaker_longest.get()),
            ("delivery", raw.delivery.breaker_pause.get(), raw.delivery.breaker_longest.get()),
        ] {
            if longest < pause {
                let problem = format!("must be at least `{table}.breaker_pause`");
                problems.push(document.wrong(&format!("{table}.breaker_longest"), problem));
            }
        }
        let (Some(ladder), Some(broker), Some(journal), Some(proxy), true) =
            (ladder, broker, journal, proxy, problems.is_empty())
        else {
            return Err(problems);
        };
        Ok(Self {
            file: file.to_owned(),
            plugins: folder.join(&raw.plugins),
            merchants_folder,
            merchants,
            merchants_seen,
            dropin: Dropin { scan: raw.dropin.scan.get(), settle: raw.dropin.settle.get() },
            listen: raw.api.listen,
            api,
            broker,
            ladder,
            policy: Policy {
                longest_retry_after: raw.delivery.longest_retry_after.get(),
                longest_hold: raw.delivery.longest_hold.get(),
                further_message_lag: raw.delivery.further_message_lag.get(),
                missing_after: raw.delivery.missing_after.get(),
                breaker: breaker_policy(
                    raw.plugin.breaker_after.get(),
                    raw.plugin.breaker_pause.get(),
                    raw.plugin.breaker_longest.get(),
                ),
            },
            gate: gate_policy(&raw.delivery),
            prefetch: raw.broker.prefetch.size(),
            slow_prefetch: raw.broker.slow_prefetch.size(),
            drain: raw.delivery.drain.get(),
            replay_most: raw.delivery.replay_most.get(),
            replay_per_second: u32::try_from(raw.delivery.replay_per_second.get()).unwrap_or(u32::MAX),
            http: http_settings(&raw.http),
            allow_addresses: raw.http.allow_addresses.iter().map(|subnet| subnet.0).collect(),
            proxy,
            plugin: plugin::Settings { signers, ..plugin_settings(&raw.plugin, &data) },
            journal,
            transcripts: raw.journal.transcripts,
            outcomes,
            traces,
            versions_kept: raw.plugin.versions_kept.size(),
            log_format: raw.log.format,
            log_level: raw.log.level,
            data,
        })
    }

    /// The folder of plugins' [`Versions`](plugin::Versions).
    #[must_use]
    pub fn versions_folder(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// A problem with a key of the gateway's file that was found later.
    #[must_use]
    pub fn wrong(&self, key: &str, problem: impl std::fmt::Display) -> Problem {
        match Document::read(&self.file) {
            Ok(document) => document.wrong(key, problem),
            Err(problem) => problem,
        }
    }
}

fn merchants(folder: &Path, problems: &mut Vec<Problem>) -> (Seen, Vec<Merchant>) {
    // Before they are read: what changes meanwhile is seen to have changed.
    let seen = merchant_files(folder).unwrap_or_else(|error| {
        problems.push(Problem::of_file(folder, format!("the merchants' folder cannot be read: {error}")));
        Seen::default()
    });
    let read = |file: &PathBuf| Merchant::read(file).map_err(|problem| problems.push(problem)).ok();
    let merchants = seen.keys().filter_map(read).collect();
    (seen, merchants)
}

fn ladder(document: &Document, raw: &raw::Delivery, problems: &mut Vec<Problem>) -> Option<Ladder> {
    let delays = raw.ladder.iter().map(|delay| delay.0).collect();
    Ladder::new(delays, raw.jitter.0)
        .map_err(|error| problems.push(document.wrong("delivery.ladder", error)))
        .ok()
}

fn broker(
    document: &Document,
    raw: &raw::Broker,
    data: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Broker> {
    match raw.kind {
        raw::BrokerKind::Embedded if !raw.sources.is_empty() => {
            problems.push(document.wrong("broker.sources", "is for `kind = \"amqp\"` only"));
            None
        }
        raw::BrokerKind::Embedded if raw.amqp.url.is_some() => {
            problems.push(document.wrong("broker.amqp.url", "is there, but `broker.kind` is not \"amqp\""));
            None
        }
        raw::BrokerKind::Embedded => Some(Broker::Embedded(broker::embedded::Settings {
            prefetch: raw.prefetch.size(),
            slow_prefetch: raw.slow_prefetch.size(),
            ..broker::embedded::Settings::new(data.join("broker.sqlite"))
        })),
        raw::BrokerKind::Amqp => {
            let settings = amqp_settings(document, raw);
            settings
                .map_err(|problem| problems.push(problem))
                .ok()
                .map(|settings| Broker::Amqp(Box::new(settings)))
        }
    }
}

fn amqp_settings(document: &Document, raw: &raw::Broker) -> Result<broker::amqp::Settings, Problem> {
    let amqp = &raw.amqp;
    let Some(url) = &amqp.url else {
        return Err(document.wrong("broker.amqp.url", "is needed for `kind = \"amqp\"`"));
    };
    let wrong_url = |problem: String| document.wrong("broker.amqp.url", problem);
    let management = amqp
        .management_url
        .as_ref()
        .map(|url| url.fetch(&document.folder()).map(|text| text.to_string()))
        .transpose();
    let authorities = amqp.ca_file.as_ref().map(|file| {
        let file = document.folder().join(file);
        let wrong = |error| document.wrong("broker.amqp.ca_file", format!("{}: {error}", file.display()));
        std::fs::read_to_string(&file).map(Into::into).map_err(wrong)
    });
    let settings = broker::amqp::Settings {
        authorities: authorities.transpose()?,
        urls: url.fetch(&document.folder()).map_err(wrong_url)?,
        prefix: amqp.prefix.clone(),
        prefetch: u16::try_from(raw.prefetch.get()).unwrap_or(u16::MAX),
        slow_prefetch: u16::try_from(raw.slow_prefetch.get()).unwrap_or(u16::MAX),
        sources: raw.sources.iter().map(source).collect(),
        connect_timeout: amqp.connect_timeout.get(),
        heartbeat: amqp.heartbeat.get(),
        confirm_timeout: amqp.confirm_timeout.get(),
        publishers: amqp.publishers.size(),
        management_url: management
            .map_err(|problem| document.wrong("broker.amqp.management_url", problem))?,
        audit_interval: amqp.audit_interval.get(),
        rung_lateness: amqp.rung_lateness.get(),
        longest_message: raw.longest_message_bytes.size(),
        ..broker::amqp::Settings::default()
    };
    settings.validate().map_err(|error| {
        let table = if error.key == "sources" { "broker" } else { "broker.amqp" };
        document.wrong(&format!("{table}.{}", error.key), error.problem)
    })?;
    Ok(settings)
}

fn journal(document: &Document, raw: &raw::Journal, data: &Path) -> Result<Journal, Problem> {
    let bounds = journal::Bounds {
        batch: raw.batch.size(),
        queue: raw.queue.size(),
        patience: raw.patience.get(),
        retention: journal::Retention {
            transcripts: raw.transcripts_kept.get(),
            ended: raw.ended_kept.get(),
            bytes: raw.largest_bytes.get(),
            ..journal::Retention::default()
        },
    };
    let wrong = |problem: String| document.wrong("journal.url", problem);
    match (raw.kind, &raw.url) {
        (raw::JournalKind::Sqlite, Some(_)) => {
            Err(wrong("is there, but `journal.kind` is not \"postgres\"".to_owned()))
        }
        (raw::JournalKind::Sqlite, None) => Ok(Journal::Sqlite(journal::Settings {
            bounds,
            ..journal::Settings::new(data.join("journal.sqlite"))
        })),
        (raw::JournalKind::Postgres, None) => Err(wrong("is needed for `kind = \"postgres\"`".to_owned())),
        (raw::JournalKind::Postgres, Some(url)) => {
            let url = url.fetch(&document.folder()).map_err(wrong)?;
            let mut settings = journal::PostgresSettings::new(&url).map_err(wrong)?;
            settings.bounds = bounds;
            Ok(Journal::Postgres(Box::new(settings)))
        }
    }
}

fn source(raw: &raw::Source) -> Source {
    Source {
        exchange: raw.exchange.clone(),
        routing_key: raw.routing_key.clone(),
        merchant: raw.merchant.clone(),
        format: match raw.format {
            raw::SourceFormat::Url => SourceFormat::Url,
        },
    }
}

fn http_settings(raw: &raw::Http) -> http::Settings {
    http::Settings {
        timeouts: http::Timeouts {
            connect: raw.connect_timeout.get(),
            first_byte: raw.first_byte_timeout.get(),
            total: raw.total_timeout.get(),
        },
        longest_reply: raw.longest_reply_bytes.size(),
        longest_header_section: raw.longest_headers_bytes.size(),
        idle_connections: raw.idle_connections_per_merchant.size(),
        idle_timeout: raw.idle_timeout.get(),
        ..http::Settings::default()
    }
}

fn breaker_policy(after: u64, pause: Duration, longest: Duration) -> BreakerPolicy {
    let after = u32::try_from(after).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    BreakerPolicy { after, pause, longest }
}

fn gate_policy(raw: &raw::Delivery) -> GatePolicy {
    GatePolicy {
        in_flight: raw.in_flight_per_merchant.size(),
        rate: None,
        breaker: breaker_policy(raw.breaker_after.get(), raw.breaker_pause.get(), raw.breaker_longest.get()),
        slow_after: raw.slow_after.get(),
    }
}

fn plugin_settings(raw: &raw::Plugin, data: &Path) -> plugin::Settings {
    let whole = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    plugin::Settings {
        cache_folder: Some(data.join("compiled")),
        longest_component: raw.longest_component_bytes.size(),
        memory: raw.memory_bytes.size(),
        call_timeout: raw.call_timeout.get(),
        host_call_bytes: raw.host_call_bytes.size(),
        host_calls: whole(raw.host_calls.get()),
        log_lines: whole(raw.log_lines.get()),
        log_line_bytes: raw.log_line_bytes.size(),
        longest_body: raw.longest_request_bytes.size(),
        concurrent_calls: whole(raw.concurrent_calls.get()),
        calls_per_plugin: whole(raw.calls_per_plugin.get()),
        kept_instances: whole(raw.kept_instances.get()),
        kept_memory: raw.kept_memory_bytes.size(),
        table_elements: raw.table_elements.size(),
        tables: whole(raw.tables.get()),
        memories: whole(raw.memories.get()),
        instances: whole(raw.instances.get()),
        stack: raw.stack_bytes.size(),
        handles: raw.handles.size(),
        resources: raw.resources.size(),
        longest_wait: raw.longest_wait.get(),
        pooling: raw.pooling,
        signers: plugin::Signers::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commented defaults are the defaults: nothing is missing, nothing differs.
    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let printed: raw::Gateway = toml::from_str(DEFAULT).expect("valid");
        assert_eq!(printed, raw::Gateway::default());
    }

    #[test]
    fn every_key_is_among_the_printed_defaults() {
        let tables = [
            raw::Gateway::KEYS,
            raw::Api::KEYS,
            raw::Broker::KEYS,
            raw::Amqp::KEYS,
            raw::Delivery::KEYS,
            raw::Http::KEYS,
            raw::Plugin::KEYS,
            raw::Dropin::KEYS,
            raw::Journal::KEYS,
            raw::Outcomes::KEYS,
            raw::Traces::KEYS,
            raw::Log::KEYS,
        ];
        for key in tables.concat() {
            let names_it = |line: &str| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} ="))
                    || line.contains(&format!("[{key}]"))
                    || line.contains(&format!(".{key}]"))
            };
            assert!(DEFAULT.lines().any(names_it), "{key}");
        }
    }
}
