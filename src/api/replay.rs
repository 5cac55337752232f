//! `POST /v1/notifications/{id}/replay`: a notification that has ended is begun anew.
//!
//! The journal is told first and the broker second. A crash between the two loses nothing: what is under way by the journal and
//! missing at the broker is found (`delivery::missing`).

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::doors::Caller;
use super::notifications::unknown;
use super::order::{WithReason, read};
use super::problem::Problem;
use super::query::Path;
use super::{Api, not_found, unavailable};
use crate::broker::Broker;
use crate::domain::{NoReplay, NotificationId, ReplayRoute};
use crate::journal::{self, Journal, JournalError, ReplayOrder, Replayed};

/// Why a notification was not begun anew.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayed {
    /// Nothing has been heard of it.
    #[error("no notification `{0}` is known")]
    Unknown(NotificationId),
    /// It stays as it is.
    #[error("{0}")]
    Refused(String),
    /// It is not known whether it was begun.
    #[error("{0}")]
    Away(#[from] JournalError),
}

/// How long an end that is just being told is waited for, and how often it is looked after meanwhile.
const MOMENT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(50));

/// Begins a notification anew, and says as which replay. Waits a moment for the end of one that has just ended to be told.
///
/// # Errors
/// It is not begun, or nobody knows.
pub async fn begin_anew(
    journal: &dyn Journal,
    broker: &dyn Broker,
    wanted: ReplayOrder,
) -> Result<u32, NotReplayed> {
    let id = wanted.id.clone();
    let until = Instant::now() + MOMENT.0;
    let envelope = loop {
        match journal.replay(wanted.clone()).await? {
            Replayed::Begun(envelope) => break envelope,
            Replayed::Unknown => return Err(NotReplayed::Unknown(id)),
            Replayed::Refused { why: NoReplay::Untold, .. } if Instant::now() < until => {
                tokio::time::sleep(MOMENT.1).await;
            }
            Replayed::Refused { why, state } => return Err(NotReplayed::Refused(refusal(&id, why, &state))),
        }
    };
    let replay = envelope.progress.replay;
    if let Err(error) = broker.hasten(&envelope).await {
        tracing::warn!(notification = %id, replay, %error, "it is begun anew, and is published once it is found missing at the broker");
    }
    Ok(replay)
}

/// `POST /v1/notifications/{id}/replay`, with `{"reason": "why"}`.
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let WithReason { reason } = read(body)?;
    let id: NotificationId = id.parse().map_err(|_| unknown(&id))?;
    let order = reason.order(&caller);
    let wanted = ReplayOrder { id: id.clone(), route: ReplayRoute::Id, order, audited: true };
    // An operator who goes away does not cut this off in the middle.
    let (turns, asked) = (api.operating.clone(), id.clone());
    let begun =
        turns.take(&asked, async move { begin_anew(&*api.journal, &*api.broker, wanted).await }).await;
    match begun.ok_or_else(|| unavailable("the request ended by a fault of the gateway"))? {
        Ok(replay) => {
            let answer = json!({"notification_id": id, "replay": replay});
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        Err(error) => Err(problem(error)),
    }
}

/// What that means to whoever asked.
pub(super) fn problem(error: NotReplayed) -> Problem {
    match error {
        NotReplayed::Unknown(_) => not_found(error),
        NotReplayed::Refused(_) => Problem::new(StatusCode::CONFLICT, "not replayed", error),
        NotReplayed::Away(_) => unavailable(error),
    }
}

/// The refusal for people, with what the notification waits for.
fn refusal(id: &NotificationId, why: NoReplay, state: &journal::State) -> String {
    use journal::State;
    match (why, state) {
        (NoReplay::UnderWay, State::Waiting { next_attempt, due, .. }) => {
            format!(
                "notification `{id}` has not ended: it waits for attempt {next_attempt}, which is due at {due}"
            )
        }
        // Its reason may quote a plugin; that is in the story, redacted.
        (NoReplay::UnderWay, State::Held { next_attempt, due, cause, .. }) => format!(
            "notification `{id}` has not ended: its attempt {next_attempt} is held until {due} ({cause})"
        ),
        (NoReplay::UnderWay, State::Received | State::Accepted | State::Ended { .. }) => {
            format!("notification `{id}` has not ended: it waits for its first attempt")
        }
        (NoReplay::Untold | NoReplay::Abandoned | NoReplay::EndedSince | NoReplay::TooMany, _) => {
            format!("notification `{id}`: {why}")
        }
    }
}
