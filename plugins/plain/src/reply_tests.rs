//! Replies in, verdicts out.

use paynotify_plugin::{HttpResponse, NoSettings, Plugin, Verdict, testing::notification};

use super::Plain;

fn reply(status: u16, body: &[u8], truncated: bool) -> Verdict {
    let response = HttpResponse { status, headers: Vec::new(), body: body.to_vec(), truncated };
    Plain::judge(&NoSettings {}, &notification(), &response).expect("always judged")
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
    assert_eq!(reason(reply(500, b"success", false)), "status 500, body `success`, wanted 200 and `success`");
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
