//! Records in, exact requests out; replies in, verdicts out; and records of every sort.

use paynotify_plugin::arbitrary;
use paynotify_plugin::encode::base64url;
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::testing::{
    FakeCrypto, NOW, assert_judged, assert_schema_agrees, attempt, cny, endpoint, notification, response,
    response_with_header,
};
use paynotify_plugin::{
    Attempt, Channel, Endpoint, Failure, Header, KeyBinding, Money, Payer, PaymentStatus, check_settings,
    format, judge,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const URL: &str = "https://shop.test/events?a=%2f+b";
const BINARY: &str = r#"{"source":"https://pay.test/payments"}"#;
const STRUCTURED: &str = r#"{"source":"https://pay.test/payments","mode":"structured","type_prefix":"com.example.","dataschema":"https://pay.test/schema","request_origin":"pay.test"}"#;
const SIGNED: &str = r#"{"source":"/payments","token_algorithm":"HS256"}"#;
const ASKING: &str = r#"{"source":"/payments","request_origin":"Pay.test","request_rate":120}"#;

fn shop(settings: &str) -> Endpoint {
    endpoint(URL, settings, &[TOKEN])
}

fn paid() -> Notification {
    Notification {
        completed_at: Some(NOW),
        merchant_order_id: Some("订单 \"1\" 50%".to_owned()),
        ..notification()
    }
}

/// A refund that failed, with every field there is.
fn full() -> Notification {
    let some = |text: &str| Some(text.to_owned());
    Notification {
        kind: "refund".to_owned(),
        status: Some(PaymentStatus::Failed),
        original_payment_id: some("pay-0"),
        amount: Some(cny(i64::MIN)),
        payer_amount: Some(Money { minor: i64::MAX, currency: "KWD".to_owned(), exponent: 3 }),
        net_amount: Some(cny(1)),
        settle_amount: Some(cny(2)),
        refunded_amount: Some(cny(3)),
        fee: Some(cny(4)),
        created_at: Some(0),
        closed_at: Some(1),
        subject: some("a\r\n\0😀"),
        description: some(""),
        payer: Some(Payer { id: some("1"), openid: some("2"), logon_masked: some("3"), name_masked: None }),
        channel: Some(Channel {
            code: "wechat".to_owned(),
            trade_type: some("NATIVE"),
            bank_type: None,
            funding: some("credit"),
            channel_transaction_id: some("42"),
        }),
        failure: Some(Failure { code: "NO".to_owned(), message: None }),
        passthrough: some("]]>"),
        livemode: false,
        extra: vec![
            ("a\"b".to_owned(), " 1.50 ".to_owned()),
            ("legacy_url".to_owned(), "\"http://gone.test/\"".to_owned()),
            ("c".to_owned(), "{\"d\" : [1.0e3]}".to_owned()),
        ],
        ..paid()
    }
}

fn handshake_record() -> Notification {
    Notification {
        kind: "webhook-handshake".to_owned(),
        status: None,
        payment_id: None,
        merchant_order_id: None,
        amount: None,
        ..notification()
    }
}

fn request(notification: &Notification, settings: &str) -> Result<HttpRequest, PluginError> {
    format::<CloudEvents>(notification, &shop(settings), &attempt(), &FakeCrypto)
}

fn headers(request: &HttpRequest) -> Vec<(&str, &str)> {
    let text = |header: &'_ Header| std::str::from_utf8(&header.value).map(str::to_owned).expect("text");
    assert!(request.headers.iter().all(|header| !text(header).is_empty()));
    request
        .headers
        .iter()
        .map(|header| (header.name.as_str(), std::str::from_utf8(&header.value).expect("text")))
        .collect()
}

fn body(request: &HttpRequest) -> &str {
    std::str::from_utf8(&request.body).expect("UTF-8")
}

const DATA: &str = r#"{"kind":"payment","status":"succeeded","payment_id":"pay-1","merchant_order_id":"订单 \"1\" 50%","amount":{"minor":1,"currency":"CNY","exponent":2},"completed_at":"2018-11-09T07:36:17.999Z","livemode":true}"#;

#[test]
fn binary_mode_is_exact() {
    let request = request(&paid(), BINARY).expect("formats");
    arbitrary::assert_sendable(&request, URL);
    assert_eq!((request.method.as_str(), body(&request)), ("POST", DATA));
    assert_eq!(
        headers(&request),
        [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "n-1"),
            ("ce-source", "https://pay.test/payments"),
            ("ce-type", "payment.succeeded"),
            ("ce-subject", "%E8%AE%A2%E5%8D%95%20%221%22%2050%25"),
            ("ce-time", "2018-11-09T07:36:17.999Z"),
        ]
    );
}

