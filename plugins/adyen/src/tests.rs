//! Records in, exact requests out; replies in, verdicts out; the published examples; and everything at once.

use paynotify_plugin::arbitrary::{self, assert_sendable};
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::testing::{
    FakeCrypto, attempt, cny, endpoint, notification, response, response_with_header,
};
use paynotify_plugin::{
    Attempt, Channel, Failure, Money, PaymentStatus, RetryAdvice, check_settings, format, judge,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const URL: &str = "https://shop.test/adyen?a=%2f+b";
const ACCOUNT: &str = r#"{"merchant_account": "TestMerchant"}"#;

fn formatted(record: &Notification, settings: &str) -> Result<HttpRequest, PluginError> {
    format::<Adyen>(record, &endpoint(URL, settings, &["signing"]), &attempt(), &FakeCrypto)
}

fn item_of(request: &HttpRequest) -> Value {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    body["notificationItems"][0]["NotificationRequestItem"].clone()
}

fn item(record: &Notification, settings: &str) -> Value {
    item_of(&formatted(record, settings).expect("formats"))
}

/// Source: github.com/Adyen/adyen-python-api-library@b6f4979, test/UtilTest.py and test/mocks/util/
/// {back,forward}slash_notification.json, the last two real test notifications of Adyen's.
#[test]
fn the_published_examples() {
    const FIRST: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    const SLASHES: &str = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174";
    for (key, account, psp_reference, reference, minor, signature) in [
        (
            FIRST,
            "TestMerchant",
            "7914073381342284",
            "TestPayment-1407325143704",
            1_130,
            "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
        ),
        (
            SLASHES,
            "AntoniStroinski",
            "T7FD4VM4D3RZNN82",
            r"\\slashes are fun",
            1_000,
            "nIgT81gaB5oJpn2jPXupDq68iRo2wUlBsuYjtYfwKqo=",
        ),
        (
            SLASHES,
            "AntoniStroinski",
            "X3GWNS6KJ8NKGK82",
            "//slashes are fun",
            1_000,
            "9Z0xdpG9Xi3zcmXv14t/BvMBut77O/Xq9D4CQXSDUi4=",
        ),
    ] {
        let record = Notification {
            payment_id: Some(psp_reference.to_owned()),
            merchant_order_id: Some(reference.to_owned()),
            amount: Some(Money { minor, currency: "EUR".to_owned(), exponent: 2 }),
            ..notification()
        };
        let settings = format!(r#"{{"merchant_account": "{account}"}}"#);
        let endpoint = endpoint(URL, &settings, &["signing"]);
        let crypto = RealCrypto::new().hex("signing-key", key);
        let request = format::<Adyen>(&record, &endpoint, &attempt(), &crypto).expect("formats");
        assert_eq!(item_of(&request)["additionalData"]["hmacSignature"], signature);
    }
}

#[test]
fn a_request_to_the_byte() {
    let record = Notification {
        kind: "refund".to_owned(),
        status: Some(PaymentStatus::Failed),
        original_payment_id: Some("pay-0".to_owned()),
        merchant_order_id: Some("订:1\n".to_owned()),
        amount: Some(cny(12_950)),
        completed_at: Some(1_541_748_000_007),
        passthrough: Some("a&b".to_owned()),
        failure: Some(Failure { code: "E1".to_owned(), message: Some("余额不足".to_owned()) }),
        channel: Some(Channel {
            code: "alipay".to_owned(),
            trade_type: None,
            bank_type: None,
            funding: None,
            channel_transaction_id: None,
        }),
        livemode: false,
        ..notification()
    };
    let request = formatted(&record, ACCOUNT).expect("formats");
    let signed = "hmac-sha256(signing-key, pay-1:pay-0:TestMerchant:订:1\n:12950:CNY:REFUND:false)";
    let text = r#"{"live":"false","notificationItems":[{"NotificationRequestItem":{"#.to_owned()
        + r#""additionalData":{"hmacSignature":""#
        + &encode::base64(signed.as_bytes())
        + r#"","metadata.passthrough":"a&b"},"amount":{"currency":"CNY","value":12950},"eventCode":"REFUND","#
        + r#""eventDate":"2018-11-09T07:20:00+00:00","merchantAccountCode":"TestMerchant","#
        + r#""merchantReference":"订:1\n","originalReference":"pay-0","paymentMethod":"alipay","#
        + r#""pspReference":"pay-1","reason":"余额不足","success":"false"}}]}"#;
    assert_eq!(String::from_utf8(request.body.clone()).expect("UTF-8"), text);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    assert_eq!(request.headers, [request::header("content-type", "application/json; charset=utf-8")]);
}

#[test]
fn every_attempt_sends_the_same_bytes() {
    let record = Notification { completed_at: Some(1), ..notification() };
    let at = |number, now| {
        let attempt = Attempt { number, now, ..attempt() };
        format::<Adyen>(&record, &endpoint(URL, ACCOUNT, &["signing"]), &attempt, &FakeCrypto)
    };
    assert_eq!(at(1, 1_000_000), at(2, 1_009_000));
}

#[test]
fn each_kind_and_status_has_its_code() {
    let record = |kind: &str, status| Notification {
        kind: kind.to_owned(),
        status,
        original_payment_id: Some("pay-0".to_owned()),
        ..notification()
    };
    for (kind, status, code, success) in [
        ("payment", PaymentStatus::Succeeded, "AUTHORISATION", "true"),
        ("payment", PaymentStatus::Finished, "AUTHORISATION", "true"),
        ("payment", PaymentStatus::Failed, "AUTHORISATION", "false"),
        ("payment", PaymentStatus::Pending, "PENDING", "true"),
        ("payment", PaymentStatus::Closed, "OFFER_CLOSED", "true"),
        ("refund", PaymentStatus::Succeeded, "REFUND", "true"),
        ("refund", PaymentStatus::Failed, "REFUND", "false"),
        ("capture", PaymentStatus::Finished, "CAPTURE", "true"),
        ("capture", PaymentStatus::Failed, "CAPTURE", "false"),
    ] {
        let item = item(&record(kind, Some(status)), ACCOUNT);
        assert_eq!(
            (&item["eventCode"], &item["success"]),
            (&code.into(), &success.into()),
            "{kind} {status:?}"
        );
    }
    let names = r#"{"merchant_account": "M", "event_types": {"refund.failed": "REFUND_FAILED",
        "capture.failed": "CAPTURE_X", "refund.pending": "REFUND", "dispute": "CHARGEBACK"}}"#;
    for (kind, status, code, success) in [
        ("refund", Some(PaymentStatus::Failed), "REFUND_FAILED", "true"),
        ("capture", Some(PaymentStatus::Failed), "CAPTURE_X", "false"),
        ("refund", Some(PaymentStatus::Pending), "REFUND", "true"),
        ("dispute", None, "CHARGEBACK", "true"),
    ] {
        let item = item(&record(kind, status), names);
        assert_eq!(
            (&item["eventCode"], &item["success"]),
            (&code.into(), &success.into()),
            "{kind} {status:?}"
        );
    }
}

