//! The kinds of value that a configuration file holds. Each is checked while it is read, so that an error carries
//! its file, line and key; whatever has been read is in bounds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Count<LEAST, MOST> {
    /// A default. Checked when the program is compiled.
    #[must_use]
    pub(super) const fn of(number: u64) -> Self {
        assert!(LEAST <= number && number <= MOST, "a default is out of its own bounds");
        Self(number)
    }

    /// The number.
    #[must_use]
    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// The number, as a size of something in memory.
    #[must_use]
    pub(super) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u64::try_from(number)
            .ok()
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("{number} is not between {LEAST} and {MOST}")))
    }
}

/// A length of time within bounds, in milliseconds; written with its unit, such as `5s` or `1m 30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<const LEAST: u64, const MOST: u64>(Duration);

impl<const LEAST: u64, const MOST: u64> Span<LEAST, MOST> {
    /// A default. Checked when the program is compiled.
    #[must_use]
    pub(super) const fn of_milliseconds(milliseconds: u64) -> Self {
        assert!(LEAST <= milliseconds && milliseconds <= MOST, "a default is out of its own bounds");
        Self(Duration::from_millis(milliseconds))
    }

    /// The length of time.
    #[must_use]
    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Span<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let duration = duration(deserializer)?;
        let bounds = Duration::from_millis(LEAST)..=Duration::from_millis(MOST);
        if bounds.contains(&duration) {
            return Ok(Self(duration));
        }
        Err(de::Error::custom(format!(
            "{} is not between {} and {}",
            humantime::format_duration(duration),
            humantime::format_duration(*bounds.start()),
            humantime::format_duration(*bounds.end()),
        )))
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| de::Error::custom(format!("`{text}` is no length of time such as `5s` or `1m 30s`")))
}

/// One delay of a ladder. Its bounds are the ladder's to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay(pub(super) Duration);

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration(deserializer).map(Self)
    }
}

/// How much longer than its rung a wait may become: a part of the rung from 0 to 1, in steps of a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JitterPart(pub(super) crate::domain::Jitter);

impl<'de> Deserialize<'de> for JitterPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        let thousandths =
            (0..=1_000_u16).find(|thousandths| (f64::from(*thousandths) / 1_000.0 - part).abs() < 0.000_5);
        thousandths
            .and_then(crate::domain::Jitter::from_thousandths)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("{part} is not between 0 and 1")))
    }
}

/// A part of something, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part(pub(super) f64);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        if (0.0..=1.0).contains(&part) {
            return Ok(Self(part));
        }
        Err(de::Error::custom(format!("{part} is not between 0 and 1")))
    }
}

/// So many in a time, such as `50/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateText(pub(super) crate::domain::Rate);

impl<'de> Deserialize<'de> for RateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// The beginning of a SHA-256, or all of it: as many digits as name a plugin's version, or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HashPrefix(pub(super) String);

impl<'de> Deserialize<'de> for HashPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && (16..=64).contains(&text.len()) {
            return Ok(Self(text));
        }
        Err(de::Error::custom("a plugin's hash is 16 to 64 hexadecimal digits of its SHA-256, in lower case"))
    }
}

/// A subnet that connections to merchants may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllowedSubnet(pub(super) crate::http::Subnet);

impl<'de> Deserialize<'de> for AllowedSubnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|problem| de::Error::custom(format!("`{text}` {problem}")))
    }
}

/// Where a secret is to be had: `env:NAME`, or `file:PATH` without its last line break. Any other text is the secret
/// itself. Never printed, and overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Fetches the secret. A relative path is meant from `folder`.
    ///
    /// # Errors
    /// The variable is not set, the file cannot be read, or there is nothing in it; names which.
    pub(super) fn fetch(&self, folder: &std::path::Path) -> Result<Zeroizing<String>, String> {
        let (secret, place) = if let Some(name) = self.0.strip_prefix("env:") {
            let secret = std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable `{name}` is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable `{name}` {NO_TEXT}"),
            })?;
            (Zeroizing::new(secret), format!("the environment variable `{name}`"))
        } else if let Some(path) = self.0.strip_prefix("file:") {
            let path: PathBuf = folder.join(path);
            (
                read(&path).map_err(|problem| format!("{}: {problem}", path.display()))?,
                path.display().to_string(),
            )
        } else {
            (self.0.clone(), "the secret".to_owned())
        };
        // Whoever signs with an empty key signs for everybody.
        if secret.is_empty() { Err(format!("{place} is empty")) } else { Ok(secret) }
    }
}

const NO_TEXT: &str = "is not UTF-8 text; a key of bytes can be written as hex or base64";

/// Reads a secret's file without its last line break.
pub(super) fn read(path: &std::path::Path) -> Result<Zeroizing<String>, String> {
    let text = Zeroizing::new(std::fs::read(path).map_err(|error| error.to_string())?);
    let text = std::str::from_utf8(&text).map_err(|_| NO_TEXT.to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// One secret text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretTexts(Vec<SecretText>);

impl SecretTexts {
    /// Fetches each secret: see [`SecretText::fetch`].
    pub(super) fn fetch(&self, folder: &std::path::Path) -> Result<Vec<String>, String> {
        self.0.iter().map(|secret| secret.fetch(folder).map(|mut text| std::mem::take(&mut *text))).collect()
    }
}

impl<'de> Deserialize<'de> for SecretTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Texts {
            One(SecretText),
            Several(Vec<SecretText>),
        }
        // As with a single one, what is wrong is told without its value.
        match Texts::deserialize(deserializer) {
            Ok(Texts::One(secret)) => Ok(Self(vec![secret])),
            Ok(Texts::Several(secrets)) => Ok(Self(secrets)),
            Err(_) => Err(de::Error::custom("a secret is a text in quotes, or a list of such texts")),
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A wrong type is told without its value, which may be a secret that lacks its quotes.
        String::deserialize(deserializer)
            .map(|text| Self(Zeroizing::new(text)))
            .map_err(|_| de::Error::custom("a secret is a text in quotes"))
    }
}
