//! Records in, exact requests out; replies in, verdicts out.

use paynotify_plugin::testing::{
    FakeCrypto, assert_schema_agrees, attempt, cny, decoded_form, endpoint, notification, response,
};
use paynotify_plugin::{Attempt, Channel, Money, check_settings, format, judge};
use proptest::prelude::*;

use super::*;

const SETTINGS: &str = r#"{"pid": "1001"}"#;

fn record() -> Notification {
    Notification { subject: Some("VIP会员 &=".to_owned()), channel: channel("wechat"), ..notification() }
}

fn channel(code: &str) -> Option<Channel> {
    Some(Channel {
        code: code.to_owned(),
        trade_type: None,
        bank_type: None,
        funding: None,
        channel_transaction_id: None,
    })
}

fn written(notification: &Notification, url: &str, settings: &str) -> Result<HttpRequest, PluginError> {
    format::<Epay>(notification, &endpoint(url, settings, &[SIGNING]), &attempt(), &FakeCrypto)
}

/// The value of `sign` for a text: the fake signature, in hexadecimal digits.
fn sign_of(text: &str) -> String {
    encode::hex(format!("md5(signing-key, {text}{{secret}})").as_bytes())
}

#[test]
fn the_request_is_a_get_with_everything_in_the_query() {
    let request = written(&record(), "http://shop.test/notify.php", SETTINGS).expect("formats");
    assert_eq!((request.method.as_str(), request.headers.len(), request.body.len()), ("GET", 0, 0));
    let sign = sign_of(
        "money=0.01&name=VIP会员 &=&out_trade_no=order-1&pid=1001&trade_no=pay-1\
         &trade_status=TRADE_SUCCESS&type=wxpay",
    );
    assert_eq!(
        request.url,
        format!(
            "http://shop.test/notify.php?pid=1001&trade_no=pay-1&out_trade_no=order-1&type=wxpay\
             &name=VIP%E4%BC%9A%E5%91%98+%26%3D&money=0.01&trade_status=TRADE_SUCCESS&sign={sign}&sign_type=MD5"
        )
    );
}

#[test]
fn the_merchants_own_query_stays_first_and_is_not_signed() {
    let with = written(&record(), "http://shop.test/n?act=1#x", SETTINGS).expect("formats").url;
    let without = written(&record(), "http://shop.test/n", SETTINGS).expect("formats").url;
    let added = with.strip_prefix("http://shop.test/n?act=1&").expect("theirs first");
    assert_eq!(Some(added), without.strip_prefix("http://shop.test/n?"));
}

#[test]
fn every_attempt_is_the_same_request() {
    let at = |number, now| {
        let attempt = Attempt { number, now, entropy: vec![0; 32] };
        format::<Epay>(&record(), &endpoint("http://shop.test", SETTINGS, &[SIGNING]), &attempt, &FakeCrypto)
    };
    assert_eq!(at(1, 0), at(2, i64::MAX));
}

#[test]
fn settings_fill_in_what_the_record_lacks() {
    let settings = r#"{"pid": "1", "default_type": "alipay", "default_name": "goods"}"#;
    let url = written(&notification(), "http://shop.test", settings).expect("formats").url;
    assert!(url.contains("&type=alipay&name=goods&money="), "{url}");
    let url = written(&record(), "http://shop.test", settings).expect("formats").url;
    assert!(url.contains("&type=wxpay&name=VIP"), "{url}");
    for (code, word) in [("alipay", "alipay"), ("weixin", "wxpay"), ("qq", "qqpay"), ("usdt", "usdt")] {
        let record = Notification { channel: channel(code), ..record() };
        let url = written(&record, "http://shop.test", SETTINGS).expect("formats").url;
        assert!(url.contains(&format!("&type={word}&")), "{url}");
    }
}

#[test]
fn the_merchants_own_text_comes_back() {
    let record = Notification { passthrough: Some("a+b".to_owned()), ..record() };
    let fields = decoded_form(
        written(&record, "http://x", SETTINGS).expect("formats").url.trim_start_matches("http://x?"),
    );
    assert!(fields.contains(&("param".to_owned(), "a+b".to_owned())));
    let sign = sign_of(
        "money=0.01&name=VIP会员 &=&out_trade_no=order-1&param=a+b&pid=1001&trade_no=pay-1\
         &trade_status=TRADE_SUCCESS&type=wxpay",
    );
    assert!(fields.contains(&("sign".to_owned(), sign)));
}

