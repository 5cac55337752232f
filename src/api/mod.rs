//! The gateway's HTTP API: notifications come in, and people ask what became of them.
//!
//! The rule: 202 means durable. Everything else that is known of a notification comes from the journal. No route without a
//! door: [`ROUTES`] says of each who may take it, and the router is made of that list alone.

mod attempts;
mod audit;
mod browsers;
mod console;
mod counts;
mod doors;
mod ingest;
mod ladder;
mod live;
mod merchants;
mod metrics;
mod notifications;
mod openapi;
mod order;
mod orders;
mod page;
mod plugins;
mod poison;
mod problem;
mod query;
mod rate;
mod redacted;
mod replay;
mod replays;
mod serve;
mod settings;
mod standing;
mod tls;
mod tokens;
mod turns;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router, middleware};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::broker::Broker;
use crate::journal::Journal;
use crate::live::Live;

pub use doors::Rates;
use doors::{Caller, Doorkeeper, Doors};
pub use merchants::{Found, MerchantFacts, Merchants, PluginFacts, Standing, Wanted};
pub use plugins::{PluginRow, Plugins, Refused, Report, RollbackError};
use problem::Problem;
pub use redacted::Secrets;
pub use replay::{NotReplayed, begin_anew};
pub use replays::{Failure, Many, Replays, ReplaysProgress};
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

/// Every way into the API. The console's are its own.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/notifications", door: Door::Ingest, handler: || post(ingest::ingest) },
    Route {
        method: "GET",
        path: "/v1/notifications",
        door: Door::Read,
        handler: || get(notifications::list),
    },
    Route {
        method: "GET",
        path: "/v1/notifications/{id}",
        door: Door::Own,
        handler: || get(notifications::story),
    },
    Route {
        method: "GET",
        path: "/v1/notifications/{id}/attempts/{number}",
        door: Door::Read,
        handler: || get(attempts::attempt),
    },
    Route {
        method: "POST",
        path: "/v1/notifications/{id}/replay",
        door: Door::Operate,
        handler: || post(replay::replay),
    },
    Route {
        method: "GET",
        path: "/v1/orders/{merchant_order_id}",
        door: Door::Own,
        handler: || get(orders::order),
    },
    Route { method: "GET", path: "/v1/live", door: Door::Read, handler: || get(live::live) },
    Route { method: "POST", path: "/v1/replays", door: Door::Operate, handler: || post(replays::begin) },
    Route { method: "GET", path: "/v1/replays/{id}", door: Door::Read, handler: || get(replays::progress) },
    Route { method: "GET", path: "/v1/merchants", door: Door::Read, handler: || get(merchants::list) },
    Route { method: "GET", path: "/v1/merchants/{id}", door: Door::Read, handler: || get(merchants::one) },
    Route {
        method: "POST",
        path: "/v1/merchants/{id}/pause",
        door: Door::Operate,
        handler: || post(merchants::pause),
    },
    Route {
        method: "POST",
        path: "/v1/merchants/{id}/resume",
        door: Door::Operate,
        handler: || post(merchants::resume),
    },
    Route { method: "GET", path: "/v1/ladder", door: Door::Read, handler: || get(ladder::ladder) },
    Route { method: "GET", path: "/v1/holds", door: Door::Read, handler: || get(ladder::holds) },
    Route { method: "GET", path: "/v1/poison", door: Door::Read, handler: || get(poison::list) },
    Route { method: "GET", path: "/v1/poison/{id}", door: Door::Operate, handler: || get(poison::one) },
    Route {
        method: "POST",
        path: "/v1/poison/{id}/mend",
        door: Door::Operate,
        handler: || post(poison::mend),
    },
    Route {
        method: "POST",
        path: "/v1/poison/{id}/discard",
        door: Door::Operate,
        handler: || post(poison::discard),
    },
    Route { method: "GET", path: "/v1/audit", door: Door::Read, handler: || get(audit::audit) },
    Route { method: "GET", path: "/v1/plugins", door: Door::Read, handler: || get(plugins::list) },
    Route {
        method: "POST",
        path: "/v1/plugins/{name}/rollback",
        door: Door::Operate,
        handler: || post(plugins::roll_back),
    },
    Route { method: "GET", path: "/v1/token", door: Door::Read, handler: || get(token) },
    Route { method: "GET", path: "/v1/openapi.json", door: Door::Open, handler: || get(openapi::openapi) },
    Route { method: "GET", path: "/healthz", door: Door::Open, handler: || get(|| async { "alive\n" }) },
    Route { method: "GET", path: "/readyz", door: Door::Open, handler: || get(ready) },
    Route { method: "GET", path: "/metrics", door: Door::Read, handler: || get(metrics::metrics) },
];

