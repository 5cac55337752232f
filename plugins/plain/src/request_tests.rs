//! Records in, exact requests out.

use paynotify_plugin::testing;

use super::*;

fn notification() -> Notification {
    Notification {
        payment_id: Some("2018 11:09&x".to_owned()),
        merchant_order_id: Some("订-1".to_owned()),
        ..testing::notification()
    }
}

fn url_of(notification: &Notification, merchant_url: &str) -> Result<String, PluginError> {
    let endpoint =
        Endpoint { url: merchant_url.to_owned(), settings_json: "{}".to_owned(), keys: Vec::new() };
    // 2018-11-09T07:36:17.999Z
    let attempt = Attempt { number: 1, now: 1_541_748_977_999, entropy: vec![0; 32] };
    write(notification, &endpoint, &attempt).map(|request| {
        assert_eq!((request.method.as_str(), request.body.len()), ("POST", 0));
        request.url
    })
}

fn unusable_field(notification: &Notification) -> String {
    match url_of(notification, "http://shop.test/") {
        Err(PluginError::UnusableRecord(reason)) => reason.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    }
}

const QUERY: &str = "is_success=T&notify_id=n-1&notify_time=2018-11-09+15%3A36%3A17&notify_type=trade_status_sync\
    &out_trade_no=%E8%AE%A2-1&total_fee=0.01&trade_no=2018+11%3A09%26x&trade_status=TRADE_SUCCESS";

#[test]
fn the_query_is_the_original_one_and_a_merchants_own_stays_first() {
    for (merchant_url, beginning) in [
        ("http://shop.test/notify", "http://shop.test/notify?"),
        ("http://shop.test", "http://shop.test?"),
        ("http://shop.test/n?", "http://shop.test/n?"),
        ("http://shop.test/n?a=%2f+b", "http://shop.test/n?a=%2f+b&"),
        ("http://shop.test/n?a=1&", "http://shop.test/n?a=1&"),
        ("http://shop.test/n?a=1?", "http://shop.test/n?a=1?&"),
        ("http://shop.test/n?a=1#top?x", "http://shop.test/n?a=1&"),
        ("http://shop.test/n#top?x", "http://shop.test/n?"),
    ] {
        assert_eq!(
            url_of(&notification(), merchant_url),
            Ok(format!("{beginning}{QUERY}")),
            "{merchant_url}"
        );
    }
}

#[test]
fn each_status_has_its_words() {
    for (status, is_success, trade_status) in [
        (PaymentStatus::Succeeded, "T", "TRADE_SUCCESS"),
        (PaymentStatus::Finished, "T", "TRADE_FINISHED"),
        (PaymentStatus::Closed, "T", "TRADE_CLOSED"),
        (PaymentStatus::Pending, "T", "WAIT_BUYER_PAY"),
        (PaymentStatus::Failed, "F", "TRADE_CLOSED"),
    ] {
        let url = url_of(&Notification { status: Some(status), ..notification() }, "http://shop.test/n")
            .expect("formats");
        assert!(url.starts_with(&format!("http://shop.test/n?is_success={is_success}&notify_id=")), "{url}");
        assert!(url.ends_with(&format!("&trade_status={trade_status}")), "{url}");
    }
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(unusable_field(&Notification { status: None, ..notification() }), "status");
    assert_eq!(unusable_field(&Notification { amount: None, ..notification() }), "amount");
    assert_eq!(unusable_field(&Notification { payment_id: None, ..notification() }), "payment-id");
    assert_eq!(
        unusable_field(&Notification { merchant_order_id: None, ..notification() }),
        "merchant-order-id"
    );
    assert_eq!(unusable_field(&Notification { kind: "refund".to_owned(), ..notification() }), "kind");
}

#[test]
fn a_legacy_url_is_used_as_it_is_and_nothing_else_is_needed() {
    let legacy = |json: &str| Notification {
        status: None,
        amount: None,
        extra: vec![("legacy_url".to_owned(), json.to_owned())],
        ..notification()
    };
    let url = url_of(&legacy(r#""http:\/\/shop.test\/x?a=b c&d=%41""#), "http://shop.test/other");
    assert_eq!(url, Ok("http://shop.test/x?a=b c&d=%41".to_owned()));
    assert_eq!(unusable_field(&legacy("7")), "extra.legacy_url");
}
