//! A merchant's file: where it is told, by which plugin, how often, and with which keys.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ::http::HeaderValue;
use serde::{Deserialize, Deserializer, de};

use super::document::{Document, Problem};
use super::outward::{self, ProxyChoice};
use super::values::{AllowedSubnet, Count, Delay, HashPrefix, JitterPart, RateText, SecretText, Span};
use crate::domain::{Ladder, MerchantId, Origin, Rate};
use crate::{http, plugin};

/// One merchant, as its file says.
#[derive(Debug)]
pub struct Merchant {
    /// The stem of the file's name.
    pub id: MerchantId,
    /// The file, for messages about it.
    pub file: PathBuf,
    /// Where it wants to be told, exactly as written.
    pub url: String,
    /// What its plugin may address: the origin of `url`, then those of `origins`.
    pub origins: Vec<Origin>,
    /// Subnets that it may be told at beside public addresses.
    pub allow_addresses: Vec<http::Subnet>,
    /// The name of its plugin.
    pub plugin: String,
    /// The beginning of the SHA-256 of the one version of it that will do, 16 to 64 hexadecimal digits: a pin.
    pub plugin_hash: Option<String>,
    /// The plugin's settings: the text of a JSON object.
    pub settings_json: String,
    /// The plugin that runs beside its own, if there is one.
    pub shadow: Option<Shadow>,
    /// Its ladder, where it does not take the gateway's.
    pub ladder: Option<LadderChoice>,
    /// Jitter of its ladder, where it does not take the gateway's.
    pub jitter: Option<crate::domain::Jitter>,
    /// How many attempts may be under way at once, where it does not take the gateway's bound.
    pub in_flight: Option<usize>,
    /// How many attempts may be made in a time, if there is a bound.
    pub rate: Option<Rate>,
    /// Time-outs that differ from the gateway's.
    pub timeouts: Timeouts,
    /// Authorities that are trusted beside the system's, PEM.
    pub authorities: Option<String>,
    /// With what the gateway proves to it who it is.
    pub identity: Option<http::Identity>,
    /// The way to it, where that is not the gateway's.
    pub proxy: Option<ProxyChoice>,
    /// The `authorization` header of every request to it. Marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Its keys, in the order of the file: of several of one role the newest comes first.
    pub keys: plugin::Keys,
}

/// A plugin that runs beside a merchant's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Its name.
    pub plugin: String,
    /// Its settings: the text of a JSON object.
    pub settings_json: String,
}

/// A ladder as a merchant's file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LadderChoice {
    /// Its own delays.
    Own(Vec<Duration>),
    /// One that the merchant's plugin brings along, by its name.
    OfPlugin(String),
}

/// Time-outs that a merchant's file sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// Until the reply begins.
    pub first_byte: Option<Duration>,
    /// Until the reply has ended, everything included.
    pub total: Option<Duration>,
}

impl Merchant {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let id = MerchantId::from_str(stem).map_err(|error| {
            Problem::of_file(path, format!("the file's stem is the merchant's id, and {error}"))
        })?;
        let document = Document::read(path)?;
        let file: File = document.parse()?;
        let settings_json = serde_json::Value::Object(file.settings).to_string();
        let shadow = match (file.shadow, file.shadow_settings) {
            (None, Some(_)) => {
                return Err(document.wrong("shadow_settings", "is there, but no `shadow` that they are for"));
            }
            (None, None) => None,
            (Some(plugin), own) => {
                let own = own.map(|settings| serde_json::Value::Object(settings).to_string());
                Some(Shadow { plugin, settings_json: own.unwrap_or_else(|| settings_json.clone()) })
            }
        };
        let keys = keys(&document, file.keys)?;
        let authorization = file.authorization.map(|text| authorization(&document, &text)).transpose()?;
        let authorities = file.ca_file.as_ref().map(|ca| outward::authorities(&document.folder().join(ca)));
        let authorities = authorities.transpose().map_err(|problem| document.wrong("ca_file", problem))?;
        let identity =
            outward::identity(&document, file.client_certificate.as_ref(), file.client_key.as_ref())?;
        let proxy = file
            .proxy
            .map(|text| outward::proxy(&document, "proxy", &text, &file.proxy_allow_addresses))
            .transpose()?;
        let mut origins = vec![file.url.origin];
        origins.extend(file.origins.into_iter().map(|url| url.origin));
        Ok(Self {
            id,
            file: path.to_owned(),
            url: file.url.text,
            origins,
            allow_addresses: file.allow_addresses.into_iter().map(|subnet| subnet.0).collect(),
            plugin: file.plugin,
            plugin_hash: file.plugin_hash.map(|hash| hash.0),
            settings_json,
            shadow,
            ladder: file.ladder,
            jitter: file.jitter.map(|jitter| jitter.0),
            in_flight: file.in_flight.map(Count::size),
            rate: file.rate.map(|rate| rate.0),
            timeouts: Timeouts {
                connect: file.connect_timeout.map(Span::get),
                first_byte: file.first_byte_timeout.map(Span::get),
                total: file.total_timeout.map(Span::get),
            },
            authorities,
            identity,
            proxy,
            authorization,
            keys,
        })
    }

    /// A problem with a key of this merchant's file that was found later, against its plugin.
    #[must_use]
    pub fn wrong(&self, key: &str, problem: impl std::fmt::Display) -> Problem {
        match Document::read(&self.file) {
            Ok(document) => document.wrong(key, problem),
            Err(problem) => problem,
        }
    }
}

