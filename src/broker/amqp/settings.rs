//! What the connection to RabbitMQ is configured with, checked once before anything starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::uri::AMQPUri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::{Host, Url};

use crate::broker::Source;
use crate::domain::Ladder;

/// The settings of an [`AmqpBroker`](super::AmqpBroker). The defaults are those of the configuration file.
#[derive(Clone)]
pub struct Settings {
    /// `amqp://user:password@host:port/vhost`, or `amqps` for TLS: one for each node of one cluster, and the same
    /// virtual host in all. Secret: they are never printed.
    pub urls: Vec<String>,
    /// Who is trusted beside the system's authorities, where a URL has `amqps`: certificates as PEM.
    pub authorities: Option<Arc<str>>,
    /// What the names of all exchanges and queues begin with: 1 to 64 characters of `A-Z a-z 0-9 _ - .`.
    pub prefix: String,
    /// How many deliveries may be unsettled at once, 1 to 2,000. RabbitMQ sends that many ahead for each queue.
    pub prefetch: u16,
    /// The same for the slow lane.
    pub slow_prefetch: u16,
    /// The delays of all ladders in use: each gets a rung of its own, so that its waits are exact.
    pub rung_delays: Vec<Duration>,
    /// The queues of other producers' messages.
    pub sources: Vec<Source>,
    /// How long TCP, TLS and the AMQP handshake together may take. Messages are delivered again at most this, the
    /// longest wait between two attempts, a second for letting go of what was before, and the time for declaring
    /// after RabbitMQ can be reached: with the defaults, 5 seconds.
    pub connect_timeout: Duration,
    /// How long a publisher confirm may take before the outcome counts as unknown.
    pub confirm_timeout: Duration,
    /// How often each side lets the other hear of it, in whole seconds. A connection that was silent for twice as long
    /// (and up to half an interval more, which is how often lapin looks) counts as broken.
    pub heartbeat: Duration,
    /// How many channels publish side by side, 1 to 64.
    pub publishers: usize,
    /// The wait before the first attempt to reconnect.
    pub reconnect_least: Duration,
    /// The longest wait between two attempts to reconnect.
    pub reconnect_most: Duration,
    /// The longest body that is read, in bytes; a longer one is unreadable.
    pub longest_message: usize,
    /// RabbitMQ's management API: `http://user:password@host:15672`, or `https`. Secret: it is never printed. Without
    /// it less can be audited.
    pub management_url: Option<String>,
    /// How long it is from one audit to the next.
    pub audit_interval: Duration,
    /// How much later than its delay a rung may give a message back before it is reported.
    pub rung_lateness: Duration,
    /// Whether to start, too, where the audit finds that the guarantee is broken.
    pub accept_weaker: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: vec!["amqp://127.0.0.1:5672/%2f".to_owned()],
            authorities: None,
            prefix: "paynotify".to_owned(),
            prefetch: 256,
            slow_prefetch: 64,
            rung_delays: Ladder::default().delays().to_vec(),
            sources: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            confirm_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(2),
            publishers: 2,
            reconnect_least: Duration::from_millis(100),
            reconnect_most: Duration::from_secs(1),
            longest_message: 1024 * 1024,
            management_url: None,
            audit_interval: Duration::from_secs(60),
            rung_lateness: Duration::from_secs(30),
            accept_weaker: false,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("urls", &"(secret)")
            .field("authorities", &self.authorities.is_some())
            .field("prefix", &self.prefix)
            .field("prefetch", &self.prefetch)
            .field("slow_prefetch", &self.slow_prefetch)
            .field("rung_delays", &self.rung_delays)
            .field("sources", &self.sources)
            .field("connect_timeout", &self.connect_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("heartbeat", &self.heartbeat)
            .field("publishers", &self.publishers)
            .field("reconnect_least", &self.reconnect_least)
            .field("reconnect_most", &self.reconnect_most)
            .field("longest_message", &self.longest_message)
            .field("management_url", &self.management_url.as_ref().map(|_| "(secret)"))
            .field("audit_interval", &self.audit_interval)
            .field("rung_lateness", &self.rung_lateness)
            .field("accept_weaker", &self.accept_weaker)
            .finish()
    }
}

