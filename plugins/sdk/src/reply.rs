//! Looking at a merchant's reply.
//!
//! `Retry-After` is deliberately absent: the gateway reads it for every plugin, and adds it to a [`Verdict::Retry`] that
//! names no wait of its own.
//!
//! [`Verdict::Retry`]: crate::Verdict::Retry

use crate::HttpResponse;

/// So many characters of a body are shown to people.
const EXCERPT_CHARACTERS: usize = 60;

/// Whether the status is a 2xx.
#[must_use]
pub fn is_success(response: &HttpResponse) -> bool {
    (200..300).contains(&response.status)
}

/// Whether this is the whole body, byte for byte.
#[must_use]
pub fn body_is(response: &HttpResponse, body: &str) -> bool {
    response.body == body.as_bytes() && !response.truncated
}

/// The first field of that name (lower case), if it is text.
#[must_use]
pub fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let field = response.headers.iter().find(|header| header.name == name)?;
    std::str::from_utf8(&field.value).ok()
}

/// The body's beginning, quoted, in one line whatever it holds.
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "empty".to_owned();
    }
    // A character has at most four bytes, so this much is enough, however long the body is.
    let beginning = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARACTERS)]);
    let shown: String = beginning.chars().take(EXCERPT_CHARACTERS).collect();
    let more = if shown.len() < body.len() { "…" } else { "" };
    format!("`{}{more}`", shown.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt(b""), "empty");
        assert_eq!(excerpt(b"success\n"), "`success `");
        assert_eq!(excerpt(&b"x".repeat(65_536)), format!("`{}…`", "x".repeat(60)));
        assert!(!excerpt(&[0, 27, b'[', 255, 10]).contains(char::is_control));
        // The cut falls inside a character of three bytes: no panic.
        assert!(excerpt("支付".repeat(100).as_bytes()).contains("支付"));
    }
}
