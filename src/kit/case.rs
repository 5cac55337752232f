//! One recorded case: what a plugin is given, the request that it makes of it, and its verdicts on replies.
//!
//! A case is a JSON file. Only `record` must be there; what is not recorded yet (`request`, `verdict`) is filled in by
//! `paynotify plugin cases FILE FOLDER --update`. The same arguments give the same bytes, so all of it can be compared
//! exactly: the record is handed over byte for byte as it stands in the file, and the attempt's time and randomness are the
//! case's own.
//!
//! ```json
//! {
//!   "about": "one line for people",
//!   "record": {"schema": "payment-result/1", "notification_id": "n-1", "merchant_id": "shop", "kind": "payment"},
//!   "url": "https://merchant.example/notify",
//!   "origins": ["https://other.example"],
//!   "settings": {"app_id": "2021"},
//!   "keys": [{"role": "signing", "algorithm": "hmac-sha256", "text": "a key for tests"}],
//!   "attempt": {"number": 1, "now": 1767225600000, "entropy": "000102…1f"},
//!   "request": {"method": "POST", "url": "https://merchant.example/notify",
//!               "headers": [["content-type", "application/json"]], "body": "{}"},
//!   "replies": [{"reply": {"status": 200, "headers": [], "body": "ok"}, "verdict": {"confirmed": null}}]
//! }
//! ```
//!
//! - `url`, `origins`, `settings`, `keys`: as in a merchant's file, but for a key's `secret`: its place is `text`, the key
//!   itself. Keys of tests only: a case is read by everybody.
//! - `attempt.now` is in milliseconds since 1970, `attempt.entropy` 32 bytes as hexadecimal digits. The defaults are those
//!   above, the bytes 0 to 31.
//! - `body` is text; bytes that are no text stand in its place as `body_base64`. The value of a header field that is no text
//!   is `{"base64": "…"}`. A reply whose body was cut by the gateway's bound has `"truncated": true`.
//! - Instead of `request` there is `error` where the plugin makes none: `unusable-record: ` and its words, or the fault.
//! - A verdict is `{"confirmed": null}`, `{"confirmed": "a detail"}`, `{"retry": {"after_seconds": 30, "reason": "…"}}`,
//!   `{"stop": "why"}` or `{"error": "…"}`.

use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::{CaseError, field};
use super::form::{CaseRequest, CaseVerdict, Judged};
use super::keys::CaseKey;
use crate::domain::{AttemptNumber, Moment, Notification, Origin, Reply};
use crate::plugin::{AttemptContext, CallError, Endpoint, Fault, Keys, Plugin, SettingsError};

/// The URL of a case that names none.
pub const DEFAULT_URL: &str = "https://merchant.example/notify";

/// The moment of a case that names none: 2026-01-01T00:00:00Z.
pub const DEFAULT_NOW: i64 = 1_767_225_600_000;

/// The longest file of a case that is read, in bytes. 8 MiB: a record and a reply of the longest kind, as base64.
pub const LONGEST: u64 = 8 << 20;

/// A case. The module's documentation says what each field means.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is documented once, above")]
pub struct Case {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    pub record: Box<RawValue>,
    #[serde(default = "default_url")]
    pub url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub settings: serde_json::Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<CaseKey>,
    #[serde(default)]
    pub attempt: CaseAttempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<CaseRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<Judged>,
}

fn default_url() -> String {
    DEFAULT_URL.to_owned()
}

/// The attempt of a case.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is documented once, above")]
pub struct CaseAttempt {
    pub number: u32,
    pub now: i64,
    pub entropy: String,
}

impl Default for CaseAttempt {
    fn default() -> Self {
        let entropy: [u8; 32] = std::array::from_fn(|index| index.to_le_bytes()[0]);
        Self { number: 1, now: DEFAULT_NOW, entropy: hex::encode(entropy) }
    }
}

/// What a case gives to the plugin, checked.
#[derive(Clone, Debug)]
pub struct Given {
    /// What is to be told.
    pub notification: Notification,
    /// Where, and how.
    pub endpoint: Endpoint,
    /// When.
    pub attempt: AttemptContext,
}

