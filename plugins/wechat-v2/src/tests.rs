//! Records in, exact requests out; replies in, verdicts out; and records of every sort.

use paynotify_plugin::arbitrary;
use paynotify_plugin::form::Fields;
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::sign::Keys;
use paynotify_plugin::testing::{
    FakeCrypto, assert_judged, assert_schema_agrees, attempt, cny, endpoint, notification, response,
};
use paynotify_plugin::{
    Attempt, Channel, Endpoint, Failure, KeyBinding, Money, Payer, PaymentStatus, canonical, check_settings,
    format, judge,
};
use proptest::prelude::*;
use serde_json::Value;

use super::settings::SignType;
use super::*;

const URL: &str = "https://shop.test/notify?a=%2f+b";
const MD5: &str = r#"{"appid":"wx-app","mch_id":"10000100"}"#;
const HMAC: &str = r#"{"appid":"wx-app","mch_id":"10000100","sign_type":"HMAC-SHA256","bank_type":"OTHERS","trade_type":"NATIVE"}"#;

fn shop(settings: &str) -> Endpoint {
    endpoint(URL, settings, &[API_KEY])
}

/// A payment with all that the format needs.
fn paid() -> Notification {
    Notification { completed_at: Some(1_541_748_977_999), ..notification() }
}

/// A payment with all that the format can tell.
fn full() -> Notification {
    Notification {
        settle_amount: Some(cny(99)),
        payer_amount: Some(cny(90)),
        amount: Some(cny(100)),
        payer: Some(Payer {
            id: None,
            openid: Some("o-1".to_owned()),
            logon_masked: None,
            name_masked: None,
        }),
        channel: Some(Channel {
            code: "wechat".to_owned(),
            trade_type: Some("JSAPI".to_owned()),
            bank_type: Some("CMC".to_owned()),
            funding: None,
            channel_transaction_id: None,
        }),
        passthrough: Some("  支<付>]]>&\n😀 ".to_owned()),
        extra: vec![
            ("is_subscribe".to_owned(), "\"Y\"".to_owned()),
            ("coupon_fee".to_owned(), "10".to_owned()),
            ("coupon_Fee".to_owned(), "11".to_owned()),
            ("note".to_owned(), "[]".to_owned()),
        ],
        ..paid()
    }
}

fn body(notification: &Notification, settings: &str) -> Result<String, PluginError> {
    let request = format::<WechatV2>(notification, &shop(settings), &attempt(), &FakeCrypto)?;
    arbitrary::assert_sendable(&request, URL);
    assert_eq!(request.headers[0].value, b"text/xml; charset=utf-8");
    Ok(String::from_utf8(request.body).expect("UTF-8"))
}

fn elements(body: &[u8]) -> Vec<(String, String)> {
    xml::read(body).expect("XML")
}

fn value<'a>(elements: &'a [(String, String)], name: &str) -> Option<&'a str> {
    elements.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_request_is_exact() {
    // FakeCrypto's signature is the signed text, of which the element has the hexadecimal digits.
    let signed = "md5(api-key-key, appid=wx-app&cash_fee=1&fee_type=CNY&mch_id=10000100\
        &nonce_str=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef&out_trade_no=order-1&result_code=SUCCESS&return_code=SUCCESS\
        &time_end=20181109153617&total_fee=1&transaction_id=pay-1&key={secret})";
    let sign = paynotify_plugin::encode::hex_upper(signed.as_bytes());
    let expected = format!(
        "<xml><appid><![CDATA[wx-app]]></appid><cash_fee><![CDATA[1]]></cash_fee>\
        <fee_type><![CDATA[CNY]]></fee_type><mch_id><![CDATA[10000100]]></mch_id>\
        <nonce_str><![CDATA[ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef]]></nonce_str>\
        <out_trade_no><![CDATA[order-1]]></out_trade_no><result_code><![CDATA[SUCCESS]]></result_code>\
        <return_code><![CDATA[SUCCESS]]></return_code><sign><![CDATA[{sign}]]></sign>\
        <time_end><![CDATA[20181109153617]]></time_end><total_fee>1</total_fee>\
        <transaction_id><![CDATA[pay-1]]></transaction_id></xml>"
    );
    assert_eq!(body(&paid(), MD5), Ok(expected));
}