#[test]
fn amounts_are_counted_as_adyen_counts_them() {
    let told = |minor, currency: &str, exponent| {
        let amount = Some(Money { minor, currency: currency.to_owned(), exponent });
        formatted(&Notification { amount, ..notification() }, ACCOUNT)
            .map(|request| item_of(&request)["amount"]["value"].as_i64())
    };
    for (minor, currency, exponent, value) in [
        (1_130, "EUR", 2, 1_130),
        (10, "JPY", 0, 10),
        (10_000, "BHD", 3, 10_000),
        (5, "CLP", 0, 500),
        (5, "ISK", 0, 500),
        (1_200, "IDR", 2, 12),
        (1_200, "CVE", 2, 12),
        (i64::MAX, "EUR", 2, i64::MAX),
    ] {
        assert_eq!(told(minor, currency, exponent), Ok(Some(value)), "{currency}");
    }
    for (minor, currency, exponent) in
        [(1, "IDR", 2), (i64::MAX, "CLP", 0), (-1, "EUR", 2), (i64::MIN, "EUR", 2)]
    {
        let error = told(minor, currency, exponent).expect_err(currency);
        assert!(
            matches!(&error, PluginError::UnusableRecord(reason) if reason.starts_with("amount: ")),
            "{error:?}"
        );
    }
}

