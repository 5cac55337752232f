//! A broker on a real RabbitMQ, and a view of that from outside: what a foreign producer and an operator can do.
//!
//! Every probe has exchanges and queues under a prefix of its own, so that tests share a node without meeting.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use paynotify::broker::Broker;
use paynotify::broker::amqp::{AmqpBroker, Settings};
use paynotify::domain::headers;
use serde_json::Value;

use super::conformance::{Options, Probe};

/// The URL of the node that tests share, or of one that is started for this process and ends with it.
pub fn url() -> String {
    static NODE: OnceLock<xtask::rabbitmq::Broker> = OnceLock::new();
    NODE.get_or_init(|| xtask::rabbitmq::Broker::shared_or_own().expect("RabbitMQ")).amqp_url()
}

/// A prefix that no other test has.
pub fn prefix() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("test-{}-{now:x}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Settings for tests that share a node.
pub fn settings() -> Settings {
    Settings { urls: vec![url()], prefix: prefix(), ..Settings::default() }
}

/// For the conformance suite.
pub async fn start(options: Options) -> Box<dyn Probe> {
    let prefetch = u16::try_from(options.prefetch).expect("within bounds");
    let slow_prefetch = u16::try_from(options.slow_prefetch).expect("within bounds");
    Box::new(
        AmqpProbe::start(Settings { prefetch, slow_prefetch, rung_delays: options.rungs, ..settings() })
            .await,
    )
}

/// Waits until the condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the broker is ready.
pub async fn until_ready(broker: &AmqpBroker) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(reason) = broker.ready() {
        assert!(Instant::now() < deadline, "not ready: {reason}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A broker under test, and a connection of the test's own.
pub struct AmqpProbe {
    broker: Arc<AmqpBroker>,
    pub settings: Settings,
    pub outside: Outside,
    events: Mutex<Vec<(String, Value)>>,
}

impl AmqpProbe {
    pub async fn start(settings: Settings) -> Self {
        let outside = Outside::connect(&settings).await;
        let broker = Arc::new(AmqpBroker::start(settings.clone()).expect("valid settings"));
        until_ready(&broker).await;
        outside.collect_outcomes().await;
        Self { broker, settings, outside, events: Mutex::default() }
    }

    /// A name under this probe's prefix.
    pub fn name(&self, suffix: &str) -> String {
        self.outside.name(suffix)
    }
}

impl Drop for AmqpProbe {
    /// A node that is shared is left as it was found.
    fn drop(&mut self) {
        let (outside, broker) = (self.outside.clone(), self.broker.clone());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                broker.close().await;
                outside.clean_up().await;
            });
        });
    }
}

#[async_trait]
impl Probe for AmqpProbe {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    async fn restart(&mut self) {
        self.broker.close().await;
        self.broker = Arc::new(AmqpBroker::start(self.settings.clone()).expect("valid settings"));
        until_ready(&self.broker).await;
    }

    async fn outcome_events(&self) -> Vec<(String, Value)> {
        for message in self.outside.drain("test-outcomes").await {
            let body = serde_json::from_slice(&message.data).expect("an event is JSON");
            self.events.lock().expect("sound").push((message.routing_key.to_string(), body));
        }
        self.events.lock().expect("sound").clone()
    }

    async fn poisoned(&self) -> Vec<(Bytes, String)> {
        let messages = self.outside.drain("poison").await;
        messages
            .into_iter()
            .map(|message| {
                let reason = header(&message.properties, headers::POISON_REASON).expect("a reason");
                (Bytes::copy_from_slice(&message.data), reason)
            })
            .collect()
    }