/// Which setting is wrong, and how. Never holds the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct InvalidSettings {
    /// The setting's name.
    pub key: &'static str,
    /// What is wrong with it, for people.
    pub problem: String,
}

impl Settings {
    /// Checks everything that can be checked without a broker.
    ///
    /// # Errors
    /// Names the setting that is wrong, and how.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        self.check().map(drop)
    }

    /// Checks everything, and reads the URLs.
    pub(super) fn check(&self) -> Result<Vec<AMQPUri>, InvalidSettings> {
        let wrong = |key, problem: &str| Err(InvalidSettings { key, problem: problem.to_owned() });
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.bytes().all(plain) {
            return wrong("prefix", "must be 1 to 64 characters of A-Z a-z 0-9 _ - .");
        }
        if !(1..=2_000).contains(&self.prefetch) {
            return wrong("prefetch", "must be 1 to 2000");
        }
        if !(1..=2_000).contains(&self.slow_prefetch) {
            return wrong("slow_prefetch", "must be 1 to 2000");
        }
        if !(1..=64).contains(&self.publishers) {
            return wrong("publishers", "must be 1 to 64");
        }
        if !(1..=3_600).contains(&self.heartbeat.as_secs()) || self.heartbeat.subsec_nanos() != 0 {
            return wrong("heartbeat", "must be 1 second to 1 hour, in whole seconds");
        }
        for (key, time) in [
            ("connect_timeout", self.connect_timeout),
            ("confirm_timeout", self.confirm_timeout),
            ("reconnect_least", self.reconnect_least),
            ("reconnect_most", self.reconnect_most),
            ("audit_interval", self.audit_interval),
            ("rung_lateness", self.rung_lateness),
        ] {
            if !(Duration::from_millis(1)..=Duration::from_secs(3_600)).contains(&time) {
                return wrong(key, "must be 1 millisecond to 1 hour");
            }
        }
        if !self.rung_delays.iter().all(|delay| (Ladder::SHORTEST..=Ladder::LONGEST).contains(delay)) {
            return wrong("rung_delays", "must be 100 milliseconds to 7 days each");
        }
        if self.management_url.as_ref().is_some_and(|url| management_address(url).is_none()) {
            return wrong("management_url", "must look like http://user:password@host:15672");
        }
        let are_certificates = |text: &str| {
            let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes()).peekable();
            certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
        };
        if self.authorities.as_ref().is_some_and(|text| !are_certificates(text)) {
            return wrong("ca_file", "must have certificates as PEM, `BEGIN CERTIFICATE`");
        }
        self.check_sources()?;
        self.read_urls()
    }

    fn check_sources(&self) -> Result<(), InvalidSettings> {
        let wrong = |problem: String| Err(InvalidSettings { key: "sources", problem });
        for (index, source) in self.sources.iter().enumerate() {
            let Source { exchange, routing_key, .. } = source;
            // An AMQP name has at most 255 bytes, and the queue's name is made of the prefix and these two.
            if exchange.is_empty() || exchange.len() + routing_key.len() > 180 {
                return wrong(format!("`{exchange}` and its routing key must be 1 to 180 bytes together"));
            }
            let same = |other: &Source| other.exchange == *exchange && other.routing_key == *routing_key;
            if self.sources.iter().take(index).any(same) {
                return wrong(format!("`{exchange}` with the routing key `{routing_key}` is there twice"));
            }
        }
        Ok(())
    }

    fn read_urls(&self) -> Result<Vec<AMQPUri>, InvalidSettings> {
        let wrong = |problem: &str| Err(InvalidSettings { key: "url", problem: problem.to_owned() });
        let uris = self.urls.iter().map(|url| self.read_url(url)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = uris.first() else { return wrong("must name at least one node") };
        if uris.iter().any(|uri| uri.vhost != first.vhost) {
            return wrong("must name the same virtual host for every node: they are one cluster");
        }
        Ok(uris)
    }

    fn read_url(&self, text: &str) -> Result<AMQPUri, InvalidSettings> {
        // The parsers' own errors quote the URL, password and all, so they are not passed on.
        let wrong = || InvalidSettings {
            key: "url",
            problem: "must look like amqp://user:password@host:5672/vhost, with `/` in the vhost as %2f"
                .to_owned(),
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let mut uri: AMQPUri = text.parse().map_err(|_| wrong())?;
        // AMQPUri knows no IPv6 address and would silently fall back to localhost.
        uri.authority.host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(wrong()),
        };
        uri.query.heartbeat = Some(u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX));
        Ok(uri)
    }
}

