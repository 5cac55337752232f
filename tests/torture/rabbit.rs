//! RabbitMQ as a scenario uses it: nodes, and the harness's own way to look into them, which reconnects.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;
use xtask::rabbitmq::Node;

use super::plan::LADDER;

/// The prefix of all exchanges and queues. A scenario has its nodes for itself.
pub const PREFIX: &str = "torture";
/// How long any step of the harness's own may take before it tries again.
const STEP: Duration = Duration::from_secs(5);

/// The brokers of a scenario.
pub struct Rabbit {
    pub nodes: Vec<Node>,
    /// The line of the gateways' configuration that says where the broker is: gateway n has the n-th, counted round.
    pub gateway_lines: Vec<String>,
    /// Where the harness itself connects: the first that answers is taken.
    pub harness_urls: Vec<String>,
}

impl Rabbit {
    /// One node of its own.
    pub fn one() -> Self {
        let node = tokio::task::block_in_place(|| Node::start().expect("a node"));
        let url = node.amqp_url();
        Self { nodes: vec![node], gateway_lines: vec![format!("url = \"{url}\"")], harness_urls: vec![url] }
    }
}

/// Why a step of the harness's failed; it will be tried again.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A channel of the harness's, and the connection that it lives on.
pub struct Line {
    _connection: Connection,
    pub channel: Channel,
}

/// Connects to whichever confirms first. All are tried at once: one that is frozen must not keep the harness from
/// another, and one that has lost its cluster answers and confirms nothing.
pub async fn connect(urls: &[String]) -> Result<Line, Trouble> {
    if urls.is_empty() {
        return Err("no URL".into());
    }
    let open = urls.iter().map(|url| Box::pin(open(url)));
    let (line, _others) = timeout(STEP, futures_util::future::select_ok(open)).await??;
    Ok(line)
}

async fn open(url: &str) -> Result<Line, Trouble> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // Before the queue is declared, nobody is bound, and that is confirmed as well.
    let (probe, options) = (probe_queue().into(), BasicPublishOptions::default());
    let sent = channel.basic_publish("".into(), probe, options, b"probe", BasicProperties::default()).await?;
    match sent.await? {
        Confirmation::Ack(None) => Ok(Line { _connection: connection, channel }),
        other @ (Confirmation::Ack(Some(_)) | Confirmation::Nack(_) | Confirmation::NotRequested) => {
            Err(format!("a probe was not taken: {other:?}").into())
        }
    }
}

impl Line {
    /// Publishes as a producer should: persistent, mandatory, confirmed. One at a time on a line, so that a returned
    /// message cannot be mistaken for another.
    ///
    /// `Ok` is a confirm. Any error means that it is not known whether the broker has it.
    pub async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8]) -> Result<(), Trouble> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let confirm = async {
            let sent = self
                .channel
                .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
                .await?;
            sent.await
        };
        match timeout(STEP, confirm).await?? {
            Confirmation::Ack(None) => Ok(()),
            other @ (Confirmation::Ack(_) | Confirmation::Nack(_) | Confirmation::NotRequested) => {
                Err(format!("not taken: {other:?}").into())
            }
        }
    }

    /// Takes everything out of a queue, in order, and adds it to what is there. With an error, too, what was added is
    /// acknowledged.
    pub async fn drain(&self, queue: &str, bodies: &mut Vec<Vec<u8>>) -> Result<(), Trouble> {
        /// Nothing more comes when nothing has come for so long.
        const SILENCE: Duration = Duration::from_millis(700);
        /// How many are acknowledged at once: fewer than a quorum queue sends ahead, which is 2,000 at most.
        const CHUNK: usize = 500;
        if self.ready(queue).await? == 0 {
            return Ok(());
        }
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consume = self.channel.basic_consume(queue.into(), "".into(), options, none);
        let mut consumer = timeout(STEP, consume).await??;
        let mut chunk = Vec::new();
        loop {
            let next = timeout(SILENCE, consumer.next()).await.ok().flatten().transpose()?;
            let is_last = next.is_none();
            chunk.extend(next);
            if is_last || chunk.len() == CHUNK {
                let Some(last) = chunk.last() else { break };
                if !last.ack(BasicAckOptions { multiple: true }).await? {
                    return Err("not acknowledged".into());
                }
                bodies.extend(chunk.drain(..).map(|message| message.data));
            }
        }
        timeout(STEP, self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())).await??;
        match self.ready(queue).await? {
            0 => Ok(()),
            left => Err(format!("{left} messages are left").into()),
        }
    }

    /// As an operator would: deletes a queue and what is in it.
    pub async fn delete_queue(&self, queue: &str) -> Result<u32, Trouble> {
        Ok(self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?)
    }

    /// Deletes an exchange and all its bindings.
    pub async fn delete_exchange(&self, exchange: &str) -> Result<(), Trouble> {
        Ok(self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?)
    }

    /// How many messages are ready in a queue.
    pub async fn ready(&self, queue: &str) -> Result<u32, Trouble> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        Ok(timeout(STEP, declared).await??.message_count())
    }

    async fn declare(&self, queue: &str, more: &[(&str, AMQPValue)]) -> Result<(), Trouble> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        for (name, value) in more {
            arguments.insert((*name).into(), value.clone());
        }
        self.channel.queue_declare(queue.into(), options, arguments).await?;
        Ok(())
    }
}

/// The queue that keeps the payment centre's events until the end.
pub fn events_queue() -> String {
    format!("{PREFIX}.torture-events")
}

fn probe_queue() -> String {
    format!("{PREFIX}.torture-probe")
}

/// The queues in which a notification can wait.
pub fn waiting_queues() -> Vec<String> {
    let alarms = (0..20).map(|doubling| 250_u64 << doubling);
    let rungs = LADDER.into_iter().chain(alarms).map(|rung| format!("{PREFIX}.rung.{rung}"));
    std::iter::once(format!("{PREFIX}.work")).chain(rungs).collect()
}

/// Before the first gateway starts: from then on every event of the payment centre's is kept.
pub async fn prepare(urls: &[String]) -> Result<(), Trouble> {
    let line = connect(urls).await?;
    let exchange = format!("{PREFIX}.outcomes");
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Topic;
    line.channel.exchange_declare(exchange.as_str().into(), kind, durable, FieldTable::default()).await?;
    line.declare(&events_queue(), &[]).await?;
    line.declare(&probe_queue(), &[("x-message-ttl", AMQPValue::LongInt(1_000))]).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    line.channel.queue_bind(events_queue().into(), exchange.into(), "#".into(), options, none).await?;
    Ok(())
}

/// Waits until a plain connection can publish to a quorum queue and has the confirm: then the broker is reachable.
pub async fn reachable(urls: &[String]) {
    loop {
        if let Ok(line) = connect(urls).await
            && line.publish("", &probe_queue(), b"probe").await.is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether no message is ready in any queue in which notifications wait.
pub async fn nothing_waits(urls: &[String]) -> Result<bool, Trouble> {
    let line = connect(urls).await?;
    for queue in waiting_queues() {
        if line.ready(&queue).await? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