impl Case {
    /// A case of this record alone.
    #[must_use]
    pub fn of_record(record: Box<RawValue>) -> Self {
        Self {
            about: String::new(),
            record,
            url: default_url(),
            origins: Vec::new(),
            settings: serde_json::Map::new(),
            keys: Vec::new(),
            attempt: CaseAttempt::default(),
            request: None,
            error: None,
            replies: Vec::new(),
        }
    }

    /// Reads a case's file.
    ///
    /// # Errors
    /// It cannot be read, is longer than [`LONGEST`], or is no case: names line and field.
    pub fn read(file: &Path) -> Result<Self, CaseError> {
        let case: Self = read_json(file)?;
        if case.request.is_some() && case.error.is_some() {
            return Err(field("error", "stands beside `request`; a plugin makes a request or an error"));
        }
        Ok(case)
    }

    /// The text of the case's file.
    ///
    /// # Errors
    /// None that is known; the library says so.
    pub fn to_text(&self) -> Result<String, CaseError> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| CaseError::Unreadable(error.to_string()))?;
        Ok(text + "\n")
    }

    /// What the plugin is given.
    ///
    /// # Errors
    /// Names the first field that a gateway would not take.
    pub fn given(&self) -> Result<Given, CaseError> {
        let notification = Notification::parse(Bytes::copy_from_slice(self.record.get().as_bytes()))?;
        let origin = |name: &str, text: &str| {
            text.parse::<Origin>().map_err(|_| field(name, "must be an absolute http or https URL"))
        };
        let mut origins = vec![origin("url", &self.url)?];
        for (index, text) in self.origins.iter().enumerate() {
            origins.push(origin(&format!("origins[{index}]"), text)?);
        }
        let mut keys = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            let key = key.decode().map_err(|error| {
                let part = if error.key() == "secret" { "text" } else { error.key() };
                field(format!("keys[{index}].{part}"), error)
            })?;
            if keys.iter().any(|other: &crate::plugin::Key| other.name() == key.name()) {
                return Err(field(format!("keys[{index}].name"), "is another key's, too"));
            }
            keys.push(key);
        }
        let endpoint = Endpoint {
            url: self.url.clone(),
            origins,
            settings_json: serde_json::Value::Object(self.settings.clone()).to_string(),
            keys: Keys::new(keys),
        };
        Ok(Given { notification, endpoint, attempt: self.attempt.context()? })
    }

    /// Has the plugin do it, and gives the same case with what came of it: its request or error, and its verdicts.
    ///
    /// # Errors
    /// The case cannot be tried. What the plugin does wrong is no such error: it is what came of it.
    pub async fn observe(&self, plugin: &Plugin) -> Result<Self, CaseError> {
        let Given { notification, endpoint, attempt } = self.given()?;
        let replies: Vec<Reply> = self
            .replies
            .iter()
            .enumerate()
            .map(|(index, judged)| judged.reply.to_reply(&format!("replies[{index}].reply")))
            .collect::<Result<_, _>>()?;
        let mut seen = Self { request: None, error: None, ..self.clone() };
        match plugin.check_settings(&endpoint.settings_json).await {
            Ok(()) => match plugin.format(&notification, &endpoint, &attempt).await {
                Ok(request) => seen.request = Some(CaseRequest::of(&request)),
                Err(error) => seen.error = Some(words(error)?),
            },
            Err(SettingsError::Refused(text)) => {
                seen.error = Some(format!("check-settings refuses `settings`: {text}"));
            }
            Err(SettingsError::Call(error)) => seen.error = Some(format!("check-settings {}", words(error)?)),
        }
        for (judged, reply) in seen.replies.iter_mut().zip(&replies) {
            judged.verdict = Some(match plugin.judge(&notification, &endpoint, &attempt, reply).await {
                Ok(verdict) => CaseVerdict::of(verdict),
                Err(error) => CaseVerdict::Error(words(error)?),
            });
        }
        Ok(seen)
    }
}

