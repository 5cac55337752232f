//! Requests, replies and verdicts as a case's file has them. [`case`](super::case) describes the form.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::error::{CaseError, field};
use crate::domain::{Reply, Request, Verdict};

/// A request as it would be sent.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is documented once, in `case`")]
pub struct CaseRequest {
    pub method: String,
    pub url: String,
    #[serde(default)]
    pub headers: Vec<(String, HeaderText)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// A merchant's reply.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is documented once, in `case`")]
pub struct CaseReply {
    pub status: u16,
    #[serde(default)]
    pub headers: Vec<(String, HeaderText)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A reply, and what it means.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is documented once, in `case`")]
pub struct Judged {
    pub reply: CaseReply,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<CaseVerdict>,
}

/// A verdict, or why there is none.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each case is documented once, in `case`")]
pub enum CaseVerdict {
    Confirmed(Option<String>),
    Retry { after_seconds: Option<u64>, reason: String },
    Stop(String),
    Error(String),
}

/// The value of a header field: mostly text.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each case is documented once, in `case`")]
pub enum HeaderText {
    Text(String),
    Bytes { base64: String },
}

impl CaseRequest {
    /// A checked request, as it would be sent.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let (body, body_base64) = text_or_base64(&request.body);
        Self {
            method: request.method.to_string(),
            url: request.uri.to_string(),
            headers: header_texts(&request.headers),
            body,
            body_base64,
        }
    }

    /// The body's bytes.
    ///
    /// # Errors
    /// `body_base64` is none, or stands beside `body`.
    pub fn body_bytes(&self) -> Result<Bytes, CaseError> {
        bytes_of("request", self.body.as_ref(), self.body_base64.as_ref())
    }
}

impl CaseReply {
    /// A reply as a case has it.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let (body, body_base64) = text_or_base64(&reply.body);
        let (status, headers) = (reply.status.as_u16(), header_texts(&reply.headers));
        Self { status, headers, body, body_base64, truncated: reply.truncated }
    }

    /// The reply as a plugin is shown it. `at` is where it stands, for errors.
    ///
    /// # Errors
    /// Names the field that no HTTP reply has.
    pub fn to_reply(&self, at: &str) -> Result<Reply, CaseError> {
        let status = StatusCode::from_u16(self.status)
            .map_err(|_| field(format!("{at}.status"), "must have three digits"))?;
        let mut headers = HeaderMap::new();
        for (index, (name, value)) in self.headers.iter().enumerate() {
            let wrong = || field(format!("{at}.headers[{index}]"), "is no HTTP header field");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let value = value.to_bytes().and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
            headers.append(name, value.ok_or_else(wrong)?);
        }
        let body = bytes_of(at, self.body.as_ref(), self.body_base64.as_ref())?;
        Ok(Reply { status, headers, body, truncated: self.truncated })
    }
}

impl HeaderText {
    fn of(value: &HeaderValue) -> Self {
        match value.to_str() {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: STANDARD.encode(value.as_bytes()) },
        }
    }

    /// The value's bytes; `None` where `base64` is none.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Bytes { base64 } => STANDARD.decode(base64).ok(),
        }
    }
}

impl CaseVerdict {
    /// A verdict as a case has it.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Confirmed { detail } => Self::Confirmed(detail),
            Verdict::Retry { after, reason } => {
                Self::Retry { after_seconds: after.as_ref().map(Duration::as_secs), reason }
            }
            Verdict::Stop { reason } => Self::Stop(reason),
        }
    }
}

fn header_texts(headers: &HeaderMap) -> Vec<(String, HeaderText)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), HeaderText::of(value))).collect()
}

/// Text where every character of it can be seen in a file; else base64.
fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let plain = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(plain) => (Some(text.to_owned()), None),
        Ok(_) | Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn bytes_of(at: &str, text: Option<&String>, base64: Option<&String>) -> Result<Bytes, CaseError> {
    match (text, base64) {
        (None, None) => Ok(Bytes::new()),
        (Some(text), None) => Ok(Bytes::from(text.clone())),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map(Bytes::from)
            .map_err(|_| field(format!("{at}.body_base64"), "is not base64")),
        (Some(_), Some(_)) => Err(field(format!("{at}.body_base64"), "stands beside `body`")),
    }
}
