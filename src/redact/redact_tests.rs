//! What is hidden, by tables; and by properties, that what is to be hidden is, wherever it stands.

use std::ops::Range;

use proptest::prelude::*;

use super::views::views;
use super::{Content, body, header, text, url};

fn nothing(_: &str) -> Vec<Range<usize>> {
    Vec::new()
}

fn redacted(given: &str) -> String {
    text(given, usize::MAX, &nothing)
}

#[test]
fn values_under_names_that_say_so_are_hidden_in_every_notation() {
    for (given, expected) in [
        // JSON.
        (r#"{"name":"Bob","amount":100}"#, r#"{"name":"***","amount":100}"#),
        (r#"{"payerName" : "Bo\"b\\", "x":"y"}"#, r#"{"payerName" : "***", "x":"y"}"#),
        (r#"{"card":{"no":"1","list":["}"]},"x":1}"#, r#"{"card":"***","x":1}"#),
        (r#"{"phones":[1,2],"x":1}"#, r#"{"phones":"***","x":1}"#),
        (r#"{"pin":1234,"x":1}"#, r#"{"pin":"***","x":1}"#),
        (r#"{"pin":1234}"#, r#"{"pin":"***"}"#),
        (r#"{"token":null,"secret":true}"#, r#"{"token":null,"secret":true}"#),
        (r#"{"name":"","x":1}"#, r#"{"name":"","x":1}"#),
        ("{\"email\":\n  \"a@b.c\"\n}", "{\"email\":\n  \"***\"\n}"),
        (r#"{"n\u0061me":"Bob"}"#, r#"{"n\u0061me":"***"}"#),
        // JSON in JSON, in a form, and cut off.
        (r#"{"a":"{\"name\":\"B\\\"ob\",\"x\":1}","y":2}"#, r#"{"a":"{\"name\":\"***\",\"x\":1}","y":2}"#),
        (r#"{"a":"{\"pin\":12,\"x\":1}"}"#, r#"{"a":"{\"pin\":\"***\",\"x\":1}"}"#),
        (
            "biz=%7B%22name%22%3A%22Bob%20B%22%2C%22x%22%3A1%7D&y=2",
            "biz=%7B%22name%22%3A%22***%22%2C%22x%22%3A1%7D&y=2",
        ),
        (r#"{"x":1,"name":"Bo"#, r#"{"x":1,"name":"***"#),
        (r#"{"x":1,"address":{"street":"#, r#"{"x":1,"address":"***""#),
        // Forms.
        ("amount=1&name=Bob+B&sign=ab%2Fc%3D&x=y", "amount=1&name=***&sign=***&x=y"),
        ("payer%5Bname%5D=Bob&payer[email]=b%40c.d", "payer%5Bname%5D=***&payer[email]=***"),
        ("back=name%3DBob%26x%3D1&y=2", "back=name%3D***%26x%3D1&y=2"),
        ("name=A%26B&x=1", "name=***&x=1"),
        ("name=\"A\"B&x=1", "name=***&x=1"),
        ("name={A}B&x=1", "name=***&x=1"),
        // XML.
        ("<xml><name>Bob</name><a>1</a></xml>", "<xml><name>***</name><a>1</a></xml>"),
        (
            "<Card_No type=\"x\"><![CDATA[</Card_No>1]]></Card_No><b/>",
            "<Card_No type=\"***\">***</Card_No><b/>",
        ),
        ("<name/><b>1</b>", "<name/><b>1</b>"),
        ("<c:phone>1</c:phone>", "<c:phone>***</c:phone>"),
        ("<a name=\"Bob\" x=\"1\"/>", "<a name=\"***\" x=\"1\"/>"),
        ("&lt;name&gt;Bob&lt;/name&gt;&lt;b&gt;", "&lt;name&gt;***&lt;/name&gt;&lt;b&gt;"),
        ("<openid>Bob", "<openid>***"),
        // Texts of people.
        ("error: your Phone Number: 138 is\nwrong: yes", "error: your Phone Number: ***\nwrong: yes"),
        ("姓名：张三\n状态：好", "姓名：***\n状态：好"),
        ("key => abc", "key => ***"),
        ("success", "success"),
    ] {
        assert_eq!(redacted(given), expected, "{given}");
    }
}

#[test]
fn long_numbers_show_their_last_four_digits() {
    for (given, expected) in [
        ("6222021234567890123", "****0123"),
        ("card 4111 1111 1111 1111.", "card ****1111."),
        ("4111-1111-1111-1111,138001380001", "****1111,****0001"),
        ("n=%34111+1111+1111+1111", "n=****1111"),
        ("1234567890", "1234567890"),
        ("2026-11-22 08:00:00", "2026-11-22 08:00:00"),
        ("1 2  34567890123", "1 2  ****0123"),
    ] {
        assert_eq!(redacted(given), expected, "{given}");
    }
}

#[test]
fn tokens_are_known_by_their_form() {
    for (given, expected) in [
        ("x eyJhbGciOiJIUzI1NiJ9.e30.abc-_ y", "x *** y"),
        ("sent Bearer abc+/defgh== to", "sent Bearer *** to"),
        ("basic checks were made", "basic checks were made"),
    ] {
        assert_eq!(redacted(given), expected, "{given}");
    }
}

#[test]
fn urls_lose_their_query_and_headers_their_secrets() {
    assert_eq!(url("https://shop.example/pay?sign=1&name=x", 999, &nothing), "https://shop.example/pay?***");
    assert_eq!(url("https://shop.example/pay", 999, &nothing), "https://shop.example/pay");
    for (name, value, expected) in [
        ("Authorization", "Bearer x", "***"),
        ("set-cookie", "a=b", "***"),
        ("x-shop-signature", "abc", "***"),
        ("location", "https://a.example/?x=1", "https://a.example/?***"),
        ("content-type", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("x-phone", "13800138000", "****8000"),
        ("x-user", "name=Bob", "name=***"),
    ] {
        assert_eq!(header(name, value, 999, &nothing), expected, "{name}");
    }
}

#[test]
fn a_body_is_cut_and_shown_as_what_it_is() {
    let check = |given: &[u8], most: usize, content: Content, cut: bool| {
        let shown = body(given, most, &nothing);
        assert_eq!((shown.content, shown.cut), (content, cut), "{given:?}");
    };
    let text = |text: &str| Content::Text(text.to_owned());
    check(b"", 4, text(""), false);
    check(b"abcd", 4, text("abcd"), false);
    check(b"abcde", 4, text("abcd"), true);
    check("abcé".as_bytes(), 4, text("abc"), true);
    check(b"abc\xc3", 9, text("abc"), false);
    // What begins in the part that is shown is hidden as a whole.
    check(b"x=1&name=Bob&y=2", 10, text("x=1&name=***"), true);
    check(b"x=1&name=Bob&y=2", 9, text("x=1&name="), true);
    // Chinese as GBK.
    check(b"name=\xd5\xc5\xc8\xfd&x=\xb0\xa1", 99, Content::Bytes(b"name=***&x=\xb0\xa1".to_vec()), false);
    check(b"\xb0\xa1\xb0\xa1", 3, Content::Bytes(b"\xb0\xa1\xb0".to_vec()), true);
}

#[test]
fn known_secrets_are_hidden_however_they_are_escaped() {
    let find = |text: &str| text.match_indices("s3/c\"r").map(|(at, found)| at..at + found.len()).collect();
    for given in [
        "a s3/c\"r b",
        "a s3%2Fc%22r b",
        r#"a s3/c\"r b"#,
        r#"a s3\/c\u0022r b"#,
        "a s3/c&quot;r b",
        "a s3%252Fc%2522r b",
    ] {
        assert_eq!(text(given, 999, &find), "a *** b", "{given}");
    }
}

#[test]
fn hostile_texts_take_no_longer_than_others() {
    // Longer than is looked at.
    const LENGTH: usize = 40 << 10;
    let begun = std::time::Instant::now();
    for part in [
        "<name>",
        "<name ",
        "name=",
        "\"name\":[",
        "\"name\":\"",
        ":",
        "&amp;",
        "\\\"",
        "%25",
        "{\"card\":{",
        "1-",
    ] {
        let _shown = body(part.repeat(LENGTH / part.len()).as_bytes(), 1 << 10, &nothing);
    }
    // A second or two without optimisation; a walk that begins anew at each name would take minutes.
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}

const MARK: &str = "S3cretMark";

/// A value with the mark in it, and whatever could end a value before its end.
fn marked() -> impl Strategy<Value = String> {
    let odd = || {
        prop::collection::vec(
            prop::sample::select(vec![
                "\"", "\\", "'", "&", "=", ":", "<", ">", "/", "}", "]", "{", "[", ",", ";", "%", "%22",
                "\\\"", "&quot;", " ", "é", "张", "a", "1", "\n",
            ]),
            0..6,
        )
        .prop_map(|parts| parts.concat())
    };
    (odd(), odd()).prop_map(|(before, after)| format!("{before}{MARK}{after}"))
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["name", "payer_email", "cardNo", "sign", "access_token", "收款人姓名"])
}

/// The innermost: a name and its value, whole.
fn notation() -> impl Strategy<Value = String> {
    (0..4u8, names(), marked()).prop_map(|(notation, name, value)| match notation {
        0 => serde_json::json!({"a": 1, name: value, "b": "c"}).to_string(),
        1 => serde_json::json!({"list": [{name: {"inner": [value, 1]}}], "b": 2}).to_string(),
        2 => format!("a=1&{}={}&b=2", percent(name), percent(&value)),
        _ => format!("<xml><a>1</a><{name}>{}</{name}><b>2</b></xml>", xml(&value)),
    })
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Puts a text into another one, as senders do.
fn wrapped(text: String, layers: &[u8]) -> String {
    layers.iter().fold(text, |inner, layer| match layer {
        0 => serde_json::json!({"x": 1, "biz": inner, "y": "z"}).to_string(),
        1 => format!("x=1&biz={}&y=2", percent(&inner)),
        2 => format!("<x><biz>{}</biz></x>", xml(&inner)),
        _ => format!("before {inner} after"),
    })
}

fn is_shown(output: &str, wanted: &str) -> bool {
    views(output).iter().any(|view| view.iter().map(|one| one.is).collect::<String>().contains(wanted))
}

proptest! {
    #[test]
    fn what_stands_under_such_a_name_is_never_shown(
        inner in notation(),
        layers in prop::collection::vec(0..4u8, 0..3),
    ) {
        let given = wrapped(inner, &layers);
        let output = redacted(&given);
        prop_assert!(!is_shown(&output, MARK), "{} became {}", given, output);
    }

    #[test]
    fn a_text_that_is_cut_off_shows_no_more(inner in notation(), layers in prop::collection::vec(0..3u8, 0..2), at in 0.0..1.0f64) {
        let given = wrapped(inner, &layers);
        let end = given.floor_char_boundary((given.len() as f64 * at) as usize);
        let output = redacted(&given[..end]);
        prop_assert!(!is_shown(&output, MARK), "{} became {}", &given[..end], output);
        let output = text(&given, end, &nothing);
        prop_assert!(!is_shown(&output, MARK), "{} became {}", given, output);
    }

    #[test]
    fn a_known_secret_is_never_shown(secret in "[a-zA-Z0-9+/=\"&<>%\\\\ -]{8,20}", around in "[a-z\"&<{}:=%\\\\,]{0,12}", layers in prop::collection::vec(0..4u8, 0..3)) {
        let find = |text: &str| text.match_indices(&secret).map(|(at, found)| at..at + found.len()).collect::<Vec<_>>();
        let given = wrapped(format!("{around}{secret}"), &layers);
        let output = text(&given, usize::MAX, &find);
        prop_assert!(!output.contains(&secret), "{} became {}", given, output);
    }

    #[test]
    fn any_text_can_be_redacted(given in any::<Vec<u8>>(), most in 0..200usize) {
        let shown = body(&given, most, &|text| Vec::from_iter((text.len() > 3).then_some(0..2)));
        prop_assert_eq!(shown.cut, given.len() > most);
    }
}
