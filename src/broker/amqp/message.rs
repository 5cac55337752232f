//! Between AMQP messages and envelopes: pure, and the only place that knows headers and properties.
//!
//! The body is the record's text, untouched, both ways. Headers are built anew for each message: RabbitMQ's own
//! (`x-death` and the like) are never copied, because copies of them make it see cycles and drop the message.

use std::collections::HashMap;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::topology::{self, Address, Topology};
use crate::broker::{BrokerError, Content, Source, SourceFormat};
use crate::domain::{
    CONTENT_TYPE, Envelope, Moment, OutcomeEvent, Unreadable, headers, notification_from_url,
};

/// Beside a message in the poison queue: the exchange that it had come through.
const POISON_EXCHANGE: &str = "paynotify-poison-exchange";
/// Beside a message in the poison queue: the routing key that it had come with.
const POISON_ROUTING_KEY: &str = "paynotify-poison-routing-key";
/// The longest reason that is written beside a message, in characters.
const LONGEST_REASON: usize = 1_000;
/// The headers of a poisoned message are kept up to so many bytes: together with ours they must fit one frame.
const MOST_KEPT_HEADERS: usize = 32 * 1024;
/// On the audit's own messages: no notification. They go round on the rungs and into queues of their own.
pub(super) const PROBE: &str = "paynotify-probe";
/// AMQP's "survives a restart of the broker".
const PERSISTENT: u8 = 2;

/// A message on its way out.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) address: Address,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
    /// Whether it must reach a queue. If not, and nobody is bound, it is gone, and that is right.
    pub(super) must_arrive: bool,
}

/// What a message was when it came: what the poison queue gets to see of it.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) address: Address,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

impl Arrived {
    /// Everything of a delivery but the duty to settle it.
    pub(super) fn of(delivery: Delivery) -> Self {
        let Delivery { exchange, routing_key, properties, data, .. } = delivery;
        Self { address: Address { exchange, routing_key }, properties, body: Bytes::from(data) }
    }
}

