//! Records in, exact questions out; answers in, verdicts out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use paynotify_plugin::testing::{
    FakeCrypto, assert_schema_agrees, attempt, decoded_form, endpoint, notification, response,
};
use paynotify_plugin::{Attempt, Channel, PaymentStatus, check_settings, format, judge};
use proptest::prelude::*;

use super::*;

const URL: &str = "https://openapi.alipay.com/gateway.do";
const SETTINGS: &str = r#"{"app_id": "2014072300007148"}"#;

fn pending() -> Notification {
    Notification { status: Some(PaymentStatus::Pending), amount: None, ..notification() }
}

fn written(notification: &Notification, now: i64, settings: &str) -> Result<HttpRequest, PluginError> {
    let attempt = Attempt { now, ..attempt() };
    format::<AlipayQuery>(notification, &endpoint(URL, settings, &[SIGNING]), &attempt, &FakeCrypto)
}

fn verdict(status: u16, body: &str) -> Verdict {
    let endpoint = endpoint(URL, SETTINGS, &[SIGNING]);
    judge::<AlipayQuery>(&pending(), &endpoint, &response(status, body)).expect("judged")
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Retry(advice) => advice.reason,
        Verdict::Confirmed(_) | Verdict::Stop(_) => panic!("not a retry: {verdict:?}"),
    }
}

#[test]
fn the_question_is_signed_with_its_sign_type() {
    // 2014-07-24 03:07:50 in Beijing, the time of Alipay's own example.
    let request = written(&pending(), 1_406_142_470_000, SETTINGS).expect("formats");
    assert_eq!(request.method, "POST");
    let signature = STANDARD.encode(
        "rsa-pkcs1v15-sha256(signing-key, app_id=2014072300007148&biz_content={\"out_trade_no\":\"order-1\"}\
         &charset=utf-8&format=JSON&method=alipay.trade.query&sign_type=RSA2&timestamp=2014-07-24 03:07:50\
         &version=1.0)",
    );
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(
        request.url,
        format!(
            "{URL}?app_id=2014072300007148&method=alipay.trade.query&format=JSON&charset=utf-8&sign_type=RSA2\
             &timestamp=2014-07-24+03%3A07%3A50&version=1.0&sign={signature}"
        )
    );
    assert_eq!(request.body, b"biz_content=%7B%22out_trade_no%22%3A%22order-1%22%7D");
    assert_eq!(
        request.headers,
        [paynotify_plugin::request::header(
            "content-type",
            "application/x-www-form-urlencoded;charset=utf-8"
        )]
    );
}

