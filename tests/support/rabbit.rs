//! RabbitMQ around a gateway under test: where it keeps its messages, a producer, and the payment centre.

use std::collections::VecDeque;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::message::BasicGetMessage;
use paynotify::broker::amqp::Settings;
use paynotify::domain::headers;
use serde_json::Value;

use super::amqp::{Outside, header, settings, until};
use super::gateway::Store;

/// The delays of every ladder that a gateway under test has: the rungs that are cleared away afterwards.
const DELAYS: [u64; 14] =
    [200, 300, 400, 500, 600, 700, 800, 1_000, 3_000, 30_000, 60_000, 120_000, 180_000, 300_000];

/// A node, and exchanges and queues on it that are this test's alone. They go with it.
pub struct Rabbit {
    url: String,
    pub prefix: String,
    pub outside: Outside,
    events: VecDeque<BasicGetMessage>,
    poisoned: VecDeque<BasicGetMessage>,
}

impl Rabbit {
    pub async fn start() -> Self {
        let rung_delays = DELAYS.map(Duration::from_millis).to_vec();
        let settings = Settings { rung_delays, ..settings() };
        let outside = Outside::connect(&settings).await;
        let Settings { mut urls, prefix, .. } = settings;
        Self { url: urls.remove(0), prefix, outside, events: VecDeque::new(), poisoned: VecDeque::new() }
    }

    pub fn store(&self) -> Store {
        Store::Amqp { url: self.url.clone(), prefix: self.prefix.clone() }
    }

    /// Publishes a body as a producer should: persistent, mandatory, confirmed.
    pub async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8]) {
        let properties = BasicProperties::default().with_delivery_mode(2);
        self.outside.publish(exchange, routing_key, body, properties).await;
    }

    /// Publishes a record to the gateway's intake.
    pub async fn send(&self, record: &Value) {
        let merchant = record["merchant_id"].as_str().expect("a merchant");
        self.publish(&self.outside.name("in"), merchant, record.to_string().as_bytes()).await;
    }

    /// The payment centre's next event, once `Outside::collect_outcomes` was called: routing key and body.
    pub async fn next_event(&mut self) -> (String, Value) {
        let message = next(&self.outside, "test-outcomes", &mut self.events).await;
        let body = serde_json::from_slice(&message.data).expect("an event is JSON");
        (message.routing_key.to_string(), body)
    }

    /// The next message in the poison queue: body and reason.
    pub async fn next_poisoned(&mut self) -> (Vec<u8>, String) {
        let message = next(&self.outside, "poison", &mut self.poisoned).await;
        let reason = header(&message.properties, headers::POISON_REASON).expect("a reason");
        (message.data.clone(), reason)
    }
}

async fn next(outside: &Outside, queue: &str, taken: &mut VecDeque<BasicGetMessage>) -> BasicGetMessage {
    until("a message in a queue", async || {
        taken.extend(outside.drain(queue).await);
        !taken.is_empty()
    })
    .await;
    taken.pop_front().expect("there is one")
}

impl Drop for Rabbit {
    /// A node that is shared is left as it was found.
    fn drop(&mut self) {
        let outside = self.outside.clone();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async { outside.clean_up().await });
        });
    }
}
