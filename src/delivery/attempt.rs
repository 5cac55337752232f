//! One attempt: format, send, judge. Makes no decision; says what happened.

use std::time::Instant;

use http::header::AUTHORIZATION;

use crate::clock;
use crate::domain::{Envelope, Happened, HoldReason, Reply, Request, TransportFailure, Verdict};
use crate::journal;
use crate::plugin::{AttemptContext, CallError, Conditions};
use crate::replay::Transcript;

use super::Merchant;
use super::parts::{Part, Parts};

/// What happened, and the attempt's record if a request went out.
pub(super) struct Attempted {
    pub(super) happened: Happened,
    pub(super) record: Option<journal::Attempt>,
    /// What went into the plugin's calls and what came out, if it was called.
    pub(super) transcript: Option<Transcript>,
    /// Why the plugin did not do what it was asked, if it did not.
    pub(super) failed: Option<CallError>,
    /// It failed, and there is another version of the plugin by now.
    pub(super) outdated: bool,
}

impl Attempted {
    /// No request went out.
    pub(super) fn without(happened: Happened) -> Self {
        Self { happened, record: None, transcript: None, failed: None, outdated: false }
    }
}

/// Makes the attempt that the envelope's progress asks for.
pub(super) async fn attempt(envelope: &Envelope, merchant: &Merchant, parts: &mut Parts) -> Attempted {
    let began = Instant::now();
    let context =
        AttemptContext { number: envelope.progress.attempt, now: clock::now(), entropy: rand::random() };
    let Merchant { plugin, endpoint, .. } = merchant;
    let notification = &envelope.notification;
    let conditions = Conditions::from(endpoint);
    let formatting = plugin.format_and_keep(notification, conditions.clone(), &context);
    let (formatted, kept) = parts.time(Part::Format, formatting).await;
    let mut transcript = Transcript::begin(plugin.into(), endpoint.into(), &context, &formatted);
    let mut request = match formatted.result {
        Ok(request) => request,
        Err(error) => {
            let failed = Some(error.clone());
            return Attempted { transcript, failed, ..Attempted::without(Happened::Held(error.into())) };
        }
    };
    if let Some(authorization) = &merchant.authorization {
        request.headers.insert(AUTHORIZATION, authorization.clone());
    }
    let mut record = record_of(&request, &context, plugin);
    record.replay = envelope.progress.replay;
    let mut failed = None;
    let happened = match parts.time(Part::Send, merchant.way.client().send(request)).await {
        // No request went out, so there is no attempt to record or to spend.
        Err(TransportFailure::AddressRefused) => {
            let held = Happened::Held(HoldReason::AddressRefused);
            return Attempted { transcript, ..Attempted::without(held) };
        }
        Err(failure) => Happened::NoReply(failure),
        Ok(reply) => {
            record.status = Some(reply.status.as_u16());
            record.reply = Some(excerpt(&reply));
            let judging = plugin.judge_with(kept, notification, conditions, &context, &reply);
            let judged = parts.time(Part::Judge, judging).await;
            if let Some(transcript) = &mut transcript {
                transcript.add_reply(&reply, &judged);
            }
            match judged.result {
                Ok(verdict) => Happened::Replied(with_retry_after(verdict, &reply)),
                Err(error) => {
                    failed = Some(error.clone());
                    Happened::Held(error.into())
                }
            }
        }
    };
    (record.result, record.detail) = result(&happened);
    record.duration = began.elapsed();
    Attempted { record: Some(record), transcript, failed, ..Attempted::without(happened) }
}

/// A merchant's `Retry-After` counts when the plugin named no wait of its own.
fn with_retry_after(verdict: Verdict, reply: &Reply) -> Verdict {
    match verdict {
        Verdict::Retry { after: None, reason } => {
            Verdict::Retry { after: reply.retry_after(clock::now()), reason }
        }
        Verdict::Retry { .. } | Verdict::Confirmed { .. } | Verdict::Stop { .. } => verdict,
    }
}

fn record_of(
    request: &Request,
    context: &AttemptContext,
    plugin: &crate::plugin::Plugin,
) -> journal::Attempt {
    let uri = &request.uri;
    journal::Attempt {
        number: context.number.get(),
        started_at: context.now,
        duration: std::time::Duration::ZERO,
        plugin: format!("{}@{}", plugin.description().name, plugin.hash()),
        method: request.method.to_string(),
        url: format!(
            "{}://{}{}",
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str()),
            uri.path()
        ),
        status: None,
        reply: None,
        result: String::new(),
        detail: None,
        replay: 0,
    }
}

/// The beginning of a reply, for people.
fn excerpt(reply: &Reply) -> String {
    const LONGEST: usize = 256;
    let beginning = reply.body.get(..LONGEST * 4).unwrap_or(&reply.body);
    String::from_utf8_lossy(beginning).chars().take(LONGEST).collect()
}

fn result(happened: &Happened) -> (String, Option<String>) {
    let detail = match happened {
        Happened::Replied(Verdict::Confirmed { detail }) => detail.clone(),
        Happened::Replied(Verdict::Retry { reason, .. } | Verdict::Stop { reason }) => Some(reason.clone()),
        Happened::NoReply(failure) => Some(failure.to_string()),
        Happened::Held(reason) => Some(reason.to_string()),
    };
    (happened.name().to_owned(), detail)
}
