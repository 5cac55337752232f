//! `POST /v1/notifications`: a payment result comes in.
//!
//! The journal is told first and the broker second, so that a notification that reached the broker is always known,
//! and asking again after any failure in between does the rest. The same notification twice gets the same answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::problem::Problem;
use super::{Api, unavailable};
use crate::clock;
use crate::domain::{Envelope, InvalidRecord, Notification, NotificationId};
use crate::journal::Acceptance;

pub(super) async fn ingest(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body =
        body.map_err(|rejection| Problem::new(rejection.status(), "unreadable body", rejection.body_text()))?;
    let notification = Notification::parse(with_id(body)).map_err(invalid)?;
    let envelope = Envelope::new(notification, clock::now());
    let id = envelope.notification.id().clone();
    // A sender that goes away does not cut this off in the middle.
    let turns = Arc::clone(&api.turns);
    let taken = turns.take(&id, async move { take_in(&api, &envelope).await }).await;
    taken.unwrap_or_else(|| Err(unavailable("the request ended by a fault of the gateway")))
}

async fn take_in(api: &Api, envelope: &Envelope) -> Result<Response, Problem> {
    let id = envelope.notification.id();
    match api.journal.accept(envelope).await.map_err(unavailable)? {
        Acceptance::AlreadyThere => Ok(accepted(id)),
        Acceptance::Conflict => Err(conflict(id)),
        Acceptance::Publish => {
            api.broker.publish(envelope).await.map_err(unavailable)?;
            // It is durable at the broker, which is what 202 says.
            api.journal.accepted(id).await;
            Ok(accepted(id))
        }
    }
}

fn accepted(id: &NotificationId) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(json!({"notification_id": id}))).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/notifications/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Another notification has this id.
pub(super) fn conflict(id: &NotificationId) -> Problem {
    let detail =
        format!("notification `{id}` is known with other content; an id names one notification for ever");
    Problem::new(StatusCode::CONFLICT, "another notification has this id", detail)
        .in_field(Some("notification_id".to_owned()))
}

/// It is no record.
pub(super) fn invalid(error: InvalidRecord) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not a payment result", &error).in_field(error.field)
}

/// A record without an id is given one; otherwise the text stays as it is, to the byte.
pub(super) fn with_id(body: Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Probe {
        notification_id: Option<IgnoredAny>,
        #[serde(rename = "schema")]
        _schema: IgnoredAny,
    }
    match serde_json::from_slice(&body) {
        Ok(Probe { notification_id: None, .. }) => {}
        Ok(Probe { notification_id: Some(_), .. }) | Err(_) => return body,
    }
    let text = body.trim_ascii_start();
    let id = uuid::Uuid::now_v7();
    let mut with_id = format!(r#"{{"notification_id":"{id}","#).into_bytes();
    // It is an object with at least a schema, so that a brace is followed by a first field.
    with_id.extend_from_slice(text.get(1..).unwrap_or_default());
    Bytes::from(with_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_record_without_an_id_is_given_one() {
        for untouched in
            [r#"{"schema":1,"notification_id":"n"}"#, "x", "{}", "[]", r#"{"notification_id":null"#]
        {
            assert_eq!(with_id(Bytes::from(untouched)), untouched);
        }
        let with_id = with_id(Bytes::from(" {\"schema\":\"s\"}"));
        let value: serde_json::Value = serde_json::from_slice(&with_id).expect("JSON");
        assert_eq!(value["schema"], "s");
        assert_eq!(value["notification_id"].as_str().map(str::len), Some(36));
    }
}
