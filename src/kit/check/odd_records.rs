//! Records that nobody would send, always the same ones: made by rule, without chance, so that what fails once fails each time.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::domain::Notification;

/// A record that has every field, for a format that can tell any of them.
pub(super) fn ordinary() -> Notification {
    parse(&full()).expect("the ordinary record is a constant, and a record")
}

fn full() -> Value {
    let ten = json!({"minor": 1_000, "currency": "CNY"});
    json!({
        "schema": "payment-result/1", "notification_id": "n-1", "merchant_id": "shop", "kind": "payment",
        "status": "succeeded", "payment_id": "2026010100001001", "merchant_order_id": "order-1001",
        "amount": ten, "payer_amount": ten, "net_amount": ten, "settle_amount": ten,
        "fee": {"minor": 6, "currency": "CNY"},
        "created_at": "2025-12-31T23:59:00Z", "completed_at": "2025-12-31T23:59:07Z",
        "subject": "Two tickets", "description": "Row 7, seats 1 and 2", "passthrough": "cart 7",
        "payer": {"id": "u-1", "openid": "o-1", "logon_masked": "13*******89", "name_masked": "*"},
        "channel": {"code": "wechat", "trade_type": "NATIVE", "bank_type": "OTHERS", "funding": "debit", "channel_txn_id": "c-1"},
        "livemode": true, "extra": {"note": "x"},
    })
}

fn parse(record: &Value) -> Option<Notification> {
    Notification::parse(Bytes::from(record.to_string())).ok()
}

const TEXTS: [&str; 17] = [
    "/payment_id",
    "/original_payment_id",
    "/merchant_order_id",
    "/subject",
    "/description",
    "/passthrough",
    "/payer/id",
    "/payer/openid",
    "/payer/logon_masked",
    "/payer/name_masked",
    "/channel/code",
    "/channel/trade_type",
    "/channel/bank_type",
    "/error/code",
    "/error/message",
    "/extra/note",
    "/kind",
];
const AMOUNTS: [&str; 6] =
    ["/amount", "/payer_amount", "/net_amount", "/settle_amount", "/refunded_amount", "/fee"];
const MOMENTS: [&str; 3] = ["/created_at", "/completed_at", "/closed_at"];

/// Texts that a format could stumble over.
const ODD: [&str; 30] = [
    "",
    " ",
    "  blanks around  ",
    "\r\n",
    "a\r\nx-injected: 1\r\n\r\n",
    "\n\n",
    "\0",
    "\u{1}\u{8}\u{b}\u{c}\u{1b}\u{7f}",
    "\u{85}\u{2028}\u{2029}",
    "&=%+",
    "a&b=c;d",
    "%0d%0a%00%zz%",
    "?x#y/../..//",
    "<xml>&amp;</xml>",
    "]]>",
    "<![CDATA[x]]>",
    "<!DOCTYPE x [<!ENTITY a \"b\">]>&a;",
    "\"},{\"\\",
    "'; DROP TABLE orders; --",
    "{{}} ${x} %s %n",
    "a:b|c,d",
    "\u{feff}",
    "\u{202e}gnp.exe\u{200b}",
    "e\u{301}\u{301}\u{301}",
    "支付成功",
    "😀🏳️‍🌈👩‍👩‍👧‍👦",
    "NaN",
    "-0",
    "1e309",
    "null",
];

/// Every record, with what is odd about it.
pub(super) fn records(ordinary: &Notification) -> Vec<(String, Notification)> {
    let base = serde_json::from_slice(&ordinary.raw).unwrap_or_else(|_| full());
    let mut list: Vec<(String, Value)> = Vec::new();
    absent(&base, &mut list);
    texts(&base, &mut list);
    amounts(&base, &mut list);
    moments(&base, &mut list);
    shapes(&base, &mut list);
    // What a gateway does not take never gets to a plugin.
    list.into_iter().filter_map(|(what, record)| Some((what, parse(&record)?))).collect()
}

fn absent(base: &Value, list: &mut Vec<(String, Value)>) {
    const ALWAYS: [&str; 4] = ["schema", "notification_id", "merchant_id", "kind"];
    let mut bare = base.clone();
    for name in base.as_object().into_iter().flatten().map(|(name, _)| name) {
        if !ALWAYS.contains(&name.as_str()) {
            let mut record = base.clone();
            remove(&mut record, name);
            remove(&mut bare, name);
            list.push((format!("a record without `{name}`"), record));
        }
    }
    list.push(("a record with nothing in it".to_owned(), bare));
}

fn remove(record: &mut Value, name: &str) {
    if let Some(fields) = record.as_object_mut() {
        fields.remove(name);
    }
}

fn texts(base: &Value, list: &mut Vec<(String, Value)>) {
    let everywhere = |what: String, text: &str| {
        let mut record = base.clone();
        for path in TEXTS {
            put(&mut record, path, json!(text));
        }
        (format!("a record with {what} in every text"), record)
    };
    for text in ODD {
        list.push(everywhere(format!("`{}`", text.escape_default()), text));
    }
    // Each text in a few fields alone, in turn: what is wrong in one is not hidden by another.
    for (number, path) in TEXTS.into_iter().enumerate() {
        for text in ODD.iter().cycle().skip(number * 7).step_by(5).take(6) {
            let mut record = base.clone();
            put(&mut record, path, json!(text));
            list.push((format!("a record with `{}` in {}", text.escape_default(), name(path)), record));
        }
        // Ten times as long as anything real, and still within a URL when it is percent-encoded.
        for (length, word) in [(16 << 10, "16 KiB"), (200, "200 characters")] {
            let mut record = base.clone();
            put(&mut record, path, json!("长".repeat(length / 3)));
            list.push((format!("a record with {word} in {}", name(path)), record));
        }
    }
    for plane in 0..=16_u32 {
        let first = plane << 16;
        let characters: String = (0..32)
            .chain([0xd7ff, 0xe000, 0xfdd0])
            .chain(0xfff0..=0xffff)
            .filter_map(|low| char::from_u32(first + low))
            .collect();
        list.push(everywhere(format!("characters of plane {plane} of Unicode"), &characters));
    }
}

