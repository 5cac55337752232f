//! Errors of the API: problem details (RFC 9457), for machines by their status, for people by their detail.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error answer.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// What kind of problem this is, the same each time.
    title: &'static str,
    #[serde(serialize_with = "code")]
    status: StatusCode,
    /// What is wrong this time, and what to do.
    detail: String,
    /// The field of the request at fault, such as `amount.currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl std::fmt::Display) -> Self {
        Self { title, status, detail: detail.to_string(), field: None }
    }

    pub(super) fn in_field(self, field: Option<String>) -> Self {
        Self { field, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
