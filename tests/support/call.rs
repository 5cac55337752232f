//! What plugins are called with in the tests.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paynotify::domain::{AttemptNumber, Moment, Notification, Reply};
use paynotify::plugin::{AttemptContext, Endpoint, Keys};

/// A record with the fields that formats need, and more JSON fields after them: `,"fee":…`.
pub fn notification(more: &str) -> Notification {
    let text = format!(
        r#"{{"schema":"payment-result/1","notification_id":"n1","merchant_id":"m1","kind":"payment",
        "status":"succeeded","payment_id":"P1","merchant_order_id":"O 1","amount":{{"minor":1,"currency":"CNY"}}{more}}}"#
    );
    Notification::parse(Bytes::from(text)).expect("a record")
}

/// An endpoint of that URL, which must be of `https://shop.example`.
pub fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        origins: vec!["https://shop.example".parse().expect("an origin")],
        settings_json: "{}".to_owned(),
        keys: Keys::default(),
    }
}

/// The first attempt, always at the same moment.
pub fn attempt() -> AttemptContext {
    let now: Moment = "2026-01-31T08:00:00Z".parse().expect("a moment");
    AttemptContext { number: AttemptNumber::FIRST, now, entropy: [7; 32] }
}

/// A reply without header fields.
pub fn reply(status: u16, body: &'static [u8]) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body),
        truncated: false,
    }
}
