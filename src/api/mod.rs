//! The gateway's HTTP API: notifications come in, and people ask what became of them.
//!
//! The rule: 202 means durable. Everything else that is known of a notification comes from the journal.
//! Not here yet: tokens and TLS. Until then it belongs on the loopback, which is the default.

mod ingest;
mod metrics;
mod plugins;
mod problem;
mod turns;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::broker::Broker;
use crate::domain::NotificationId;
use crate::journal::Journal;

pub use plugins::{PluginRow, Plugins, Refused, Report, RollbackError};
use problem::Problem;

/// What the API works upon.
#[derive(Clone)]
pub struct Api {
    /// Where notifications wait.
    broker: Arc<dyn Broker>,
    /// What happened.
    journal: Arc<dyn Journal>,
    plugins: Arc<dyn Plugins>,
    turns: Arc<turns::Turns>,
    metrics: Arc<metrics::Metrics>,
}

impl Api {
    /// An API upon these three. It adds its own metrics to the registry and shows all of them.
    #[must_use]
    pub fn new(
        broker: Arc<dyn Broker>,
        journal: Arc<dyn Journal>,
        plugins: Arc<dyn Plugins>,
        registry: Registry,
    ) -> Self {
        let metrics = Arc::new(metrics::Metrics::new(registry));
        Self { broker, journal, plugins, turns: Arc::default(), metrics }
    }

    /// Waits until every record that was being taken in has been, or was refused. To be called when the routes are
    /// served no more, and the journal still is there.
    pub async fn finish(&self) {
        self.turns.finish().await;
    }

    /// The routes. A record may be `longest_body` bytes long.
    pub fn router(self, longest_body: usize) -> Router {
        Router::new()
            .route("/v1/notifications", post(ingest::ingest))
            .route("/v1/notifications/{id}", get(story))
            .route("/v1/plugins", get(plugins::list))
            .route("/v1/plugins/{name}/rollback", post(plugins::roll_back))
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics::metrics))
            .fallback(|| async { not_found("no such resource; see README.md for the API") })
            .method_not_allowed_fallback(|| async {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method not allowed",
                    "see README.md for the API",
                )
            })
            .layer(DefaultBodyLimit::max(longest_body))
            .with_state(self)
    }
}

/// `GET /v1/notifications/{id}`: the whole story.
async fn story(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let unknown = || not_found(format!("no notification `{id}` is known"));
    let parsed: NotificationId = id.parse().map_err(|_| unknown())?;
    match api.journal.story(&parsed).await {
        Ok(Some(story)) => Ok(Json(story).into_response()),
        Ok(None) => Err(unknown()),
        Err(error) => Err(unavailable(error)),
    }
}

/// `GET /readyz`: 200 when notifications can be taken, 503 with the reasons when not.
async fn ready(State(api): State<Api>) -> Response {
    let word = |result: Result<(), String>| result.map_or_else(|reason| reason, |()| "ready".to_owned());
    let (broker, journal) = (api.broker.ready(), api.journal.ready());
    let status =
        if broker.is_ok() && journal.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"broker": word(broker), "journal": word(journal)}))).into_response()
}

fn not_found(detail: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not found", detail)
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not available just now", error)
}
