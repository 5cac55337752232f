//! `GET /v1/notifications/{id}/attempts/{number}`: what was sent and answered, as far as it may be shown.
//!
//! It comes from the attempt's transcript, if one is kept. Bodies are cut; what is left out stands there as `***`. What is
//! shown is what the plugin made, before the gateway added the merchant's `authorization`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::notifications::unknown;
use super::problem::Problem;
use super::query::Path;
use super::redacted::Redactor;
use super::{Api, not_found, unavailable};
use crate::domain::{MerchantId, Moment, NotificationId};
use crate::journal::{Attempt, Kept, Lookup};
use crate::redact::{self, Content};
use crate::replay::{
    KeptBytes, KeptFault, KeptReply, KeptRequest, KeptValue, KeptVerdict, Made, PluginVersion, Transcript,
};

/// So much of a body is shown, in bytes.
const LONGEST_BODY: usize = 16 << 10;
/// So much of a header's value, or of a URL.
const LONGEST_LINE: usize = 2 << 10;

/// The answer.
#[derive(Serialize)]
struct Shown {
    notification_id: NotificationId,
    merchant_id: MerchantId,
    number: u32,
    /// As in the story; of several of one number the last. `None` when it came to nothing by its plugin's fault.
    attempt: Option<Attempt>,
    /// `None` when no transcript is kept.
    record: Option<Record>,
}

#[derive(Serialize)]
struct Record {
    recorded_at: Moment,
    plugin: PluginVersion,
    /// The time that the plugin was told.
    plugin_time: Option<Moment>,
    request: Option<Request>,
    reply: Option<Reply>,
    verdict: Option<Verdict>,
    /// Why there is no request.
    fault: Option<Fault>,
}

#[derive(Serialize)]
struct Request {
    method: String,
    url: String,
    headers: Vec<Header>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize)]
