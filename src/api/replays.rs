//! `POST /v1/replays` and `GET /v1/replays/{id}`: many notifications are begun anew, by what they have in common.
//!
//! Without `"dry_run": false` nothing is done but counting. What is found at the beginning is what is replayed, at the rate that is asked for;
//! what has not ended, or is not to be replayed by its id, is passed over and told. The work is done by the gateway that was
//! asked, and its progress is known there alone; a stop of the gateway ends it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::doors::Caller;
use super::order::{Reason, read};
use super::problem::Problem;
use super::query::Path;
use super::{Api, not_found, unavailable};
use crate::domain::{MerchantId, Moment, NotificationId};
use crate::journal::{Deed, Ended, Noted, Order, Phase, Question};

/// How many ids a dry run shows.
const SHOWN: usize = 20;
/// How many are looked for at once.
const AT_ONCE: usize = 200;

/// Whoever replays many.
pub trait Replays: Send + Sync {
    /// The most that are replayed with one request.
    fn most(&self) -> u64;

    /// The fastest rate, in a second; also the one of a request without one.
    fn fastest(&self) -> u32;

    /// Begins with these, in their order, and says under which name. Nothing if too much is under way.
    fn begin(&self, many: Many) -> Option<String>;

    /// How far that has come.
    fn progress(&self, id: &str) -> Option<ReplaysProgress>;
}

/// What is to be replayed.
#[derive(Clone, Debug)]
pub struct Many {
    /// These.
    pub ids: Vec<NotificationId>,
    /// So many in a second.
    pub per_second: u32,
    /// By whom, and why.
    pub order: Order,
}

/// How far many replays have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplaysProgress {
    /// Their name.
    pub replays_id: String,
    /// How many there are.
    pub matches: usize,
    /// How many have been begun.
    pub done: usize,
    /// How many were passed over.
    pub failed: usize,
    /// `waiting` for others, `running`, `done`, or `stopped` with the gateway.
    pub state: &'static str,
    /// The first that were passed over, and why.
    pub failures: Vec<Failure>,
}

/// One that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which one.
    pub notification_id: NotificationId,
    /// Why, for people.
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    merchant: Option<MerchantId>,
    order: Option<String>,
    state: Option<Phase>,
    outcome: Option<Ended>,
    #[serde(default)]
    undelivered: bool,
    since: Option<Moment>,
    until: Option<Moment>,
    per_second: Option<u32>,
    reason: Reason,
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// `POST /v1/replays`
pub(super) async fn begin(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Wanted { merchant, order, state, outcome, undelivered, since, until, per_second, reason, dry_run } =
        read(body)?;
    let question = Question { merchant, order, state, outcome, undelivered, since, until };
    let wrong = |field: &str, detail: String| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not what this takes", detail)
            .in_field(Some(field.to_owned()))
    };
    if question == Question::default() {
        return Err(wrong("merchant", "say at least by one field which notifications are meant".to_owned()));
    }
    let (most, fastest) = (api.replays.most(), api.replays.fastest());
    let per_second = per_second.unwrap_or(fastest);
    if !(1..=fastest).contains(&per_second) {
        return Err(wrong("per_second", format!("`per_second` is a number from 1 to {fastest}")));
    }
    let matches = api.journal.count(&question, most + 1).await.map_err(unavailable)?;
    if dry_run {
        let first = api.journal.search(&question, None, SHOWN).await.map_err(unavailable)?;
        let first: Vec<_> = first.rows.into_iter().map(|row| row.notification_id).collect();
        return Ok(Json(json!({"matches": matches, "most": most, "first": first})).into_response());
    }
    if matches > most {
        let detail =
            format!("more than {most} match, which is the most at once: ask for fewer, by time for example");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too many", detail));
    }
    let ids = find(&api, &question).await?;
    let matches = ids.len();
    let order = reason.order(&caller);
    let asked = serde_json::to_string(&question).unwrap_or_default();
    let noted =
        Noted { deed: Deed::ReplayRange, whom: format!("{matches} by {asked}"), order: order.clone() };
    api.journal.note(noted).await.map_err(unavailable)?;
    match api.replays.begin(Many { ids, per_second, order }) {
        Some(id) => {
            let answer = json!({"replays_id": id, "matches": matches});
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        None => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests",
            "other replays are under way: wait until they are done",
        )),
    }
}

/// `GET /v1/replays/{id}`
pub(super) async fn progress(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let progress = api.replays.progress(&id);
    let unknown = || not_found("this gateway knows of no replays of that name, or not any more");
    progress.map(|progress| Json(progress).into_response()).ok_or_else(unknown)
}

/// All that match, the newest first. There are not many more than were counted.
async fn find(api: &Api, question: &Question) -> Result<Vec<NotificationId>, Problem> {
    let most = usize::try_from(api.replays.most()).unwrap_or(usize::MAX);
    let mut ids = Vec::new();
    let mut from = None;
    while ids.len() < most {
        let page =
            api.journal.search(question, from, AT_ONCE.min(most - ids.len())).await.map_err(unavailable)?;
        ids.extend(page.rows.into_iter().map(|row| row.notification_id));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    Ok(ids)
}
