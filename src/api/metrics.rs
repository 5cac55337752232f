//! `GET /metrics`: everything that is counted and measured, in the text format of OpenMetrics 1.0.
//!
//! The rule: each part of the gateway makes its own metrics, puts them into the registry that it is given when it is
//! built, and keeps the handles; here they are only written out. There is no global registry. Labels have few and known
//! values: no id, no merchant's text. README.md lists every metric; a test holds the list to what is shown.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Api;

/// The registry, and what is measured when somebody asks.
pub(super) struct Metrics {
    registry: Registry,
    ready: Family<Part, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

impl Metrics {
    pub(super) fn new(mut registry: Registry) -> Self {
        let ready = Family::default();
        registry.register("ready", "Whether a part can be used just now, as /readyz tells it", ready.clone());
        Self { registry, ready }
    }
}

/// `GET /metrics`
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (part, ready) in [("broker", api.broker.ready()), ("journal", api.journal.ready())] {
        api.metrics.ready.get_or_create(&Part { part }).set(i64::from(ready.is_ok()));
    }
    let mut text = String::new();
    match encode(&mut text, &api.metrics.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written: this is a bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
