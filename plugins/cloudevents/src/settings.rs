//! The settings of a merchant who is told in this format.

use paynotify_plugin::settings::visible_ascii;
use paynotify_plugin::{Algorithm, Settings};

/// What a merchant's file says under `settings`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudEventsSettings {
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) type_prefix: String,
    pub(crate) dataschema: Option<String>,
    pub(crate) request_origin: Option<String>,
    pub(crate) request_rate: Option<u32>,
    pub(crate) token_algorithm: Option<TokenAlgorithm>,
    pub(crate) token_audience: Option<String>,
    #[serde(default = "five_minutes")]
    pub(crate) token_lifetime_seconds: u32,
    #[serde(default)]
    pub(crate) on_415: On415,
}

/// Where the event's attributes stand: in headers, or beside the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Binary,
    Structured,
}

/// What a 415 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum On415 {
    #[default]
    Stop,
    Retry,
}

/// How tokens are signed, in the words of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum TokenAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl TokenAlgorithm {
    /// The token's `alg`, and the same for the gateway.
    pub(crate) fn names(self) -> (&'static str, Algorithm) {
        match self {
            Self::Hs256 => ("HS256", Algorithm::HmacSha256),
            Self::Rs256 => ("RS256", Algorithm::RsaPkcs1v15Sha256),
            Self::EdDsa => ("EdDSA", Algorithm::Ed25519),
        }
    }
}

fn five_minutes() -> u32 {
    300
}

impl Settings for CloudEventsSettings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        visible_ascii("source", &self.source, 256)?;
        if !self.type_prefix.is_empty() {
            visible_ascii("type_prefix", &self.type_prefix, 128)?;
        }
        let texts = [
            ("dataschema", &self.dataschema, 256),
            ("request_origin", &self.request_origin, 253),
            ("token_audience", &self.token_audience, 256),
        ];
        for (name, text, characters) in texts {
            text.as_deref().map_or(Ok(()), |text| visible_ascii(name, text, characters))?;
        }
        if self.request_rate == Some(0) {
            return Err("request_rate: must be at least 1 request a minute".to_owned());
        }
        if !(1..=86_400).contains(&self.token_lifetime_seconds) {
            return Err("token_lifetime_seconds: must be 1 to 86400".to_owned());
        }
        Ok(())
    }
}
