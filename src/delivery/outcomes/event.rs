//! An ending as a CloudEvent: version-1.0 of the specification, structured mode, JSON.
//!
//! The rule: `id`, `source`, `type`, `subject` and `time` follow from what the journal has of the ending. So an event that is told
//! again, by whichever gateway and however late, is known by them to a receiver that remembers `source` and `id`.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::{Moment, OutcomeEvent};

/// The media type of such an event: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
pub(super) const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// The attributes in the order in which they are written.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    /// A notification that is replayed ends more than once, so its own id would not do.
    id: String,
    source: &'a str,
    r#type: String,
    subject: &'a str,
    time: Moment,
    datacontenttype: &'static str,
    data: &'a OutcomeEvent,
}

/// The event's text.
///
/// # Errors
/// It cannot be written as JSON, which would be a fault of the program.
pub(super) fn text(event: &OutcomeEvent, source: &str) -> Result<Bytes, serde_json::Error> {
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id: format!("{}/{}", event.notification_id, event.ended_at),
        source,
        r#type: format!("paynotify.outcome.{}", event.outcome),
        subject: event.notification_id.as_str(),
        time: event.ended_at,
        datacontenttype: "application/json",
        data: event,
    };
    serde_json::to_vec(&cloud_event).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Notification, Outcome};

    #[test]
    fn an_ending_has_one_text() {
        let record = r#"{"schema":"payment-result/1","notification_id":"n-1","merchant_id":"shop","kind":"payment",
            "payment_id":"p-1","merchant_order_id":"o-1"}"#;
        let notification = Notification::parse(Bytes::from(record)).expect("a record");
        let outcome = Outcome::Confirmed { detail: Some("TRADE_SUCCESS".to_owned()) };
        let (first, end) = ("2026-11-22T08:00:00.5Z", "2026-11-22T08:00:03Z");
        let [first, end] = [first, end].map(|text| text.parse().expect("a moment"));
        let text = text(&OutcomeEvent::new(&notification, &outcome, 2, first, end), "/paynotify");
        let expected = concat!(
            r#"{"specversion":"1.0","id":"n-1/2026-11-22T08:00:03.000Z","source":"/paynotify","#,
            r#""type":"paynotify.outcome.confirmed","subject":"n-1","time":"2026-11-22T08:00:03.000Z","#,
            r#""datacontenttype":"application/json","data":{"schema":"payment-outcome/1","notification_id":"n-1","#,
            r#""merchant_id":"shop","merchant_order_id":"o-1","payment_id":"p-1","outcome":"confirmed","#,
            r#""detail":"TRADE_SUCCESS","attempts":2,"first_seen":"2026-11-22T08:00:00.500Z","#,
            r#""ended_at":"2026-11-22T08:00:03.000Z"}}"#
        );
        assert_eq!(text.expect("written"), expected);
    }
}
