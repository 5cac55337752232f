//! The original producers' messages: a bare URL, ready to be POSTed, with the payment result in its query.
//!
//! Such a message becomes an ordinary record, so that everything after the source is one way for all. The URL itself
//! is the record's `extra.legacy_url`, and that is what is requested; the other fields are filled in as far as the
//! query gives them, for the journal and for whoever looks for an order. Nothing is refused because its query is
//! strange: the original consumer did not look at it either.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::{MerchantId, Moment, Notification, SCHEMA, Unreadable};

/// Makes a notification for `merchant` from a body that is a bare URL; blanks around it do not count.
///
/// The same URL for the same merchant gives the same notification id, because the original format has no other name.
///
/// # Errors
/// The body is no absolute http or https URL of visible ASCII characters.
pub fn notification_from_url(merchant: &MerchantId, body: &[u8]) -> Result<Notification, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| refused("it is not text"))?.trim_ascii();
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused("it holds blanks or characters that are not ASCII"));
    }
    let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused("its scheme is neither http nor https"));
    }
    let field = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    let record = json!({
        "schema": SCHEMA,
        "notification_id": identity(merchant, text),
        "merchant_id": merchant,
        "kind": "payment",
        "status": field("trade_status").as_deref().and_then(status),
        "payment_id": field("trade_no"),
        "merchant_order_id": field("out_trade_no"),
        "amount": field("total_fee").as_deref().and_then(fen).map(|minor| json!({"minor": minor, "currency": "CNY"})),
        "created_at": field("notify_time").as_deref().and_then(beijing_time),
        "extra": {"legacy_url": text},
    });
    Ok(Notification::parse(Bytes::from(record.to_string()))?)
}

fn refused(problem: &str) -> Unreadable {
    Unreadable::Url(problem.to_owned())
}

/// `legacy-` and 28 hexadecimal digits: 112 bits of the SHA-256 over merchant and URL.
fn identity(merchant: &MerchantId, text: &str) -> String {
    let digest = digest(&SHA256, format!("{merchant} {text}").as_bytes());
    let hexadecimal: String = digest.as_ref().iter().take(14).map(|byte| format!("{byte:02x}")).collect();
    format!("legacy-{hexadecimal}")
}

fn status(word: &str) -> Option<&'static str> {
    match word {
        "TRADE_SUCCESS" => Some("succeeded"),
        "TRADE_FINISHED" => Some("finished"),
        "TRADE_CLOSED" => Some("closed"),
        "WAIT_BUYER_PAY" => Some("pending"),
        _ => None,
    }
}

/// The format's amounts are yuan with up to two decimals.
fn fen(text: &str) -> Option<i64> {
    let (yuan, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if yuan.is_empty() || decimals.len() > 2 || !digits(yuan) || !digits(decimals) {
        return None;
    }
    let yuan: i64 = yuan.parse().ok()?;
    yuan.checked_mul(100)?.checked_add(format!("{decimals:0<2}").parse().ok()?)
}

/// The format's times are `yyyy-MM-dd HH:mm:ss` in Beijing, which is eight hours ahead all year.
fn beijing_time(text: &str) -> Option<Value> {
    let moment: Moment = format!("{}+08:00", text.replacen(' ', "T", 1)).parse().ok()?;
    Some(json!(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merchant() -> MerchantId {
        "shop".parse().expect("valid")
    }

    #[test]
    fn a_url_becomes_a_record_that_carries_it_untouched() {
        let url = "http://127.0.0.1:9/n?own=%2f&is_success=T&notify_id=RqPn%252Fv&notify_time=2026-01-31+16%3A00%3A00\
            &notify_type=trade_status_sync&out_trade_no=o-1&total_fee=12.5&trade_no=t-1&trade_status=TRADE_SUCCESS";
        let notification = notification_from_url(&merchant(), format!(" {url}\n").as_bytes()).expect("a URL");
        let record = &notification.record;
        let (name, value) = record.extra.0.first().expect("one");
        assert_eq!((name.as_str(), value.get()), ("legacy_url", format!("\"{url}\"").as_str()));
        assert_eq!(record.merchant_order_id.as_deref(), Some("o-1"));
        assert_eq!(record.payment_id.as_deref(), Some("t-1"));
        assert_eq!(record.amount.map(|amount| amount.minor), Some(1_250));
        assert_eq!(record.created_at.map(|at| at.to_string()).as_deref(), Some("2026-01-31T08:00:00.000Z"));
        let again = notification_from_url(&merchant(), url.as_bytes()).expect("a URL");
        assert_eq!(again.id(), notification.id());
        assert_eq!(again.id().as_str().len(), 35);
        let other = "other".parse().expect("valid");
        assert_ne!(notification_from_url(&other, url.as_bytes()).expect("a URL").id(), again.id());
    }

    #[test]
    fn a_query_of_any_kind_will_do() {
        for url in
            ["https://shop.example", "http://shop.example/?total_fee=1.234&notify_time=x&trade_status=Y"]
        {
            let notification = notification_from_url(&merchant(), url.as_bytes()).expect(url);
            assert!(notification.record.amount.is_none() && notification.record.status.is_none());
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for wrong in
            ["", "success", "/n?a=b", "ftp://shop.example/", "http://shop.example/ü", "http://a.example/x y"]
        {
            assert!(notification_from_url(&merchant(), wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(notification_from_url(&merchant(), b"http://a.example/\xff").is_err());
    }
}
