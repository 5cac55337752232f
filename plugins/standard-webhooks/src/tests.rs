//! Records in, exact requests out; replies in, verdicts out; published examples; and everything at once.

use paynotify_plugin::arbitrary::{self, assert_sendable};
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::sign::{self, Crypto, Keys};
use paynotify_plugin::testing::{
    assert_schema_agrees, attempt, cny, endpoint, notification, response, response_with_header,
};
use paynotify_plugin::{
    Channel, Endpoint, Failure, KeyBinding, Payer, RetryAdvice, check_settings, encode, format, judge, time,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const URL: &str = "https://shop.test/hooks?a=%2f+b";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

/// The symmetric key `new`, the Ed25519 key `ed`, and the symmetric key `old`.
fn crypto() -> RealCrypto {
    RealCrypto::new()
        .whsec("new", SECRET)
        .whsk("ed", PRIVATE)
        .whsec("old", "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xk")
}

fn bindings(names: &[&str]) -> Vec<KeyBinding> {
    let binding = |name: &&str| KeyBinding { role: "signing".to_owned(), name: (*name).to_owned() };
    names.iter().map(binding).collect()
}

fn endpoint_with(names: &[&str], settings: &str) -> Endpoint {
    Endpoint { keys: bindings(names), ..endpoint(URL, settings, &[]) }
}

fn value_of<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let header = request.headers.iter().find(|header| header.name == name).expect("is there");
    std::str::from_utf8(&header.value).expect("ASCII")
}

