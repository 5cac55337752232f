//! `GET /v1/orders/{merchant_order_id}`: what became of a merchant's order.
//!
//! A merchant's token is told of that merchant's own orders. Whoever may ask about all says which merchant is meant: the
//! number is the merchant's, and two merchants may have the same. An order of which nothing is known and
//! one that is another's answer alike.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::doors::Caller;
use super::notifications::Row;
use super::problem::Problem;
use super::query::{Listing, Parameters, Path, missing};
use super::{Api, not_found, redacted};
use crate::journal::{self, Question};

const PARAMETERS: [&str; 3] = ["merchant", "limit", "cursor"];

/// One of the order's notifications.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    row: Row,
    /// What it is now, in a sentence.
    says: String,
}

/// `GET /v1/orders/{merchant_order_id}`: its notifications, the newest first.
pub(super) async fn order(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(order): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &PARAMETERS)?;
    let unknown = || {
        let order: String = order.chars().take(80).collect();
        not_found(format!("no order `{order}` is known"))
    };
    let merchant = match (parameters.merchant()?, caller.merchant()) {
        (Some(asked), _) if !caller.may_see(&asked) => return Err(unknown()),
        (Some(merchant), _) => merchant,
        (None, Some(own)) => own.clone(),
        (None, None) => {
            return Err(missing("merchant", "whose order it is; only a merchant's own token says so"));
        }
    };
    let question =
        Question { merchant: Some(merchant.clone()), order: Some(order.clone()), ..Question::default() };
    let Listing { rows, next } = parameters.page(&api, &question).await?;
    if rows.is_empty() {
        return Err(unknown());
    }
    let told = rows.into_iter().map(|row| {
        let row = redacted::summary(row, &*api.secrets);
        Told { says: in_words(&row.state), row: row.into() }
    });
    let told: Vec<Told> = told.collect();
    let body = json!({
        "merchant_id": merchant,
        "merchant_order_id": order,
        "notifications": told,
        "next": next,
    });
    Ok(Json(body).into_response())
}

/// For people who do not know the gateway.
fn in_words(state: &journal::State) -> String {
    use journal::State;
    let times = |count: u32| match count {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    let because = |detail: &Option<String>| {
        detail
            .as_deref()
            .filter(|detail| !detail.is_empty())
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default()
    };
    match state {
        State::Received => "It has come in, and is being passed on.".to_owned(),
        State::Accepted => "It waits for its first attempt.".to_owned(),
        State::Waiting { next_attempt, due, .. } => {
            let made = times(next_attempt.saturating_sub(1));
            format!("It is not confirmed yet, after {made}; the next one is due at {due}.")
        }
        State::Held { due, reason, .. } => {
            format!("It is held back, without an attempt ({reason}); it goes on at {due}, or sooner.")
        }
        State::Ended { outcome, detail, attempts_made, ended_at, .. } => {
            let made = times(*attempts_made);
            match outcome.as_str() {
                "confirmed" => format!("It was confirmed at {ended_at}, with {made}."),
                "stopped" => {
                    format!("It was refused for good at {ended_at}, with {made}{}.", because(detail))
                }
                "exhausted" => {
                    format!(
                        "It was never confirmed: the last of {made} was made at {ended_at}{}.",
                        because(detail)
                    )
                }
                _ => format!("It was given up at {ended_at}, with {made}{}.", because(detail)),
            }
        }
    }
}
