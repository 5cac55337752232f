//! `GET /metrics`: everything that is counted and measured, in the text format of OpenMetrics 1.0.
//!
//! The rule: each part of the gateway makes its own metrics, puts them into the registry that it is given when it is
//! built, and keeps the handles; here they are only written out. There is no global registry. Labels have few and known
//! values: no id; a merchant only among the few for which most is undelivered. docs/metrics.md lists every metric; a test holds the list
//! to what is shown.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Api;
use super::standing::Standing;

/// The registry, and what is measured when somebody asks.
pub(super) struct Metrics {
    registry: Registry,
    ready: Family<Part, Gauge>,
    requests: Family<Answered, Counter>,
    standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

/// A route by its place in [`ROUTES`](super::ROUTES), never by what somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// What requests count as that are for no route.
const NO_ROUTE: (&str, &str) = ("-", "none");

/// The status of a request that went without an answer, because it took too long or whoever asked went away.
const UNANSWERED: u16 = 0;

impl Metrics {
    pub(super) fn new(mut registry: Registry) -> Self {
        let (ready, requests) = <(Family<_, Gauge>, Family<_, Counter>)>::default();
        registry.register("ready", "Whether a part can be used just now, as /readyz tells it", ready.clone());
        let help = "Requests to the API, by what was answered; those that were denied included";
        registry.register("api_requests", help, requests.clone());
        let standing = Standing::default();
        registry.register_collector(Box::new(standing.clone()));
        Self { registry, ready, requests, standing }
    }

    /// A request for this route begins.
    pub(super) fn begin(self: &Arc<Self>, method: &'static str, route: &'static str) -> Begun {
        Begun { metrics: Arc::clone(self), method, route, status: UNANSWERED }
    }

    /// A request for no route is answered.
    pub(super) fn count_stray(self: &Arc<Self>, status: StatusCode) {
        let (method, route) = NO_ROUTE;
        self.begin(method, route).end(status);
    }
}

/// A request that is to be counted, once it ends, however that may be.
pub(super) struct Begun {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: &'static str,
    status: u16,
}

impl Begun {
    /// It is answered.
    pub(super) fn end(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Self { method, route, status, .. } = *self;
        self.metrics.requests.get_or_create(&Answered { method, route, status }).inc();
    }
}

/// `GET /metrics`
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (part, ready) in [("broker", api.broker.ready()), ("journal", api.journal.ready())] {
        api.metrics.ready.get_or_create(&Part { part }).set(i64::from(ready.is_ok()));
    }
    api.metrics.standing.renew(&api).await;
    let mut text = String::new();
    match encode(&mut text, &api.metrics.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written: this is a bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
