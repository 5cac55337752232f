//! Records in, exact requests out; replies in, verdicts out; the published example; and everything at once.

use paynotify_plugin::arbitrary::{self, assert_sendable};
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::sign::Keys;
use paynotify_plugin::testing::{
    FakeCrypto, assert_schema_agrees, attempt, cny, endpoint, notification, response, response_with_header,
};
use paynotify_plugin::{
    Attempt, Channel, Failure, KeyBinding, Money, PaymentStatus, RetryAdvice, check_settings, encode, format,
    judge,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const URL: &str = "https://shop.test/stripe?a=%2f+b";

fn formatted(record: &Notification, settings: &str) -> Result<HttpRequest, PluginError> {
    format::<Stripe>(record, &endpoint(URL, settings, &["signing"]), &attempt(), &FakeCrypto)
}

fn body(record: &Notification, settings: &str) -> Value {
    serde_json::from_slice(&formatted(record, settings).expect("formats").body).expect("JSON")
}

fn signature(request: &HttpRequest) -> String {
    let header = request.headers.iter().find(|header| header.name == "Stripe-Signature").expect("is there");
    String::from_utf8(header.value.clone()).expect("ASCII")
}

/// Source: github.com/stripe/stripe-dotnet@d330362, src/StripeTests/Resources/event_test_signature.json and
/// EventUtilityTest.cs.
#[test]
fn the_published_example() {
    const BODY: &str = r#"{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"#;
    const V1: &str = "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
    let crypto = RealCrypto::new().raw("current", "webhook_secret").raw("older", "whsec_older");
    let value = |names: &[&str]| {
        let binding = |name: &&str| KeyBinding { role: "signing".to_owned(), name: (*name).to_owned() };
        let keys: Vec<_> = names.iter().map(binding).collect();
        let header = signature::header(1_533_204_620_999, BODY, &Keys::new(&keys, &crypto)).expect("signs");
        String::from_utf8(header.value).expect("ASCII")
    };
    assert_eq!(value(&["current"]), format!("t=1533204620,{V1}"));
    // A secret that is being rolled: a v1 by each, the newest first.
    let rolled = value(&["current", "older"]);
    assert!(rolled.starts_with(&format!("t=1533204620,{V1},v1=")), "{rolled}");
    assert_eq!(rolled.len(), "t=1533204620".len() + 2 * (V1.len() + 1));
}

#[test]
fn a_request_to_the_byte() {
    let record = Notification {
        amount: Some(cny(12_950)),
        created_at: Some(1_541_747_000_000),
        completed_at: Some(1_541_748_000_007),
        subject: Some("支付 \"1\"\n".to_owned()),
        passthrough: Some("a&b=c".to_owned()),
        channel: Some(Channel {
            code: "alipay".to_owned(),
            trade_type: None,
            bank_type: None,
            funding: None,
            channel_transaction_id: None,
        }),
        ..notification()
    };
    let request = formatted(&record, r#"{"api_version": "2025-09-30.clover"}"#).expect("formats");
    let text = r#"{"id":"evt_n-1","object":"event","api_version":"2025-09-30.clover","created":1541748000,"#
        .to_owned()
        + r#""data":{"object":{"id":"pay-1","object":"payment_intent","amount":12950,"amount_received":12950,"#
        + r#""canceled_at":null,"created":1541747000,"currency":"cny","description":"支付 \"1\"\n","#
        + r#""last_payment_error":null,"livemode":true,"#
        + r#""metadata":{"order_id":"order-1","passthrough":"a&b=c"},"payment_method_types":["alipay"],"#
        + r#""status":"succeeded"}},"livemode":true,"pending_webhooks":1,"#
        + r#""request":{"id":null,"idempotency_key":null},"type":"payment_intent.succeeded"}"#;
    assert_eq!(String::from_utf8(request.body.clone()).expect("UTF-8"), text);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    let signed = format!("hmac-sha256(signing-key, 1541748977.{text})");
    assert_eq!(signature(&request), format!("t=1541748977,v1={}", encode::hex(signed.as_bytes())));
    assert_eq!(request.headers[0].value, b"application/json; charset=utf-8");
    assert_eq!(request.headers.len(), 2);
}

#[test]
fn a_later_attempt_has_its_own_time_and_signature_and_the_same_event() {
    let record = Notification { completed_at: Some(1), ..notification() };
    let at = |number, now| {
        let attempt = Attempt { number, now, ..attempt() };
        format::<Stripe>(&record, &endpoint(URL, "{}", &["signing"]), &attempt, &FakeCrypto).expect("formats")
    };
    let (first, second) = (at(1, 1_000_000), at(2, 1_060_000));
    assert_eq!(first.body, second.body);
    assert!(signature(&first).starts_with("t=1000,") && signature(&second).starts_with("t=1060,"));
}

#[test]
fn each_kind_and_status_has_its_words() {
    let failure = Some(Failure { code: "no_funds".to_owned(), message: Some("余额不足".to_owned()) });
    for (kind, status, event_type, object, word) in [
        ("payment", PaymentStatus::Succeeded, "payment_intent.succeeded", "payment_intent", "succeeded"),
        ("payment", PaymentStatus::Finished, "payment_intent.succeeded", "payment_intent", "succeeded"),
        (
            "payment",
            PaymentStatus::Failed,
            "payment_intent.payment_failed",
            "payment_intent",
            "requires_payment_method",
        ),
        ("payment", PaymentStatus::Pending, "payment_intent.processing", "payment_intent", "processing"),
        ("payment", PaymentStatus::Closed, "payment_intent.canceled", "payment_intent", "canceled"),
        ("refund", PaymentStatus::Succeeded, "refund.updated", "refund", "succeeded"),
        ("refund", PaymentStatus::Finished, "refund.updated", "refund", "succeeded"),
        ("refund", PaymentStatus::Failed, "refund.failed", "refund", "failed"),
        ("refund", PaymentStatus::Pending, "refund.created", "refund", "pending"),
        ("refund", PaymentStatus::Closed, "refund.updated", "refund", "canceled"),
    ] {
        let record = Notification {
            kind: kind.to_owned(),
            status: Some(status),
            failure: failure.clone(),
            original_payment_id: Some("pay-0".to_owned()),
            ..notification()
        };
        let event = body(&record, "{}");
        let told = &event["data"]["object"];
        assert_eq!(
            (&event["type"], &told["object"], &told["status"]),
            (&event_type.into(), &object.into(), &word.into())
        );
        let received = i64::from(word == "succeeded");
        if kind == "payment" {
            assert_eq!((&told["amount"], &told["amount_received"]), (&1.into(), &received.into()));
            assert_eq!(told["last_payment_error"]["message"], "余额不足");
            assert_eq!(told["canceled_at"].is_null(), word != "canceled");
        } else {
            assert_eq!(
                (&told["payment_intent"], &told["failure_reason"]),
                (&"pay-0".into(), &"no_funds".into())
            );
        }
        let named = body(&record, &format!(r#"{{"event_types": {{"{kind}": "charge.x"}}}}"#));
        assert_eq!(named["type"], "charge.x");
    }
}

#[test]
fn amounts_are_counted_as_stripe_counts_them() {
    let told = |minor, currency: &str, exponent| {
        let amount = Some(Money { minor, currency: currency.to_owned(), exponent });
        formatted(&Notification { amount, ..notification() }, "{}").map(|request| {
            let event: Value = serde_json::from_slice(&request.body).expect("JSON");
            let object = &event["data"]["object"];
            (
                object["amount"].as_i64().expect("an integer"),
                object["currency"].as_str().expect("a text").to_owned(),
            )
        })
    };
    for (minor, currency, exponent, amount) in [
        (1_050, "USD", 2, 1_050),
        (500, "JPY", 0, 500),
        (5_120, "KWD", 3, 5_120),
        (5, "ISK", 0, 500),
        (5, "UGX", 0, 500),
        (1_200, "MGA", 2, 12),
        (i64::MAX, "EUR", 2, i64::MAX),
        (0, "HUF", 2, 0),
    ] {
        assert_eq!(told(minor, currency, exponent), Ok((amount, currency.to_lowercase())), "{currency}");
    }
    for (minor, currency, exponent) in
        [(1, "MGA", 2), (i64::MAX, "ISK", 0), (-1, "USD", 2), (i64::MIN, "USD", 2)]
    {
        let error = told(minor, currency, exponent).expect_err(currency);
        assert!(
            matches!(&error, PluginError::UnusableRecord(reason) if reason.starts_with("amount: ")),
            "{error:?}"
        );
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
    assert_eq!(named(Notification { merchant_order_id: None, ..notification() }), "merchant-order-id");
    assert_eq!(
        format::<Stripe>(&notification(), &endpoint(URL, "{}", &[]), &attempt(), &FakeCrypto),
        Err(PluginError::UnusableKey("signing: the merchant's file gives no key to this role".to_owned()))
    );
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(
        r#"{"event_types": {"payment.succeeded": "charge.succeeded"}, "api_version": "2020-08-27",
            "order_id_key": "order", "passthrough_key": "text"}"#,
    );
    let check = check_settings::<Stripe>;
    assert_eq!(check("{}"), Ok(()));
    for (settings, beginning) in [
        (
            r#"{"event_types": {"dispute": "x"}}"#,
            "event_types: `dispute` can never apply; the format tells of",
        ),
        (r#"{"event_types": {"payment.paid": "x"}}"#, "event_types: `payment.paid` is no kind and status"),
        (r#"{"api_version": " "}"#, "api_version: empty"),
        (r#"{"order_id_key": ""}"#, "order_id_key: empty"),
        (r#"{"passthrough_key": "order_id"}"#, "passthrough_key: the same as order_id_key"),
        (r#"{"secret": "x"}"#, "secret: no such setting; the format `stripe` has `api_version`"),
    ] {
        let error = check(settings).expect_err(settings);
        assert!(error.starts_with(beginning), "{error}");
    }
}

/// docs.stripe.com/webhooks: 2xx, and any redirect is a failure. There is no reply that ends it.
#[test]
fn replies() {
    let verdict = |response: &HttpResponse| {
        judge::<Stripe>(&notification(), &endpoint(URL, "{}", &[]), response).expect("judged")
    };
    for status in [200, 201, 204, 299] {
        assert_eq!(verdict(&response(status, "anything")), Verdict::Confirmed(None), "{status}");
    }
    for status in [199, 302, 307, 400, 410, 429, 500] {
        let wait = response_with_header(status, "retry-after", "120", "");
        // The gateway reads Retry-After.
        assert!(
            matches!(verdict(&wait), Verdict::Retry(RetryAdvice { after_seconds: None, .. })),
            "{status}"
        );
    }
}

proptest! {
    #[test]
    fn every_record_makes_a_request_that_says_it_or_is_refused(
        record in arbitrary::notification_of(&object::KINDS),
        attempt in arbitrary::attempt(),
    ) {
        let endpoint = endpoint(URL, "{}", &["signing"]);
        let request = match format::<Stripe>(&record, &endpoint, &attempt, &FakeCrypto) {
            Ok(request) => request,
            Err(error) => {
                prop_assert!(matches!(error, PluginError::UnusableRecord(_)), "{error:?}");
                return Ok(());
            }
        };
        assert_sendable(&request, URL);
        let text = std::str::from_utf8(&request.body).expect("UTF-8");
        let timestamp = attempt.now.div_euclid(1_000);
        let signed = format!("hmac-sha256(signing-key, {timestamp}.{text})");
        prop_assert_eq!(signature(&request), format!("t={timestamp},v1={}", encode::hex(signed.as_bytes())));
        let event: Value = serde_json::from_str(text).expect("JSON");
        prop_assert_eq!(&event["id"], &format!("evt_{}", record.id));
        let object = &event["data"]["object"];
        prop_assert_eq!(object["id"].as_str(), record.payment_id.as_deref());
        prop_assert_eq!(object["metadata"]["order_id"].as_str(), record.merchant_order_id.as_deref());
        prop_assert_eq!(object["metadata"]["passthrough"].as_str(), record.passthrough.as_deref());
        if record.kind == "payment" {
            let description = record.description.or(record.subject);
            prop_assert_eq!(object["description"].as_str(), description.as_deref());
        }
    }

    #[test]
    fn every_reply_is_judged(response in arbitrary::response()) {
        let verdict = judge::<Stripe>(&notification(), &endpoint(URL, "{}", &[]), &response);
        let confirmed = matches!(verdict, Ok(Verdict::Confirmed(_)));
        prop_assert_eq!(confirmed, (200..300).contains(&response.status));
        prop_assert!(confirmed || matches!(verdict, Ok(Verdict::Retry(_))));
    }
}
