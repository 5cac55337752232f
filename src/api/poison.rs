//! `GET /v1/poison` and what belongs to it: what could not be read or was abandoned, and putting it back or throwing it away.
//!
//! What is put back is held to the rules of what comes in over HTTP: it is a record that can be read, and its id names no other
//! notification. One that was abandoned has ended, so that putting it back begins it anew as a replay. The order is the one of
//! everything here: the journal, then the broker; there the new message is durable before the old one goes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::doors::Caller;
use super::order::{Reason, WithReason, read};
use super::page::{Page, cursor};
use super::problem::Problem;
use super::query::Path;
use super::{Api, ingest, not_found, unavailable};
use crate::broker::PoisonMessage;
use crate::clock;
use crate::domain::{Envelope, NoReplay, Notification, ReplayRoute, Unreadable};
use crate::journal::{Acceptance, Deed, Noted, Order, ReplayOrder, Replayed};

/// What an answer shows of an id that is none.
const LONGEST_ID: usize = 64;

/// `GET /v1/poison`: the one first that has been there longest.
pub(super) async fn list(State(api): State<Api>, page: Page) -> Result<Response, Problem> {
    let skip = page.skip()?;
    let found = api.broker.poisoned(skip, page.limit).await.map_err(unavailable)?;
    let next = found.more.then(|| cursor(&(skip + found.rows.len()).to_string()));
    Ok(Json(json!({"messages": found.rows, "next": next})).into_response())
}

/// `GET /v1/poison/{id}`: whole, as text or, where it is none, in base64.
pub(super) async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let PoisonMessage { row, body, headers, addressed } = found(&api, &id).await?;
    let mut answer = json!(row);
    match std::str::from_utf8(&body) {
        Ok(text) => answer["body"] = text.into(),
        Err(_) => answer["body_base64"] = STANDARD.encode(&body).into(),
    }
    answer["headers"] = json!(headers);
    answer["addressed_to"] = json!(addressed);
    Ok(Json(answer).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mend {
    /// What it is to be from now on; without it, it stays what it is.
    body: Option<String>,
    reason: Reason,
}

/// `POST /v1/poison/{id}/mend`, with `{"reason": "why", "body": "a record's text"}` or without a body of its own.
pub(super) async fn mend(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Mend { body, reason } = read(body)?;
    let message = found(&api, &id).await?;
    let now = clock::now();
    let envelope = match body {
        Some(text) => {
            Envelope::new(Notification::parse(ingest::with_id(text.into())).map_err(ingest::invalid)?, now)
        }
        None => message.read(now).map_err(unreadable)?,
    };
    let order = reason.order(&caller);
    let notification = envelope.notification.id().clone();
    let turns = api.operating.clone();
    // An operator who goes away does not cut this off in the middle.
    let mended = turns.take(&notification, async move { put_back(&api, &id, envelope, order).await }).await;
    mended.unwrap_or_else(|| Err(unavailable("the request ended by a fault of the gateway")))
}

/// `POST /v1/poison/{id}/discard`, with `{"reason": "why"}`.
pub(super) async fn discard(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let WithReason { reason } = read(body)?;
    found(&api, &id).await?;
    let noted = Noted { deed: Deed::Discard, whom: id.clone(), order: reason.order(&caller) };
    api.journal.note(noted).await.map_err(unavailable)?;
    match api.broker.discard(&id).await.map_err(unavailable)? {
        true => Ok(Json(json!({"id": id, "discarded": true})).into_response()),
        false => Err(gone(&id)),
    }
}

async fn put_back(api: &Api, id: &str, envelope: Envelope, order: Order) -> Result<Response, Problem> {
    let notification = envelope.notification.id().clone();
    let acceptance = api.journal.accept(&envelope).await.map_err(unavailable)?;
    let envelope = match acceptance {
        Acceptance::Publish => envelope,
        Acceptance::Conflict => return Err(ingest::conflict(&notification)),
        Acceptance::AlreadyThere => known(api, envelope, &order).await?,
    };
    let whom = format!("{id} notification {notification}");
    api.journal.note(Noted { deed: Deed::Mend, whom, order }).await.map_err(unavailable)?;
    if !api.broker.put_back(id, &envelope).await.map_err(unavailable)? {
        return Err(gone(id));
    }
    if acceptance == Acceptance::Publish {
        api.journal.accepted(&notification).await;
    }
    let answer = json!({"id": id, "notification_id": notification, "replay": envelope.progress.replay});
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// What to put back of a notification that is known: one that was abandoned begins anew, one that is under way goes on
/// with this message as with any further one.
async fn known(api: &Api, envelope: Envelope, order: &Order) -> Result<Envelope, Problem> {
    let id = envelope.notification.id().clone();
    let wanted =
        ReplayOrder { id: id.clone(), route: ReplayRoute::Poison, order: order.clone(), audited: false };
    match api.journal.replay(wanted).await.map_err(unavailable)? {
        Replayed::Begun(begun) => Ok(*begun),
        Replayed::Refused { why: NoReplay::UnderWay, .. } => Ok(envelope),
        Replayed::Refused { why, .. } => {
            let detail = format!("notification `{id}`: {why}");
            Err(Problem::new(StatusCode::CONFLICT, "not put back", detail))
        }
        Replayed::Unknown => Err(unavailable(format!("the journal has just forgotten notification `{id}`"))),
    }
}

async fn found(api: &Api, id: &str) -> Result<PoisonMessage, Problem> {
    api.broker.poison_message(id).await.map_err(unavailable)?.ok_or_else(|| gone(id))
}

fn gone(id: &str) -> Problem {
    let id: String = id.chars().take(LONGEST_ID).collect();
    not_found(format!("there is no message `{id}` in the poison queue, or not any more"))
}

fn unreadable(error: Unreadable) -> Problem {
    match error {
        Unreadable::Body(invalid) => ingest::invalid(invalid),
        Unreadable::WrongMerchant { .. } => {
            let detail = format!("{error}: give it a `body` with the right merchant, or discard it");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not a payment result", detail)
                .in_field(Some("merchant_id".to_owned()))
        }
        Unreadable::Header { .. } | Unreadable::Url(_) | Unreadable::TooLong { .. } => {
            let detail = format!("{error}: give it a `body`, or discard it");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not a payment result", detail)
        }
    }
}