struct Reply {
    status: u16,
    headers: Vec<Header>,
    #[serde(flatten)]
    body: Body,
    /// It was longer than the gateway reads.
    truncated: bool,
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Body {
    body: Option<BodyContent>,
    /// How long it is in the record.
    body_bytes: usize,
    /// Less is shown than there is.
    body_cut: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BodyContent {
    Text(String),
    Base64 { base64: String },
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Verdict {
    Confirmed { detail: Option<String> },
    Retry { after_seconds: Option<u64>, reason: String },
    Stop { reason: String },
    Fault(Fault),
}

#[derive(Serialize)]
struct Fault {
    name: String,
    text: String,
}

/// `GET /v1/notifications/{id}/attempts/{number}`
pub(super) async fn attempt(
    State(api): State<Api>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let parsed: NotificationId = id.parse().map_err(|_| unknown(&id))?;
    let story = api.journal.story(&parsed).await.map_err(unavailable)?.ok_or_else(|| unknown(&id))?;
    let kept = match api.journal.look_up(&parsed, Some(number)).await.map_err(unavailable)? {
        Lookup::Found(kept) => Some(kept),
        Lookup::Unknown | Lookup::NotKept { .. } => None,
    };
    let merchant_id = story.merchant_id;
    let redactor = Redactor { secrets: &*api.secrets, merchant: &merchant_id };
    let attempt = story.attempts.into_iter().rfind(|attempt| attempt.number == number);
    if attempt.is_none() && kept.is_none() {
        return Err(not_found(format!("nothing is known of an attempt {number} of notification `{id}`")));
    }
    // Of the same replay, or it is another attempt's.
    let kept =
        kept.filter(|kept| attempt.as_ref().is_none_or(|attempt| attempt.replay == kept.transcript.replay));
    let attempt = attempt.map(|attempt| redactor.attempt(attempt));
    let record = kept.and_then(|kept| record(&kept, &parsed, &redactor));
    let notification_id = story.notification_id;
    Ok(Json(Shown { notification_id, merchant_id: merchant_id.clone(), number, attempt, record })
        .into_response())
}

/// What is shown of a transcript; nothing of one that another version has written, or that is damaged.
fn record(kept: &Kept, id: &NotificationId, redactor: &Redactor<'_>) -> Option<Record> {
    let Transcript { plugin, attempt, format, reply, judge, .. } =
        Transcript::from_json(&kept.transcript.content)
            .inspect_err(|error| tracing::warn!(notification = %id, %error, "a transcript is not shown"))
            .ok()?;
    let (request, fault) = match format.made {
        Made::Result(request) => (Some(redactor.request(&request)), None),
        Made::Fault(fault) => (None, Some(redactor.fault(&fault))),
    };
    Some(Record {
        recorded_at: kept.recorded_at,
        plugin,
        plugin_time: attempt.context().map(|context| context.now),
        request,
        reply: reply.map(|reply| redactor.reply(&reply)),
        verdict: judge.map(|judge| redactor.verdict(&judge.made)),
        fault,
    })
}

impl Redactor<'_> {
    fn request(&self, request: &KeptRequest) -> Request {
        let headers = request.headers.iter().map(|(name, value)| match value {
            KeptValue::Plain(KeptBytes(value)) => self.header(name, value),
            KeptValue::Digest { .. } => Header { name: name.clone(), value: redact::HIDDEN.to_owned() },
        });
        let headers: Vec<Header> = headers.collect();
        Request {
            method: request.method.clone(),
            url: self.with(|find| redact::url(&request.url, LONGEST_LINE, find)),
            body: self.body(&request.body, is_coded(&headers)),
            headers,
        }
    }

    fn reply(&self, reply: &KeptReply) -> Reply {
        let headers = reply.headers.iter().map(|(name, value)| self.header(name, &value.0));
        let headers: Vec<Header> = headers.collect();
        let body = self.body(&reply.body, is_coded(&headers));
        Reply { status: reply.status, body, headers, truncated: reply.truncated }
    }

    fn header(&self, name: &str, value: &[u8]) -> Header {
        let value = String::from_utf8_lossy(value);
        let value = self.with(|find| redact::header(name, &value, LONGEST_LINE, find));
        Header { name: name.to_owned(), value }
    }

    /// One that is coded cannot be looked into, and so is not shown.
    fn body(&self, KeptBytes(bytes): &KeptBytes, is_coded: bool) -> Body {
        if is_coded {
            return Body { body: None, body_bytes: bytes.len(), body_cut: !bytes.is_empty() };
        }
        let redact::Shown { content, cut } = self.with(|find| redact::body(bytes, LONGEST_BODY, find));
        let body = match content {
            Content::Text(text) => BodyContent::Text(text),
            Content::Bytes(bytes) => BodyContent::Base64 { base64: STANDARD.encode(bytes) },
        };
        Body { body: Some(body), body_bytes: bytes.len(), body_cut: cut }
    }

    fn verdict(&self, made: &Made<KeptVerdict>) -> Verdict {
        match made {
            Made::Result(KeptVerdict::Confirmed(detail)) => {
                Verdict::Confirmed { detail: detail.as_deref().map(|detail| self.text(detail)) }
            }
            Made::Result(KeptVerdict::Retry { after_seconds, reason }) => {
                Verdict::Retry { after_seconds: *after_seconds, reason: self.text(reason) }
            }
            Made::Result(KeptVerdict::Stop(reason)) => Verdict::Stop { reason: self.text(reason) },
            Made::Fault(fault) => Verdict::Fault(self.fault(fault)),
        }
    }

    fn fault(&self, fault: &KeptFault) -> Fault {
        Fault { name: fault.name.clone(), text: self.text(&fault.text) }
    }
}

/// Whether the body is compressed or the like.
fn is_coded(headers: &[Header]) -> bool {
    headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("content-encoding") && !header.value.eq_ignore_ascii_case("identity")
    })
}
