//! A consumer: one task that takes deliveries off one queue, on a channel of its own, and reads them.
//!
//! RabbitMQ cancels it when its queue is deleted. Then it begins again on another channel, once the queue is declared
//! again: numbers of deliveries out of the two queues must not meet on one channel. The channel before it stays open for
//! what was taken on it, because each receipt holds it, and closes with the last of them.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::generation::Generation;
use super::hand_back::ChannelAcker;
use super::message::{self, Arrived};
use super::receipt::{AmqpReceipt, Taken};
use super::state::{Phase, Shared};
use crate::broker::{Content, Source};
use crate::clock;
use crate::domain::Lane;

/// A started consumer.
pub(super) struct Consumer {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    connection: Arc<Connection>,
    queue: ShortString,
    /// The source whose queue it is; without one it is a lane's.
    source: Option<Source>,
    lane: Lane,
    line: Line,
}

/// Where deliveries come.
struct Line {
    /// Kept open for the deliveries that are out, after consuming has stopped, too.
    channel: Arc<Channel>,
    stream: lapin::Consumer,
}

impl Line {
    /// RabbitMQ sends at most the configured prefetch ahead: lapin's own buffer has no bound.
    async fn open(
        shared: &Shared,
        connection: &Connection,
        queue: &ShortString,
        lane: Lane,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(shared.prefetch(lane), BasicQosOptions { global: false }).await?;
        let options = BasicConsumeOptions::default();
        let stream = channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await?;
        Ok(Self { channel: Arc::new(channel), stream })
    }
}

impl Consumer {
    /// Begins to consume.
    pub(super) async fn start(
        shared: Arc<Shared>,
        generation: Arc<Generation>,
        connection: Arc<Connection>,
        queue: ShortString,
        source: Option<Source>,
        lane: Lane,
    ) -> lapin::Result<Self> {
        let line = Line::open(&shared, &connection, &queue, lane).await?;
        Ok(Self { shared, generation, connection, queue, source, lane, line })
    }

    /// Takes deliveries until the generation ends or something goes wrong; says what. In the draining phase it takes
    /// no more, gives back what was sent ahead, and keeps the channel open.
    pub(super) async fn run(mut self) -> String {
        let generation = self.generation.clone();
        loop {
            let delivery = tokio::select! {
                biased;
                reason = generation.ended() => return reason,
                () = self.shared.entered(Phase::Draining) => return self.stop().await,
                delivery = self.line.stream.next() => delivery,
            };
            let taken = match delivery {
                Some(Ok(delivery)) => self.read(delivery),
                Some(Err(error)) => {
                    self.generation.note(&error);
                    return format!("consuming failed: {error}");
                }
                None => {
                    warn!(queue = %self.queue, "RabbitMQ has cancelled a consumer, as it does when its queue is deleted");
                    tokio::select! {
                        biased;
                        reason = generation.ended() => return reason,
                        began = self.begin_again() => match began {
                            Ok(()) => continue,
                            Err(reason) => return reason,
                        },
                    }
                }
            };
            // What is dropped here, when the phase or the generation ends first, goes back by itself.
            tokio::select! {
                biased;
                reason = self.generation.ended() => return reason,
                () = self.shared.entered(Phase::Draining) => {}
                () = self.pass_on(taken) => {}
            }
        }
    }

    /// As soon as its lane has a slot for it.
    async fn pass_on(&self, mut taken: Taken) {
        // Neither the slots nor the way to whoever asks for the next delivery is ever closed before the drain.
        if let Ok(slot) = self.shared.slots(self.lane).acquire_owned().await {
            taken.take_slot(slot);
            let _ = self.shared.taken.send(taken).await;
        }
    }

    /// Once the queue is there again. If it is deleted once more meanwhile, or the deletion is not over yet, that is
    /// tried for as long as a confirm may take.
    async fn begin_again(&mut self) -> Result<(), String> {
        let limit = self.shared.settings.confirm_timeout;
        let began = Instant::now();
        loop {
            self.generation.mend().await;
            let failed = match timeout(limit, self.open_line()).await {
                Ok(Ok(line)) => {
                    self.line = line;
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it took longer than {limit:?}"),
            };
            if began.elapsed() >= limit {
                return Err(format!("consuming again failed: {failed}"));
            }
            debug!(queue = %self.queue, reason = %failed, "consuming could not be begun again yet");
        }
    }

    async fn open_line(&self) -> lapin::Result<Line> {
        Line::open(&self.shared, &self.connection, &self.queue, self.lane).await
    }

    async fn stop(mut self) -> String {
        let Line { channel, stream } = &self.line;
        let cancel = channel.basic_cancel(stream.tag(), BasicCancelOptions::default());
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
                delivery = self.line.stream.next() => match delivery {
                    Some(Ok(delivery)) => drop(self.read(delivery)),
                    Some(Err(error)) => return format!("consuming failed: {error}"),
                    None => break,
                },
            }
        }
        self.generation.ended().await
    }

    fn read(&self, delivery: Delivery) -> Taken {
        let redelivered = delivery.redelivered;
        let acker = ChannelAcker::new(delivery.acker.clone(), self.line.channel.clone());
        let arrived = Arrived::of(delivery);
        let longest = self.shared.settings.longest_message;
        let mut content = match &self.source {
            Some(source) => message::read_from(source, &arrived, longest, clock::now()),
            None => message::read(&arrived, &self.shared.topology.incoming, longest, clock::now()),
        };
        if let Content::Readable(envelope) = &mut content {
            envelope.lane = self.lane;
        }
        let receipt = AmqpReceipt::new(self.shared.clone(), self.generation.clone(), arrived, acker);
        Taken { content, redelivered, receipt }
    }
}
