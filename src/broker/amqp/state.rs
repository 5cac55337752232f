//! What all generations share: the settings, the phase of life, and the connection's state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lapin::uri::AMQPUri;
use tokio::sync::{Semaphore, mpsc, watch};

use super::audit::{Management, Standing};
use super::generation::Generation;
use super::nodes::Nodes;
use super::receipt::Taken;
use super::settings::Settings;
use super::topology::Topology;
use crate::broker::BrokerError;
use crate::domain::Lane;

/// A broker's life, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Deliveries are taken and handed out.
    Taking,
    /// None is taken any more; those that are out can be settled.
    Draining,
    /// Everything ends.
    Closing,
}

/// Whether RabbitMQ can be used.
#[derive(Clone)]
pub(super) enum State {
    /// There is no connection: why.
    Away(String),
    /// There is one.
    There(Arc<Generation>),
}

/// Shared by the broker, its supervisor, every generation and every receipt.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) nodes: Nodes,
    pub(super) topology: Topology,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) state: watch::Sender<State>,
    /// From the consumers to whoever asks for the next delivery.
    pub(super) taken: mpsc::Sender<Taken>,
    /// Whether deliveries are taken one at a time, because one among them cannot be parsed.
    pub(super) careful: AtomicBool,
    /// One for each delivery of the main lane that may be out.
    main_slots: Arc<Semaphore>,
    /// The same of the slow lane.
    slow_slots: Arc<Semaphore>,
    /// What the audits have come to.
    pub(super) standing: Standing,
    /// Where the audits ask, if there is such a place.
    pub(super) management: Option<Management>,
    busy: watch::Sender<usize>,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        uris: Vec<AMQPUri>,
        taken: mpsc::Sender<Taken>,
        standing: Standing,
        management: Option<Management>,
    ) -> Self {
        Self {
            standing,
            management,
            topology: Topology::new(&settings),
            phase: watch::Sender::new(Phase::Taking),
            careful: AtomicBool::new(false),
            state: watch::Sender::new(State::Away("the first connection is being made".to_owned())),
            main_slots: Arc::new(Semaphore::new(usize::from(settings.prefetch))),
            slow_slots: Arc::new(Semaphore::new(usize::from(settings.slow_prefetch))),
            busy: watch::Sender::new(0),
            settings,
            nodes: Nodes::new(uris),
            taken,
        }
    }

    /// Whether deliveries are taken one at a time just now.
    pub(super) fn is_careful(&self) -> bool {
        self.careful.load(Ordering::Relaxed)
    }

    /// How many messages RabbitMQ may send ahead to a consumer of that lane.
    pub(super) fn prefetch(&self, lane: Lane) -> u16 {
        match lane {
            _ if self.is_careful() => 1,
            Lane::Main => self.settings.prefetch,
            Lane::Slow => self.settings.slow_prefetch,
        }
    }

    /// One for each delivery of that lane that may be out.
    pub(super) fn slots(&self, lane: Lane) -> Arc<Semaphore> {
        Arc::clone(match lane {
            Lane::Main => &self.main_slots,
            Lane::Slow => &self.slow_slots,
        })
    }

    /// Moves on to a later phase; never back.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = *now < phase;
            *now = (*now).max(phase);
            later
        });
    }

    /// Waits until that phase or a later one has begun.
    pub(super) async fn entered(&self, phase: Phase) {
        let mut now = self.phase.subscribe();
        // The sender is in `self`: it cannot be gone.
        let _ = now.wait_for(|now| *now >= phase).await;
    }

    /// The generation that new messages go to.
    pub(super) fn generation(&self) -> Result<Arc<Generation>, BrokerError> {
        match &*self.state.borrow() {
            State::There(generation) => Ok(generation.clone()),
            State::Away(reason) => Err(BrokerError::Away(reason.clone())),
        }
    }

    /// Waits until there is a connection.
    pub(super) async fn is_there(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, State::There(_))).await;
    }

    /// Whether there is a connection just now.
    pub(super) fn is_there_now(&self) -> bool {
        matches!(&*self.state.borrow(), State::There(_))
    }

    /// Whether RabbitMQ takes no messages just now.
    pub(super) fn is_blocked(&self) -> bool {
        match &*self.state.borrow() {
            State::There(generation) => generation.blocked().is_some(),
            State::Away(_) => false,
        }
    }

    /// Marks something as being settled, for as long as the guard lives.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|count| *count += 1);
        Busy(self.clone())
    }

    /// Waits until nothing is being settled.
    pub(super) async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        let _ = busy.wait_for(|count| *count == 0).await;
    }
}

/// Something is being settled.
pub(super) struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|count| *count -= 1);
    }
}