/// A notification and its progress.
pub(super) fn notification(envelope: &Envelope, address: Address) -> Outgoing {
    let mut table = FieldTable::default();
    for (name, value) in envelope.progress.to_headers() {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(topology::message_id(envelope.notification.id()))
        .with_headers(table);
    Outgoing { address, properties, body: envelope.notification.raw.clone(), must_arrive: true }
}

/// The payment centre's event.
pub(super) fn outcome(event: &OutcomeEvent, topology: &Topology) -> Result<Outgoing, BrokerError> {
    let address = topology::outcome_address(topology, event.routing_key());
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(topology::message_id(&event.notification_id));
    let unwritable = |error| BrokerError::Refused(format!("the outcome event cannot be written: {error}"));
    let body = Bytes::from(serde_json::to_vec(event).map_err(unwritable)?);
    Ok(Outgoing { address, properties, body, must_arrive: false })
}

/// The message as it came, with the reason and its way beside it.
pub(super) fn poisoned(arrived: &Arrived, reason: &str, exchange: &ShortString, now: Moment) -> Outgoing {
    let mut table = kept_headers(&arrived.properties);
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    let at = now.unix_milliseconds().to_string();
    for (name, value) in [
        (headers::POISONED_AT, at.as_str()),
        (headers::POISON_REASON, reason.as_str()),
        (POISON_EXCHANGE, arrived.address.exchange.as_str()),
        (POISON_ROUTING_KEY, arrived.address.routing_key.as_str()),
    ] {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(table);
    if let Some(kind) = arrived.properties.content_type() {
        properties = properties.with_content_type(kind.clone());
    }
    if let Some(id) = arrived.properties.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    let routing_key = arrived.address.routing_key.clone();
    let address = Address { exchange: exchange.clone(), routing_key };
    Outgoing { address, properties, body: arrived.body.clone(), must_arrive: true }
}

/// Our headers as texts.
pub(super) fn texts(arrived: &Arrived) -> HashMap<String, String> {
    header_texts(&arrived.properties).into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Takes out of a poisoned message's headers the exchange that it had come through, and its routing key.
pub(super) fn way_of(headers: &mut HashMap<String, String>) -> (Option<String>, Option<String>) {
    (headers.remove(POISON_EXCHANGE), headers.remove(POISON_ROUTING_KEY))
}

/// A message as it lay on a rung, on its way to the work queue by hand: its headers say what it is and when it is due.
pub(super) fn taken_back(arrived: &Arrived, address: Address) -> Outgoing {
    let properties = arrived
        .properties
        .clone()
        .with_delivery_mode(PERSISTENT)
        .with_headers(kept_headers(&arrived.properties));
    Outgoing { address, properties, body: arrived.body.clone(), must_arrive: true }
}

/// Whether it is one of the audit's own.
pub(super) fn is_probe(arrived: &Arrived) -> bool {
    header_texts(&arrived.properties).contains_key(PROBE)
}

/// When it is due, if it says.
pub(super) fn due(arrived: &Arrived) -> Option<Moment> {
    let due = header_texts(&arrived.properties).remove(headers::DUE)?;
    due.parse().ok().map(Moment::from_unix_milliseconds)
}

/// A message to a queue that nobody reads: its confirm says that the broker takes messages, and that the node has the
/// majority of its cluster behind it.
pub(super) fn probe(exchange: &ShortString) -> Outgoing {
    let address = Address { exchange: exchange.clone(), routing_key: topology::PULSE.into() };
    Outgoing { address, properties: BasicProperties::default(), body: Bytes::new(), must_arrive: true }
}

/// Reads what came on the work queue. What came through `incoming` is addressed to the merchant that its routing key
/// names, and must be for that one: money must not be reported to another merchant.
pub(super) fn read(arrived: &Arrived, incoming: &ShortString, longest: usize, now: Moment) -> Content {
    let envelope = within(&arrived.body, longest).and_then(|body| {
        let values = header_texts(&arrived.properties);
        Envelope::read(body, |name| values.get(name).map(String::as_str), now)
    });
    content(envelope.and_then(|envelope| {
        let merchant = envelope.notification.merchant();
        let Address { exchange, routing_key } = &arrived.address;
        if exchange == incoming && routing_key.as_str() != merchant.as_str() {
            let addressed = routing_key.as_str().chars().take(80).collect();
            return Err(Unreadable::WrongMerchant { addressed, merchant: merchant.clone() });
        }
        Ok(envelope)
    }))
}

/// Reads what came on a source's queue. Its headers mean nothing to us.
pub(super) fn read_from(source: &Source, arrived: &Arrived, longest: usize, now: Moment) -> Content {
    content(within(&arrived.body, longest).and_then(|body| match source.format {
        SourceFormat::Url => Ok(Envelope::new(notification_from_url(&source.merchant, &body)?, now)),
    }))
}

fn content(envelope: Result<Envelope, Unreadable>) -> Content {
    match envelope {
        Ok(envelope) => Content::Readable(Box::new(envelope)),
        Err(unreadable) => Content::Unreadable(unreadable),
    }
}

fn within(body: &Bytes, longest: usize) -> Result<Bytes, Unreadable> {
    if body.len() > longest {
        return Err(Unreadable::TooLong { bytes: body.len(), most: longest });
    }
    Ok(body.clone())
}

/// Our headers as text, whatever type the producer's library gave them.
fn header_texts(properties: &BasicProperties) -> HashMap<&str, String> {
    let Some(table) = properties.headers() else { return HashMap::new() };
    let ours = table.inner().iter().filter(|(name, _)| name.as_str().starts_with("paynotify-"));
    ours.filter_map(|(name, value)| Some((name.as_str(), header_text(value)?))).collect()
}

/// Strings and integers as they read; no value as no header; anything else as a text that is no number, so that it is
/// reported rather than guessed at.
fn header_text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into_owned(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Void => return None,
        AMQPValue::Boolean(_)
        | AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::Timestamp(_)
        | AMQPValue::FieldTable(_) => format!("a value of the type {}", value.get_type()),
    })
}

/// The producer's headers, without the broker's own, as far as they fit. Nested values stay behind.
fn kept_headers(properties: &BasicProperties) -> FieldTable {
    let mut kept = FieldTable::default();
    let mut room = MOST_KEPT_HEADERS;
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        let Some(text) = header_text(value) else { continue };
        let nested = matches!(value, AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_));
        let size = name.as_str().len() + text.len();
        if nested || name.as_str().starts_with("x-") || size > room {
            continue;
        }
        room -= size;
        kept.insert(name.clone(), value.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptNumber, Held, Progress};

    const BODY: &[u8] =
        br#" {"schema":"payment-result/1","notification_id":"n","merchant_id":"m","kind":"payment"}"#;
    const NOW: Moment = Moment::EPOCH;

    fn arrived(exchange: &str, routing_key: &str, pairs: &[(&str, AMQPValue)]) -> Arrived {
        let mut table = FieldTable::default();
        for (name, value) in pairs {
            table.insert((*name).into(), value.clone());
        }
        Arrived {
            address: Address { exchange: exchange.into(), routing_key: routing_key.into() },
            properties: BasicProperties::default().with_headers(table),
            body: Bytes::from_static(BODY),
        }
    }

    fn reading(arrived: &Arrived) -> Result<Envelope, Unreadable> {
        match read(arrived, &"in".into(), 1_000, NOW) {
            Content::Readable(envelope) => Ok(*envelope),
            Content::Unreadable(unreadable) => Err(unreadable),
        }
    }

    #[test]
    fn an_envelope_survives_the_way_out_and_back() {
        let mut envelope = reading(&arrived("in", "m", &[])).expect("a bare record");
        envelope.progress = Progress {
            attempt: AttemptNumber::new(3).expect("not zero"),
            due: Moment::from_unix_milliseconds(9_000),
            first_seen: Moment::from_unix_milliseconds(1_000),
            held: Some(Held { since: NOW, count: std::num::NonZeroU32::MIN }),
            replay: 2,
        };
        let address = Address { exchange: "return".into(), routing_key: "rung.3000.work".into() };
        let Outgoing { address, properties, body, must_arrive } = notification(&envelope, address);
        assert!(must_arrive);
        assert_eq!((properties.delivery_mode(), body.as_ref()), (&Some(2), BODY));
        assert_eq!(properties.message_id().as_ref().map(ShortString::as_str), Some("n"));
        let back = reading(&Arrived { address, properties, body }).expect("ours");
        assert_eq!(back.progress, envelope.progress);
    }

    #[test]
    fn header_values_may_be_strings_or_integers_and_nothing_else() {
        let attempt = |value| reading(&arrived("in", "m", &[(headers::ATTEMPT, value)]));
        for value in [
            AMQPValue::LongString("7".into()),
            AMQPValue::ShortShortUInt(7),
            AMQPValue::ShortInt(7),
            AMQPValue::LongInt(7),
            AMQPValue::LongLongInt(7),
        ] {
            assert_eq!(attempt(value).expect("a number").progress.attempt.get(), 7);
        }
        assert_eq!(attempt(AMQPValue::Void).expect("none").progress.attempt, AttemptNumber::FIRST);
        for value in [
            AMQPValue::Boolean(true),
            AMQPValue::Double(7.0),
            AMQPValue::Timestamp(7),
            AMQPValue::LongInt(-7),
        ] {
            assert!(matches!(attempt(value.clone()), Err(Unreadable::Header { .. })), "{value:?}");
        }
    }

    #[test]
    fn a_record_for_another_merchant_than_the_addressed_one_is_unreadable() {
        let error = reading(&arrived("in", "other", &[])).expect_err("money to the wrong merchant");
        assert_eq!(
            error,
            Unreadable::WrongMerchant {
                addressed: "other".to_owned(),
                merchant: "m".parse().expect("valid")
            }
        );
        // A forged header does not help, and what came from a rung has the rung's key.
        let forged = [(headers::ATTEMPT, AMQPValue::LongInt(2))];
        assert!(reading(&arrived("in", "other", &forged)).is_err());
        assert!(reading(&arrived("return", "rung.3000.work", &forged)).is_ok());
    }

    #[test]
    fn a_body_over_the_bound_is_not_looked_at() {
        let too_long = read(&arrived("in", "m", &[]), &"in".into(), BODY.len() - 1, NOW);
        let Content::Unreadable(error) = too_long else { panic!("it was read") };
        assert_eq!(error, Unreadable::TooLong { bytes: BODY.len(), most: BODY.len() - 1 });
    }

    #[test]
    fn a_poisoned_message_is_whole_and_says_why_and_where_from() {
        let pairs = [
            ("x-death", AMQPValue::LongString("cycle".into())),
            ("trace", AMQPValue::LongString("t-1".into())),
            ("huge", AMQPValue::LongString("x".repeat(MOST_KEPT_HEADERS).into())),
        ];
        let out = poisoned(
            &arrived("in", "shop", &pairs),
            &"no ".repeat(2_000),
            &"dead".into(),
            Moment::from_unix_milliseconds(77),
        );
        assert_eq!((out.body.as_ref(), out.must_arrive), (BODY, true));
        assert_eq!(out.address, Address { exchange: "dead".into(), routing_key: "shop".into() });
        let table = out.properties.headers().clone().expect("headers");
        let text = |name: &str| table.inner().get(name).and_then(header_text);
        assert_eq!(text("trace").as_deref(), Some("t-1"));
        assert_eq!((text("x-death"), text("huge")), (None, None));
        assert_eq!(text(headers::POISONED_AT).as_deref(), Some("77"));
        assert_eq!(text(POISON_EXCHANGE).as_deref(), Some("in"));
        assert_eq!(text(POISON_ROUTING_KEY).as_deref(), Some("shop"));
        assert_eq!(text(headers::POISON_REASON).map(|reason| reason.len()), Some(LONGEST_REASON));
    }
}