/// Source: github.com/standard-webhooks/standard-webhooks@b2fa7b8, libraries/python/tests (v1), and
/// github.com/svix/svix-webhooks@4fc0cfb, server/svix-server/src/worker.rs, `test_asymmetric_key_signing` (v1a).
#[test]
fn the_published_examples() {
    let crypto = crypto();
    let signature = |names: &[&str]| {
        let keys = bindings(names);
        let body = "{\"test\": 2432232314}";
        let now = 1_614_265_330_999;
        let headers =
            signature::headers("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body, &Keys::new(&keys, &crypto))
                .expect("signs");
        let headers = headers.into_iter().map(|header| {
            let value = String::from_utf8(header.value).expect("ASCII");
            (header.name, value)
        });
        let [(id, id_value), (timestamp, timestamp_value), (signature, value)] =
            headers.collect::<Vec<_>>().try_into().expect("three headers");
        assert_eq!((id.as_str(), id_value.as_str()), ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"));
        assert_eq!((timestamp.as_str(), timestamp_value.as_str()), ("webhook-timestamp", "1614265330"));
        assert_eq!(signature, "webhook-signature");
        value
    };
    const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const V1A: &str =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signature(&["new"]), V1);
    assert_eq!(signature(&["ed"]), V1A);
    // During a rotation all keys sign, the newest first, in one header.
    let rotation = signature(&["ed", "new", "old"]);
    assert!(rotation.starts_with(&format!("{V1A} {V1} v1,")), "{rotation}");
    assert_eq!(rotation.split(' ').count(), 3);
}

#[test]
fn a_request_to_the_byte() {
    let record = Notification {
        amount: Some(cny(12_950)),
        subject: Some("支付 \"1\"\r\n".to_owned()),
        completed_at: Some(1_541_748_000_007),
        extra: vec![("z".to_owned(), "1.50".to_owned())],
        ..notification()
    };
    let request = format::<StandardWebhooks>(&record, &endpoint_with(&["new"], "{}"), &attempt(), &crypto())
        .expect("formats");
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    assert_eq!(
        String::from_utf8(request.body.clone()).expect("UTF-8"),
        r#"{"type":"payment.succeeded","timestamp":"2018-11-09T07:20:00.007Z","data":{"kind":"payment","#
            .to_owned()
            + r#""status":"succeeded","payment_id":"pay-1","merchant_order_id":"order-1","#
            + r#""amount":{"minor":12950,"currency":"CNY","exponent":2},"completed_at":"2018-11-09T07:20:00.007Z","#
            + r#""subject":"支付 \"1\"\r\n","livemode":true,"extra":{"z":1.50}}}"#
    );
    let names: Vec<&str> = request.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(names, ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(value_of(&request, "content-type"), "application/json");
    assert_eq!(value_of(&request, "webhook-id"), "n-1");
    assert_eq!(value_of(&request, "webhook-timestamp"), "1541748977");
}

#[test]
fn a_later_attempt_has_its_own_time_and_signature_and_the_same_id() {
    let record = Notification { completed_at: Some(1), ..notification() };
    let at = |number, now| {
        let attempt = paynotify_plugin::Attempt { number, now, ..attempt() };
        format::<StandardWebhooks>(&record, &endpoint_with(&["new"], "{}"), &attempt, &crypto())
            .expect("formats")
    };
    let (first, second) = (at(1, 1_000_000), at(2, 1_005_000));
    assert_eq!(first.body, second.body);
    assert_eq!(value_of(&first, "webhook-id"), value_of(&second, "webhook-id"));
    assert_eq!(
        (value_of(&first, "webhook-timestamp"), value_of(&second, "webhook-timestamp")),
        ("1000", "1005")
    );
    assert_ne!(value_of(&first, "webhook-signature"), value_of(&second, "webhook-signature"));
}

#[test]
fn a_merchant_may_name_events() {
    let typed = |record: Notification, settings| {
        format::<StandardWebhooks>(&record, &endpoint_with(&["new"], settings), &attempt(), &crypto()).map(
            |request| {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                body["type"].as_str().expect("a text").to_owned()
            },
        )
    };
    let names = r#"{"event_types": {"payment.succeeded": "order.paid", "打款": "payout"}}"#;
    let of_kind = |kind: &str| Notification { kind: kind.to_owned(), status: None, ..notification() };
    assert_eq!(typed(notification(), names), Ok("order.paid".to_owned()));
    assert_eq!(typed(notification(), "{}"), Ok("payment.succeeded".to_owned()));
    assert_eq!(typed(of_kind("打款"), names), Ok("payout".to_owned()));
    assert_eq!(
        typed(of_kind("打款"), "{}"),
        Err(PluginError::UnusableRecord(
            "kind: cannot be an event's type; the setting event_types can name one".to_owned()
        ))
    );
}

#[test]
fn what_it_cannot_do_without_is_named() {
    let error = |record, names: &[&str]| {
        format::<StandardWebhooks>(&record, &endpoint_with(names, "{}"), &attempt(), &crypto())
            .expect_err("refused")
    };
    assert_eq!(
        error(notification(), &[]),
        PluginError::UnusableKey("signing: the merchant's file gives no key to this role".to_owned())
    );
    assert_eq!(
        error(Notification { id: "a.b".to_owned(), ..notification() }, &["new"]),
        PluginError::UnusableRecord("id: has a full stop, and the format's ids have none".to_owned())
    );
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(
        r#"{"event_types": {"payment.succeeded": "order.paid"}, "throttle_seconds": 30}"#,
    );
    let check = check_settings::<StandardWebhooks>;
    assert_eq!(check("{}"), Ok(()));
    assert_eq!(check(r#"{"throttle_seconds": 0}"#), Err("throttle_seconds: must be 1 to 86400".to_owned()));
    for (settings, beginning) in [
        (r#"{"throttle_seconds": "1m"}"#, "throttle_seconds: invalid type"),
        (r#"{"event_types": {"payment.paid": "x"}}"#, "event_types: `payment.paid` is no kind and status"),
        (r#"{"event_types": {"payment": "a b"}}"#, "event_types: the name for `payment` must be"),
        (r#"{"event_types": ["x"]}"#, "event_types: invalid type"),
        (r#"{"secret": "x"}"#, "secret: no such setting; the format `standard-webhooks` has"),
    ] {
        let error = check(settings).expect_err(settings);
        assert!(error.starts_with(beginning), "{error}");
    }
}

/// The cases of the format's reply rules, with their source: the specification's section on status codes.
#[test]
fn replies() {
    let verdict = |response: &HttpResponse| {
        judge::<StandardWebhooks>(&notification(), &endpoint_with(&[], "{}"), response).expect("judged")
    };
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(verdict(&response(status, "anything")), Verdict::Confirmed(None), "{status}");
    }
    assert!(matches!(verdict(&response(410, "")), Verdict::Stop(reason) if reason.starts_with("status 410")));
    let advice = |response: &HttpResponse| match verdict(response) {
        Verdict::Retry(RetryAdvice { after_seconds, reason }) => (after_seconds, reason),
        other @ (Verdict::Confirmed(_) | Verdict::Stop(_)) => panic!("not a retry: {other:?}"),
    };
    for status in [429, 502, 504] {
        assert_eq!(advice(&response(status, "")).0, Some(60), "{status}");
        // The gateway puts the 120 seconds in.
        assert_eq!(advice(&response_with_header(status, "retry-after", "120", "")).0, None, "{status}");
    }
    assert_eq!(advice(&response_with_header(503, "retry-after", "30", "")).0, None);
    assert_eq!(advice(&response(302, "")).1, "status 302, body empty, wanted a 2xx status");
    for status in [199, 300, 301, 307, 400, 401, 404, 500, 503] {
        assert_eq!(advice(&response(status, "")).0, None, "{status}");
    }
}

proptest! {
    #[test]
    fn every_record_makes_a_request_that_says_it_or_is_refused(
        record in arbitrary::notification(),
        attempt in arbitrary::attempt(),
    ) {
        let endpoint = endpoint_with(&["new", "ed"], "{}");
        let request = match format::<StandardWebhooks>(&record, &endpoint, &attempt, &crypto()) {
            Ok(request) => request,
            Err(error) => {
                prop_assert!(matches!(error, PluginError::UnusableRecord(_)), "{error:?}");
                return Ok(());
            }
        };
        assert_sendable(&request, URL);
        prop_assert_eq!(value_of(&request, "webhook-id"), &record.id);
        let text = std::str::from_utf8(&request.body).expect("UTF-8");
        let signed = sign::bytes(format!("{}.{}.{text}", record.id, attempt.now.div_euclid(1_000)));
        let by = |key, algorithm| {
            encode::base64(&crypto().sign(key, algorithm, std::slice::from_ref(&signed)).expect("signs"))
        };
        let (v1, v1a) = (by("new", Algorithm::HmacSha256), by("ed", Algorithm::Ed25519));
        prop_assert_eq!(value_of(&request, "webhook-signature"), format!("v1,{v1} v1a,{v1a}"));
        let body: Value = serde_json::from_str(text).expect("JSON");
        let data = &body["data"];
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        prop_assert_eq!(text("payment_id"), record.payment_id);
        prop_assert_eq!(text("merchant_order_id"), record.merchant_order_id);
        prop_assert_eq!(text("subject"), record.subject);
        prop_assert_eq!(text("passthrough"), record.passthrough);
        prop_assert_eq!(text("kind"), Some(record.kind));
        prop_assert_eq!(text("created_at"), record.created_at.map(time::rfc3339_with_milliseconds));
        prop_assert_eq!(data["amount"]["minor"].as_i64(), record.amount.as_ref().map(|amount| amount.minor));
        prop_assert_eq!(data["fee"]["currency"].as_str(), record.fee.as_ref().map(|fee| fee.currency.as_str()));
        for (name, json) in &record.extra {
            let value: Value = serde_json::from_str(json).expect("JSON");
            prop_assert_eq!(&data["extra"][name], &value);
        }
        let nested = |object: &str, name: &str| data[object][name].as_str().map(str::to_owned);
        if let Some(Payer { id, name_masked, .. }) = record.payer {
            prop_assert_eq!((nested("payer", "id"), nested("payer", "name_masked")), (id, name_masked));
        }
        if let Some(Channel { code, funding, .. }) = record.channel {
            prop_assert_eq!((nested("channel", "code"), nested("channel", "funding")), (Some(code), funding));
        }
        if let Some(Failure { code, message }) = record.failure {
            prop_assert_eq!((nested("error", "code"), nested("error", "message")), (Some(code), message));
        }
    }

    #[test]
    fn every_reply_is_judged(response in arbitrary::response()) {
        let verdict = judge::<StandardWebhooks>(&notification(), &endpoint_with(&[], "{}"), &response);
        let confirmed = matches!(verdict, Ok(Verdict::Confirmed(_)));
        prop_assert_eq!(confirmed, (200..300).contains(&response.status));
        prop_assert_eq!(matches!(verdict, Ok(Verdict::Stop(_))), response.status == 410);
        prop_assert!(verdict.is_ok());
    }
}
