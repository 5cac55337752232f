//! A RabbitMQ for a test: the node that the test command shares out, or one of the test's own; and a client on it.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde_json::Value;
use xtask::rabbitmq::Node;

use super::gateway::{SOON, Store};

/// A node, and a prefix on it that no other test has.
pub(crate) struct Rabbit {
    pub(crate) url: String,
    pub(crate) prefix: String,
    /// Stops with its value, if it is this test's own.
    pub(crate) node: Option<Node>,
}

impl Rabbit {
    /// The shared node where there is one, else one of its own.
    pub(crate) fn any() -> Self {
        match xtask::rabbitmq::shared_url() {
            Some(url) => Self { url, prefix: prefix(), node: None },
            None => Self::own(),
        }
    }

    /// A node of its own, for a test that stops it.
    pub(crate) fn own() -> Self {
        let node = Node::start().expect("RabbitMQ starts");
        Self { url: node.amqp_url(), prefix: prefix(), node: Some(node) }
    }

    pub(crate) fn store(&self) -> Store {
        Store::Amqp { url: self.url.clone(), prefix: self.prefix.clone() }
    }

    /// A connection like a producer's or the payment centre's.
    pub(crate) async fn client(&self) -> Client {
        let connection =
            Connection::connect(&self.url, ConnectionProperties::default()).await.expect("connected");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Client { _connection: connection, channel, prefix: self.prefix.clone() }
    }
}

fn prefix() -> String {
    format!("test-{}", uuid::Uuid::now_v7().simple())
}

pub(crate) struct Client {
    _connection: Connection,
    channel: Channel,
    prefix: String,
}

impl Client {
    /// Publishes as a producer should: persistent, mandatory, confirmed.
    pub(crate) async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8]) {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self
            .channel
            .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
            .await
            .expect("published")
            .await
            .expect("confirmed");
        assert!(confirm.is_ack() && confirm.take_message().is_none(), "it was routed to a queue");
    }

    /// Publishes a record to the gateway's intake.
    pub(crate) async fn send(&self, record: &Value) {
        let merchant = record["merchant_id"].as_str().expect("a merchant");
        self.publish(&format!("{}.in", self.prefix), merchant, record.to_string().as_bytes()).await;
    }

    /// Listens to the outcomes from now on, as the payment centre does.
    pub(crate) async fn outcomes(&self) -> Outcomes {
        let exchange = format!("{}.outcomes", self.prefix);
        let queue = format!("{}.test-outcomes", self.prefix);
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel
            .exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await
            .expect("declared");
        let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        self.channel
            .queue_declare(queue.as_str().into(), exclusive, FieldTable::default())
            .await
            .expect("declared");
        self.channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("bound");
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self
            .channel
            .basic_consume(queue.as_str().into(), "test".into(), options, FieldTable::default())
            .await
            .expect("consumes");
        Outcomes(consumer)
    }

    /// The body and a header of the next message in the poison queue.
    pub(crate) async fn poisoned(&self, header: &str) -> (Vec<u8>, String) {
        let queue = format!("{}.poison", self.prefix);
        let deadline = Instant::now() + SOON;
        loop {
            let got =
                self.channel.basic_get(queue.as_str().into(), Default::default()).await.expect("a queue");
            if let Some(message) = got {
                let headers = message.properties.headers().clone().unwrap_or_default();
                let value = headers.inner().get(header).and_then(|value| value.as_long_string());
                let value = value.map(ToString::to_string);
                message.ack(Default::default()).await.expect("acked");
                return (message.data.clone(), value.unwrap_or_default());
            }
            assert!(Instant::now() < deadline, "nothing is in the poison queue");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many messages wait in the gateway's work queue.
    pub(crate) async fn in_work(&self) -> u32 {
        self.in_queue(&format!("{}.work", self.prefix)).await
    }

    /// How many messages wait in a queue.
    pub(crate) async fn in_queue(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue =
            self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.expect("a queue");
        queue.message_count()
    }
}

/// Outcome events as they come.
pub(crate) struct Outcomes(Consumer);

impl Outcomes {
    /// The next one: its routing key and body.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        let delivery = tokio::time::timeout(SOON, self.0.next()).await.expect("an event in time");
        let delivery = delivery.expect("the consumer lives").expect("a delivery");
        let body = serde_json::from_slice(&delivery.data).expect("JSON");
        (delivery.routing_key.to_string(), body)
    }

    /// Nothing more has come.
    pub(crate) async fn none_left(&mut self) {
        let more = tokio::time::timeout(Duration::from_millis(300), self.0.next()).await;
        assert!(more.is_err(), "an event too many");
    }
}
