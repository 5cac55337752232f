//! RabbitMQ, 3.10 to 4.x, one node or a cluster; any number of gateways compete for the same queues.
//!
//! Read in this order: `topology` (the exchanges and queues), `rungs` (which of them a wait is spent in),
//! `message` (what lies in them), `publisher` (the only way in, and the only proof of it), `consumer` and
//! `receipt` (the only way out), `nodes` and `link` (where RabbitMQ is, and a connection to it), `generation` and
//! `supervisor` (what lives and ends together), `mend` (what an operator has deleted), `audit` (whether RabbitMQ is set up to keep all that), `operator` (what
//! a person does by hand).
//!
//! Promises, each kept in one place:
//! - nothing is acknowledged before the broker has confirmed what replaces it (`receipt`, by a type);
//! - a confirm or a return is never booked on the wrong message (`publisher`);
//! - a delivery is never settled on another channel than its own (`generation`, `hand_back`);
//! - what is in hand when its queue is deleted is carried through (`mend`, `consumer`);
//! - while RabbitMQ takes no messages, no delivery is handed out that could not be settled ([`AmqpBroker`]);
//! - nothing is taken from a RabbitMQ that would break the others (`audit`);
//! - a node that confirms nothing any more is left as soon as another one is found that does (`pulse`).
//!
//! Deliberately absent: acknowledging several deliveries at once, recovery inside a connection, and any decision
//! about a notification.
//!
//! lapin logs a returned message whole, at the level of a warning: its target `lapin::returned_messages` does not
//! belong into a log.

mod audit;
mod backoff;
mod consumer;
mod generation;
mod hand_back;
mod link;
mod mend;
mod message;
mod nodes;
mod operator;
mod poison;
mod publisher;
mod pulse;
mod receipt;
mod rungs;
#[cfg(debug_assertions)]
mod sabotage;
mod settings;
mod state;
mod supervisor;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use audit::{Check, Fetch, Finding, Severity};
pub use operator::{Drain, Drained, Operator, OperatorError, QueueRow, Report, RungRow};
use prometheus_client::registry::Registry;
pub use settings::{InvalidSettings, Settings};

use self::message::Outgoing;
use self::receipt::Taken;
use self::state::{Phase, Shared, State};
use super::{Broker, BrokerError, Delivery, PoisonMessage, PoisonPage};
use crate::clock;
use crate::domain::{Envelope, Lane, OutcomeEvent};

/// How many read deliveries wait for [`Broker::next`], so that reading one and handing one out overlap.
const READ_AHEAD: usize = 16;

/// A broker over RabbitMQ.
pub struct AmqpBroker {
    shared: Arc<Shared>,
    taken: Mutex<mpsc::Receiver<Taken>>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
    auditor: Mutex<Option<JoinHandle<()>>>,
    /// Its other end goes with the supervisor.
    running: watch::Receiver<()>,
}

/// What a broker is given beside its settings.
pub struct Surroundings<'a> {
    /// Where its metrics are put.
    pub registry: &'a mut Registry,
    /// How the management API is asked; only used if the settings say where it is.
    pub fetch: Option<Arc<dyn Fetch>>,
}

impl AmqpBroker {
    /// Starts to connect, in the background, and returns at once; [`Broker::ready`] tells how it goes. Until
    /// [`Broker::close`] it reconnects whenever it must. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn start(settings: Settings) -> Result<Self, InvalidSettings> {
        Self::start_in(Surroundings { registry: &mut Registry::default(), fetch: None }, settings)
    }

    /// The same, with metrics, and with a way to the management API.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn start_in(surroundings: Surroundings<'_>, settings: Settings) -> Result<Self, InvalidSettings> {
        let Surroundings { registry, fetch } = surroundings;
        #[cfg(debug_assertions)]
        sabotage::acknowledges_before_the_confirm();
        let (sender, taken) = mpsc::channel(READ_AHEAD);
        let metrics = audit::Metrics::registered(registry);
        let shared = Arc::new(shared(settings, fetch, metrics, sender)?);
        let (runs, running) = watch::channel(());
        let supervising = shared.clone();
        let supervisor = tokio::spawn(async move {
            supervisor::supervise(supervising).await;
            drop(runs);
        });
        let auditor = tokio::spawn(audit::run(shared.clone()));
        let (supervisor, auditor) = (Mutex::new(Some(supervisor)), Mutex::new(Some(auditor)));
        Ok(Self { shared, taken: Mutex::new(taken), supervisor, auditor, running })
    }

    /// Publishes what replaces no delivery.
    async fn publish_by_itself(&self, message: Outgoing) -> Result<(), BrokerError> {
        let generation = self.shared.generation()?;
        // The publisher's own bound does not count the time in which RabbitMQ is blocked; a caller's does.
        let limit = self.shared.settings.confirm_timeout * 2;
        match timeout(limit, generation.publish(message)).await {
            Ok(published) => published.map(drop),
            Err(_) => Err(BrokerError::Unknown(limit)),
        }
    }

    /// The next delivery of a generation that still lives, once the broker takes messages.
    async fn take(&self) -> Option<Delivery> {
        let mut queue = self.taken.lock().await;
        loop {
            let taken = queue.recv().await?;
            let generation = taken.receipt.generation().clone();
            generation.open_for_messages().await;
            if generation.end().is_none() {
                return Some(taken.hand_out());
            }
        }
    }
}

