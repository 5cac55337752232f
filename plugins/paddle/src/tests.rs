//! Records in, exact requests out; replies in, verdicts out; the published example; and everything at once.

use paynotify_plugin::arbitrary::{self, assert_sendable};
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::sign::Keys;
use paynotify_plugin::testing::{
    FakeCrypto, assert_schema_agrees, attempt, cny, endpoint, notification, response, response_with_header,
};
use paynotify_plugin::{
    Attempt, Failure, KeyBinding, Money, PaymentStatus, RetryAdvice, check_settings, encode, format, judge,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const URL: &str = "https://shop.test/paddle?a=%2f+b";

fn formatted(record: &Notification, settings: &str) -> Result<HttpRequest, PluginError> {
    format::<Paddle>(record, &endpoint(URL, settings, &["signing"]), &attempt(), &FakeCrypto)
}

fn body(record: &Notification, settings: &str) -> Value {
    serde_json::from_slice(&formatted(record, settings).expect("formats").body).expect("JSON")
}

fn signature(request: &HttpRequest) -> String {
    let header = request.headers.iter().find(|header| header.name == "Paddle-Signature").expect("is there");
    String::from_utf8(header.value.clone()).expect("ASCII")
}

fn refund() -> Notification {
    Notification {
        kind: "refund".to_owned(),
        payment_id: Some("refund-1".to_owned()),
        original_payment_id: Some("pay-0".to_owned()),
        ..notification()
    }
}

/// Source: github.com/PaddleHQ/paddle-node-sdk@b8ee4b1, src/__tests__/notifications/webhooks-validator.*.test.ts.
#[test]
fn the_published_example() {
    let crypto = RealCrypto::new().raw("new", "VALID_SECRET").raw("old", "OLD_SECRET");
    let binding = |name: &str| KeyBinding { role: "signing".to_owned(), name: name.to_owned() };
    // Of two keys only the newest signs, for there must be one h1.
    for keys in [vec![binding("new")], vec![binding("new"), binding("old")]] {
        let header =
            signature::header(1_698_796_800_999, r#"{"data": ["1", "2"]}"#, &Keys::new(&keys, &crypto))
                .expect("signs");
        assert_eq!(header.name, "Paddle-Signature");
        assert_eq!(
            String::from_utf8(header.value).expect("ASCII"),
            "ts=1698796800;h1=a300428748dce5c70e4da19bffd60769591ea969c99dea3105d0ec9612cf43f9"
        );
    }
}

#[test]
fn a_payment_to_the_byte() {
    let record = Notification {
        amount: Some(cny(12_950)),
        fee: Some(cny(50)),
        net_amount: Some(Money { currency: "EUR".to_owned(), ..cny(1_600) }),
        created_at: Some(1_541_747_000_000),
        completed_at: Some(1_541_748_000_007),
        passthrough: Some("支付&b=\"c\"\n".to_owned()),
        ..notification()
    };
    let request = formatted(&record, "{}").expect("formats");
    let text = r#"{"event_id":"evt_n-1","event_type":"transaction.completed","#.to_owned()
        + r#""occurred_at":"2018-11-09T07:20:00.007Z","notification_id":"ntf_n-1","#
        + r#""data":{"id":"pay-1","status":"completed","customer_id":null,"address_id":null,"business_id":null,"#
        + r#""custom_data":{"order_id":"order-1","passthrough":"支付&b=\"c\"\n"},"currency_code":"CNY","origin":"api","#
        + r#""subscription_id":null,"invoice_id":null,"invoice_number":null,"collection_mode":"automatic","#
        + r#""discount_id":null,"billing_details":null,"billing_period":null,"items":[],"#
        + r#""details":{"tax_rates_used":[],"totals":{"subtotal":"12950","discount":"0","tax":"0","total":"12950","#
        + r#""credit":"0","credit_to_balance":"0","balance":"0","grand_total":"12950","fee":"50","earnings":null,"#
        + r#""currency_code":"CNY"},"adjusted_totals":null,"payout_totals":null,"adjusted_payout_totals":null,"#
        + r#""line_items":[]},"payments":[],"checkout":null,"created_at":"2018-11-09T07:03:20.000Z","#
        + r#""updated_at":"2018-11-09T07:20:00.007Z","billed_at":"2018-11-09T07:20:00.007Z"}}"#;
    assert_eq!(String::from_utf8(request.body.clone()).expect("UTF-8"), text);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    let signed = format!("hmac-sha256(signing-key, 1541748977:{text})");
    assert_eq!(signature(&request), format!("ts=1541748977;h1={}", encode::hex(signed.as_bytes())));
    assert_eq!(request.headers[0].value, b"application/json");
    assert_eq!(request.headers.len(), 2);
}

#[test]
fn a_refund_to_the_byte() {
    let record = Notification { completed_at: Some(0), subject: Some("返".to_owned()), ..refund() };
    let text =
        r#"{"event_id":"evt_n-1","event_type":"adjustment.updated","occurred_at":"1970-01-01T00:00:00.000Z","#
            .to_owned()
            + r#""notification_id":"ntf_n-1","data":{"id":"refund-1","action":"refund","transaction_id":"pay-0","#
            + r#""subscription_id":null,"customer_id":null,"reason":"返","credit_applied_to_balance":null,"#
            + r#""currency_code":"CNY","status":"approved","items":[],"totals":{"subtotal":"1","tax":"0","total":"1","#
            + r#""fee":null,"earnings":null,"currency_code":"CNY"},"payout_totals":null,"#
            + r#""created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.000Z"}}"#;
    let request = formatted(&record, "{}").expect("formats");
    assert_eq!(String::from_utf8(request.body).expect("UTF-8"), text);
}

#[test]
fn a_later_attempt_has_its_own_time_and_signature_and_the_same_event() {
    let record = Notification { completed_at: Some(1), ..notification() };
    let at = |number, now| {
        let attempt = Attempt { number, now, ..attempt() };
        format::<Paddle>(&record, &endpoint(URL, "{}", &["signing"]), &attempt, &FakeCrypto).expect("formats")
    };
    let (first, second) = (at(1, 1_000_000), at(2, 1_060_000));
    assert_eq!(first.body, second.body);
    assert!(signature(&first).starts_with("ts=1000;h1=") && signature(&second).starts_with("ts=1060;h1="));
}

#[test]
fn each_kind_and_status_has_its_words() {
    for (record, status, event_type, word) in [
        (notification(), PaymentStatus::Succeeded, "transaction.completed", "completed"),
        (notification(), PaymentStatus::Finished, "transaction.completed", "completed"),
        (notification(), PaymentStatus::Failed, "transaction.payment_failed", "ready"),
        (notification(), PaymentStatus::Pending, "transaction.ready", "ready"),
        (notification(), PaymentStatus::Closed, "transaction.canceled", "canceled"),
        (refund(), PaymentStatus::Succeeded, "adjustment.updated", "approved"),
        (refund(), PaymentStatus::Finished, "adjustment.updated", "approved"),
        (refund(), PaymentStatus::Failed, "adjustment.updated", "rejected"),
        (refund(), PaymentStatus::Pending, "adjustment.created", "pending_approval"),
        (refund(), PaymentStatus::Closed, "adjustment.updated", "rejected"),
    ] {
        let failure = Some(Failure { code: "declined".to_owned(), message: None });
        let record = Notification { status: Some(status), failure, ..record };
        let event = body(&record, "{}");
        assert_eq!((&event["event_type"], &event["data"]["status"]), (&event_type.into(), &word.into()));
        if record.kind == "payment" {
            assert_eq!(event["data"]["payments"][0]["error_code"], "declined");
            let balance = if word == "completed" { "0" } else { "1" };
            assert_eq!(event["data"]["details"]["totals"]["balance"], balance);
            assert_eq!(event["data"]["billed_at"].is_null(), word != "completed");
        }
        let named = body(&record, &format!(r#"{{"event_types": {{"{}": "x.y"}}}}"#, record.kind));
        assert_eq!(named["event_type"], "x.y");
    }
}

#[test]
fn what_it_cannot_do_without_is_named() {
    let named = |record: Notification| match formatted(&record, "{}") {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    assert_eq!(named(Notification { kind: "dispute".to_owned(), ..notification() }), "kind");
    assert_eq!(named(Notification { status: None, ..notification() }), "status");
    assert_eq!(named(Notification { payment_id: None, ..notification() }), "payment-id");
    assert_eq!(named(Notification { amount: None, ..notification() }), "amount");
    assert_eq!(named(Notification { amount: Some(cny(-1)), ..notification() }), "amount");
    assert_eq!(named(Notification { merchant_order_id: None, ..notification() }), "merchant-order-id");
    assert_eq!(named(Notification { original_payment_id: None, ..refund() }), "original-payment-id");
    assert_eq!(
        format::<Paddle>(&notification(), &endpoint(URL, "{}", &[]), &attempt(), &FakeCrypto),
        Err(PluginError::UnusableKey("signing: the merchant's file gives no key to this role".to_owned()))
    );
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(
        r#"{"event_types": {"refund": "adjustment.updated"}, "any_2xx": true, "order_id_key": "order",
            "passthrough_key": "text"}"#,
    );
    let check = check_settings::<Paddle>;
    assert_eq!(check("{}"), Ok(()));
    for (settings, beginning) in [
        (
            r#"{"event_types": {"dispute": "x"}}"#,
            "event_types: `dispute` can never apply; the format tells of",
        ),
        (r#"{"any_2xx": "yes"}"#, "any_2xx: invalid type"),
        (r#"{"order_id_key": ""}"#, "order_id_key: empty"),
        (r#"{"passthrough_key": "order_id"}"#, "passthrough_key: the same as order_id_key"),
        (r#"{"secret": "x"}"#, "secret: no such setting; the format `paddle` has `any_2xx`"),
    ] {
        let error = check(settings).expect_err(settings);
        assert!(error.starts_with(beginning), "{error}");
    }
}

/// developer.paddle.com/webhooks/respond-to-webhooks: 200.
#[test]
fn replies() {
    let verdict = |settings: &str, response: &HttpResponse| {
        judge::<Paddle>(&notification(), &endpoint(URL, settings, &[]), response).expect("judged")
    };
    let is_retry = |verdict| matches!(verdict, Verdict::Retry(RetryAdvice { after_seconds: None, .. }));
    const ANY: &str = r#"{"any_2xx": true}"#;
    for settings in ["{}", ANY] {
        assert_eq!(verdict(settings, &response(200, "anything")), Verdict::Confirmed(None));
        for status in [199, 302, 410, 429, 500] {
            let wait = response_with_header(status, "retry-after", "120", "");
            // The gateway reads Retry-After.
            assert!(is_retry(verdict(settings, &wait)), "{status}");
        }
    }
    for status in [201, 202, 204, 299] {
        assert!(is_retry(verdict("{}", &response(status, ""))), "{status}");
        assert_eq!(verdict(ANY, &response(status, "")), Verdict::Confirmed(None), "{status}");
    }
}

proptest! {
    #[test]
    fn every_record_makes_a_request_that_says_it_or_is_refused(
        record in arbitrary::notification_of(&data::KINDS),
        attempt in arbitrary::attempt(),
    ) {
        let endpoint = endpoint(URL, "{}", &["signing"]);
        let request = match format::<Paddle>(&record, &endpoint, &attempt, &FakeCrypto) {
            Ok(request) => request,
            Err(error) => {
                prop_assert!(matches!(error, PluginError::UnusableRecord(_)), "{error:?}");
                return Ok(());
            }
        };
        assert_sendable(&request, URL);
        let text = std::str::from_utf8(&request.body).expect("UTF-8");
        let timestamp = attempt.now.div_euclid(1_000);
        let signed = format!("hmac-sha256(signing-key, {timestamp}:{text})");
        prop_assert_eq!(signature(&request), format!("ts={timestamp};h1={}", encode::hex(signed.as_bytes())));
        let event: Value = serde_json::from_str(text).expect("JSON");
        prop_assert_eq!(&event["event_id"], &format!("evt_{}", record.id));
        let data = &event["data"];
        prop_assert_eq!(data["id"].as_str(), record.payment_id.as_deref());
        let amount = record.amount.expect("was needed");
        prop_assert_eq!(data["currency_code"].as_str(), Some(amount.currency.as_str()));
        let minor = amount.minor.to_string();
        if record.kind == "payment" {
            prop_assert_eq!(data["details"]["totals"]["grand_total"].as_str(), Some(minor.as_str()));
            prop_assert_eq!(data["custom_data"]["order_id"].as_str(), record.merchant_order_id.as_deref());
            prop_assert_eq!(data["custom_data"]["passthrough"].as_str(), record.passthrough.as_deref());
        } else {
            prop_assert_eq!(data["totals"]["total"].as_str(), Some(minor.as_str()));
            prop_assert_eq!(data["transaction_id"].as_str(), record.original_payment_id.as_deref());
        }
    }

    #[test]
    fn every_reply_is_judged(response in arbitrary::response(), any_2xx: bool) {
        let settings = format!(r#"{{"any_2xx": {any_2xx}}}"#);
        let verdict = judge::<Paddle>(&notification(), &endpoint(URL, &settings, &[]), &response);
        let confirmed = matches!(verdict, Ok(Verdict::Confirmed(_)));
        let confirms = if any_2xx { 200..300 } else { 200..201 };
        prop_assert_eq!(confirmed, confirms.contains(&response.status));
        prop_assert!(confirmed || matches!(verdict, Ok(Verdict::Retry(_))));
    }
}
