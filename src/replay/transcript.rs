//! What is kept of an attempt, and how it is written: a JSON object, so that a person can read it with any tool.
//!
//! It is not compressed: in a file that is copied and searched, what is in there should be seen. Bytes are text where they
//! are UTF-8, and Base64 where they are not. The notification itself is not in it; the journal has that already.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::{AttemptNumber, Moment, Reply, Request, Verdict};
use crate::plugin::{AttemptContext, Base64, CallError, Called, EndpointRecord, Fault, HostCalls, Plugin};

/// The version of this form. What another program has written in another is not guessed at.
const VERSION: u32 = 1;

/// All that went into an attempt's plugin calls, and all that came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    version: u32,
    /// Which plugin made it.
    pub plugin: PluginVersion,
    /// What the plugin was told of the merchant.
    pub endpoint: EndpointRecord,
    /// Which attempt it was, and its time and randomness.
    pub attempt: KeptAttempt,
    /// The request that the plugin made, before the gateway added the merchant's `authorization`.
    pub format: Step<KeptRequest>,
    /// What the merchant answered, as far as the gateway read it; `None` if nothing was sent, or no reply came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<KeptReply>,
    /// What the plugin said of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Step<KeptVerdict>>,
}

/// A plugin by its format's name and its content's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// The format.
    pub name: String,
    /// [`crate::plugin::Plugin::hash`].
    pub hash: String,
}

/// [`AttemptContext`], as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAttempt {
    number: u32,
    /// Milliseconds since the epoch.
    now: i64,
    entropy: Base64,
}

/// One call of the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<T> {
    /// What it came to.
    #[serde(flatten)]
    pub made: Made<T>,
    /// What it asked of `crypto`.
    pub host_calls: HostCalls,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made<T> {
    /// What it was to make.
    Result(T),
    /// Nothing, by a fault of the plugin's.
    Fault(KeptFault),
}

/// A plugin's fault, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFault {
    /// [`Fault::name`].
    pub name: String,
    /// The same for people.
    pub text: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRequest {
    /// How.
    pub method: String,
    /// Where to, whole.
    pub url: String,
    /// In the order of sending.
    pub headers: Vec<(String, KeptValue)>,
    /// May be empty.
    pub body: KeptBytes,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
    /// Three digits.
    pub status: u16,
    /// As they came.
    pub headers: Vec<(String, KeptBytes)>,
    /// Up to the bound.
    pub body: KeptBytes,
    /// It was longer than the bound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A verdict, in the form of recorded cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptVerdict {
    /// Heard; with a detail.
    Confirmed(Option<String>),
    /// Not heard.
    Retry {
        /// Not before so long from now, in seconds.
        after_seconds: Option<u64>,
        /// Why.
        reason: String,
    },
    /// No more of it.
    Stop(String),
}

/// Bytes: text where they are UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptBytes(pub Vec<u8>);

/// A header field's value: itself, or its digest where it may be somebody's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeptValue {
    /// SHA-256 in hexadecimal digits.
    Digest {
        /// The digits.
        sha256: String,
    },
    /// Itself.
    Plain(KeptBytes),
}

/// The fields whose values are credentials by their nature (RFC 9110, section 11; RFC 6265).
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// Why a kept transcript cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableTranscript {
    /// It is of another form.
    #[error("it is of version {0}, and this program reads {VERSION}: use the program that wrote it")]
    Version(u32),
    /// It is no such object.
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl Transcript {
    /// The transcript of an attempt that has made this of its notification. `None` when the plugin was not called at all.
    #[must_use]
    pub fn begin(
        plugin: PluginVersion,
        endpoint: EndpointRecord,
        attempt: &AttemptContext,
        formatted: &Called<Request>,
    ) -> Option<Self> {
        let format = Step::of(formatted)?;
        Some(Self {
            version: VERSION,
            plugin,
            endpoint,
            attempt: attempt.into(),
            format,
            reply: None,
            judge: None,
        })
    }

    /// Adds the merchant's reply, and what was made of it.
    pub fn add_reply(&mut self, reply: &Reply, judged: &Called<Verdict>) {
        self.reply = Some(reply.into());
        self.judge = Step::of(judged);
    }

    /// Whether the plugin said that the merchant has heard it.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let made = self.judge.as_ref().map(|step| &step.made);
        matches!(made, Some(Made::Result(KeptVerdict::Confirmed(_))))
    }

    /// As it is kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them: there is no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] has written.
    ///
    /// # Errors
    /// It was written in another form, or is damaged.
    pub fn from_json(text: &str) -> Result<Self, UnreadableTranscript> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        match serde_json::from_str(text)? {
            Head { version: VERSION } => Ok(serde_json::from_str(text)?),
            Head { version } => Err(UnreadableTranscript::Version(version)),
        }
    }
}

