//! One connection's worth of audits: what AMQP itself tells, and what RabbitMQ's behaviour does.
//!
//! AMQP tells of a queue whether it is there and how many messages lie in it; that its arguments are ours, the
//! declaration has made sure of. What no answer tells is tried, where the management API is not there: a queue that is
//! declared to hold one message and to refuse more must refuse (a policy's `drop-head` would show), and must still have
//! its message at the next audit (a policy's `message-ttl` or `expires` would show).

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ErrorKind};
use tokio::time::timeout;

use super::facts::{Expected, Facts, Marker, Queue, Unknown};
use super::greeting;
use super::management::Management;
use crate::broker::amqp::message::PROBE;
use crate::broker::amqp::topology::{self, text};

/// How long one queue is waited for. RabbitMQ 3.10 that is killed right after a queue was declared can come back with one
/// that never answers; that must not keep the others from being audited, or the first delivery from being made.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A queue of one message refuses at the latest after so many: quorum queues let a few more in.
const TRIES: usize = 8;

/// A connection that audits, and what the last audit left behind on it.
pub(in crate::broker::amqp) struct Session<'a> {
    connection: &'a Connection,
    channel: Channel,
    /// The marker queue has been filled by us.
    is_marked: bool,
}

impl<'a> Session<'a> {
    /// A session on this connection.
    pub(in crate::broker::amqp) async fn open(connection: &'a Connection) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        Ok(Self { connection, channel, is_marked: false })
    }

    /// Looks at the expected queues, and asks the management API, if there is one.
    pub(in crate::broker::amqp) async fn look(
        &mut self,
        expected: &Expected,
        management: Option<&Management>,
    ) -> lapin::Result<Facts> {
        let mut facts = Facts::default();
        for queue in &expected.queues {
            match timeout(SILENT_AFTER, self.ready(&queue.name)).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(ready))) => {
                    facts.queues.insert(queue.name.clone(), Queue { ready, details: None });
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    facts.queues.insert(queue.name.clone(), Queue { ready: 0, details: None });
                    self.give_up(&queue.name, &mut facts).await?;
                }
            }
        }
        match management {
            Some(management) => management.ask(expected, &mut facts).await,
            None => facts.unknown.push(Unknown::NoManagement),
        }
        Ok(facts)
    }

    /// Adds what RabbitMQ's behaviour tells; for when the management API has not told.
    pub(in crate::broker::amqp) async fn try_out(
        &mut self,
        expected: &Expected,
        uri: &lapin::uri::AMQPUri,
        facts: &mut Facts,
    ) -> lapin::Result<()> {
        facts.version = greeting::version(uri).await;
        let queue = format!("{}.rung.audit", expected.prefix);
        match timeout(SILENT_AFTER, self.mark(&queue)).await {
            Ok(marker) => facts.marker = Some(marker?),
            Err(_) => self.give_up(&queue, facts).await?,
        }
        Ok(())
    }

    /// Notes that a queue is silent. Its channel waits for it, and answers nothing else any more.
    async fn give_up(&mut self, queue: &str, facts: &mut Facts) -> lapin::Result<()> {
        facts.unknown.push(Unknown::Silent(queue.to_owned()));
        self.channel = self.connection.create_channel().await?;
        Ok(())
    }

    /// How many messages are ready in a queue; `None` if it is not there.
    pub(in crate::broker::amqp) async fn ready(&mut self, queue: &str) -> lapin::Result<Option<u64>> {
        const NOT_FOUND: u16 = 404;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match self.channel.queue_declare(queue.into(), options, FieldTable::default()).await {
            Ok(found) => Ok(Some(u64::from(found.message_count()))),
            Err(error) if matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND) =>
            {
                // The refusal has closed the channel.
                self.channel = self.connection.create_channel().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The queue's name looks like a rung's, so that what is laid over rungs is laid over it.
    async fn mark(&mut self, queue: &str) -> lapin::Result<Marker> {
        let queue = ShortString::from(queue);
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let arguments = vec![
            ("x-queue-type", text("quorum")),
            ("x-overflow", text("reject-publish")),
            ("x-max-length", AMQPValue::LongInt(1)),
        ];
        topology::declare_queue(&channel, &queue, arguments).await?;
        let mut marker = Marker::Drops;
        for number in 0..TRIES {
            let mut headers = FieldTable::default();
            headers.insert(PROBE.into(), text("marker"));
            let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let sent =
                channel.basic_publish("".into(), queue.clone(), options, &[], properties).await?.await?;
            if matches!(sent, Confirmation::Nack(_)) {
                // What was full a minute ago has no room now.
                marker = if self.is_marked && number > 0 { Marker::Forgot } else { Marker::Refuses };
                break;
            }
        }
        self.is_marked = marker != Marker::Drops;
        channel.close(200, "OK".into()).await?;
        Ok(marker)
    }
}
