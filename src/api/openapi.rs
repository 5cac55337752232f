//! `GET /v1/openapi.json`: what this API is, as an OpenAPI 3.1 document.
//!
//! The document is written by hand, in `openapi.json` beside this file. `tests/api_fuzz` holds it to [`ROUTES`](super::ROUTES), has it
//! validated, and asks a running gateway by it for whatever it does not rule out.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The document, as it is served.
const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /v1/openapi.json`
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