fn amounts(base: &Value, list: &mut Vec<(String, Value)>) {
    let extremes = [0, 1, -1, 99, 100, i64::MAX, i64::MIN];
    // Two decimals, none, three, four; and currencies that hardly a format knows.
    let currencies = ["CNY", "JPY", "KWD", "CLF", "UYW", "MRU", "ISK"];
    for (number, minor) in extremes.into_iter().enumerate() {
        for currency in currencies.iter().cycle().skip(number).step_by(2).take(3) {
            let mut record = base.clone();
            for path in AMOUNTS {
                put(&mut record, path, json!({"minor": minor, "currency": currency}));
            }
            list.push((format!("a record with amounts of {minor} minor units of {currency}"), record));
        }
    }
    for path in AMOUNTS {
        for (minor, currency) in [(i64::MIN, "CNY"), (i64::MAX, "KWD"), (1, "USD")] {
            let mut record = base.clone();
            put(&mut record, path, json!({"minor": minor, "currency": currency}));
            list.push((format!("a record with {} of {minor} minor units of {currency}", name(path)), record));
        }
    }
}

fn moments(base: &Value, list: &mut Vec<(String, Value)>) {
    for text in
        ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2024-02-29T23:59:59Z", "9999-12-30T22:00:00Z"]
    {
        let mut record = base.clone();
        for path in MOMENTS {
            put(&mut record, path, json!(text));
        }
        list.push((format!("a record with times of {text}"), record));
    }
}

fn shapes(base: &Value, list: &mut Vec<(String, Value)>) {
    for status in ["succeeded", "failed", "pending", "closed", "finished"] {
        for kind in ["payment", "refund", "capture", "dispute", "something else"] {
            let mut record = base.clone();
            put(&mut record, "/status", json!(status));
            put(&mut record, "/kind", json!(kind));
            list.push((format!("a record of kind `{kind}` and status `{status}`"), record));
        }
    }
    let mut with = |what: &str, path: &str, value: Value| {
        let mut record = base.clone();
        put(&mut record, path, value);
        list.push((format!("a record with {what}"), record));
    };
    with("an id of 36 characters", "/notification_id", json!("_-".repeat(18)));
    with("a merchant's id of 64 characters", "/merchant_id", json!("Z9".repeat(32)));
    with("`livemode` false", "/livemode", json!(false));
    with("a quarter of a megabyte of description", "/description", json!("x".repeat(256 << 10)));
    let many: serde_json::Map<_, _> =
        (0..2_000).map(|number| (format!("field {number}"), json!(number))).collect();
    with("2,000 further fields", "/extra", Value::Object(many));
    let mut deep = json!("bottom");
    for _ in 0..100 {
        deep = json!({"a": [deep]});
    }
    with("something nested in `extra`", "/extra/nested", deep);
    with(
        "numbers of every sort in `extra`",
        "/extra/numbers",
        json!([u64::MAX, i64::MIN, 1e300, 5e-324, -0.0]),
    );
    with(
        "odd names in `extra`",
        "/extra",
        json!({"": "", "\r\n": "\r\n", "a b": null, "支付": [], "&=": {}}),
    );
}

fn name(path: &str) -> String {
    format!("`{}`", path.trim_start_matches('/').replace('/', "."))
}

/// Sets the field of this path; what is on the way there is made.
fn put(record: &mut Value, path: &str, value: Value) {
    let mut place = &mut *record;
    for step in path.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[step];
    }
    *place = value;
    // A channel and an error are nothing without their code.
    for (part, code) in [("channel", "wechat"), ("error", "declined")] {
        if record.get(part).is_some_and(|part| part.get("code").is_none()) {
            record[part]["code"] = json!(code);
        }
    }
}

/// URLs that a merchant's file may have.
pub(super) fn odd_urls() -> [&'static str; 6] {
    [
        "https://merchant.example",
        "https://merchant.example/notify?",
        "https://merchant.example/notify?a=%2f+b&c",
        "http://127.0.0.1:9000/",
        "https://[::1]:8443/%E6%94%AF",
        "https://merchant.example:8443/a/b/../c;d=1?x=1&x=2",
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_many_and_each_is_another() {
        let records = records(&ordinary());
        assert!(records.len() > 250, "{}", records.len());
        let different: HashSet<_> = records.iter().map(|(_, record)| record.raw.clone()).collect();
        assert!(different.len() > records.len() * 9 / 10, "{} of {}", different.len(), records.len());
        for part in [
            "plane 16",
            "16 KiB in `subject`",
            "-9223372036854775808",
            "nothing in it",
            "UYW",
            "without `amount`",
        ] {
            assert!(records.iter().any(|(what, _)| what.contains(part)), "{part}");
        }
    }
}