#[test]
fn what_the_format_cannot_say_is_named() {
    let named = |record: Notification| match written(&record, "http://shop.test", SETTINGS) {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let yen = Money { minor: 1, currency: "JPY".to_owned(), exponent: 0 };
    assert_eq!(named(Notification { kind: "refund".to_owned(), ..record() }), "kind");
    for status in
        [None, Some(PaymentStatus::Failed), Some(PaymentStatus::Pending), Some(PaymentStatus::Closed)]
    {
        assert_eq!(named(Notification { status, ..record() }), "status");
    }
    assert_eq!(named(Notification { payment_id: None, ..record() }), "payment-id");
    assert_eq!(
        named(Notification { merchant_order_id: Some(String::new()), ..record() }),
        "merchant-order-id"
    );
    assert_eq!(named(Notification { amount: Some(yen), ..record() }), "amount");
    assert_eq!(named(Notification { amount: Some(cny(-1)), ..record() }), "amount");
    assert_eq!(named(Notification { channel: None, ..record() }), "channel");
    assert_eq!(named(Notification { subject: None, ..record() }), "subject");
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(
        r#"{"pid": "1", "default_type": "alipay", "default_name": "goods", "confirmed_by": "any-case"}"#,
    );
    let error = |json| check_settings::<Epay>(json).expect_err("refused");
    assert_eq!(error("{}"), "pid: missing, and the format `epay` cannot do without it");
    assert_eq!(error(r#"{"pid": "1", "default_name": ""}"#), "default_name: empty");
    assert_eq!(
        error(r#"{"pid": "1", "confirmed_by": "ok"}"#),
        "confirmed_by: unknown variant `ok`, expected one of `success`, `SUCCESS`, `any-case`"
    );
}

#[test]
fn replies_are_judged_by_the_word_that_is_configured() {
    let confirmed = |by: &str, status, body| {
        let settings = format!(r#"{{"pid": "1", "confirmed_by": "{by}"}}"#);
        let endpoint = endpoint("http://shop.test", &settings, &[SIGNING]);
        judge::<Epay>(&record(), &endpoint, &response(status, body)).expect("judged") == verdict::confirmed()
    };
    for (by, body, is_confirmation) in [
        ("success", "success", true),
        ("success", "SUCCESS", false),
        ("success", "success\n", false),
        ("success", "", false),
        ("SUCCESS", "SUCCESS", true),
        ("SUCCESS", "success", false),
        ("any-case", "Success\r\n", true),
        ("any-case", "<b>success</b>", false),
    ] {
        assert_eq!(confirmed(by, 200, body), is_confirmation, "{by} {body}");
        assert!(!confirmed(by, 302, body) && !confirmed(by, 500, body) && !confirmed(by, 410, body));
    }
}

#[test]
fn a_body_that_was_cut_off_confirms_nothing() {
    for by in ["success", "any-case"] {
        let settings = format!(r#"{{"pid": "1", "confirmed_by": "{by}"}}"#);
        let endpoint = endpoint("http://shop.test", &settings, &[SIGNING]);
        let cut = HttpResponse { truncated: true, ..response(200, "success") };
        assert!(matches!(judge::<Epay>(&record(), &endpoint, &cut), Ok(Verdict::Retry(_))), "{by}");
    }
}

#[test]
fn it_says_what_it_is() {
    let description = Epay::describe();
    assert_eq!((description.name.as_str(), description.ladders[0].name.as_str()), ("epay", "epay"));
    assert_eq!(description.ladders[0].delays_seconds, [15, 60, 180, 1_800, 3_600]);
    assert_eq!(description.keys[0].algorithms, [Algorithm::Md5]);
}

proptest! {
    /// Whatever the texts hold, a receiver that decodes the query once finds them again, and can sign what it found.
    #[test]
    fn a_receiver_finds_what_was_signed(subject in any::<String>(), param in any::<String>(), code in any::<String>()) {
        let record = Notification {
            subject: Some(subject), passthrough: Some(param), channel: channel(&code), ..notification()
        };
        let settings = r#"{"pid": "1", "default_type": "t", "default_name": "n"}"#;
        let url = written(&record, "http://x", settings).expect("formats").url;
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#'));
        let fields = decoded_form(url.trim_start_matches("http://x?"));
        let mut rest: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["sign", "sign_type"].contains(name))
            .collect();
        rest.sort_unstable();
        let text: Vec<String> = rest.iter().map(|(name, value)| format!("{name}={value}")).collect();
        prop_assert!(fields.contains(&("sign".to_owned(), sign_of(&text.join("&")))));
    }
}