#[test]
fn everything_that_the_format_can_tell_is_told() {
    let body = body(&full(), HMAC).expect("formats");
    assert!(body.contains("<attach><![CDATA[支<付>]]]]><![CDATA[>&\n😀]]></attach>"), "{body}");
    let elements = elements(body.as_bytes());
    for (name, expected) in [
        ("sign_type", "HMAC-SHA256"),
        ("openid", "o-1"),
        ("trade_type", "JSAPI"),
        ("bank_type", "CMC"),
        ("total_fee", "100"),
        ("cash_fee", "90"),
        ("settlement_total_fee", "99"),
        ("attach", "支<付>]]>&\n😀"),
        ("is_subscribe", "Y"),
        ("coupon_fee", "10"),
    ] {
        assert_eq!(value(&elements, name), Some(expected), "{name}");
    }
    assert_eq!((value(&elements, "coupon_Fee"), value(&elements, "note")), (None, None));
    let sign = value(&elements, "sign").expect("signed");
    assert!(
        sign.starts_with(&paynotify_plugin::encode::hex_upper(
            b"hmac-sha256(api-key-key, appid=wx-app&attach="
        ))
    );
}

#[test]
fn the_settings_stand_in_for_what_the_record_lacks() {
    let elements = elements(body(&paid(), HMAC).expect("formats").as_bytes());
    assert_eq!(
        (value(&elements, "trade_type"), value(&elements, "bank_type")),
        (Some("NATIVE"), Some("OTHERS"))
    );
    assert_eq!(value(&elements, "openid"), None);
}

