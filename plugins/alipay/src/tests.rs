//! Records in, exact requests out; replies in, verdicts out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use paynotify_plugin::testing::{
    FakeCrypto, assert_schema_agrees, attempt, cny, decoded_form, endpoint, notification, response,
};
use paynotify_plugin::{Attempt, Money, Payer, PaymentStatus, check_settings, format, judge};
use proptest::prelude::*;

use super::*;

const URL: &str = "https://shop.test/notify";

fn written(notification: &Notification, now: i64, settings: &str) -> Result<HttpRequest, PluginError> {
    let attempt = Attempt { now, ..attempt() };
    format::<Alipay>(notification, &endpoint(URL, settings, &[SIGNING]), &attempt, &FakeCrypto)
}

/// What was signed: the fake signature shows it.
fn signed(fields: &[(String, String)]) -> String {
    let (_, sign) = fields.iter().find(|(name, _)| name == "sign").expect("signed");
    let shown = String::from_utf8(STANDARD.decode(sign).expect("Base64")).expect("UTF-8");
    let inner = shown.strip_prefix("rsa-pkcs1v15-sha256(signing-key, ").expect("RSA2");
    inner.strip_suffix(')').expect("whole").to_owned()
}

#[test]
fn the_least_record_makes_this_form() {
    let request = written(&notification(), 1_541_748_977_999, r#"{"app_id": "2019"}"#).expect("formats");
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    assert_eq!(
        request.headers,
        [paynotify_plugin::request::header(
            "content-type",
            "application/x-www-form-urlencoded; charset=UTF-8"
        )]
    );
    let signature = STANDARD.encode(
        "rsa-pkcs1v15-sha256(signing-key, app_id=2019&auth_app_id=2019&charset=utf-8&notify_id=n-1\
         &notify_time=2018-11-09 15:36:17&notify_type=trade_status_sync&out_trade_no=order-1&total_amount=0.01\
         &trade_no=pay-1&trade_status=TRADE_SUCCESS&version=1.0)",
    );
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(
        String::from_utf8(request.body).expect("ASCII"),
        format!(
            "notify_time=2018-11-09+15%3A36%3A17&notify_type=trade_status_sync&notify_id=n-1&app_id=2019\
             &auth_app_id=2019&charset=utf-8&version=1.0&sign_type=RSA2&trade_no=pay-1&out_trade_no=order-1\
             &trade_status=TRADE_SUCCESS&total_amount=0.01&sign={signature}"
        )
    );
}

/// The real notification of 2019 in alipay-sdk-nodejs-all@e167639, test/alipay.test.ts: the same fields, and the same
/// text is signed.
#[test]
fn a_real_notification_is_reproduced() {
    let real = [
        ("app_id", "2019073166072302"),
        ("auth_app_id", "2019073166072302"),
        ("buyer_id", "2088102534368455"),
        ("buyer_logon_id", "xud***@126.com"),
        ("buyer_pay_amount", "0.10"),
        ("charset", "utf-8"),
        ("fund_bill_list", r#"[{"amount":"0.10","fundChannel":"ALIPAYACCOUNT"}]"#),
        ("gmt_create", "2019-08-15 15:56:22"),
        ("gmt_payment", "2019-08-15 15:56:24"),
        ("invoice_amount", "0.10"),
        ("notify_id", "2019081500222155624068450559358070"),
        ("notify_time", "2019-08-15 15:56:25"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", "20190815155618536-564-57"),
        ("point_amount", "0.00"),
        ("receipt_amount", "0.10"),
        ("seller_email", "z97-yuquerevenue@service.aliyun.com"),
        ("seller_id", "2088531891668739"),
        ("subject", "语雀空间 500人规模"),
        ("total_amount", "0.10"),
        ("trade_no", "2019081522001468450512505578"),
        ("trade_status", "TRADE_SUCCESS"),
        ("version", "1.0"),
    ];
    let extra = |name: &str, json: &str| (name.to_owned(), json.to_owned());
    // 2019-08-15 15:56:22 in Beijing.
    let created = 1_565_855_782_000;
    let record = Notification {
        id: "2019081500222155624068450559358070".to_owned(),
        payment_id: Some("2019081522001468450512505578".to_owned()),
        merchant_order_id: Some("20190815155618536-564-57".to_owned()),
        amount: Some(cny(10)),
        payer_amount: Some(cny(10)),
        net_amount: Some(cny(10)),
        created_at: Some(created),
        completed_at: Some(created + 2_000),
        subject: Some("语雀空间 500人规模".to_owned()),
        payer: Some(Payer {
            id: Some("2088102534368455".to_owned()),
            openid: None,
            logon_masked: Some("xud***@126.com".to_owned()),
            name_masked: None,
        }),
        extra: vec![
            extra("fund_bill_list", r#"[{"amount":"0.10","fundChannel":"ALIPAYACCOUNT"}]"#),
            extra("invoice_amount", "0.10"),
            extra("point_amount", r#""0.00""#),
            extra("out_biz_no", "null"),
            extra("unknown", "1"),
        ],
        ..notification()
    };
    let settings = r#"{"app_id": "2019073166072302", "seller_id": "2088531891668739",
        "seller_email": "z97-yuquerevenue@service.aliyun.com"}"#;
    let request = written(&record, created + 3_000, settings).expect("formats");
    let fields = decoded_form(&request.body);
    let expected: Vec<String> = real.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(signed(&fields), expected.join("&"));
    let mut sent: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "sign")
        .collect();
    sent.sort_unstable();
    let mut expected = real.to_vec();
    expected.push(("sign_type", "RSA2"));
    expected.sort_unstable();
    assert_eq!(sent, expected);
}

#[test]
fn the_clock_changes_the_request_and_nothing_but_the_time_and_the_signature() {
    let at = |now| decoded_form(&written(&notification(), now, r#"{"app_id": "1"}"#).expect("formats").body);
    let (early, late) = (at(0), at(1_000));
    let differing: Vec<&str> = early
        .iter()
        .zip(&late)
        .filter(|(early, late)| early != late)
        .map(|((name, _), _)| name.as_str())
        .collect();
    assert_eq!(differing, ["notify_time", "sign"]);
}

#[test]
fn each_status_has_its_word_and_its_moment() {
    for (status, word, moments) in [
        (PaymentStatus::Succeeded, "TRADE_SUCCESS", "gmt_payment"),
        (PaymentStatus::Finished, "TRADE_FINISHED", "gmt_payment"),
        (PaymentStatus::Closed, "TRADE_CLOSED", "gmt_close"),
        (PaymentStatus::Pending, "WAIT_BUYER_PAY", ""),
    ] {
        let record = Notification { status: Some(status), completed_at: Some(0), ..notification() };
        let fields = decoded_form(&written(&record, 0, r#"{"app_id": "1"}"#).expect("formats").body);
        assert!(fields.contains(&("trade_status".to_owned(), word.to_owned())));
        let told: Vec<&str> =
            fields.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("gmt_")).collect();
        assert_eq!(told.join(" "), moments);
    }
}

#[test]
fn what_alipay_cannot_say_is_named() {
    let named = |record: Notification| match written(&record, 0, r#"{"app_id": "1"}"#) {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let dollars = Money { minor: 1, currency: "USD".to_owned(), exponent: 2 };
    assert_eq!(named(Notification { kind: "refund".to_owned(), ..notification() }), "kind");
    assert_eq!(named(Notification { status: Some(PaymentStatus::Failed), ..notification() }), "status");
    assert_eq!(named(Notification { status: None, ..notification() }), "status");
    assert_eq!(named(Notification { payment_id: None, ..notification() }), "payment-id");
    assert_eq!(
        named(Notification { merchant_order_id: Some("x".repeat(65)), ..notification() }),
        "merchant-order-id"
    );
    assert_eq!(named(Notification { amount: Some(dollars), ..notification() }), "amount");
    assert_eq!(named(Notification { net_amount: Some(cny(-1)), ..notification() }), "net-amount");
    let extra = vec![("out_biz_no".to_owned(), "\"".to_owned())];
    assert_eq!(named(Notification { extra, ..notification() }), "extra.out_biz_no");
}

#[test]
fn a_url_with_a_query_and_a_missing_key_are_refused() {
    let result = |url, roles: &[&str]| {
        format::<Alipay>(
            &notification(),
            &endpoint(url, r#"{"app_id": "1"}"#, roles),
            &attempt(),
            &FakeCrypto,
        )
    };
    assert_eq!(
        result("https://shop.test/n?a=1", &[SIGNING]),
        Err(PluginError::UnusableSettings(
            "url: it has a query of its own, which this format does not allow".to_owned()
        ))
    );
    assert_eq!(
        result(URL, &[]),
        Err(PluginError::UnusableKey("signing: the merchant's file gives no key to this role".to_owned()))
    );
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(
        r#"{"app_id": "1", "auth_app_id": "2", "seller_id": "2088", "seller_email": "a@b.test"}"#,
    );
    let error = |json| check_settings::<Alipay>(json).expect_err("refused");
    assert_eq!(error("{}"), "app_id: missing, and the format `alipay` cannot do without it");
    assert_eq!(error(r#"{"app_id": ""}"#), "app_id: empty");
    assert_eq!(error(r#"{"app_id": 7}"#), "app_id: invalid type: integer `7`, expected a string");
    assert_eq!(error(r#"{"app_id": "1", "seller_id": " "}"#), "seller_id: empty");
}

#[test]
fn replies_are_judged_as_alipay_does() {
    let endpoint = endpoint(URL, r#"{"app_id": "1"}"#, &[SIGNING]);
    let verdict =
        |status, body| judge::<Alipay>(&notification(), &endpoint, &response(status, body)).expect("judged");
    assert_eq!(verdict(200, "success"), Verdict::Confirmed(None));
    for (status, body) in [
        (200, "<html>success</html>"),
        (200, "success\n"),
        (200, "SUCCESS"),
        (200, ""),
        (200, "fail"),
        (201, "success"),
        (204, ""),
        (302, ""),
        (410, ""),
        (500, "success"),
    ] {
        assert!(matches!(verdict(status, body), Verdict::Retry(_)), "{status} {body}");
    }
    let cut = HttpResponse { truncated: true, ..response(200, "success") };
    assert!(matches!(judge::<Alipay>(&notification(), &endpoint, &cut), Ok(Verdict::Retry(_))));
}

#[test]
fn it_says_what_it_is() {
    let description = Alipay::describe();
    assert_eq!((description.name.as_str(), description.ladders[0].name.as_str()), ("alipay", "alipay"));
    // 24 h 24 min in all, as the seven published gaps have it.
    assert_eq!(description.ladders[0].delays_seconds.iter().sum::<u32>(), 24 * 3_600 + 24 * 60);
    assert_eq!(description.ladders[0].delays_seconds.len(), 7);
    assert_eq!(description.keys[0].algorithms, [Algorithm::RsaPkcs1v15Sha256]);
}

proptest! {
    /// Whatever the texts hold, a receiver that decodes the form once finds every text again, and the signature is over
    /// exactly what it found.
    #[test]
    fn a_receiver_finds_what_was_signed(subject in any::<String>(), passthrough in any::<String>(), order in any::<String>()) {
        let record = Notification {
            subject: Some(subject.clone()),
            passthrough: Some(passthrough.clone()),
            merchant_order_id: Some(order.chars().take(64).collect()),
            ..notification()
        };
        match written(&record, 0, r#"{"app_id": "1"}"#) {
            Err(error) => prop_assert!(order.is_empty(), "{:?}", error),
            Ok(request) => {
                let fields = decoded_form(&request.body);
                let found = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
                prop_assert_eq!(found("subject").unwrap_or_default(), subject.as_str());
                prop_assert_eq!(found("passback_params").unwrap_or_default(), passthrough.as_str());
                prop_assert!(fields.iter().all(|(_, value)| !value.is_empty()));
                let mut rest: Vec<String> = fields
                    .iter()
                    .filter(|(name, _)| name != "sign" && name != "sign_type")
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                rest.sort_unstable();
                prop_assert_eq!(signed(&fields), rest.join("&"));
            }
        }
    }
}
