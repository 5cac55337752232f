//! Settling: the successor or the ending first, confirmed; then, and only then, the acknowledgement.
//!
//! [`Unsettled::acknowledge`] is the one place that acknowledges, and it takes a [`Settled`], which only a publisher
//! makes out of a confirm: acknowledging before the confirm does not compile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use super::generation::{Generation, patiently};
use super::hand_back::{ChannelAcker, HandBack};
use super::message::{self, Arrived, Outgoing};
use super::publisher::Settled;
use super::state::{Phase, Shared};
use crate::broker::{BrokerError, Content, Delivery, Receipt};
use crate::clock;
use crate::domain::{Envelope, OutcomeEvent, Recorded};

/// A delivery that a consumer has taken and nobody has asked for yet.
pub(super) struct Taken {
    pub(super) content: Content,
    pub(super) redelivered: bool,
    pub(super) receipt: AmqpReceipt,
}

impl Taken {
    /// It takes up `slot` until it is settled.
    pub(super) fn take_slot(&mut self, slot: OwnedSemaphorePermit) {
        if let Some(unsettled) = &mut self.receipt.unsettled {
            unsettled.slot = Some(slot);
        }
    }

    /// Hands it out.
    pub(super) fn hand_out(self) -> Delivery {
        Delivery { content: self.content, redelivered: self.redelivered, receipt: Box::new(self.receipt) }
    }
}

/// The duty to settle one delivery of one generation.
pub(super) struct AmqpReceipt {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    arrived: Arrived,
    /// Taken out by whatever settles it; if it is still there when the receipt is dropped, it goes back.
    unsettled: Option<Unsettled>,
}

struct Unsettled {
    acker: ChannelAcker,
    slot: Option<OwnedSemaphorePermit>,
}

impl AmqpReceipt {
    pub(super) fn new(
        shared: Arc<Shared>,
        generation: Arc<Generation>,
        arrived: Arrived,
        acker: ChannelAcker,
    ) -> Self {
        Self { shared, generation, arrived, unsettled: Some(Unsettled { acker, slot: None }) }
    }

    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Publishes; if that fails, the delivery goes back after a rest.
    ///
    /// What a queue refuses (because it is full: perhaps one of the payment centre's), or finds none (because it was
    /// deleted, and is declared again), is offered again and again, with the delivery in hand. Handing it back would
    /// have the attempt made once more each time, and its own queue may be one that was deleted.
    async fn publish(&mut self, message: Outgoing) -> Result<Settled, BrokerError> {
        const LONGEST_PAUSE: Duration = Duration::from_secs(30);
        let mut pause = Duration::from_secs(1);
        loop {
            let published = self.generation.publish(message.clone()).await;
            let refused =
                matches!(published, Err(BrokerError::Refused(_))) && self.generation.end().is_none();
            if refused {
                tokio::select! {
                    _ = self.generation.ended() => {}
                    () = self.shared.entered(Phase::Draining) => {}
                    () = tokio::time::sleep(pause) => {
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            }
            if published.is_err() {
                self.give_back(true);
            }
            return published;
        }
    }

    async fn acknowledge(&mut self, proof: Settled) -> Result<(), BrokerError> {
        match self.unsettled.take() {
            Some(unsettled) => {
                let limit = self.shared.settings.confirm_timeout;
                unsettled.acknowledge(proof, &self.generation, limit).await
            }
            None => Err(BrokerError::Refused("the delivery was handed back already".to_owned())),
        }
    }

    /// Wrong on purpose: see [`super::sabotage`].
    #[cfg(debug_assertions)]
    async fn park_without_proof(&mut self, message: Outgoing) -> Result<(), BrokerError> {
        if let Some(unsettled) = self.unsettled.take() {
            // A test looks for the harm that this does; that it went wrong, too, is no news.
            let _ = unsettled.acker.acknowledge().await;
        }
        tokio::time::sleep(super::sabotage::A_MOMENT).await;
        self.generation.publish(message).await.map(drop)
    }

    fn give_back(&mut self, rests: bool) {
        if let Some(Unsettled { acker, slot }) = self.unsettled.take()
            && self.generation.end().is_none()
        {
            self.generation.hand_back(HandBack { acker, rests, slot });
        }
    }

    async fn publish_event(&mut self, event: &OutcomeEvent) -> Result<Settled, BrokerError> {
        let event = message::outcome(event, &self.shared.topology)?;
        self.publish(event).await
    }
}

impl Unsettled {
    async fn acknowledge(
        self,
        proof: Settled,
        generation: &Generation,
        limit: Duration,
    ) -> Result<(), BrokerError> {
        if let Some(reason) = generation.end() {
            return Err(BrokerError::Away(reason));
        }
        let acknowledged = self.acker.acknowledge();
        let failed = match patiently(generation, limit, acknowledged).await {
            Ok(Ok(true)) => {
                let Settled { .. } = proof;
                return Ok(());
            }
            Ok(Ok(false)) => BrokerError::Away("the delivery's channel is gone".to_owned()),
            Ok(Err(error)) => BrokerError::Away(error.to_string()),
            Err(gave_up) => gave_up.into(),
        };
        generation.end_because(format!("a delivery could not be acknowledged: {failed}"));
        Err(failed)
    }
}

#[async_trait]
impl Receipt for AmqpReceipt {
    async fn park(mut self: Box<Self>, next: &Envelope) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        let place = self.shared.topology.waiting_place(next.progress.due, next.lane, clock::now());
        #[cfg(debug_assertions)]
        if super::sabotage::acknowledges_before_the_confirm() {
            return self.park_without_proof(message::notification(next, place)).await;
        }
        let settled = self.publish(message::notification(next, place)).await?;
        self.acknowledge(settled).await
    }

    async fn finish(
        mut self: Box<Self>,
        event: &OutcomeEvent,
        _recorded: Recorded,
    ) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        let settled = self.publish_event(event).await?;
        self.acknowledge(settled).await
    }

    async fn forget(mut self: Box<Self>, recorded: Recorded) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        self.acknowledge(Settled::already(recorded)).await
    }

    async fn poison(
        mut self: Box<Self>,
        reason: &str,
        event: Option<&OutcomeEvent>,
    ) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        // The event first: if the rest fails it is repeated, which harms less than a second copy in the poison queue.
        if let Some(event) = event {
            drop(self.publish_event(event).await?);
        }
        let poisoned = message::poisoned(&self.arrived, reason, &self.shared.topology.dead, clock::now());
        let settled = self.publish(poisoned).await?;
        self.acknowledge(settled).await
    }

    async fn hand_back(mut self: Box<Self>) {
        self.give_back(false);
    }
}

impl Drop for AmqpReceipt {
    fn drop(&mut self) {
        // What made the program panic will do so again: it rests first.
        self.give_back(std::thread::panicking());
    }
}
