//! A consumer: one task that takes deliveries off one queue, on a channel of its own, and reads them.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};

use super::generation::Generation;
use super::message::{self, Arrived};
use super::receipt::{AmqpReceipt, Taken};
use super::state::{Phase, Shared};
use crate::broker::Source;
use crate::clock;

/// A started consumer.
pub(super) struct Consumer {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    /// The source whose queue it is; without one it is the work queue.
    source: Option<Source>,
    /// Kept open for the deliveries that are out, after consuming has stopped, too.
    channel: Channel,
    stream: lapin::Consumer,
}

impl Consumer {
    /// Begins to consume. RabbitMQ sends at most the configured prefetch ahead: lapin's own buffer has no bound.
    pub(super) async fn start(
        shared: Arc<Shared>,
        generation: Arc<Generation>,
        connection: &Connection,
        queue: ShortString,
        source: Option<Source>,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(shared.prefetch(), BasicQosOptions { global: false }).await?;
        let options = BasicConsumeOptions::default();
        let stream = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Self { shared, generation, source, channel, stream })
    }

    /// Takes deliveries until the generation ends or something goes wrong; says what. In the draining phase it takes
    /// no more, gives back what was sent ahead, and keeps the channel open.
    pub(super) async fn run(mut self) -> String {
        loop {
            let delivery = tokio::select! {
                biased;
                reason = self.generation.ended() => return reason,
                () = self.shared.entered(Phase::Draining) => return self.stop().await,
                delivery = self.stream.next() => delivery,
            };
            let taken = match delivery {
                Some(Ok(delivery)) => self.read(delivery),
                Some(Err(error)) => {
                    self.generation.note(&error);
                    return format!("consuming failed: {error}");
                }
                None => return "the broker has cancelled a consumer; was its queue deleted?".to_owned(),
            };
            // What is dropped here, when the phase or the generation ends first, goes back by itself.
            tokio::select! {
                biased;
                reason = self.generation.ended() => return reason,
                () = self.shared.entered(Phase::Draining) => {}
                _ = self.shared.taken.send(taken) => {}
            }
        }
    }

    async fn stop(mut self) -> String {
        let cancel = self.channel.basic_cancel(self.stream.tag(), BasicCancelOptions::default());
        tokio::select! {
            biased;
            reason = self.generation.ended() => return reason,
            cancelled = cancel => {
                if let Err(error) = cancelled {
                    return format!("a consumer could not be cancelled: {error}");
                }
            }
        }
        loop {
            tokio::select! {
                biased;
                reason = self.generation.ended() => return reason,
                delivery = self.stream.next() => match delivery {
                    Some(Ok(delivery)) => drop(self.read(delivery)),
                    Some(Err(error)) => return format!("consuming failed: {error}"),
                    None => break,
                },
            }
        }
        self.generation.ended().await
    }

    fn read(&self, delivery: Delivery) -> Taken {
        let (acker, redelivered) = (delivery.acker.clone(), delivery.redelivered);
        let arrived = Arrived::of(delivery);
        let longest = self.shared.settings.longest_message;
        let content = match &self.source {
            Some(source) => message::read_from(source, &arrived, longest, clock::now()),
            None => message::read(&arrived, &self.shared.topology.incoming, longest, clock::now()),
        };
        let receipt = AmqpReceipt::new(self.shared.clone(), self.generation.clone(), arrived, acker);
        Taken { content, redelivered, receipt }
    }
}
