//! `GET /v1/live`: attempts as they happen, as server-sent events.
//!
//! What is sent comes from [`crate::live`], which bounds everything about it; this puts it into the form of
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>. There are no event ids: what was missed is in the journal.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;

use super::problem::Problem;
use super::query::Parameters;
use super::{Api, redacted, unavailable};
use crate::live::Heard;

/// After so long without an event a comment is sent, so that both sides and what is between them know of each other.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// `GET /v1/live`, with `merchant` for one merchant's alone.
pub(super) async fn live(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let merchant = Parameters::read(query.as_deref(), &["merchant"])?.merchant()?;
    let listener = api.live.listen(merchant);
    let listener =
        listener.ok_or_else(|| unavailable("as many listen already as `api.live_listeners` allows"))?;
    let events = stream::unfold((listener, api.secrets), async |(mut listener, secrets)| {
        let event = match listener.next().await? {
            Heard::Event(json) => {
                // It was written by this program.
                let event = serde_json::from_str(&json).unwrap_or_default();
                Event::default().event("attempt").data(redacted::event(event, &*secrets).to_string())
            }
            Heard::Missed(count) => {
                Event::default().event("missed").data(json!({"count": count}).to_string())
            }
        };
        Some((Ok::<_, Infallible>(event), (listener, secrets)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}
