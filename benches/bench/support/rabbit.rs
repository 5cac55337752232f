//! RabbitMQ from outside: a producer, and somebody who counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm};

/// How many publishes may be unconfirmed at once.
const UNCONFIRMED: usize = 2_000;

/// A connection with one channel, whose publishes are all confirmed.
pub(crate) struct Rabbit {
    _connection: Connection,
    channel: Channel,
    unconfirmed: VecDeque<PublisherConfirm>,
}

/// One message.
pub(crate) struct Message<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) headers: FieldTable,
}

impl<'a> Message<'a> {
    /// As a producer publishes a payment result: without headers.
    pub(crate) fn plain(exchange: &'a str, routing_key: &'a str, body: &'a [u8]) -> Self {
        Self { exchange, routing_key, body, headers: FieldTable::default() }
    }
}

impl Rabbit {
    /// Connects.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { _connection: connection, channel, unconfirmed: VecDeque::new() })
    }

    /// For what is not done here.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Publishes it, persistent and mandatory. Waits only while too many are not confirmed.
    pub(crate) async fn publish(&mut self, message: Message<'_>) -> Result<()> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(message.headers);
        let (exchange, routing_key) = (message.exchange.into(), message.routing_key.into());
        let publish = self.channel.basic_publish(exchange, routing_key, options, message.body, properties);
        self.unconfirmed.push_back(publish.await?);
        if self.unconfirmed.len() >= UNCONFIRMED {
            self.confirmed(UNCONFIRMED / 2).await?;
        }
        Ok(())
    }

    /// Waits until no more than that are unconfirmed.
    pub(crate) async fn confirmed(&mut self, most: usize) -> Result<()> {
        while self.unconfirmed.len() > most {
            let Some(confirm) = self.unconfirmed.pop_front() else { break };
            let confirmation = confirm.await?;
            let taken = confirmation.is_ack() && confirmation.take_message().is_none();
            ensure!(taken, "a queue takes each message");
        }
        Ok(())
    }

    /// Publishes so many, each with its body, as fast as they are taken, and waits for all confirms.
    pub(crate) async fn fill(
        &mut self,
        exchange: &str,
        count: usize,
        body: impl Fn(usize) -> (String, String),
    ) -> Result<()> {
        for number in 0..count {
            let (routing_key, body) = body(number);
            self.publish(Message::plain(exchange, &routing_key, body.as_bytes())).await?;
        }
        self.confirmed(0).await
    }

    /// Declares a durable quorum queue, with these arguments beside.
    pub(crate) async fn quorum_queue(&self, name: &str, more: &[(&'static str, AMQPValue)]) -> Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), text("quorum"));
        for (name, value) in more {
            arguments.insert((*name).into(), value.clone());
        }
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), durable, arguments).await?;
        Ok(())
    }

    /// Declares a durable topic exchange.
    pub(crate) async fn topic_exchange(&self, exchange: &str) -> Result<()> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let none = FieldTable::default();
        Ok(self.channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, none).await?)
    }

    /// Declares an exchange from which everything goes to one queue.
    pub(crate) async fn exchange_to(&self, exchange: &str, queue: &str) -> Result<()> {
        self.topic_exchange(exchange).await?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        Ok(self.channel.queue_bind(queue.into(), exchange.into(), "#".into(), options, none).await?)
    }

    /// How many messages are ready in a queue.
    pub(crate) async fn ready(&self, queue: &str) -> Result<usize> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let state = self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        Ok(usize::try_from(state.message_count())?)
    }

    /// Waits until so many are ready in these queues together.
    pub(crate) async fn until_ready(
        &self,
        queues: &[String],
        is_so: impl Fn(usize) -> bool,
        longest: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + longest;
        loop {
            let mut ready = 0;
            for queue in queues {
                ready += self.ready(queue).await?;
            }
            if is_so(ready) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "after {longest:?} {ready} messages are ready in {queues:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Deletes a queue with all that is in it.
    pub(crate) async fn delete(&self, queue: &str) -> Result<()> {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }
}

/// A text as the value of an argument or a header.
pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Gives the numbers from 0 to `count` out, so many a second, evenly: each once its time has come. Those whose time is over come at
/// once, so that a producer that was held up catches up.
pub(crate) struct Pace {
    begin: Instant,
    per_second: f64,
    count: usize,
    next: usize,
}

impl Pace {
    /// Begins now.
    pub(crate) fn new(per_second: f64, count: usize) -> Self {
        Self { begin: Instant::now(), per_second, count, next: 0 }
    }

    /// The next number, once it is time.
    pub(crate) async fn next(&mut self) -> Option<usize> {
        let number = self.next;
        if number >= self.count {
            return None;
        }
        self.next += 1;
        let due = self.begin + Duration::from_secs_f64(number as f64 / self.per_second);
        // Timers have ticks of a millisecond; within one, several numbers may be due.
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        Some(number)
    }
}