#[test]
fn structured_mode_is_exact() {
    let request = request(&paid(), STRUCTURED).expect("formats");
    arbitrary::assert_sendable(&request, URL);
    let attributes = r#"{"specversion":"1.0","id":"n-1","source":"https://pay.test/payments","type":"com.example.payment.succeeded","subject":"订单 \"1\" 50%","time":"2018-11-09T07:36:17.999Z","dataschema":"https://pay.test/schema","datacontenttype":"application/json","data":"#;
    assert_eq!(body(&request), format!("{attributes}{DATA}}}"));
    assert_eq!(
        headers(&request),
        [
            ("content-type", "application/cloudevents+json; charset=utf-8"),
            ("webhook-request-origin", "pay.test"),
        ]
    );
}

#[test]
fn the_data_is_the_record() {
    let request = request(&full(), BINARY).expect("formats");
    assert_eq!(
        body(&request),
        r#"{"kind":"refund","status":"failed","payment_id":"pay-1","original_payment_id":"pay-0","merchant_order_id":"订单 \"1\" 50%","amount":{"minor":-9223372036854775808,"currency":"CNY","exponent":2},"payer_amount":{"minor":9223372036854775807,"currency":"KWD","exponent":3},"net_amount":{"minor":1,"currency":"CNY","exponent":2},"settle_amount":{"minor":2,"currency":"CNY","exponent":2},"refunded_amount":{"minor":3,"currency":"CNY","exponent":2},"fee":{"minor":4,"currency":"CNY","exponent":2},"created_at":"1970-01-01T00:00:00.000Z","completed_at":"2018-11-09T07:36:17.999Z","closed_at":"1970-01-01T00:00:00.001Z","subject":"a\r\n\u0000😀","description":"","payer":{"id":"1","openid":"2","logon_masked":"3"},"channel":{"code":"wechat","trade_type":"NATIVE","funding":"credit","channel_txn_id":"42"},"error":{"code":"NO"},"passthrough":"]]>","livemode":false,"extra":{"a\"b":1.50,"c":{"d" : [1.0e3]}}}"#
    );
}

#[test]
fn the_time_is_the_status_own_or_the_orders_or_absent() {
    let time = |status, created_at, completed_at, closed_at| {
        let record = Notification { status: Some(status), created_at, completed_at, closed_at, ..paid() };
        let request = request(&record, BINARY).expect("formats");
        let found = headers(&request).into_iter().find(|(name, _)| *name == "ce-time");
        found.map(|(_, time)| time.to_owned())
    };
    let at = |milliseconds: i64| Some(format!("1970-01-01T00:00:00.00{milliseconds}Z"));
    assert_eq!(time(PaymentStatus::Finished, Some(1), Some(2), Some(3)), at(2));
    assert_eq!(time(PaymentStatus::Closed, Some(1), Some(2), Some(3)), at(3));
    assert_eq!(time(PaymentStatus::Pending, Some(1), None, Some(3)), at(1));
    assert_eq!(time(PaymentStatus::Succeeded, None, None, None), None);
}