#[test]
fn the_order_is_asked_for_by_the_number_that_alipay_knows() {
    let content = |record: &Notification, settings| {
        let request = written(record, 0, settings).expect("formats");
        decoded_form(request.body).remove(0).1
    };
    let by_payment = r#"{"app_id": "1", "order_number": "payment-id"}"#;
    assert_eq!(content(&pending(), by_payment), r#"{"out_trade_no":"pay-1"}"#);
    let channel = Channel {
        code: "alipay".to_owned(),
        trade_type: None,
        bank_type: None,
        funding: None,
        channel_transaction_id: Some("2018\"".to_owned()),
    };
    let known = Notification { channel: Some(channel), ..pending() };
    assert_eq!(content(&known, SETTINGS), r#"{"out_trade_no":"order-1","trade_no":"2018\""}"#);
}

#[test]
fn what_cannot_be_asked_is_named() {
    let named = |record: Notification| match written(&record, 0, SETTINGS) {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    assert_eq!(named(Notification { kind: "refund".to_owned(), ..pending() }), "kind");
    assert_eq!(named(Notification { merchant_order_id: None, ..pending() }), "merchant-order-id");
    assert_eq!(
        named(Notification { merchant_order_id: Some("x".repeat(65)), ..pending() }),
        "merchant-order-id"
    );
}

#[test]
fn settings_are_checked() {
    assert_schema_agrees::<Settings>(r#"{"app_id": "1", "order_number": "payment-id"}"#);
    let error = |json| check_settings::<AlipayQuery>(json).expect_err("refused");
    assert_eq!(error("{}"), "app_id: missing, and the format `alipay-query` cannot do without it");
    assert_eq!(
        error(r#"{"app_id": "1", "order_number": "id"}"#),
        "order_number: unknown variant `id`, expected `merchant-order-id` or `payment-id`"
    );
}

#[test]
fn a_final_status_confirms_and_is_the_detail() {
    for status in ["TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"] {
        let body = format!(
            r#"{{"alipay_trade_query_response":{{"code":"10000","msg":"Success","buyer_logon_id":"159****5620",
            "out_trade_no":"order-1","trade_no":"2013112011001004330000121536","trade_status":"{status}",
            "total_amount":"88.88"}},"sign":"ERITJKEIJKJHKKKKKKKHJEREEEEEEEEEEE"}}"#
        );
        assert_eq!(verdict(200, &body), Verdict::Confirmed(Some(status.to_owned())));
        assert!(matches!(verdict(500, &body), Verdict::Retry(_)));
        let cut = HttpResponse { truncated: true, ..response(200, &body) };
        let endpoint = endpoint(URL, SETTINGS, &[SIGNING]);
        assert!(matches!(judge::<AlipayQuery>(&pending(), &endpoint, &cut), Ok(Verdict::Retry(_))));
    }
}

#[test]
fn anything_else_is_asked_again() {
    let answer =
        |answer: &str| reason(verdict(200, &format!(r#"{{"alipay_trade_query_response":{{{answer}}}}}"#)));
    assert_eq!(answer(r#""code":"10000","trade_status":"WAIT_BUYER_PAY""#), "not final: WAIT_BUYER_PAY");
    assert_eq!(answer(r#""code":"10000""#), "an answer without trade_status");
    assert_eq!(
        answer(
            r#""code":"40004","msg":"Business Failed","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"交易不存在""#
        ),
        "ACQ.TRADE_NOT_EXIST 交易不存在 40004 Business Failed"
    );
    assert_eq!(
        answer(r#""code":"40004","msg":"Business Failed","sub_code":"ACQ.SYSTEM_ERROR""#),
        "ACQ.SYSTEM_ERROR 40004 Business Failed"
    );
    assert_eq!(
        answer(r#""code":"20000","msg":"Service Currently Unavailable","sub_code":"isp.unknow-error""#),
        "isp.unknow-error 20000 Service Currently Unavailable"
    );
    // A status beside a code that says otherwise is none.
    assert_eq!(answer(r#""code":"40004","trade_status":"TRADE_SUCCESS""#), "40004");
    assert_eq!(
        answer(r#""code":"10000","trade_status":"TRADE_SUCCESS","out_trade_no":"order-2""#),
        "the answer is about another order than was asked for"
    );
    assert_eq!(
        reason(verdict(
            200,
            r#"{"error_response":{"code":"40001","msg":"Missing","sub_code":"isv.missing-method"}}"#
        )),
        "isv.missing-method 40001 Missing"
    );
    for body in ["", "success", "{}", "null", "[]", r#"{"alipay_trade_query_response":null}"#, "<html>"] {
        assert!(reason(verdict(200, body)).contains("wanted 200 and JSON"), "{body}");
    }
    assert!(matches!(verdict(302, ""), Verdict::Retry(_)));
}

#[test]
fn it_says_what_it_is() {
    let description = AlipayQuery::describe();
    assert_eq!(description.name, "alipay-query");
    assert_eq!(description.ladders[0].name, "alipay-query");
    assert_eq!(description.ladders[0].delays_seconds, [30, 60, 180, 360, 600]);
    assert_eq!(description.keys[0].algorithms, [Algorithm::RsaPkcs1v15Sha256]);
}

proptest! {
    #[test]
    fn no_order_number_can_ask_for_another(number in "\\PC{1,64}") {
        let record = Notification { merchant_order_id: Some(number.clone()), ..pending() };
        let body = written(&record, 0, SETTINGS).expect("formats").body;
        let fields = decoded_form(body);
        prop_assert_eq!(fields.len(), 1);
        let content: serde_json::Value = serde_json::from_str(&fields[0].1).expect("JSON");
        prop_assert_eq!(content, serde_json::json!({"out_trade_no": number}));
    }

    /// Only an answer that says so itself confirms, whatever else is in it.
    #[test]
    fn only_a_final_status_confirms(body in "(\\{|\\}|\"code\":\"10000\"|\"alipay_trade_query_response\":|\"trade_status\":|\"WAIT_BUYER_PAY\"|\"TRADE\"|,|null|\\[|\\]){0,12}") {
        prop_assert!(matches!(verdict(200, &body), Verdict::Retry(_)));
    }
}
