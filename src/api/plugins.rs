//! `GET /v1/plugins` and `POST /v1/plugins/{name}/rollback`: which versions run, and what was refused.
//!
//! The API knows them by the trait [`Plugins`]; the work is done where the folders are watched.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::doors::Caller;
use super::order::Reason;
use super::problem::Problem;
use super::{Api, not_found, unavailable};
use crate::domain::Moment;
use crate::journal::{Deed, Noted};

/// Whoever looks after the plugins.
#[async_trait::async_trait]
pub trait Plugins: Send + Sync {
    /// What runs just now, and what was refused.
    fn report(&self) -> Report;

    /// Puts an earlier version of a plugin in the place of the one that runs: the one before, or the one whose hash begins
    /// so. It stays until a file with a content that was not there yet is dropped in.
    ///
    /// # Errors
    /// Why everything stays as it is.
    async fn roll_back(&self, name: &str, to: Option<String>) -> Result<PluginRow, RollbackError>;
}

/// What runs, and what was refused. Also the answer of `GET /v1/plugins`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The plugins that run, by their names.
    pub plugins: Vec<PluginRow>,
    /// Everything in the two folders that is not in effect, by file.
    pub refused: Vec<Refused>,
}

/// A plugin that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginRow {
    /// The format's name.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The version's name here: 16 digits of its content's SHA-256.
    pub hash: String,
    /// The file that has this content; none when it is kept though its file has another content, or is gone.
    pub file: Option<String>,
    /// Since when this version runs.
    pub since: Moment,
    /// The hash of the version that `rollback` goes back to.
    pub before: Option<String>,
    /// It runs because of a rollback; files with these hashes are left aside.
    pub set_aside: Vec<String>,
    /// The ids of the merchants that it serves, those that have pinned another version not among them.
    pub merchants: Vec<String>,
    /// The newest that was refused for this format.
    pub refused: Option<Refused>,
}

/// A file that is not in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The hash of its content; none for a merchant's file, and for one that could not be read.
    pub hash: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// When it was found to be so.
    pub at: Moment,
}

/// Why there is no rollback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// There is no such plugin, or no such version of it.
    #[error("{0}")]
    Unknown(String),
    /// The version cannot take the other's place.
    #[error("{0}")]
    Refused(String),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// `GET /v1/plugins`
pub(super) async fn list(State(api): State<Api>) -> Response {
    Json(api.plugins.report()).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    to: Option<String>,
    reason: Option<Reason>,
}

/// `POST /v1/plugins/{name}/rollback`, with `{"to": "hash", "reason": "why"}`, one of both, or without a body.
pub(super) async fn roll_back(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Rollback { to, reason } = if body.is_empty() {
        Rollback::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not a rollback", error))?
    };
    let order = reason.unwrap_or_default().order(&caller);
    match api.plugins.roll_back(&name, to).await {
        Ok(row) => {
            let noted = Noted { deed: Deed::Rollback, whom: format!("{name} to {}", row.hash), order };
            if let Err(error) = api.journal.note(noted).await {
                // It runs, and a journal that is away must not keep a bad version running.
                tracing::error!(plugin = name, by = caller.name(), %error, "a rollback is not in the audit");
            }
            Ok(Json(row).into_response())
        }
        Err(error @ RollbackError::Unknown(_)) => Err(not_found(error)),
        Err(error @ RollbackError::Refused(_)) => Err(Problem::new(StatusCode::CONFLICT, "refused", error)),
        Err(error @ RollbackError::Stopping) => Err(unavailable(error)),
    }
}
