//! `GET /v1/notifications` and `GET /v1/notifications/{id}`: which notifications there are, and one's whole story.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::doors::Caller;
use super::problem::Problem;
use super::query::{Listing, Parameters, Path};
use super::{Api, not_found, redacted, unavailable};
use crate::domain::NotificationId;
use crate::journal::{self, Summary};

/// The parameters of a search: its conditions, and which page.
const PARAMETERS: [&str; 9] =
    ["merchant", "order", "state", "outcome", "undelivered", "since", "until", "limit", "cursor"];

/// What a list's row has beside what is known of the notification.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    summary: Summary,
    /// What has ended says so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_made: Option<u32>,
}

impl From<Summary> for Row {
    fn from(summary: Summary) -> Self {
        let attempts_made = match &summary.state {
            journal::State::Received | journal::State::Accepted => Some(0),
            journal::State::Waiting { next_attempt, .. } | journal::State::Held { next_attempt, .. } => {
                Some(next_attempt.saturating_sub(1))
            }
            journal::State::Ended { .. } => None,
        };
        Self { summary, attempts_made }
    }
}

/// `GET /v1/notifications`: those for which all conditions hold, the newest first.
pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &PARAMETERS)?;
    let question = parameters.question()?;
    let Listing { rows, next } = parameters.page(&api, &question).await?;
    let shown = rows.into_iter().map(|row| Row::from(redacted::summary(row, &*api.secrets)));
    let rows: Vec<Row> = shown.collect();
    Ok(Json(json!({"notifications": rows, "next": next})).into_response())
}

/// `GET /v1/notifications/{id}`: the whole story. A merchant's token is told of that merchant's alone.
pub(super) async fn story(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let parsed = id.parse().map_err(|_| unknown(&id))?;
    match api.journal.story(&parsed).await {
        Ok(Some(mut story)) if caller.may_see(&story.merchant_id) => {
            if caller.merchant().is_some() {
                // Who has it told once more, and why, is no business of the merchant's.
                story.replays.clear();
            }
            Ok(Json(redacted::story(story, &*api.secrets)).into_response())
        }
        Ok(Some(_) | None) => Err(unknown(&id)),
        Err(error) => Err(unavailable(error)),
    }
}

/// There is none of that name, or none that the caller may know of.
pub(super) fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(NotificationId::LONGEST).collect();
    not_found(format!("no notification `{id}` is known"))
}
