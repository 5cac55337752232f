//! The way to an OpenTelemetry collector: what was done with a notification, as spans, sent by OTLP over HTTP.
//!
//! The rule: a collector that is slow or away costs a notification nothing. Whoever has measured something hands its spans over and
//! goes on; they wait in a bounded queue, one task sends them, and what finds no room, or is not taken in time, is
//! dropped and counted. Nothing of them outlasts the process.
//!
//! A notification has one trace, and a further one for each replay, which is linked to the first. Their ids are derived, not carried
//! (`ids`): so attempts in any gateway, hours apart, come together. The root is sent when the notification ends; until
//! then its attempts hang below a span that is still to come.
//!
//! What is in no span: texts of merchants and plugins, bodies, headers, order numbers, and of a URL anything but scheme, host and port.
//!
//! Deliberately absent: a header `traceparent` in what merchants are sent, because the request's headers are the plugin's, to the
//! byte, and a merchant is no part of our traces; spans of the API's answers, which its metrics and its log tell of; gRPC, JSON and
//! compression, none of which a collector needs; and a library for all this, because the derived ids and the way out, past the address
//! guard, are our own, and what is left of it is a few messages.

mod exporter;
mod ids;
mod otlp;
mod span;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Uri};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::domain::{NotificationId, Reply, Request, TransportFailure};

pub use exporter::Exporter;
pub use ids::{Sampling, SpanId, Trace, TraceId};
pub use span::{Kind, Span, Value};

/// What goes by configuration.
#[derive(Debug)]
pub struct Settings {
    /// Where spans are posted.
    pub url: Uri,
    /// What goes along with each post. Values that are secret are marked as sensitive.
    pub headers: HeaderMap,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// What the gateways are called together.
    pub service: String,
    /// What tells this gateway from the others.
    pub instance: String,
    /// How many spans may wait.
    pub queue: usize,
    /// How many are sent with one post, at most.
    pub batch: usize,
    /// How long one waits for others to be sent with it.
    pub interval: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// For how long a post is tried again. Then its spans are dropped.
    pub patience: Duration,
}

/// How a post leaves the gateway. Its time is bounded.
#[async_trait]
pub trait Post: Send + Sync {
    /// Sends it and takes in the reply.
    ///
    /// # Errors
    /// Why there is no reply.
    async fn post(&self, request: Request) -> Result<Reply, TransportFailure>;
}

/// Where spans are handed over. Cheap to clone; clones share one queue.
#[derive(Clone, Debug)]
pub struct Traces {
    sampling: Sampling,
    spans: mpsc::Sender<Span>,
    metrics: TraceMetrics,
}

impl Traces {
    /// A queue, and the task that empties it, to be run.
    #[must_use]
    pub fn new(settings: Settings, post: Arc<dyn Post>, metrics: TraceMetrics) -> (Self, Exporter) {
        let (spans, waiting) = mpsc::channel(settings.queue);
        let this = Self { sampling: settings.sampling, spans, metrics: metrics.clone() };
        (this, Exporter::new(settings, post, waiting, metrics))
    }

    /// The trace of a notification's replay, 0 for what came before the first; `None` if it is not kept.
    #[must_use]
    pub fn of(&self, notification: &NotificationId, replay: u32) -> Option<Trace> {
        let trace = Trace::of(notification, replay);
        self.sampling.keeps(trace.id).then_some(trace)
    }

    /// Hands spans over, all of them or, without room, none. Never waits.
    pub fn hand_over(&self, spans: Vec<Span>) {
        match self.spans.try_reserve_many(spans.len()) {
            Ok(places) => places.zip(spans).for_each(|(place, span)| place.send(span)),
            Err(_) => self.metrics.count(Came::Dropped, spans.len()),
        }
    }
}

/// What becomes of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// The collector has them.
    Sent,
    /// There was no room for them.
    Dropped,
    /// The collector did not take them.
    Failed,
}

/// What is counted.
#[derive(Clone, Debug)]
pub struct TraceMetrics([Counter; 3]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

impl TraceMetrics {
    /// Puts them into the registry.
    #[must_use]
    pub fn registered(registry: &mut Registry) -> Self {
        let spans = Family::<OfResult, Counter>::default();
        registry.register(
            "trace_spans",
            "Spans for the OpenTelemetry collector, by what came of them",
            spans.clone(),
        );
        Self(["sent", "dropped", "failed"].map(|result| spans.get_or_create_owned(&OfResult { result })))
    }

    fn count(&self, came: Came, spans: usize) {
        self.0[came as usize].inc_by(spans as u64);
    }
}
