//! Which part of a listing is asked for: `limit` and `cursor`.
//!
//! A cursor is opaque to whoever has it; within, it is whatever the listing needs to go on.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;

/// How many rows a page has that does not say.
const USUAL: usize = 50;
/// The most rows of a page.
const MOST: usize = 200;

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
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self::of(&pairs)
    }
}

impl Page {
    fn of(pairs: &[(String, String)]) -> Result<Self, Problem> {
        let mut page = Self { limit: USUAL, after: None };
        for (name, value) in pairs {
            let wrong = |detail: String| {
                Problem::new(StatusCode::BAD_REQUEST, "wrong parameter", detail).in_field(Some(name.clone()))
            };
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    page.limit =
                        limit.ok_or_else(|| wrong(format!("`limit` is a number from 1 to {MOST}")))?;
                }
                "cursor" => {
                    let text =
                        URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    page.after = Some(
                        text.ok_or_else(|| wrong("`cursor` is what an answer gave as `next`".to_owned()))?,
                    );
                }
                _ => return Err(wrong(format!("there is no parameter `{name}`, only `limit` and `cursor`"))),
            }
        }
        Ok(page)
    }

    /// The cursor as a number of rows that were given out already.
    pub(super) fn skip(&self) -> Result<usize, Problem> {
        self.after.as_deref().map_or(Ok(0), |text| {
            text.parse().map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "wrong parameter",
                    "`cursor` is what an answer gave as `next`",
                )
                .in_field(Some("cursor".to_owned()))
            })
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

    fn of(pairs: &[(&str, &str)]) -> Option<Page> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Page::of(&pairs).ok()
    }

    #[test]
    fn a_page_is_read_strictly() {
        assert_eq!(of(&[]), Some(Page { limit: 50, after: None }));
        let next = cursor("n 1/ä");
        assert_eq!(
            of(&[("cursor", &next), ("limit", "200")]),
            Some(Page { limit: 200, after: Some("n 1/ä".into()) })
        );
        for wrong in [("limit", "0"), ("limit", "201"), ("limit", "ten"), ("cursor", "?"), ("page", "2")] {
            assert_eq!(of(&[wrong]), None, "{wrong:?}");
        }
        let numbered = Page { limit: 1, after: Some("7".to_owned()) };
        assert_eq!(numbered.skip().ok(), Some(7));
        assert!(Page { after: Some("x".to_owned()), ..numbered }.skip().is_err());
    }
}