/// The value as it is fetched, if it can stand in a header.
fn authorization(document: &Document, text: &SecretText) -> Result<HeaderValue, Problem> {
    const KEY: &str = "authorization";
    let text = text.fetch(&document.folder()).map_err(|problem| document.wrong(KEY, problem))?;
    let credentials =
        text.split_once(' ').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    match HeaderValue::from_str(&text) {
        Ok(mut value) if credentials && text.is_ascii() => {
            value.set_sensitive(true);
            Ok(value)
        }
        Ok(_) | Err(_) => Err(document.wrong(
            KEY,
            "must be a scheme, a blank and credentials, such as `Bearer …` or `Basic …`, in visible ASCII characters",
        )),
    }
}

fn keys(document: &Document, entries: Vec<KeyEntry>) -> Result<plugin::Keys, Problem> {
    let mut keys = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let wrong = |key: &str, problem: &dyn std::fmt::Display| {
            document.wrong(&format!("keys[{index}].{key}"), problem)
        };
        let fetch = |key: &str, text: &SecretText| {
            text.fetch(&document.folder()).map_err(|problem| wrong(key, &problem))
        };
        let name = entry.name.unwrap_or_else(|| entry.role.clone());
        if keys.iter().any(|other: &plugin::Key| other.name() == name) {
            let problem = format!("two keys are named `{name}`: give each a `name` of its own");
            return Err(wrong("name", &problem));
        }
        let certificate = entry.certificate.map(|text| fetch("certificate", &text)).transpose()?;
        let text = plugin::KeyText {
            role: entry.role,
            name,
            algorithm: entry.algorithm,
            encoding: entry.encoding,
            secret: fetch("secret", &entry.secret)?.into(),
            id: entry.id,
            certificate: certificate.map(|text| text.to_string()),
        };
        keys.push(plugin::Key::decode(text).map_err(|problem| wrong(problem.key(), &problem))?);
    }
    Ok(plugin::Keys::new(keys))
}

type Timeout = Span<10, { 60 * 60 * 1_000 }>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Url,
    #[serde(default)]
    origins: Vec<Url>,
    #[serde(default)]
    allow_addresses: Vec<AllowedSubnet>,
    plugin: String,
    plugin_hash: Option<HashPrefix>,
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
    shadow: Option<String>,
    shadow_settings: Option<serde_json::Map<String, serde_json::Value>>,
    ladder: Option<LadderChoice>,
    jitter: Option<JitterPart>,
    in_flight: Option<Count<1, 65_536>>,
    rate: Option<RateText>,
    connect_timeout: Option<Timeout>,
    first_byte_timeout: Option<Timeout>,
    total_timeout: Option<Timeout>,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<SecretText>,
    proxy: Option<SecretText>,
    #[serde(default)]
    proxy_allow_addresses: Vec<AllowedSubnet>,
    authorization: Option<SecretText>,
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    role: String,
    name: Option<String>,
    algorithm: plugin::KeyAlgorithm,
    encoding: Option<plugin::Encoding>,
    secret: SecretText,
    id: Option<String>,
    certificate: Option<SecretText>,
}

/// An absolute http or https URL, and its origin.
struct Url {
    text: String,
    origin: Origin,
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
        match text.parse() {
            Ok(origin) if plain => Ok(Self { text, origin }),
            Ok(_) | Err(_) => Err(de::Error::custom(
                "must be an absolute http or https URL, percent-encoded, without a fragment, user or password",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for LadderChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a ladder is a list of lengths of time, or the name of one that the plugin has"
        )]
        enum Either {
            Name(String),
            Delays(Vec<Delay>),
        }
        match Either::deserialize(deserializer)? {
            Either::Name(name) => Ok(Self::OfPlugin(name)),
            Either::Delays(delays) => {
                let delays: Vec<_> = delays.into_iter().map(|delay| delay.0).collect();
                Ladder::new(delays.clone(), crate::domain::Jitter::NONE).map_err(de::Error::custom)?;
                Ok(Self::Own(delays))
            }
        }
    }
}