#[test]
fn basic_authentication_is_added_where_it_is_set() {
    // RFC 7617, sections 2 and 2.1.
    for (user, password, value) in [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123£", "Basic dGVzdDoxMjPCow=="),
    ] {
        let settings =
            format!(r#"{{"merchant_account": "M", "basic_user": "{user}", "basic_password": "{password}"}}"#);
        let request = formatted(&notification(), &settings).expect("formats");
        assert_eq!(request.headers[1], request::header("authorization", value));
        assert_sendable(&request, URL);
    }
}

#[test]
fn what_it_cannot_do_without_is_named() {
    let named = |record: Notification| match formatted(&record, ACCOUNT) {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let of_kind = |kind: &str| Notification { kind: kind.to_owned(), ..notification() };
    assert_eq!(named(of_kind("dispute")), "kind");
    assert_eq!(named(Notification { status: None, ..notification() }), "status");
    assert_eq!(named(Notification { status: Some(PaymentStatus::Pending), ..of_kind("refund") }), "status");
    assert_eq!(named(of_kind("refund")), "original-payment-id");
    assert_eq!(named(Notification { payment_id: None, ..notification() }), "payment-id");
    assert_eq!(named(Notification { amount: None, ..notification() }), "amount");
    assert_eq!(named(Notification { merchant_order_id: None, ..notification() }), "merchant-order-id");
    assert_eq!(
        format::<Adyen>(&notification(), &endpoint(URL, ACCOUNT, &[]), &attempt(), &FakeCrypto),
        Err(PluginError::UnusableKey("signing: the merchant's file gives no key to this role".to_owned()))
    );
}

#[test]
fn settings_are_checked() {
    // Of user and password there are both or none, so each alone is looked at below.
    let names = |json: &str, part: &str| {
        let value: Value = serde_json::from_str(json).expect("JSON");
        let object = value.pointer(part).and_then(Value::as_object).expect("an object");
        object.keys().cloned().collect::<Vec<String>>()
    };
    let check = check_settings::<Adyen>;
    assert_eq!(check(ACCOUNT), Ok(()));
    let all = r#"{"merchant_account": "M", "event_types": {"dispute": "CHARGEBACK"}, "confirmation": "accepted",
        "passthrough_key": "text", "basic_user": "u", "basic_password": "p"}"#;
    assert_eq!(check(all), Ok(()));
    assert_eq!(names(<Settings as paynotify_plugin::Settings>::SCHEMA, "/properties"), names(all, ""));
    let with = |rest: &str| check(&format!(r#"{{"merchant_account": "M", {rest}}}"#));
    for (rest, beginning) in [
        (r#""event_types": {"payment.paid": "x"}"#, "event_types: `payment.paid` is no kind and status"),
        (
            r#""confirmation": "body""#,
            "confirmation: unknown variant `body`, expected `status` or `accepted`",
        ),
        (r#""passthrough_key": "hmacSignature""#, "passthrough_key: `hmacSignature` is where the signature"),
        (r#""basic_user": "u""#, "basic_password: missing, and basic_user needs it"),
        (r#""basic_password": "p""#, "basic_user: missing, and basic_password needs it"),
        (r#""basic_user": "a:b", "basic_password": "p""#, "basic_user: a colon ends the user's name"),
        (r#""basic_user": "u", "basic_password": "a\nb""#, "basic_password: has a line break"),
        (r#""basic_user": "u", "basic_password": """#, "basic_password: empty"),
        (r#""hmac_key": "x""#, "hmac_key: no such setting; the format `adyen` has"),
    ] {
        let error = with(rest).expect_err(rest);
        assert!(error.starts_with(beginning), "{error}");
    }
    assert_eq!(
        check("{}"),
        Err("merchant_account: missing, and the format `adyen` cannot do without it".to_owned())
    );
    assert_eq!(check(r#"{"merchant_account": ""}"#), Err("merchant_account: empty".to_owned()));
}

#[test]
fn the_password_is_in_no_error() {
    for password in [r#"12345"#, r#"["12345"]"#, r#""12345\n""#] {
        let settings =
            format!(r#"{{"merchant_account": "M", "basic_user": "u", "basic_password": {password}}}"#);
        let error = check_settings::<Adyen>(&settings).expect_err(password);
        assert!(error.starts_with("basic_password: ") && !error.contains("12345"), "{error}");
    }
}

/// The two ways of www.adyen.com/knowledge-hub/webhooks-accept-2xx. There is no reply that ends it.
#[test]
fn replies() {
    let verdict = |settings: &str, response: &HttpResponse| {
        judge::<Adyen>(&notification(), &endpoint(URL, settings, &[]), response).expect("judged")
    };
    let is_retry = |verdict| matches!(verdict, Verdict::Retry(RetryAdvice { after_seconds: None, .. }));
    const ACCEPTED: &str = r#"{"merchant_account": "M", "confirmation": "accepted"}"#;
    for status in [200, 202, 204, 299] {
        for body in ["", "error", "[accepted]"] {
            assert_eq!(
                verdict(ACCOUNT, &response(status, body)),
                Verdict::Confirmed(None),
                "{status} {body}"
            );
        }
        for body in ["[accepted]", "<p>[accepted]\n"] {
            assert_eq!(
                verdict(ACCEPTED, &response(status, body)),
                Verdict::Confirmed(None),
                "{status} {body}"
            );
        }
        for body in ["", "error", "accepted", "[accepted"] {
            assert!(is_retry(verdict(ACCEPTED, &response(status, body))), "{status} {body}");
        }
    }
    for status in [199, 302, 400, 410, 429, 500] {
        let wait = response_with_header(status, "retry-after", "120", "[accepted]");
        // The gateway reads Retry-After.
        assert!(is_retry(verdict(ACCOUNT, &wait)) && is_retry(verdict(ACCEPTED, &wait)), "{status}");
    }
}

#[test]
fn the_ladder_ends_within_thirty_days() {
    let delays = delays();
    assert_eq!(delays[..12], [9, 9, 9, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800]);
    // The gateway takes a hundred at most.
    assert_eq!((delays.len(), delays.iter().sum::<u32>()), (99, 2_563_347));
    assert!(delays[11..].iter().all(|delay| *delay == 28_800));
}

proptest! {
    #[test]
    fn every_record_makes_a_request_that_says_it_or_is_refused(
        record in arbitrary::notification_of(&["payment", "refund", "capture"]),
        attempt in arbitrary::attempt(),
        user in "[^:\\x00-\\x1F\\x7F-\\u{9F}\\s\"\\\\]{1,20}",
        password in "[^\\x00-\\x1F\\x7F-\\u{9F}\\s\"\\\\]{1,20}",
    ) {
        let settings =
            format!(r#"{{"merchant_account": "M", "basic_user": "{user}", "basic_password": "{password}"}}"#);
        let endpoint = endpoint(URL, &settings, &["signing"]);
        let request = match format::<Adyen>(&record, &endpoint, &attempt, &FakeCrypto) {
            Ok(request) => request,
            Err(error) => {
                prop_assert!(matches!(error, PluginError::UnusableRecord(_)), "{error:?}");
                return Ok(());
            }
        };
        assert_sendable(&request, URL);
        let item = item_of(&request);
        prop_assert_eq!(item["pspReference"].as_str(), record.payment_id.as_deref());
        prop_assert_eq!(item["merchantReference"].as_str(), record.merchant_order_id.as_deref());
        prop_assert_eq!(item["originalReference"].as_str(), record.original_payment_id.as_deref());
        prop_assert_eq!(item["additionalData"]["metadata.passthrough"].as_str(), record.passthrough.as_deref());
        // What was signed is what a receiver puts together from the fields.
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let signed = [
            text("pspReference"),
            text("originalReference"),
            text("merchantAccountCode"),
            text("merchantReference"),
            item["amount"]["value"].to_string(),
            item["amount"]["currency"].as_str().unwrap_or_default().to_owned(),
            text("eventCode"),
            text("success"),
        ];
        let signed = format!("hmac-sha256(signing-key, {})", signed.join(":"));
        let signature = encode::base64(signed.as_bytes());
        prop_assert_eq!(item["additionalData"]["hmacSignature"].as_str(), Some(signature.as_str()));
    }

    #[test]
    fn every_reply_is_judged(response in arbitrary::response(), accepted: bool) {
        let word = if accepted { "accepted" } else { "status" };
        let settings = format!(r#"{{"merchant_account": "M", "confirmation": "{word}"}}"#);
        let verdict = judge::<Adyen>(&notification(), &endpoint(URL, &settings, &[]), &response);
        let confirmed = matches!(verdict, Ok(Verdict::Confirmed(_)));
        let says = String::from_utf8_lossy(&response.body).contains("[accepted]");
        prop_assert_eq!(confirmed, (200..300).contains(&response.status) && (says || !accepted));
        prop_assert!(confirmed || matches!(verdict, Ok(Verdict::Retry(_))));
    }
}