    async fn waiting(&self) -> usize {
        // What a closed connection held is back in its queue a moment later, and counted a moment after that.
        let mut waiting = usize::MAX;
        for _ in 0..50 {
            waiting = self.outside.waiting().await;
            if waiting == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        waiting
    }

    async fn inject(&self, body: Bytes, headers: &[(&'static str, &str)]) {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let properties = BasicProperties::default().with_headers(table);
        self.outside.publish(&self.name("in"), "m", &body, properties).await;
    }
}

/// What others do with RabbitMQ: a producer, the payment centre, an operator.
#[derive(Clone)]
pub struct Outside {
    connection: Arc<Connection>,
    prefix: String,
    pub rungs: Vec<u64>,
}

impl Outside {
    pub async fn connect(settings: &Settings) -> Self {
        let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await;
        let exact = settings.rung_delays.iter().map(|delay| u64::try_from(delay.as_millis()).expect("short"));
        Self {
            connection: Arc::new(connection.expect("RabbitMQ")),
            prefix: settings.prefix.clone(),
            rungs: exact.chain((0..20).map(|doubling| 250 << doubling)).collect(),
        }
    }

    pub fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("a channel")
    }

    /// Publishes as a foreign producer would, with a confirm.
    pub async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8], properties: BasicProperties) {
        assert!(self.offer(exchange, routing_key, body, properties).await, "{exchange} takes it");
    }

    /// The same where it may be refused; tells whether it was taken.
    pub async fn offer(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> bool {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let published =
            channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await;
        let confirmed = published.expect("published").await.expect("confirmed");
        channel.close(200, "OK".into()).await.expect("closed");
        confirmed == Confirmation::Ack(None)
    }

    /// Has the payment centre's events kept from now on.
    pub async fn collect_outcomes(&self) {
        self.collect_outcomes_up_to(None).await;
    }

    /// The same in a queue that refuses more than so many.
    pub async fn collect_outcomes_up_to(&self, most: Option<i32>) {
        let channel = self.channel().await;
        let queue = self.name("test-outcomes");
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        if let Some(most) = most {
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(most));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        }
        channel.queue_declare(queue.as_str().into(), options, arguments).await.expect("a queue");
        let exchange = self.name("outcomes");
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("bound");
    }

    /// Takes everything out of a queue.
    pub async fn drain(&self, suffix: &str) -> Vec<BasicGetMessage> {
        let channel = self.channel().await;
        let mut messages = Vec::new();
        while let Some(message) = channel
            .basic_get(self.name(suffix).into(), BasicGetOptions { no_ack: false })
            .await
            .expect("the queue is there")
        {
            assert!(message.ack(BasicAckOptions::default()).await.expect("acknowledged"));
            messages.push(message);
        }
        channel.close(200, "OK".into()).await.expect("closed");
        messages
    }

    /// How many messages are ready in a queue; 0 if it is not there.
    pub async fn count(&self, suffix: &str) -> usize {
        let channel = self.channel().await;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(self.name(suffix).into(), options, FieldTable::default()).await;
        declared.map_or(0, |queue| usize::try_from(queue.message_count()).expect("few"))
    }

    /// How many messages are ready in the work queue and on all rungs.
    pub async fn waiting(&self) -> usize {
        let mut waiting = self.count("work").await + self.count("slow").await;
        for rung in &self.rungs {
            waiting += self.count(&format!("rung.{rung}")).await;
        }
        waiting
    }

    /// As an operator would: deletes a queue and what is in it.
    pub async fn delete(&self, suffix: &str) {
        let channel = self.channel().await;
        let deleted = channel.queue_delete(self.name(suffix).into(), QueueDeleteOptions::default()).await;
        deleted.expect("deleted");
    }

    pub async fn clean_up(&self) {
        let Ok(channel) = self.connection.create_channel().await else { return };
        let rungs = self.rungs.iter().map(|rung| format!("rung.{rung}"));
        let queues =
            ["work", "slow", "poison", "test-outcomes", "probe", "pulse", "rung.audit"].map(str::to_owned);
        for queue in queues.into_iter().chain(rungs) {
            let _ = channel.queue_delete(self.name(&queue).into(), QueueDeleteOptions::default()).await;
        }
        for exchange in ["in", "outcomes", "delay", "return", "dead"] {
            let name = self.name(exchange).into();
            let _ = channel.exchange_delete(name, ExchangeDeleteOptions::default()).await;
        }
    }
}

/// A header's text.
pub fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    let text = properties.headers().as_ref()?.inner().get(name)?.as_long_string()?;
    Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
}
