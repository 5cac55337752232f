//! Many replays: one task begins them, one request after the other, each at its own rate.
//!
//! The rule: a journal that is away stops it until the journal is back, because whether a notification was begun must be known. What
//! is asked once more then is the same to the millisecond, so that nothing is begun twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::api::{self, Failure, Many, NotReplayed, ReplaysProgress};
use crate::broker::Broker;
use crate::clock;
use crate::domain::{NotificationId, ReplayRoute};
use crate::journal::{Journal, Order, ReplayOrder};

/// How many requests may wait for the one that is under way.
const WAITING: usize = 4;
/// Of how many requests the progress is known.
const KNOWN: usize = 64;
/// How many of those that were passed over are told.
const TOLD: usize = 20;
/// How long it is until a journal that is away is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Bounds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The most with one request.
    pub(super) most: u64,
    /// The fastest rate, in a second.
    pub(super) fastest: u32,
}

/// What the API has of it.
pub(super) struct Desk {
    bounds: Bounds,
    requests: mpsc::Sender<(String, Many)>,
    known: Arc<Known>,
}

/// The task.
pub(super) struct Worker {
    journal: Arc<dyn Journal>,
    broker: Arc<dyn Broker>,
    requests: mpsc::Receiver<(String, Many)>,
    known: Arc<Known>,
}

/// How far the latest requests have come.
#[derive(Default)]
struct Known(Mutex<VecDeque<ReplaysProgress>>);

impl Known {
    fn begin(&self, progress: ReplaysProgress) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == KNOWN {
            all.pop_front();
        }
        all.push_back(progress);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut ReplaysProgress)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = all.iter_mut().find(|progress| progress.replays_id == id) {
            change(progress);
        }
    }

    fn of(&self, id: &str) -> Option<ReplaysProgress> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|progress| progress.replays_id == id).cloned()
    }
}

/// The task, to be run, and the way to ask it.
pub(super) fn new(journal: Arc<dyn Journal>, broker: Arc<dyn Broker>, bounds: Bounds) -> (Worker, Desk) {
    let (asking, requests) = mpsc::channel(WAITING);
    let known = Arc::<Known>::default();
    (
        Worker { journal, broker, requests, known: Arc::clone(&known) },
        Desk { bounds, requests: asking, known },
    )
}

impl api::Replays for Desk {
    fn most(&self) -> u64 {
        self.bounds.most
    }

    fn fastest(&self) -> u32 {
        self.bounds.fastest
    }

    fn begin(&self, many: Many) -> Option<String> {
        let place = self.requests.try_reserve().ok()?;
        let id = uuid::Uuid::now_v7().to_string();
        let progress = ReplaysProgress {
            replays_id: id.clone(),
            matches: many.ids.len(),
            done: 0,
            failed: 0,
            state: "waiting",
            failures: Vec::new(),
        };
        self.known.begin(progress);
        place.send((id.clone(), many));
        Some(id)
    }

    fn progress(&self, id: &str) -> Option<ReplaysProgress> {
        self.known.of(id)
    }
}

impl Worker {
    /// Works until the sender of `stopped` is gone.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<()>) {
        while let Some((id, many)) = tokio::select! {
            request = self.requests.recv() => request,
            _ = stopped.changed() => None,
        } {
            let matches = many.ids.len();
            self.known.change(&id, |progress| progress.state = "running");
            let state = tokio::select! {
                () = self.replay(&id, many) => "done",
                _ = stopped.changed() => "stopped",
            };
            self.known.change(&id, |progress| progress.state = state);
            tracing::info!(replays = id, matches, state, "notifications were begun anew");
            if state == "stopped" {
                return;
            }
        }
    }

    async fn replay(&self, id: &str, many: Many) {
        let Many { ids, per_second, order } = many;
        let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
        // After a journal that was away, the rate is still the rate.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for notification in ids {
            ticks.tick().await;
            match self.begin(notification.clone(), &order).await {
                Ok(()) => self.known.change(id, |progress| progress.done += 1),
                Err(reason) => self.known.change(id, |progress| {
                    progress.failed += 1;
                    if progress.failures.len() < TOLD {
                        progress.failures.push(Failure { notification_id: notification, reason });
                    }
                }),
            }
        }
    }

    /// Begins one, or says why it is passed over.
    async fn begin(&self, id: NotificationId, order: &Order) -> Result<(), String> {
        let order = Order { at: clock::now(), ..order.clone() };
        let wanted = ReplayOrder { id, route: ReplayRoute::Id, order, audited: false };
        loop {
            match api::begin_anew(&*self.journal, &*self.broker, wanted.clone()).await {
                Ok(_) => return Ok(()),
                Err(refused @ (NotReplayed::Unknown(_) | NotReplayed::Refused(_))) => {
                    return Err(refused.to_string());
                }
                Err(NotReplayed::Away(error)) => {
                    tracing::warn!(notification = %wanted.id, %error, "it is not known to be begun anew; it is tried again");
                    sleep(AGAIN).await;
                }
            }
        }
    }
}
