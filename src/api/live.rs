//! `GET /v1/live`: attempts as they happen, as server-sent events.
//!
//! What is sent comes from [`crate::live`], which bounds everything about it; this puts it into the form of
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>. There are no event ids: what was missed is in the journal.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::problem::Problem;
use super::{Api, unavailable};
use crate::domain::MerchantId;
use crate::live::Heard;

/// After so long without an event a comment is sent, so that both sides and what is between them know of each other.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// `GET /v1/live`, with `merchant` for one merchant's alone.
pub(super) async fn live(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let merchant = merchant(query.as_deref().unwrap_or_default())?;
    let listener = api.live.listen(merchant);
    let listener =
        listener.ok_or_else(|| unavailable("as many listen already as `api.live_listeners` allows"))?;
    let events = stream::unfold(listener, async |mut listener| {
        let event = match listener.next().await? {
            Heard::Event(json) => Event::default().event("attempt").data(json),
            Heard::Missed(count) => Event::default().event("missed").data(format!(r#"{{"count":{count}}}"#)),
        };
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

/// The only parameter there is.
fn merchant(query: &str) -> Result<Option<MerchantId>, Problem> {
    let wrong = |field: &str, detail: String| {
        Problem::new(StatusCode::BAD_REQUEST, "not a query of this resource", detail)
            .in_field(Some(field.to_owned()))
    };
    let mut merchant = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "merchant" {
            return Err(wrong(&name, format!("there is no parameter `{name}` here, only `merchant`")));
        }
        if merchant.is_some() {
            return Err(wrong("merchant", "the parameter `merchant` is there twice".to_owned()));
        }
        merchant = Some(value.parse().map_err(|error| wrong("merchant", format!("`{value}`: {error}")))?);
    }
    Ok(merchant)
}
