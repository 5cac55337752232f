//! Replies that nobody would send, always the same ones.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::domain::Reply;

/// A reply, and what is odd about it.
pub(super) struct Answer {
    pub(super) what: String,
    pub(super) reply: Reply,
    /// A failure of the merchant's server, or of what stands before it: no format confirms so.
    pub(super) is_failure: bool,
}

/// One that most formats confirm, and one that none does.
pub(super) fn plain_replies() -> Vec<Answer> {
    vec![answer("200 `success`", 200, b"success", &[]), answer("an empty 500", 500, b"", &[])]
}

fn answer(what: &str, status: u16, body: &[u8], headers: &[(&str, &[u8])]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    Answer {
        what: what.to_owned(),
        reply: Reply {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: map,
            body: Bytes::copy_from_slice(body),
            truncated: false,
        },
        is_failure: false,
    }
}

/// Every reply.
pub(super) fn replies() -> Vec<Answer> {
    const STATUSES: [u16; 40] = [
        100, 101, 103, 199, 200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 304, 307, 399, 400,
        401, 403, 404, 408, 409, 410, 413, 415, 418, 422, 425, 429, 431, 451, 499, 500, 502, 503, 599, 999,
    ];
    let mut list = Vec::new();
    for status in STATUSES {
        let mut answer = answer(&format!("an empty {status}"), status, b"", &[]);
        answer.is_failure = (500..600).contains(&status);
        list.push(answer);
    }
    let page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let mut gateway = answer("a 502 with a proxy's page", 502, page, &[("content-type", b"text/html")]);
    gateway.is_failure = true;
    list.push(gateway);
    bodies(&mut list);
    header_fields(&mut list);
    list
}

fn bodies(list: &mut Vec<Answer>) {
    let words: [&[u8]; 24] = [
        b"success",
        b"SUCCESS",
        b"Success",
        b"success\n",
        b"\xef\xbb\xbfsuccess",
        b"success\0",
        b"\"success\"",
        b"fail",
        b"ok",
        b"[accepted]",
        b"{\"code\":\"SUCCESS\"}",
        b"{\"code\":1}",
        b"{\"code\":",
        b"[]",
        b"null",
        b"\xff\xfe\xfd",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xc4\xe3\xba\xc3",
        b"<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>",
        b"<xml><return_code><![CDATA[SUCCESS",
        b"<!DOCTYPE x [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><xml>&c;</xml>",
        b"<xml>",
        b"\r\n\r\n",
    ];
    for word in words {
        let shown = String::from_utf8_lossy(word).escape_default().to_string();
        for status in [200, 400] {
            list.push(answer(&format!("a {status} with `{shown}`"), status, word, &[]));
        }
    }
    for (what, body) in [
        ("64 KiB of `x`", vec![b'x'; 64 << 10]),
        ("64 KiB of zeros", vec![0; 64 << 10]),
        ("64 KiB of `[`", vec![b'['; 64 << 10]),
        ("64 KiB of `<a>`", b"<a>".repeat(21_845)),
        ("64 KiB of `{\"a\":`", b"{\"a\":".repeat(13_107)),
        ("64 KiB of a text in JSON", [b"{\"code\":\"".as_slice(), &vec![b'S'; 65_000], b"\"}"].concat()),
        ("every byte there is", (0..=u8::MAX).collect()),
    ] {
        for truncated in [false, true] {
            let cut = if truncated { ", cut there" } else { "" };
            let mut answer = answer(&format!("a 200 with {what}{cut}"), 200, &body, &[]);
            answer.reply.truncated = truncated;
            list.push(answer);
        }
    }
    let mut cut = answer("a 200 with `success`, cut there", 200, b"success", &[]);
    cut.reply.truncated = true;
    list.push(cut);
}

fn header_fields(list: &mut Vec<Answer>) {
    let waits: [&[u8]; 9] = [
        b"0",
        b"-1",
        b"1.5",
        b"99999999999999999999999",
        b"soon",
        b"",
        b"Sun, 22 Nov 2026 08:01:00 GMT",
        b"\xff\xff",
        b"120, 120",
    ];
    for wait in waits {
        let shown = String::from_utf8_lossy(wait).into_owned();
        list.push(answer(&format!("a 429 with Retry-After `{shown}`"), 429, b"", &[("retry-after", wait)]));
    }
    for kind in
        ["text/xml; charset=gbk", "application/json;charset", "", ";;;", "multipart/mixed; boundary=x"]
    {
        list.push(answer(
            &format!("a 200 with Content-Type `{kind}`"),
            200,
            b"success",
            &[("content-type", kind.as_bytes()), ("content-type", b"text/plain")],
        ));
    }
    let long = vec![b'a'; 8 << 10];
    list.push(answer("a 200 with a header field of 8 KiB", 200, b"success", &[("x-long", &long)]));
    let many: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"\xf0\x9f"[..])).collect();
    list.push(answer("a 200 with 100 header fields of bytes that are no text", 200, b"success", &many));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_many_and_the_failures_are_told() {
        let replies = replies();
        assert!(replies.len() > 100, "{}", replies.len());
        assert_eq!(replies.iter().filter(|answer| answer.is_failure).count(), 5);
    }
}
