//! `GET /v1/audit`: who did what to whom, when and why.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::page::{Page, cursor};
use super::problem::Problem;
use super::{Api, unavailable};

/// The latest first.
pub(super) async fn audit(State(api): State<Api>, page: Page) -> Result<Response, Problem> {
    // One more than is wanted says whether there is a next page.
    let asked = api.journal.audit(page.after.as_deref(), page.limit + 1).await;
    let mut entries = asked.map_err(unavailable)?;
    let more = entries.len() > page.limit;
    entries.truncate(page.limit);
    let next = entries.last().filter(|_| more).map(|last| cursor(&last.place));
    Ok(Json(json!({"entries": entries, "next": next})).into_response())
}
