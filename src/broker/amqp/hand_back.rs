//! Deliveries that nobody settles go back to their queue, to be delivered again, here or by another gateway.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::generation::Generation;

/// How long a delivery rests whose settling the broker refused, so that a full queue makes no hot loop.
pub(super) const REST: Duration = Duration::from_secs(1);

/// The way to settle one delivery. It keeps the delivery's channel open, also when the consumer has left that.
pub(super) struct ChannelAcker {
    acker: Acker,
    _channel: Arc<Channel>,
}

impl ChannelAcker {
    pub(super) fn new(acker: Acker, channel: Arc<Channel>) -> Self {
        Self { acker, _channel: channel }
    }

    /// Acknowledges it; false if the channel is gone. If the queue has been deleted, RabbitMQ does nothing.
    pub(super) async fn acknowledge(&self) -> lapin::Result<bool> {
        self.acker.ack(BasicAckOptions { multiple: false }).await
    }

    /// Gives it back to its queue; false if the channel is gone.
    pub(super) async fn requeue(&self) -> lapin::Result<bool> {
        self.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await
    }
}

/// A delivery on its way back.
pub(super) struct HandBack {
    pub(super) acker: ChannelAcker,
    /// Whether it rests for [`REST`] first.
    pub(super) rests: bool,
    /// The place that it takes up among the unsettled ones until it is back.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

/// Hands back until the generation ends or something goes wrong; says what.
pub(super) async fn run(mut queue: mpsc::Receiver<HandBack>, generation: Arc<Generation>) -> String {
    // All rest equally long, so they wake in the order in which they came. Bounded by what is unsettled.
    let mut resting: VecDeque<(Instant, HandBack)> = VecDeque::new();
    loop {
        let wakes = resting.front().map(|(wakes, _)| *wakes);
        let awake = async {
            match wakes {
                Some(wakes) => tokio::time::sleep_until(wakes).await,
                None => std::future::pending().await,
            }
        };
        let delivery = tokio::select! {
            biased;
            reason = generation.ended() => return reason,
            () = awake => resting.pop_front().map(|(_, delivery)| delivery),
            delivery = queue.recv() => match delivery {
                Some(delivery) if delivery.rests => {
                    resting.push_back((Instant::now() + REST, delivery));
                    None
                }
                Some(delivery) => Some(delivery),
                None => return "every holder of a delivery is gone".to_owned(),
            },
        };
        if let Some(HandBack { acker, slot, .. }) = delivery {
            tokio::select! {
                biased;
                reason = generation.ended() => return reason,
                done = acker.requeue() => match done {
                    Ok(true) => drop(slot),
                    Ok(false) => return "a delivery's channel is gone".to_owned(),
                    Err(error) => return format!("a delivery could not be handed back: {error}"),
                },
            }
        }
    }
}
