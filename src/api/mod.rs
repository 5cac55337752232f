//! The gateway's HTTP API: notifications come in, and people ask what became of them.
//!
//! The rule: 202 means durable. Everything else that is known of a notification comes from the journal. No route without a
//! door: [`ROUTES`] says of each who may take it, and the router is made of that list alone.

mod doors;
mod ingest;
mod metrics;
mod plugins;
mod problem;
mod rate;
mod serve;
mod settings;
mod tls;
mod tokens;
mod turns;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router, middleware};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::broker::Broker;
use crate::domain::NotificationId;
use crate::journal::Journal;

pub use doors::Rates;
use doors::{Caller, Doorkeeper, Doors};
pub use plugins::{PluginRow, Plugins, Refused, Report, RollbackError};
use problem::Problem;
pub use serve::serve;
pub use settings::{Settings, TlsFiles};
pub use tls::{InvalidTls, Tls};
pub use tokens::{Door, InvalidHash, NoRandomness, Role, Token, TokenHash, new_token};

/// One way into the API.
pub struct Route {
    /// Its method.
    pub method: &'static str,
    /// Its path, with names for what differs.
    pub path: &'static str,
    /// Who may take it.
    pub door: Door,
    handler: fn() -> MethodRouter<Api>,
}

/// Every way into the API.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/notifications", door: Door::Ingest, handler: || post(ingest::ingest) },
    Route { method: "GET", path: "/v1/notifications/{id}", door: Door::Own, handler: || get(story) },
    Route { method: "GET", path: "/v1/plugins", door: Door::Read, handler: || get(plugins::list) },
    Route {
        method: "POST",
        path: "/v1/plugins/{name}/rollback",
        door: Door::Operate,
        handler: || post(plugins::roll_back),
    },
    Route { method: "GET", path: "/healthz", door: Door::Open, handler: || get(|| async { "alive\n" }) },
    Route { method: "GET", path: "/readyz", door: Door::Open, handler: || get(ready) },
    Route { method: "GET", path: "/metrics", door: Door::Read, handler: || get(metrics::metrics) },
];

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

    /// The routes, each behind its door. Of the settings it takes whom to let in, how often, and how long a body may be.
    pub fn router(self, settings: &Settings) -> Router {
        let doors = Arc::new(Doors::new(settings.tokens.clone(), settings.rates));
        let with_route = |router: Router<Self>, route: &Route| {
            let (doors, metrics) = (Arc::clone(&doors), Arc::clone(&self.metrics));
            let keeper = Doorkeeper { doors, door: route.door, route: (route.method, route.path), metrics };
            let handler = (route.handler)().route_layer(middleware::from_fn_with_state(keeper, doors::keep));
            router.route(route.path, handler)
        };
        let routes = ROUTES.iter().fold(Router::new(), with_route);
        routes
            .fallback(|State(api): State<Self>| async move {
                api.metrics.count_stray(StatusCode::NOT_FOUND);
                not_found("no such resource; see README.md for the API")
            })
            .method_not_allowed_fallback(|State(api): State<Self>| async move {
                api.metrics.count_stray(StatusCode::METHOD_NOT_ALLOWED);
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method not allowed",
                    "see README.md for the API",
                )
            })
            .layer(DefaultBodyLimit::max(settings.longest_body))
            .with_state(self)
    }
}

/// `GET /v1/notifications/{id}`: the whole story. A merchant's token is told of that merchant's alone.
async fn story(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || not_found(format!("no notification `{id}` is known"));
    let parsed: NotificationId = id.parse().map_err(|_| unknown())?;
    match api.journal.story(&parsed).await {
        Ok(Some(story)) if caller.may_see(&story.merchant_id) => Ok(Json(story).into_response()),
        Ok(Some(_) | None) => Err(unknown()),
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