#[test]
fn a_signed_token_is_new_in_each_attempt_and_the_event_is_not() {
    let key = RealCrypto::new().raw("token-key", "a secret of the merchant's");
    let of = |number, now| {
        let attempt = Attempt { number, now, entropy: vec![0; 32] };
        let mut request = format::<CloudEvents>(&paid(), &shop(SIGNED), &attempt, &key).expect("formats");
        arbitrary::assert_sendable(&request, URL);
        let at = request.headers.iter().position(|header| header.name == "authorization").expect("a token");
        let token = String::from_utf8(request.headers.remove(at).value).expect("text");
        (request, token.strip_prefix("Bearer ").expect("Bearer").to_owned())
    };
    let ((first, first_token), (second, second_token)) = (of(1, NOW), of(2, NOW + 60_000));
    assert_eq!(first, second);
    assert_ne!(first_token, second_token);
    // JWT's HS256 (RFC 7515, section 5.1): three parts, the last over the first two with the dot between them.
    let header = base64url(br#"{"alg":"HS256","typ":"JWT","kid":"token-key"}"#);
    let claims =
        format!(r#"{{"iss":"/payments","aud":"{URL}","iat":1541748977,"exp":1541749277,"jti":"n-1.1"}}"#);
    let signed = format!("{header}.{}", base64url(claims.as_bytes()));
    let signature = paynotify_plugin::sign::Crypto::sign(
        &key,
        "token-key",
        Algorithm::HmacSha256,
        &[paynotify_plugin::sign::bytes(&signed)],
    );
    assert_eq!(first_token, format!("{signed}.{}", base64url(&signature.expect("signs"))));
}

#[test]
fn tokens_are_signed_by_the_newest_key_as_the_settings_say() {
    let binding = |name: &str| KeyBinding { role: TOKEN.to_owned(), name: name.to_owned() };
    for (algorithm, named) in
        [("HS256", "hmac-sha256"), ("RS256", "rsa-pkcs1v15-sha256"), ("EdDSA", "ed25519")]
    {
        let settings = format!(
            r#"{{"source":"/p","token_algorithm":"{algorithm}","token_audience":"shop","token_lifetime_seconds":1,"request_origin":"pay.test"}}"#
        );
        let rotating = Endpoint { keys: vec![binding("new"), binding("old")], ..shop(&settings) };
        let request = format::<CloudEvents>(&paid(), &rotating, &attempt(), &FakeCrypto).expect("formats");
        let all = headers(&request);
        let (_, token) = all.iter().find(|(name, _)| *name == "authorization").expect("a token");
        let header = base64url(format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"NEW"}}"#).as_bytes());
        let claims =
            base64url(br#"{"iss":"pay.test","aud":"shop","iat":1541748977,"exp":1541748978,"jti":"n-1.1"}"#);
        let signature = base64url(format!("{named}(new, {header}.{claims})").as_bytes());
        assert_eq!(*token, format!("Bearer {header}.{claims}.{signature}"));
    }
    let without = format::<CloudEvents>(&paid(), &endpoint(URL, SIGNED, &[]), &attempt(), &FakeCrypto);
    assert_eq!(
        without,
        Err(PluginError::UnusableKey("token: the merchant's file gives no key to this role".to_owned()))
    );
}

#[test]
fn a_handshake_asks_for_consent() {
    let request = request(&handshake_record(), ASKING).expect("formats");
    arbitrary::assert_sendable(&request, URL);
    assert_eq!((request.method.as_str(), body(&request)), ("OPTIONS", ""));
    assert_eq!(headers(&request), [("webhook-request-origin", "Pay.test"), ("webhook-request-rate", "120")]);
    assert_eq!(
        format::<CloudEvents>(&handshake_record(), &shop(BINARY), &attempt(), &FakeCrypto),
        Err(PluginError::UnusableSettings(
            "request_origin: missing, and a handshake cannot ask for consent without it".to_owned()
        ))
    );
}

#[test]
fn only_consent_confirms_a_handshake() {
    let verdict = |settings, response: &HttpResponse| {
        judge::<CloudEvents>(&handshake_record(), &shop(settings), response).expect("judged")
    };
    let consent =
        |status, origin: &str, rate: Option<&str>| {
            let mut response = response_with_header(status, "webhook-allowed-origin", origin, "");
            response.headers.extend(rate.map(|rate| Header {
                name: "webhook-allowed-rate".to_owned(),
                value: rate.as_bytes().to_vec(),
            }));
            verdict(ASKING, &response)
        };
    let confirmed = |rate: &str| Verdict::Confirmed(Some(format!("consent for Pay.test, {rate}")));
    assert_eq!(consent(200, "*", Some("*")), confirmed("at any rate"));
    assert_eq!(consent(405, "pay.test", Some("100")), confirmed("at most 100 requests a minute"));
    assert_eq!(consent(204, "Pay.test", None), confirmed("no rate named"));
    assert_eq!(consent(204, "Pay.test", Some("-1")), confirmed("no rate named"));
    let reason = |verdict| match verdict {
        Verdict::Retry(advice) => advice.reason,
        other @ (Verdict::Confirmed(_) | Verdict::Stop(_)) => panic!("not a retry: {other:?}"),
    };
    assert_eq!(reason(consent(200, "other.test", None)), "consent for `other.test` only, asked for Pay.test");
    for status in [200, 204, 405, 410, 415] {
        let expected = format!("no consent: status {status} without WebHook-Allowed-Origin");
        assert_eq!(reason(verdict(ASKING, &response(status, ""))), expected);
    }
    // Without an origin nothing was asked.
    assert!(matches!(
        verdict(BINARY, &response_with_header(200, "webhook-allowed-origin", "*", "")),
        Verdict::Retry(_)
    ));
}

#[test]
fn consent_confirms_no_delivery() {
    let consent = response_with_header(500, "webhook-allowed-origin", "*", "");
    assert!(matches!(judge::<CloudEvents>(&paid(), &shop(ASKING), &consent), Ok(Verdict::Retry(_))));
}

#[test]
fn every_reply_of_the_table_is_judged_so() {
    for settings in [BINARY, STRUCTURED, SIGNED, ASKING] {
        assert_judged::<CloudEvents>(settings, include_str!("../../../tests/formats/judge.json"));
    }
}

#[test]
fn the_status_alone_decides_on_a_delivery() {
    let verdict = |settings, status| {
        judge::<CloudEvents>(&paid(), &shop(settings), &response(status, "")).expect("judged")
    };
    assert_eq!(
        [200, 201, 202, 204].map(|status| verdict(BINARY, status)),
        [const { Verdict::Confirmed(None) }; 4]
    );
    for status in [203, 206, 301, 302, 308, 400, 401, 404, 429, 500, 503] {
        let Verdict::Retry(advice) = verdict(BINARY, status) else { panic!("{status} is no retry") };
        assert_eq!(advice.after_seconds, None);
        assert!(advice.reason.contains("wanted 200, 201, 202 or 204"));
    }
    let patient = r#"{"source":"/p","on_415":"retry"}"#;
    assert!(matches!(verdict(patient, 415), Verdict::Retry(_)));
    assert!(matches!(verdict(patient, 410), Verdict::Stop(_)));
}

#[test]
fn what_cannot_be_told_is_named() {
    let field = |notification: Notification| match request(&notification, BINARY) {
        Err(PluginError::UnusableRecord(text)) => text.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let order = |text: &str| Notification { merchant_order_id: Some(text.to_owned()), ..paid() };
    for (expected, notification) in [
        ("status", Notification { status: None, ..paid() }),
        ("kind", Notification { kind: "a\nb".to_owned(), ..paid() }),
        ("kind", Notification { kind: "k".repeat(257), ..paid() }),
        ("merchant-order-id", order("\u{85}")),
        ("merchant-order-id", order("\u{1FFFE}")),
        ("merchant-order-id", order(&"支".repeat(257))),
        ("completed-at", Notification { completed_at: Some(i64::MAX), ..paid() }),
        ("created-at", Notification { created_at: Some(i64::MIN), ..paid() }),
        ("extra.x", Notification { extra: vec![("x".to_owned(), "{".to_owned())], ..paid() }),
    ] {
        assert_eq!(field(notification), expected);
    }
}

#[test]
fn the_settings_are_checked() {
    assert_schema_agrees::<CloudEventsSettings>(
        r#"{"dataschema":"x:y","mode":"structured","on_415":"retry","request_origin":"pay.test","request_rate":1,"source":"/p","token_algorithm":"EdDSA","token_audience":"shop","token_lifetime_seconds":60,"type_prefix":"com."}"#,
    );
    let error = |json: &str| check_settings::<CloudEvents>(json).expect_err("refused");
    for (json, beginning) in [
        ("{}", "source: missing, and the format `cloudevents` cannot do without it"),
        (r#"{"source":"a b"}"#, "source: has ' '"),
        (r#"{"source":"/p","mode":"batch"}"#, "mode: unknown variant `batch`"),
        (r#"{"source":"/p","type_prefix":"com.\r\n"}"#, "type_prefix: has '\\r'"),
        (r#"{"source":"/p","dataschema":""}"#, "dataschema: empty"),
        (r#"{"source":"/p","request_origin":"a\u0000"}"#, "request_origin: has '\\0'"),
        (r#"{"source":"/p","request_rate":0}"#, "request_rate: must be at least 1"),
        (r#"{"source":"/p","token_lifetime_seconds":0}"#, "token_lifetime_seconds: must be 1 to 86400"),
        (r#"{"source":"/p","on_415":"ignore"}"#, "on_415: unknown variant"),
    ] {
        assert!(error(json).starts_with(beginning), "{}", error(json));
    }
}

#[test]
fn no_ladder_is_brought_along_for_the_specification_has_none() {
    let description = CloudEvents::describe();
    assert!(description.ladders.is_empty());
    assert!(description.keys.iter().all(|key| !key.required));
}

/// What a receiver makes of a header: the percent-encoding undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

proptest! {
    #[test]
    fn any_record_is_refused_by_field_or_told_and_read_back(
        notification in prop_oneof![arbitrary::notification_of(&["payment"]), arbitrary::nearly(full())],
        attempt in arbitrary::attempt(),
    ) {
        let of = |settings| format::<CloudEvents>(&notification, &shop(settings), &attempt, &FakeCrypto);
        match (of(BINARY), of(STRUCTURED)) {
            (Err(PluginError::UnusableRecord(text)), structured) => {
                prop_assert!(text.contains(": "));
                prop_assert_eq!(structured, Err(PluginError::UnusableRecord(text)));
            }
            (Ok(binary), Ok(structured)) => {
                for request in [&binary, &structured, &of(SIGNED).expect("formats")] {
                    arbitrary::assert_sendable(request, URL);
                }
                let event: Value = serde_json::from_slice(&structured.body).expect("JSON");
                let data: Value = serde_json::from_slice(&binary.body).expect("JSON");
                prop_assert_eq!(&event["data"], &data);
                for (name, text) in headers(&binary) {
                    let Some(name) = name.strip_prefix("ce-").filter(|name| *name != "type") else { continue };
                    let text = decoded(text);
                    prop_assert_eq!(event[name].as_str(), Some(text.as_str()), "{}", name);
                }
                prop_assert_eq!(event["id"].as_str(), Some(notification.id.as_str()));
                prop_assert_eq!(data["passthrough"].as_str(), notification.passthrough.as_deref());
                prop_assert_eq!(data["amount"]["minor"].as_i64(), notification.amount.map(|amount| amount.minor));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_reply_is_judged(response in arbitrary::response(), asks in any::<bool>()) {
        let record = if asks { handshake_record() } else { paid() };
        let verdict = judge::<CloudEvents>(&record, &shop(ASKING), &response).expect("judged");
        if matches!(verdict, Verdict::Confirmed(_)) {
            prop_assert!(!asks && matches!(response.status, 200 | 201 | 202 | 204));
        }
    }
}