/// Reads a JSON file of at most [`LONGEST`] bytes into a type, with errors that name line and field.
///
/// # Errors
/// The file cannot be read, is too long, or says something else.
pub fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, CaseError> {
    let bytes = read_bounded(file).map_err(|error| CaseError::Unreadable(error.to_string()))?;
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        match error.path().to_string() {
            path if path == "." => CaseError::Unreadable(error.into_inner().to_string()),
            path => field(path, error.into_inner()),
        }
    })?;
    deserializer.end().map_err(|error| CaseError::Unreadable(error.to_string()))?;
    Ok(value)
}

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other(format!("is longer than {LONGEST} bytes")));
    }
    Ok(bytes)
}

impl CaseAttempt {
    fn context(&self) -> Result<AttemptContext, CaseError> {
        let number = AttemptNumber::new(self.number)
            .ok_or_else(|| field("attempt.number", "must be 1 or more: the first attempt is 1"))?;
        let mut entropy = [0; 32];
        hex::decode_to_slice(&self.entropy, &mut entropy)
            .map_err(|_| field("attempt.entropy", "must be 64 hexadecimal digits: 32 bytes"))?;
        Ok(AttemptContext { number, now: Moment::from_unix_milliseconds(self.now), entropy })
    }
}

/// A failure as a case records it: a plugin's own error by its kind and words, any other by its name.
fn words(error: CallError) -> Result<String, CaseError> {
    match error {
        CallError::Busy => Err(CaseError::Busy),
        CallError::Fault(Fault::Refused { kind, text }) => Ok(format!("{kind}: {text}")),
        CallError::Fault(fault) => Ok(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_keeps_its_record_to_the_byte_and_its_form() {
        let text = r#"{"record": {"schema":"payment-result/1",  "notification_id":"n","merchant_id":"m","kind":"payment","x":1.50},
            "replies": [{"reply": {"status": 200, "headers": [["x-a", {"base64": "/w=="}]], "body_base64": "/w=="}, "verdict": {"confirmed": null}},
                        {"reply": {"status": 503, "truncated": true}, "verdict": {"retry": {"after_seconds": null, "reason": "busy"}}}]}"#;
        let case: Case = serde_json::from_str(text).expect("a case");
        let given = case.given().expect("fine");
        assert_eq!(given.notification.raw, case.record.get().as_bytes());
        assert_eq!(given.attempt.now.to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!(given.attempt.entropy[31], 31);
        let again: Case = serde_json::from_str(&case.to_text().expect("text")).expect("a case");
        assert_eq!(again.record.get(), case.record.get());
        assert_eq!(again.replies, case.replies);
        let reply = case.replies[0].reply.to_reply("reply").expect("a reply");
        assert_eq!((reply.headers["x-a"].as_bytes(), &reply.body[..]), (&b"\xff"[..], &b"\xff"[..]));
    }

    #[test]
    fn what_is_wrong_with_a_case_is_named_by_its_field() {
        let check = |change: fn(&mut Case), wanted: &str| {
            let record =
                r#"{"schema":"payment-result/1","notification_id":"n","merchant_id":"m","kind":"payment"}"#;
            let mut case = Case::of_record(serde_json::from_str(record).expect("JSON"));
            change(&mut case);
            assert_eq!(case.given().map(drop).map_err(|error| error.to_string()), Err(wanted.to_owned()));
        };
        check(|case| case.url = "shop".to_owned(), "`url` must be an absolute http or https URL");
        check(
            |case| case.origins = vec!["ftp://x".to_owned()],
            "`origins[0]` must be an absolute http or https URL",
        );
        check(|case| case.attempt.number = 0, "`attempt.number` must be 1 or more: the first attempt is 1");
        check(
            |case| case.attempt.entropy.truncate(62),
            "`attempt.entropy` must be 64 hexadecimal digits: 32 bytes",
        );
        check(
            |case| case.record = serde_json::from_str("{}").expect("JSON"),
            "`record`: missing field `schema` at line 1 column 2",
        );
    }
}
