//! What is traced of a notification: its root when it has ended, and before that a span for each attempt and each hold, with the parts of
//! which it was made.
//!
//! It measures nothing itself: [`Parts`] has the times, and metrics need them anyway. What is in no span stands at the head
//! of [`crate::traces`].

use std::borrow::Cow;
use std::time::Duration;

use super::Merchant;
use super::parts::{Part, Parts};
use crate::clock;
use crate::domain::{Envelope, FaultOwner, Happened, Ladder, Moment, Origin, OutcomeEvent};
use crate::journal;
use crate::traces::{Kind, Span, SpanId, Trace, Traces, Value};

/// The one ending that is none's fault.
const CONFIRMED: &str = "confirmed";

/// The spans of an attempt or hold that is not settled yet.
pub(super) struct Spans<'t> {
    traces: &'t Traces,
    trace: Trace,
    name: &'static str,
    attributes: Vec<(&'static str, Value)>,
    /// Why it was no confirmation, if it was none.
    failure: Option<&'static str>,
    /// What is known of the request, if one went out.
    request: Option<Sent>,
    /// No word came of the plugin, or of the merchant: that is the fault of the last part of the three.
    cut_short: Option<&'static str>,
}

/// What a request's span tells of it.
struct Sent {
    method: String,
    attributes: Vec<(&'static str, Value)>,
    failure: Option<Cow<'static, str>>,
}

impl<'t> Spans<'t> {
    /// Of what happened, unless the notification is not traced.
    pub(super) fn of(
        traces: &'t Traces,
        (envelope, late): (&Envelope, Duration),
        (merchant, ladder): (Option<&Merchant>, &Ladder),
        record: Option<&journal::Attempt>,
        happened: &Happened,
    ) -> Option<Self> {
        let (notification, progress) = (&envelope.notification, &envelope.progress);
        let trace = traces.of(notification.id(), progress.replay)?;
        let (verdict, cause) = match happened {
            Happened::Replied(_) => (Some(happened.name()), None),
            Happened::NoReply(_) | Happened::Held(_) => (None, Some(happened.name())),
        };
        let owner = FaultOwner::of(happened);
        let made = record.is_some() || matches!(happened, Happened::NoReply(_));
        let mut attributes = vec![
            ("paynotify.notification", notification.id().as_str().to_owned().into()),
            ("paynotify.merchant", notification.merchant().as_str().to_owned().into()),
            ("paynotify.attempt", progress.attempt.get().into()),
            ("paynotify.replay", progress.replay.into()),
            ("paynotify.rung", rung(ladder, progress.attempt.get())),
            ("paynotify.lane", envelope.lane.name().into()),
            ("paynotify.late_ms", Value::Number(i64::try_from(late.as_millis()).unwrap_or(i64::MAX))),
        ];
        if let Some(Merchant { plugin, .. }) = merchant {
            attributes.push(("paynotify.plugin", plugin.description().name.clone().into()));
            attributes.push(("paynotify.plugin.hash", plugin.hash().to_owned().into()));
        }
        let words = [
            ("paynotify.verdict", verdict),
            ("paynotify.cause", cause),
            ("paynotify.fault_owner", owner.map(FaultOwner::name)),
        ];
        attributes.extend(words.into_iter().filter_map(|(key, word)| Some((key, word?.into()))));
        let failure = owner.map(|_| happened.name());
        let request = record.map(|record| Sent::of(record, progress.attempt.get()));
        let name = if made { "attempt" } else { "hold" };
        Some(Self { traces, trace, name, attributes, failure, request, cut_short: cause })
    }

