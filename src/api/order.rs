//! What comes with every request that changes something: who asks, and why.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::doors::Caller;
use super::problem::Problem;
use crate::clock;
use crate::journal::Order;

/// The longest reason, in characters.
const LONGEST: usize = 500;

/// Why somebody wants something, in words for those who read the audit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            return Err(format!(
                "`reason` is a text of 1 to {LONGEST} characters, for those who read the audit"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Reason {
    /// The order of that caller, now.
    pub(super) fn order(self, caller: &Caller) -> Order {
        Order { by: caller.name().to_owned(), reason: self.0, at: clock::now() }
    }
}

/// A body that has a reason and nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WithReason {
    pub(super) reason: Reason,
}

/// Reads a request's body.
pub(super) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body =
        body.map_err(|rejection| Problem::new(rejection.status(), "unreadable body", rejection.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| {
        let text = error.to_string();
        let named = text.split('`').nth(1).map(str::to_owned);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not what this takes", text).in_field(named)
    })
}