#[test]
fn the_sign_type_is_told_as_the_settings_say() {
    let told = |more: &str| {
        let settings = format!(r#"{{"appid":"wx-app","mch_id":"1"{more}}}"#);
        let elements = elements(body(&paid(), &settings).expect("formats").as_bytes());
        value(&elements, "sign_type").map(str::to_owned)
    };
    let hmac = r#","sign_type":"HMAC-SHA256""#;
    assert_eq!((told(""), told(hmac)), (None, Some("HMAC-SHA256".to_owned())));
    assert_eq!(told(r#","send_sign_type":true"#), Some("MD5".to_owned()));
    assert_eq!(told(&format!(r#"{hmac},"send_sign_type":false"#)), None);
}

#[test]
fn another_currency_is_told_if_the_merchant_reckons_in_it() {
    let dollars =
        Notification { amount: Some(Money { minor: 5, currency: "HKD".to_owned(), exponent: 2 }), ..paid() };
    let settings = r#"{"appid":"wx-app","mch_id":"1","currency":"HKD"}"#;
    let elements = elements(body(&dollars, settings).expect("formats").as_bytes());
    let told = ["total_fee", "fee_type", "cash_fee", "cash_fee_type"].map(|name| value(&elements, name));
    assert_eq!(told, [Some("5"), Some("HKD"), Some("5"), Some("HKD")]);
    assert!(
        matches!(body(&paid(), settings), Err(PluginError::UnusableRecord(text)) if text.starts_with("amount: in CNY"))
    );
}

#[test]
fn a_failed_payment_is_told_with_its_reason() {
    let failure = Failure { code: "NOTENOUGH".to_owned(), message: Some("余额不足".to_owned()) };
    let failed = Notification {
        status: Some(PaymentStatus::Failed),
        failure: Some(failure),
        payment_id: None,
        ..notification()
    };
    let elements = elements(body(&failed, MD5).expect("formats").as_bytes());
    let told = ["return_code", "result_code", "err_code", "err_code_des"].map(|name| value(&elements, name));
    assert_eq!(told, [Some("SUCCESS"), Some("FAIL"), Some("NOTENOUGH"), Some("余额不足")]);
    assert_eq!((value(&elements, "transaction_id"), value(&elements, "time_end")), (None, None));
}

#[test]
fn each_attempt_has_a_nonce_and_a_signature_of_its_own() {
    let key = RealCrypto::new().raw("api-key-key", "192006250b4c09247ec02edce69f6a2d");
    let of = |entropy| {
        let attempt = Attempt { number: 2, now: 5, entropy: vec![entropy; 32] };
        let request = format::<WechatV2>(&paid(), &shop(MD5), &attempt, &key).expect("formats");
        let elements = elements(&request.body);
        ["transaction_id", "nonce_str", "sign"].map(|name| value(&elements, name).expect("there").to_owned())
    };
    let [first, second] = [of(1), of(2)];
    assert_eq!(first, of(1));
    assert_eq!(first[0], second[0]);
    assert!(first[1] != second[1] && first[2] != second[2]);
}

#[test]
fn the_newest_key_signs() {
    let binding = |name: &str| KeyBinding { role: API_KEY.to_owned(), name: name.to_owned() };
    let rotating = Endpoint { keys: vec![binding("new"), binding("old")], ..shop(MD5) };
    let request = format::<WechatV2>(&paid(), &rotating, &attempt(), &FakeCrypto).expect("formats");
    let sign = value(&elements(&request.body), "sign").expect("signed").to_owned();
    assert!(sign.starts_with(&paynotify_plugin::encode::hex_upper(b"md5(new, ")), "{sign}");
    let without = format::<WechatV2>(&paid(), &endpoint(URL, MD5, &[]), &attempt(), &FakeCrypto);
    assert_eq!(
        without,
        Err(PluginError::UnusableKey("api-key: the merchant's file gives no key to this role".to_owned()))
    );
}

/// pay.weixin.qq.com/wiki/doc/api/H5.php?chapter=4_3: the signature rules' own example.
#[test]
fn the_vendors_example_is_reproduced() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/formats/vectors.json")).expect("vectors");
    let vector = vectors.iter().find(|vector| vector["id"] == "wechat-v2-official").expect("the vector");
    let params = vector["params"].as_object().expect("params");
    let fields = params
        .iter()
        .fold(Fields::new(), |fields, (name, value)| fields.with(name, value.as_str().expect("a text")));
    let key = RealCrypto::new().raw("api-key-key", vector["key"].as_str().expect("a key"));
    let endpoint = shop(MD5);
    let key = Keys::new(&endpoint.keys, &key).newest(API_KEY).expect("a key");
    let sign = |sign_type| request::signature(&key, sign_type, &fields).expect("signs");
    assert_eq!(sign(SignType::Md5), vector["expected_md5"]);
    assert_eq!(sign(SignType::HmacSha256), vector["expected_hmac_sha256"]);
}

#[test]
fn what_cannot_be_told_is_named() {
    let field = |notification: Notification| match body(&notification, MD5) {
        Err(PluginError::UnusableRecord(text)) => text.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let some = |text: &str| Some(text.to_owned());
    let extra =
        |name: &str, json: &str| Notification { extra: vec![(name.to_owned(), json.to_owned())], ..paid() };
    let failure = |code: &str, message: &str| Notification {
        status: Some(PaymentStatus::Failed),
        failure: Some(Failure { code: code.to_owned(), message: some(message) }),
        ..paid()
    };
    let yen = Money { minor: 1, currency: "JPY".to_owned(), exponent: 0 };
    for (expected, notification) in [
        ("kind", Notification { kind: "refund".to_owned(), ..paid() }),
        ("status", Notification { status: None, ..paid() }),
        ("status", Notification { status: Some(PaymentStatus::Closed), ..paid() }),
        ("payment-id", Notification { payment_id: None, ..paid() }),
        ("payment-id", Notification { payment_id: some(&"7".repeat(33)), ..paid() }),
        ("payment-id", Notification { payment_id: some(" 7"), ..paid() }),
        ("merchant-order-id", Notification { merchant_order_id: some(""), ..paid() }),
        ("merchant-order-id", Notification { merchant_order_id: some("a\u{1}b"), ..paid() }),
        ("completed-at", Notification { completed_at: None, ..paid() }),
        ("completed-at", Notification { completed_at: Some(i64::MAX), ..paid() }),
        ("completed-at", Notification { completed_at: Some(i64::MIN), ..paid() }),
        ("amount", Notification { amount: None, ..paid() }),
        ("amount", Notification { amount: Some(cny(-1)), ..paid() }),
        ("amount", Notification { amount: Some(yen.clone()), ..paid() }),
        ("payer-amount", Notification { payer_amount: Some(yen), ..paid() }),
        ("settle-amount", Notification { settle_amount: Some(cny(i64::MIN)), ..paid() }),
        ("passthrough", Notification { passthrough: Some("支".repeat(128)), ..paid() }),
        ("passthrough", Notification { passthrough: some("a\rb"), ..paid() }),
        ("failure.code", failure("a\0b", "x")),
        ("failure.message", failure("A", &"x".repeat(129))),
        ("extra.coupon_fee", extra("coupon_fee", "-1")),
        ("extra.coupon_fee", extra("coupon_fee", "1.5")),
        ("extra.device_info", extra("device_info", "nope")),
        ("extra.is_subscribe", extra("is_subscribe", "null")),
    ] {
        assert_eq!(field(notification), expected);
    }
}

#[test]
fn every_reply_of_the_table_is_judged_so() {
    assert_judged::<WechatV2>(MD5, include_str!("../../../tests/formats/judge.json"));
}

#[test]
fn only_success_in_xml_confirms() {
    let verdict =
        |status, body: &str| judge::<WechatV2>(&paid(), &shop(MD5), &response(status, body)).expect("judged");
    let reason = |status, body: &str| match verdict(status, body) {
        Verdict::Retry(advice) => advice.reason,
        other @ (Verdict::Confirmed(_) | Verdict::Stop(_)) => panic!("not a retry: {other:?}"),
    };
    let official =
        "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";
    assert_eq!(verdict(200, official), Verdict::Confirmed(None));
    assert_eq!(
        verdict(200, &format!("\u{FEFF}<?xml version=\"1.0\"?>\n{official}\n")),
        Verdict::Confirmed(None)
    );
    assert_eq!(
        reason(200, "<xml><return_code>FAIL</return_code><return_msg>签名失败</return_msg></xml>"),
        "the merchant answered FAIL, return_msg `签名失败`"
    );
    for (status, body) in [
        (500, official),
        (201, official),
        (302, official),
        (200, ""),
        (200, "ok"),
        (200, r#"{"code":"SUCCESS"}"#),
        (200, "<html><body>SUCCESS</body></html>"),
        (200, "<xml><return_code>success</return_code></xml>"),
        (200, "<xml><result_code>SUCCESS</result_code></xml>"),
        (200, "<xml><return_code>SUCCESS</return_code>"),
        (200, "<!DOCTYPE x><xml><return_code>SUCCESS</return_code></xml>"),
    ] {
        assert!(
            reason(status, body).contains("wanted 200 and XML whose `return_code` is `SUCCESS`"),
            "{body}"
        );
    }
    let truncated = HttpResponse { truncated: true, ..response(200, official) };
    assert!(matches!(judge::<WechatV2>(&paid(), &shop(MD5), &truncated), Ok(Verdict::Retry(_))));
}

#[test]
fn the_settings_are_checked() {
    assert_schema_agrees::<WechatV2Settings>(
        r#"{"appid":"wx","bank_type":"OTHERS","currency":"HKD","mch_id":"1","send_sign_type":true,"sign_type":"MD5","trade_type":"APP"}"#,
    );
    let error = |json| check_settings::<WechatV2>(json).expect_err("refused");
    assert_eq!(error(r#"{"mch_id":"1"}"#), "appid: missing, and the format `wechat-v2` cannot do without it");
    assert_eq!(
        error(r#"{"appid":"wx","mch_id":"1","sign_type":"RSA"}"#),
        "sign_type: unknown variant `RSA`, expected `MD5` or `HMAC-SHA256`"
    );
    for (json, name) in [
        (r#"{"appid":"w x","mch_id":"1"}"#, "appid: has ' '"),
        (r#"{"appid":"wx","mch_id":""}"#, "mch_id: empty"),
        (r#"{"appid":"wx","mch_id":"1","currency":"cny"}"#, "currency: not an ISO 4217 code"),
        (r#"{"appid":"wx","mch_id":"1","trade_type":"12345678901234567"}"#, "trade_type: 17 characters"),
        (r#"{"appid":"wx","mch_id":"1","bank_type":"\u0000"}"#, "bank_type: has '\\0'"),
    ] {
        assert!(error(json).starts_with(name), "{}", error(json));
    }
}

#[test]
fn the_ladder_is_the_vendors() {
    let description = WechatV2::describe();
    assert_eq!(description.name, "wechat-v2");
    let [ladder] = description.ladders.as_slice() else { panic!("one ladder") };
    assert_eq!((ladder.name.as_str(), ladder.delays_seconds.len()), ("wechat", 15));
    assert_eq!(ladder.delays_seconds.iter().sum::<u32>(), 24 * 3_600 + 4 * 60);
}

proptest! {
    #[test]
    fn any_record_is_refused_by_field_or_told_and_signed(
        notification in prop_oneof![arbitrary::notification_of(&["payment"]), arbitrary::nearly(full())],
        attempt in arbitrary::attempt(),
        settings in prop::sample::select(vec![MD5, HMAC]),
    ) {
        let key = RealCrypto::new().raw("api-key-key", "192006250b4c09247ec02edce69f6a2d");
        match format::<WechatV2>(&notification, &shop(settings), &attempt, &key) {
            Err(PluginError::UnusableRecord(text)) => prop_assert!(text.contains(": ")),
            Err(other) => prop_assert!(false, "{other:?}"),
            Ok(request) => {
                arbitrary::assert_sendable(&request, URL);
                // What a merchant does who reads with xmltodict: blanks at the ends are dropped, then it is verified.
                let elements = elements(&request.body);
                let read = || elements.iter().map(|(name, value)| (name.as_str(), value.trim()));
                let fields = read().fold(Fields::new(), |fields, (name, value)| fields.with(name, value));
                prop_assert_eq!(fields.iter().count(), elements.len(), "an empty element");
                let sign_type = if settings == MD5 { SignType::Md5 } else { SignType::HmacSha256 };
                let endpoint = shop(settings);
                let key = Keys::new(&endpoint.keys, &key).newest(API_KEY).expect("a key");
                let verified = request::signature(&key, sign_type, &fields).expect("signs");
                prop_assert_eq!(fields.get("sign"), Some(verified.as_str()));
                prop_assert!(canonical::sorted(read(), &["sign"]).contains("&total_fee="));
                prop_assert_eq!(fields.get("out_trade_no"), notification.merchant_order_id.as_deref());
                let total = notification.amount.map(|amount| amount.minor.to_string());
                prop_assert_eq!(fields.get("total_fee").map(str::to_owned), total);
                let attach = notification.passthrough.as_deref().map(str::trim).filter(|text| !text.is_empty());
                prop_assert_eq!(fields.get("attach"), attach);
            }
        }
    }

    #[test]
    fn any_reply_is_judged(response in arbitrary::response()) {
        let verdict = judge::<WechatV2>(&paid(), &shop(MD5), &response).expect("judged");
        if verdict == Verdict::Confirmed(None) {
            prop_assert!(response.status == 200 && !response.truncated);
        }
    }
}
