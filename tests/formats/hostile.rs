//! Records and replies that nobody would send: whatever they hold, no plugin traps, none makes a request that breaks the
//! contract, and what it signs verifies.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use paynotify::domain::{AttemptNumber, Moment, Notification, Reply};
use paynotify::plugin::{AttemptContext, CallError, Fault, Refusal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::all::{ALL, URL, host};
use super::verify::verify;

/// Of each kind, for each format.
const CASES: usize = 200;

/// Texts that a format could stumble over.
fn any_text() -> BoxedStrategy<String> {
    let odd = [
        "",
        " ",
        "  leading and trailing  ",
        "\r\n",
        "a\r\nx-injected: 1",
        "&=%+",
        "a&b=c",
        "%0d%0a",
        "]]>",
        "<![CDATA[x]]>",
        "</xml>",
        "\"}",
        "\\",
        "\0",
        "\u{feff}",
        "\u{202e}",
        "支付成功",
        "😀🏳️‍🌈",
        "\u{10fffd}",
        "é",
        "e\u{301}",
        "a:b|c",
        "?x#y",
        "{{}}",
    ];
    prop_oneof![
        3 => "[A-Za-z0-9_-]{1,32}",
        2 => "\\PC{0,40}",
        1 => any::<String>(),
        2 => proptest::sample::select(odd.map(str::to_owned).to_vec()),
        1 => (1usize..6_000).prop_map(|length| "长".repeat(length)),
    ]
    .boxed()
}

fn any_money() -> BoxedStrategy<Value> {
    let minor = prop_oneof![3 => 0..1_000_000i64, 1 => any::<i64>(), 1 => proptest::sample::select(vec![0, -1, i64::MIN, i64::MAX])];
    let currency = proptest::sample::select(vec!["CNY", "CNY", "CNY", "USD", "JPY", "KWD"]);
    (minor, currency).prop_map(|(minor, currency)| json!({"minor": minor, "currency": currency})).boxed()
}

fn any_moment() -> BoxedStrategy<Value> {
    (-60_000_000_000_000i64..250_000_000_000_000)
        .prop_map(|at| json!(Moment::from_unix_milliseconds(at).to_string()))
        .boxed()
}

/// A record that every format can tell.
fn told_by_all() -> Value {
    let ten = json!({"minor": 1_000, "currency": "CNY"});
    json!({
        "schema": "payment-result/1", "notification_id": "n1", "merchant_id": "m1", "kind": "payment", "status": "succeeded",
        "payment_id": "P1", "merchant_order_id": "O1", "amount": ten, "payer_amount": ten, "net_amount": ten, "settle_amount": ten,
        "fee": {"minor": 6, "currency": "CNY"}, "created_at": "2026-11-22T08:00:00Z", "completed_at": "2026-11-22T08:00:09Z",
        "subject": "Tea", "description": "Two cups", "passthrough": "cart 7", "payer": {"id": "u1", "openid": "o1"},
        "channel": {"code": "alipay", "trade_type": "NATIVE", "bank_type": "OTHERS", "funding": "balance"}, "livemode": true,
    })
}

/// A field by its path in a record, and what it becomes; `None` takes it away.
fn any_change() -> BoxedStrategy<(&'static str, Option<Value>)> {
    let texts = [
        "/payment_id",
        "/original_payment_id",
        "/merchant_order_id",
        "/subject",
        "/description",
        "/passthrough",
        "/payer/id",
        "/payer/openid",
        "/payer/name_masked",
        "/channel/code",
        "/channel/trade_type",
        "/channel/bank_type",
        "/error/code",
        "/error/message",
        "/extra/odd name",
        "/extra/fund_bill_list",
        "/kind",
    ];
    let amounts = ["/amount", "/payer_amount", "/net_amount", "/settle_amount", "/refunded_amount", "/fee"];
    let moments = ["/created_at", "/completed_at", "/closed_at"];
    let words = ["succeeded", "failed", "pending", "closed", "finished", "payment", "refund", "capture"];
    let of = |paths: &[&'static str], values: BoxedStrategy<Value>| {
        (proptest::sample::select(paths.to_vec()), proptest::option::weighted(0.9, values)).boxed()
    };
    prop_oneof![
        6 => of(&texts, any_text().prop_map(Value::String).boxed()),
        2 => of(&amounts, any_money()),
        1 => of(&moments, any_moment()),
        1 => of(&["/status", "/kind"], proptest::sample::select(words.to_vec()).prop_map(Value::from).boxed()),
    ]
    .boxed()
}

/// That record with up to a dozen changes, mostly few.
fn any_record() -> BoxedStrategy<Value> {
    let changes = prop_oneof![
        4 => proptest::collection::vec(any_change(), 0..3),
        1 => proptest::collection::vec(any_change(), 3..12),
    ];
    changes
        .prop_map(|changes| {
            let mut record = told_by_all();
            for (path, value) in changes {
                change(&mut record, path, value);
            }
            record
        })
        .boxed()
}

fn change(record: &mut Value, path: &str, value: Option<Value>) {
    let mut steps: Vec<_> = path.split('/').skip(1).collect();
    let last = steps.pop().expect("a field");
    let mut place = record;
    for step in steps {
        place = &mut place[step];
        if place.is_null() {
            *place = json!({});
        }
    }
    match value {
        Some(value) => place[last] = value,
        None => drop(place.as_object_mut().expect("an object").remove(last)),
    }
}

fn any_reply() -> BoxedStrategy<Reply> {
    let bodies = prop_oneof![
        any_text().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::sample::select(
            [
                "success",
                "SUCCESS",
                "[accepted]",
                r#"{"code":"SUCCESS"}"#,
                r#"{"code":1}"#,
                "<xml><return_code>SUCCESS</return_code></xml>",
                "<xml><return_code><![CDATA[SUCCESS",
                "<!DOCTYPE x [<!ENTITY a \"b\">]><xml>&a;</xml>",
                "<xml>",
                "[[[[[[",
                "{\"a\":{\"a\":{",
                r#"{"alipay_trade_query_response":{"code":"10000","trade_status":"TRADE_SUCCESS"}}"#,
                r#"{"alipay_trade_query_response":[]}"#,
            ]
            .map(|text| text.as_bytes().to_vec())
            .to_vec()
        ),
    ];
    let statuses = prop_oneof![2 => Just(200u16), 1 => 100u16..1_000];
    let retry_after = proptest::option::of(prop_oneof!["[0-9]{1,30}", "\\PC{0,20}"]);
    (statuses, bodies, retry_after, any::<bool>())
        .prop_map(|(status, body, retry_after, truncated)| {
            let mut headers = HeaderMap::new();
            for (name, value) in
                [("retry-after", retry_after), ("content-type", Some("text/xml; charset=gbk".to_owned()))]
            {
                let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
                headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
            }
            Reply {
                status: StatusCode::from_u16(status).expect("three digits"),
                headers,
                body: Bytes::from(body),
                truncated,
            }
        })
        .boxed()
}

fn any_attempt() -> BoxedStrategy<AttemptContext> {
    (1u32..100, 0i64..4_000_000_000_000, any::<[u8; 32]>())
        .prop_map(|(number, now, entropy)| AttemptContext {
            number: AttemptNumber::new(number).expect("not zero"),
            now: Moment::from_unix_milliseconds(now),
            entropy,
        })
        .boxed()
}

#[tokio::test]
async fn whatever_a_record_holds_the_request_is_right_or_refused() {
    let host = host();
    for format in ALL {
        let plugin = format.load(&host).await;
        let endpoint = format.endpoint();
        let mut runner = TestRunner::deterministic();
        let strategy = (any_record(), any_attempt());
        let (mut written, mut refused) = (0, 0);
        while written + refused < CASES {
            let (record, attempt) = strategy.new_tree(&mut runner).expect("a case").current();
            // What the gateway itself does not take never gets to a plugin.
            let Ok(notification) = Notification::parse(Bytes::from(record.to_string())) else { continue };
            match plugin.format(&notification, &endpoint, &attempt).await {
                Ok(request) => {
                    written += 1;
                    let uri = request.uri.to_string();
                    assert!(
                        uri == URL || uri.starts_with(&format!("{URL}?")),
                        "{}: {uri}: {record}",
                        format.plugin
                    );
                    if let Err(wrong) = verify(format, &request) {
                        panic!("{}: {wrong}: {record}", format.plugin);
                    }
                }
                Err(CallError::Fault(Fault::Refused { kind: Refusal::UnusableRecord, text })) => {
                    assert!(text.contains(": "), "{}: names no field: {text}", format.plugin);
                    refused += 1;
                }
                Err(error) => panic!("{}: {error}: {record}", format.plugin),
            }
        }
        assert!(written >= CASES / 4, "{}: of {CASES} only {written} are written", format.plugin);
    }
}

#[tokio::test]
async fn whatever_a_merchant_answers_there_is_a_verdict() {
    let host = host();
    let notification = super::support::call::notification("");
    for format in ALL {
        let plugin = format.load(&host).await;
        let endpoint = format.endpoint();
        let mut runner = TestRunner::deterministic();
        for _ in 0..CASES {
            let (reply, attempt) =
                (any_reply(), any_attempt()).new_tree(&mut runner).expect("a case").current();
            let verdict = plugin.judge(&notification, &endpoint, &attempt, &reply).await;
            assert!(verdict.is_ok(), "{}: {verdict:?}: {reply:?}", format.plugin);
        }
    }
}
