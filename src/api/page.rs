//! Which part of a listing is asked for: `limit` and `cursor`.
//!
//! A cursor is opaque to whoever has it; within, it is whatever the listing needs to go on.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;
use super::query::Parameters;

const NO_CURSOR: &str = "is the text that `next` of the page before had; leave it out to begin";

/// The part of a listing that is asked for. Any other parameter is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The most rows that are wanted.
    pub(super) limit: usize,
    /// What the cursor holds, if there is one.
    pub(super) after: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query())
    }
}

impl Page {
    fn of(query: Option<&str>) -> Result<Self, Problem> {
        Self::among(&Parameters::read(query, &["limit", "cursor"])?)
    }

    /// The part that parameters with others among them ask for.
    pub(super) fn among(parameters: &Parameters) -> Result<Self, Problem> {
        let limit = parameters.limit()?;
        let read = |text: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        let after = parameters.value("cursor", read, NO_CURSOR)?;
        Ok(Self { limit, after })
    }

    /// The cursor as a number of rows that were given out already.
    pub(super) fn skip(&self) -> Result<usize, Problem> {
        self.after.as_deref().map_or(Ok(0), |text| {
            let wrong = |_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "not a parameter that does",
                    format!("`cursor` {NO_CURSOR}"),
                )
                .in_field(Some("cursor".to_owned()))
            };
            text.parse().map_err(wrong)
        })
    }
}

/// What the next page is asked for with.
pub(super) fn cursor(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_strictly() {
        let of = |query: &str| Page::of(Some(query)).ok();
        assert_eq!(Page::of(None).ok(), Some(Page { limit: 50, after: None }));
        let next = cursor("n 1/ä");
        assert_eq!(
            of(&format!("cursor={next}&limit=200")),
            Some(Page { limit: 200, after: Some("n 1/ä".into()) })
        );
        for wrong in ["limit=0", "limit=201", "limit=ten", "cursor=?", "page=2", "limit=1&limit=1"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let numbered = Page { limit: 1, after: Some("7".to_owned()) };
        assert_eq!(numbered.skip().ok(), Some(7));
        assert!(Page { after: Some("x".to_owned()), ..numbered }.skip().is_err());
    }
}