    /// It is settled: hands them over.
    pub(super) fn finish(self, parts: &Parts) {
        let Self { traces, trace, name, attributes, failure, mut request, cut_short } = self;
        // The wall clock is read now, once: what is not traced does not pay for it.
        let (elapsed, now) = (parts.elapsed(), clock::nanoseconds());
        let at = |since: Duration| {
            let ago = u64::try_from(elapsed.saturating_sub(since).as_nanos()).unwrap_or(u64::MAX);
            now.saturating_sub(ago)
        };
        let mut whole = Span::new(trace.id, SpanId::random(), name.into(), (at(Duration::ZERO), now));
        whole.parent = Some(trace.root);
        whole.attributes = attributes;
        whole.failure = failure.map(Cow::Borrowed);
        let id = whole.id;
        let mut spans = vec![whole];
        let last =
            [Part::Judge, Part::Send, Part::Format].into_iter().find(|part| parts.took(*part).is_some());
        for part in Part::ALL {
            let Some((from, to)) = parts.between(part) else { continue };
            let mut span = Span::new(trace.id, SpanId::random(), part.name().into(), (at(from), at(to)));
            span.parent = Some(id);
            span.failure = cut_short.filter(|_| last == Some(part)).map(Cow::Borrowed);
            if part == Part::Send {
                span.kind = Kind::Client;
                if let Some(Sent { method, attributes, failure }) = request.take() {
                    span.name = method.into();
                    span.attributes = attributes;
                    span.failure = span.failure.or(failure);
                }
            }
            spans.push(span);
        }
        traces.hand_over(spans);
    }
}

impl Sent {
    /// By the conventions for HTTP clients, but without `url.full`: a merchant's path can have in it what is the merchant's alone.
    /// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
    fn of(record: &journal::Attempt, attempt: u32) -> Self {
        let mut attributes = vec![("http.request.method", record.method.clone().into())];
        if let Ok(origin) = record.url.parse::<Origin>() {
            let host = origin.host().trim_start_matches('[').trim_end_matches(']');
            attributes.push(("server.address", host.to_owned().into()));
            attributes.push(("server.port", Value::Number(origin.port().into())));
            let scheme = if record.url.starts_with("https:") { "https" } else { "http" };
            attributes.push(("url.scheme", scheme.into()));
        }
        if attempt > 1 {
            attributes.push(("http.request.resend_count", (attempt - 1).into()));
        }
        if let Some(status) = record.status {
            attributes.push(("http.response.status_code", Value::Number(status.into())));
        }
        let failure = record.status.filter(|status| *status >= 400).map(|status| status.to_string().into());
        Self { method: record.method.clone(), attributes, failure }
    }
}

/// As in the metrics: the delay in seconds of the rung that it waited on, or `first`.
fn rung(ladder: &Ladder, attempt: u32) -> Value {
    let before = attempt.checked_sub(2).and_then(|index| usize::try_from(index).ok());
    match before {
        None => "first".into(),
        Some(index) => match ladder.delays().get(index) {
            Some(delay) => delay.as_secs_f64().to_string().into(),
            // The ladder has become shorter since.
            None => "other".into(),
        },
    }
}

/// A notification has ended: hands its root over. It follows from what the journal has of the ending, so that one that is told again is
/// the same span again.
pub(super) fn end(traces: &Traces, event: &OutcomeEvent) {
    let Some(trace) = traces.of(&event.notification_id, event.replay) else { return };
    let nanoseconds =
        |moment: Moment| u64::try_from(moment.unix_milliseconds()).unwrap_or(0).saturating_mul(1_000_000);
    // The journal knows the millisecond, and what was done within it belongs to it.
    let time = (nanoseconds(event.first_seen), nanoseconds(event.ended_at).saturating_add(999_999));
    let mut root = Span::new(trace.id, trace.root, "notification".into(), time);
    root.attributes = vec![
        ("paynotify.notification", event.notification_id.as_str().to_owned().into()),
        ("paynotify.merchant", event.merchant_id.as_str().to_owned().into()),
        ("paynotify.replay", event.replay.into()),
        ("paynotify.attempts", event.attempts.into()),
        ("paynotify.outcome", event.outcome.into()),
    ];
    root.failure = Some(event.outcome).filter(|outcome| *outcome != CONFIRMED).map(Cow::Borrowed);
    root.link = (event.replay > 0).then(|| Trace::of(&event.notification_id, 0));
    traces.hand_over(vec![root]);
}
