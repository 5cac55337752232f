//! Records in, exact requests out.

use super::*;

fn notification() -> Notification {
    Notification {
        id: "n-1".to_owned(),
        merchant_id: "shop".to_owned(),
        endpoint_id: None,
        kind: "payment".to_owned(),
        status: Some(PaymentStatus::Succeeded),
        payment_id: Some("2018 11:09&x".to_owned()),
        original_payment_id: None,
        merchant_order_id: Some("订-1".to_owned()),
        amount: Some(cny(1)),
        payer_amount: None,
        net_amount: None,
        settle_amount: None,
        refunded_amount: None,
        fee: None,
        created_at: None,
        completed_at: None,
        closed_at: None,
        subject: None,
        description: None,
        payer: None,
        channel: None,
        failure: None,
        passthrough: None,
        livemode: true,
        extra: Vec::new(),
        raw_json: "{}".to_owned(),
    }
}

fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
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

#[test]
fn amounts_are_exact() {
    let text = |minor, exponent| decimal(&Money { minor, currency: "XXX".to_owned(), exponent });
    assert_eq!(text(0, 2), "0.00");
    assert_eq!(text(12_345, 2), "123.45");
    assert_eq!(text(100, 0), "100");
    assert_eq!(text(5, 3), "0.005");
    assert_eq!(text(-7, 2), "-0.07");
    assert_eq!(text(i64::MAX, 2), "92233720368547758.07");
    assert_eq!(text(i64::MIN, 2), "-92233720368547758.08");
}

#[test]
fn times_are_beijings() {
    let utc_seconds = |seconds: i64| beijing_time(seconds * 1_000);
    assert_eq!(utc_seconds(0), "1970-01-01 08:00:00");
    assert_eq!(utc_seconds(1_541_748_977), "2018-11-09 15:36:17");
    assert_eq!(utc_seconds(951_840_000), "2000-03-01 00:00:00");
    assert_eq!(utc_seconds(1_709_135_999), "2024-02-28 23:59:59");
    assert_eq!(utc_seconds(1_709_136_000), "2024-02-29 00:00:00");
    assert_eq!(utc_seconds(1_735_660_799), "2024-12-31 23:59:59");
    assert_eq!(utc_seconds(1_735_660_800), "2025-01-01 00:00:00");
    assert_eq!(utc_seconds(4_107_513_600), "2100-03-01 00:00:00");
    assert_eq!(beijing_time(-1), "1970-01-01 07:59:59");
    // No panic at either end of what can be said.
    beijing_time(i64::MIN);
    beijing_time(i64::MAX);
}