fn shared(
    settings: Settings,
    fetch: Option<Arc<dyn Fetch>>,
    metrics: audit::Metrics,
    taken: mpsc::Sender<Taken>,
) -> Result<Shared, InvalidSettings> {
    let uris = settings.check()?;
    let management = settings.management_url.as_deref().zip(fetch);
    let management = management.and_then(|(url, fetch)| audit::Management::new(url, fetch));
    let standing = audit::Standing::new(settings.accept_weaker, metrics);
    Ok(Shared::new(settings, uris, taken, standing, management))
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        let topology = &self.shared.topology;
        let (now, due) = (clock::now(), envelope.progress.due);
        let address = if due > now || envelope.lane == Lane::Slow {
            topology.waiting_place(due, envelope.lane, now)
        } else {
            let routing_key = envelope.notification.merchant().as_str().into();
            topology::Address { exchange: topology.incoming.clone(), routing_key }
        };
        self.publish_by_itself(message::notification(envelope, address)).await
    }

    async fn tell(&self, event: &OutcomeEvent) -> Result<(), BrokerError> {
        let _busy = self.shared.begin();
        let event = message::outcome(event, &self.shared.topology)?;
        self.publish_by_itself(event).await
    }

    async fn poison_count(&self) -> Result<u64, BrokerError> {
        poison::count(&self.shared).await
    }

    async fn poisoned(&self, skip: usize, most: usize) -> Result<PoisonPage, BrokerError> {
        poison::list(&self.shared, skip, most).await
    }

    async fn poison_message(&self, id: &str) -> Result<Option<PoisonMessage>, BrokerError> {
        let (browser, found) = poison::find(&self.shared, id).await?;
        browser.close().await?;
        Ok(found.map(|found| found.message))
    }

    async fn put_back(&self, id: &str, envelope: &Envelope) -> Result<bool, BrokerError> {
        let (browser, found) = poison::find(&self.shared, id).await?;
        if let Some(found) = &found {
            // Whatever fails from here on, the message comes back with the connection's end.
            self.publish(envelope).await?;
            browser.remove(found).await?;
        }
        browser.close().await?;
        Ok(found.is_some())
    }

    async fn discard(&self, id: &str) -> Result<bool, BrokerError> {
        let (browser, found) = poison::find(&self.shared, id).await?;
        if let Some(found) = &found {
            browser.remove(found).await?;
        }
        browser.close().await?;
        Ok(found.is_some())
    }

    async fn next(&self) -> Option<Delivery> {
        tokio::select! {
            biased;
            () = self.shared.entered(Phase::Draining) => None,
            delivery = self.take() => delivery,
        }
    }

    async fn stop_taking(&self) {
        self.shared.enter(Phase::Draining);
        let mut queue = self.taken.lock().await;
        queue.close();
        // Dropped, they go back.
        while queue.recv().await.is_some() {}
    }

    fn ready(&self) -> Result<(), String> {
        match &*self.shared.state.borrow() {
            State::Away(reason) => Err(format!("RabbitMQ is away: {reason}")),
            State::There(generation) => match generation.end().or_else(|| generation.blocked()) {
                Some(reason) => Err(format!("RabbitMQ cannot be used: {reason}")),
                None => self.shared.standing.ready(),
            },
        }
    }

    async fn refusal(&self) -> String {
        self.shared.standing.refusal().await
    }

    async fn close(&self) {
        self.stop_taking().await;
        // What is being settled may finish; what is merely held goes back with the connection.
        if timeout(self.shared.settings.confirm_timeout, self.shared.idle()).await.is_err() {
            tracing::warn!("closed while messages were being settled: RabbitMQ will deliver those again");
        }
        self.shared.enter(Phase::Closing);
        for task in [&self.supervisor, &self.auditor] {
            if let Some(task) = task.lock().await.take()
                && let Err(error) = task.await
            {
                tracing::error!(%error, "a task that looks after RabbitMQ has failed: this is a bug");
            }
        }
    }

    async fn ended(&self) {
        // Nothing is ever sent: this is an error, once the supervisor has ended.
        let _ = self.running.clone().changed().await;
    }
}

impl Drop for AmqpBroker {
    /// One that was not closed winds down by itself.
    fn drop(&mut self) {
        self.shared.enter(Phase::Closing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_supervisor_that_has_failed_is_told_of() {
        let broker = AmqpBroker::start(Settings::default()).expect("valid");
        // As a panic would, this ends the task from outside.
        broker.supervisor.lock().await.as_ref().expect("it runs").abort();
        broker.ended().await;
        broker.close().await;
    }
}
