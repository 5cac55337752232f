//! What a merchant's reply means.
//!
//! Only status 200 with exactly `success` is a confirmation, byte for byte: a page that merely contains the word, or
//! ends it with a line break, has not confirmed. The format knows no way to ask for an end, so `stop` never comes.

use crate::bindings::paynotify::merchant::types::{HttpResponse, RetryAdvice, Verdict};

/// So many characters of a wrong body are shown to people.
const EXCERPT_CHARACTERS: usize = 60;

/// Confirmed, or a plea to retry that shows the status and the beginning of the body.
pub(crate) fn judge(response: &HttpResponse) -> Verdict {
    if response.status == 200 && response.body == b"success" && !response.truncated {
        return Verdict::Confirmed(None);
    }
    let reason =
        format!("status {}, body {}, wanted 200 and `success`", response.status, excerpt(&response.body));
    Verdict::Retry(RetryAdvice { after_seconds: None, reason })
}

/// The body's beginning, quoted, in one line whatever it holds.
fn excerpt(body: &[u8]) -> String {
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

    fn reply(status: u16, body: &[u8], truncated: bool) -> Verdict {
        judge(&HttpResponse { status, headers: Vec::new(), body: body.to_vec(), truncated })
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Retry(advice) => advice.reason,
            Verdict::Confirmed(_) | Verdict::Stop(_) => panic!("not a retry: {verdict:?}"),
        }
    }

    #[test]
    fn exactly_success_with_200_confirms() {
        assert_eq!(reply(200, b"success", false), Verdict::Confirmed(None));
    }

    #[test]
    fn anything_else_is_retried_and_says_what_came() {
        assert_eq!(
            reason(reply(500, b"success", false)),
            "status 500, body `success`, wanted 200 and `success`"
        );
        assert_eq!(
            reason(reply(200, b"success\n", false)),
            "status 200, body `success `, wanted 200 and `success`"
        );
        assert_eq!(reason(reply(204, b"", false)), "status 204, body empty, wanted 200 and `success`");
        for (status, body, truncated) in [
            (200, &b"Success"[..], false),
            (200, b"success", true),
            (302, b"success", false),
            (201, b"success", false),
        ] {
            reason(reply(status, body, truncated));
        }
    }

    #[test]
    fn a_long_or_binary_body_is_shown_short_and_printable() {
        let long = reason(reply(200, &b"x".repeat(65_536), false));
        assert_eq!(long, format!("status 200, body `{}…`, wanted 200 and `success`", "x".repeat(60)));
        assert!(!reason(reply(200, &[0, 27, b'[', 255, 10], false)).contains(char::is_control));
        // The cut falls inside a character of three bytes: no panic.
        assert!(reason(reply(200, "支付".repeat(100).as_bytes(), false)).contains("支付"));
    }
}