/// Where a management API is: an http or https URL with a host, without query and fragment.
pub(super) fn management_address(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let plain =
        ["http", "https"].contains(&url.scheme()) && url.query().is_none() && url.fragment().is_none();
    (plain && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Settings)) -> Result<Vec<AMQPUri>, InvalidSettings> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check()
    }

    #[test]
    fn the_url_is_read_and_never_printed() {
        let url = "amqp://me:s3cret@[::1]:7/%2f".to_owned();
        let settings = Settings { urls: vec![url], ..Settings::default() };
        let [uri] = settings.check().expect("valid").try_into().expect("one");
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("::1", 7, "/"));
        assert_eq!(uri.query.heartbeat, Some(2));
        assert!(!format!("{settings:?}").contains("s3cret"));
        for url in ["s3cret", "http://me:s3cret@host", "amqp:s3cret", "amqp://me:s3cret@host:notaport"] {
            let error = with(|settings| settings.urls.push(url.to_owned())).expect_err(url);
            assert_eq!(error.key, "url");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn nodes_are_of_one_cluster() {
        let urls = |urls: &[&str]| urls.iter().map(|host| format!("amqp://u:p@{host}")).collect();
        let uris = with(|settings| settings.urls = urls(&["a/v", "b:7/v"])).expect("valid");
        let places: Vec<_> = uris.iter().map(crate::broker::amqp::nodes::place).collect();
        assert_eq!(places, ["a:5672", "b:7"]);
        let problem = |result: Result<Vec<AMQPUri>, InvalidSettings>| result.expect_err("wrong").to_string();
        assert!(problem(with(|settings| settings.urls.clear())).contains("at least one node"));
        let apart = problem(with(|settings| settings.urls = urls(&["a/v", "b/w"])));
        assert!(apart.contains("the same virtual host"), "{apart}");
    }

    #[test]
    fn the_management_url_is_read_and_never_printed() {
        let management = |url: &str| with(|settings| settings.management_url = Some(url.to_owned()));
        for url in ["http://me:s3cret@host:15672", "https://me:s3cret@[::1]/behind/a/proxy/"] {
            management(url).expect(url);
        }
        for url in ["s3cret", "amqp://me:s3cret@host", "http://me:s3cret@host?q"] {
            let error = management(url).expect_err(url);
            assert_eq!(error.key, "management_url");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let management_url = Some("http://me:s3cret@host".to_owned());
        assert!(!format!("{:?}", Settings { management_url, ..Settings::default() }).contains("s3cret"));
    }

    #[test]
    fn each_bound_is_named_by_its_key() {
        let source = Source {
            exchange: "e".to_owned(),
            routing_key: "k".to_owned(),
            merchant: "shop".parse().expect("valid"),
            format: crate::broker::SourceFormat::Url,
        };
        let key = |result: Result<Vec<AMQPUri>, InvalidSettings>| result.expect_err("wrong").key;
        assert_eq!(key(with(|settings| settings.prefix = "a b".to_owned())), "prefix");
        assert_eq!(key(with(|settings| settings.prefetch = 0)), "prefetch");
        assert_eq!(key(with(|settings| settings.authorities = Some("none".into()))), "ca_file");
        assert_eq!(key(with(|settings| settings.publishers = 65)), "publishers");
        assert_eq!(key(with(|settings| settings.heartbeat = Duration::from_millis(2_500))), "heartbeat");
        assert_eq!(key(with(|settings| settings.heartbeat = Duration::ZERO)), "heartbeat");
        assert_eq!(key(with(|settings| settings.confirm_timeout = Duration::ZERO)), "confirm_timeout");
        assert_eq!(key(with(|settings| settings.rung_delays = vec![Duration::ZERO])), "rung_delays");
        assert_eq!(key(with(|settings| settings.audit_interval = Duration::ZERO)), "audit_interval");
        assert_eq!(key(with(|settings| settings.sources = vec![source.clone(), source])), "sources");
    }
}
