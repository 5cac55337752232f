//! Errors of the API: problem details (RFC 9457), for machines by their status, for people by their detail.

use std::time::Duration;

use axum::body::to_bytes;
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
    /// When it makes sense to ask again.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl std::fmt::Display) -> Self {
        Self { title, status, detail: detail.to_string(), field: None, retry_after: None }
    }

    pub(super) fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
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
        let unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(after) = self.retry_after.or(unavailable.then_some(Duration::from_secs(1))) {
            // Whole seconds, and at least one.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Makes a problem of an error that the framework has answered by itself, as text: a path that is no UTF-8, a body that is too
/// long. Everything else stays as it is.
pub(super) async fn in_place_of_text(response: Response) -> Response {
    /// Longer than any such text.
    const LONGEST: usize = 4 << 10;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_text = media_type.is_none_or(|media_type| media_type.as_bytes().starts_with(b"text/plain"));
    if !is_error || !is_text {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let text = to_bytes(body, LONGEST).await.unwrap_or_default();
    let title = status.canonical_reason().unwrap_or("error");
    let mut problem = Problem::new(status, title, String::from_utf8_lossy(&text)).into_response();
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    problem.headers_mut().extend(head.headers);
    problem
}

fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