impl<T> Step<T> {
    /// What a call came to. `None` if the plugin was not called, because there was no room.
    #[must_use]
    pub fn of<'a, R>(called: &'a Called<R>) -> Option<Self>
    where
        T: From<&'a R>,
    {
        let made = match &called.result {
            Ok(result) => Made::Result(result.into()),
            Err(CallError::Fault(fault)) => Made::Fault(fault.into()),
            Err(CallError::Busy) => return None,
        };
        Some(Self { made, host_calls: called.host_calls.clone() })
    }
}

impl From<&Plugin> for PluginVersion {
    fn from(plugin: &Plugin) -> Self {
        Self { name: plugin.description().name.clone(), hash: plugin.hash().to_owned() }
    }
}

impl std::fmt::Display for PluginVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{}", self.name, self.hash)
    }
}

impl From<&Fault> for KeptFault {
    fn from(fault: &Fault) -> Self {
        Self { name: fault.name().to_owned(), text: fault.to_string() }
    }
}

impl From<&AttemptContext> for KeptAttempt {
    fn from(attempt: &AttemptContext) -> Self {
        let AttemptContext { number, now, entropy } = attempt;
        Self { number: number.get(), now: now.unix_milliseconds(), entropy: Base64(entropy.to_vec()) }
    }
}

impl KeptAttempt {
    /// The attempt's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The attempt again; `None` if the numbers are none of an attempt's.
    #[must_use]
    pub fn context(&self) -> Option<AttemptContext> {
        Some(AttemptContext {
            number: AttemptNumber::new(self.number)?,
            now: Moment::from_unix_milliseconds(self.now),
            entropy: self.entropy.0.as_slice().try_into().ok()?,
        })
    }
}

impl From<&Request> for KeptRequest {
    fn from(request: &Request) -> Self {
        let value = |name: &HeaderName, value: &HeaderValue| {
            if CREDENTIALS.contains(name) {
                let sha256 = hex::encode(digest(&SHA256, value.as_bytes()));
                return KeptValue::Digest { sha256 };
            }
            KeptValue::Plain(KeptBytes(value.as_bytes().to_vec()))
        };
        let header =
            |(name, given): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value(name, given));
        Self {
            method: request.method.to_string(),
            url: request.uri.to_string(),
            headers: request.headers.iter().map(header).collect(),
            body: KeptBytes(request.body.to_vec()),
        }
    }
}

impl From<&Reply> for KeptReply {
    fn from(reply: &Reply) -> Self {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), KeptBytes(value.as_bytes().to_vec()))
        };
        Self {
            status: reply.status.as_u16(),
            headers: reply.headers.iter().map(header).collect(),
            body: KeptBytes(reply.body.to_vec()),
            truncated: reply.truncated,
        }
    }
}

impl KeptReply {
    /// The reply again; `None` if it is none that HTTP knows.
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(&value.0).ok()?);
        }
        let status = StatusCode::from_u16(self.status).ok()?;
        Some(Reply { status, headers, body: Bytes::from(self.body.0.clone()), truncated: self.truncated })
    }
}

impl From<&Verdict> for KeptVerdict {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Confirmed { detail } => Self::Confirmed(detail.clone()),
            Verdict::Retry { after, reason } => {
                Self::Retry { after_seconds: after.map(|after| after.as_secs()), reason: reason.clone() }
            }
            Verdict::Stop { reason } => Self::Stop(reason.clone()),
        }
    }
}

impl Serialize for KeptBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_map([("base64", STANDARD.encode(&self.0))]),
        }
    }
}

impl<'de> Deserialize<'de> for KeptBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, deny_unknown_fields)]
        enum Form {
            Text(String),
            Base64 { base64: String },
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into_bytes())),
            Form::Base64 { base64 } => {
                STANDARD.decode(base64).map(Self).map_err(|_| de::Error::custom("it is no Base64"))
            }
        }
    }
}