/// What the API works upon.
#[derive(Clone)]
pub struct Upon {
    /// Where notifications wait.
    pub broker: Arc<dyn Broker>,
    /// What happened.
    pub journal: Arc<dyn Journal>,
    /// Which plugins run.
    pub plugins: Arc<dyn Plugins>,
    /// How it stands with the merchants.
    pub merchants: Arc<dyn Merchants>,
    /// What begins many notifications anew.
    pub replays: Arc<dyn Replays>,
    /// What of the merchants' is not shown.
    pub secrets: Arc<dyn Secrets>,
    /// What happens, while it happens.
    pub live: Live,
}

/// The API.
#[derive(Clone)]
pub struct Api {
    broker: Arc<dyn Broker>,
    journal: Arc<dyn Journal>,
    plugins: Arc<dyn Plugins>,
    merchants: Arc<dyn Merchants>,
    replays: Arc<dyn Replays>,
    secrets: Arc<dyn Secrets>,
    live: Live,
    counts: Arc<counts::Latest>,
    /// Of those who bring notifications.
    turns: Arc<turns::Turns>,
    /// Of operators, whom those need not wait for: what both do the journal decides.
    operating: Arc<turns::Turns>,
    metrics: Arc<metrics::Metrics>,
}

impl Api {
    /// An API upon all that. It adds its own metrics to the registry and shows all of them.
    #[must_use]
    pub fn new(upon: Upon, registry: Registry) -> Self {
        let Upon { broker, journal, plugins, merchants, replays, secrets, live } = upon;
        let metrics = Arc::new(metrics::Metrics::new(registry));
        let (counts, turns, operating) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            broker,
            journal,
            plugins,
            merchants,
            replays,
            secrets,
            live,
            counts,
            turns,
            operating,
            metrics,
        }
    }

    /// Waits until every record that was being taken in has been, or was refused. To be called when the routes are
    /// served no more, and the journal still is there.
    pub async fn finish(&self) {
        self.turns.finish().await;
        self.operating.finish().await;
    }

    /// The routes, each behind its door. Of the settings it takes whom to let in, how often, and how long a body may be.
    pub fn router(self, settings: &Settings) -> Router {
        let doors = Arc::new(Doors::new(settings.tokens.clone(), settings.rates, settings.loopback));
        let with_route = |router: Router<Self>, route: &Route| {
            let (doors, metrics) = (Arc::clone(&doors), Arc::clone(&self.metrics));
            let keeper = Doorkeeper { doors, door: route.door, route: (route.method, route.path), metrics };
            let handler = (route.handler)().route_layer(middleware::from_fn_with_state(keeper, doors::keep));
            router.route(route.path, handler)
        };
        let console = if settings.console { console::ROUTES } else { &[] };
        let sign_in = console::SignIn { needed: !settings.tokens.is_empty() };
        let routes = ROUTES.iter().chain(console).fold(Router::new(), with_route);
        routes
            .layer(Extension(sign_in))
            .fallback(|State(api): State<Self>| async move {
                api.metrics.count_stray(StatusCode::NOT_FOUND);
                not_found("no such resource; see /v1/openapi.json for the API")
            })
            .method_not_allowed_fallback(|State(api): State<Self>| async move {
                api.metrics.count_stray(StatusCode::METHOD_NOT_ALLOWED);
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method not allowed",
                    "see /v1/openapi.json for the API",
                )
            })
            .layer(DefaultBodyLimit::max(settings.longest_body))
            .layer(middleware::map_response(problem::in_place_of_text))
            .with_state(self)
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

/// `GET /v1/token`: who asks, and what for.
async fn token(Extension(caller): Extension<Caller>) -> Response {
    Json(json!({"name": caller.name(), "role": caller.role()})).into_response()
}

fn not_found(detail: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not found", detail)
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not available just now", error)
}
