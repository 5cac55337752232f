//! The way to one merchant: its connections, and the gate before it.
//!
//! [`crate::domain::Gate`] decides; this keeps it, and lets those wait that it tells to. A way outlives the merchant that it
//! belongs to: see [`Merchant`](super::Merchant).

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::domain::{
    Admission, Asks, Changed, Entry, Evidence, Gate, GatePolicy, HoldReason, Lane, NotificationId, PATIENCE,
    Progress, Turn,
};
use crate::{clock, http};

/// The way to one merchant. Cheap to clone; clones are the same way.
#[derive(Clone)]
pub struct Way {
    settings: http::Settings,
    roots: http::TlsRoots,
    reach: http::Reach,
    policy: GatePolicy,
    client: Arc<http::Client>,
    own: Arc<Own>,
}

/// How it is on the way to a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// The lane in which the merchant is.
    pub lane: Lane,
    /// Whether its endpoint's breaker is anything but closed.
    pub down: bool,
    /// How many attempts this gateway has under way.
    pub in_flight: usize,
}

/// The slots of one lane, which merchants share.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    all: usize,
}

impl Slots {
    pub(super) fn new(all: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), all }
    }
}

struct Own {
    gate: Mutex<Gate>,
    /// One of those that wait is woken, in the order in which they came.
    left: Notify,
}

impl Own {
    fn new(policy: GatePolicy) -> Arc<Self> {
        Arc::new(Self { gate: Mutex::new(Gate::new(policy)), left: Notify::new() })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // A gate whose holder panicked is as good as it was: it only counts.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// A way with a gate of that kind, to nowhere beyond `reach`. What is as it was `before` is kept: the connections if
    /// the settings, the reach, and whom we believe and who we are (`roots`) are the same, the gate if its bounds are. Otherwise what is under way ends on what it
    /// has.
    #[must_use]
    pub fn new(
        settings: &http::Settings,
        reach: &http::Reach,
        policy: GatePolicy,
        roots: &http::TlsRoots,
        before: Option<&Self>,
    ) -> Self {
        let client = match before {
            Some(before)
                if before.settings == *settings && before.reach == *reach && before.roots == *roots =>
            {
                Arc::clone(&before.client)
            }
            Some(_) | None => Arc::new(http::Client::new(settings, roots, reach)),
        };
        let own = match before {
            Some(before) if before.policy == policy => Arc::clone(&before.own),
            Some(_) | None => Own::new(policy),
        };
        Self { settings: *settings, roots: roots.clone(), reach: reach.clone(), policy, client, own }
    }

    /// The merchant's client.
    pub(super) fn client(&self) -> &http::Client {
        &self.client
    }

    /// The lane in which the merchant is just now.
    pub(super) fn lane(&self) -> Lane {
        self.own.gate().lane()
    }

    /// Whether its endpoint's breaker is open.
    pub(super) fn is_down(&self) -> bool {
        self.own.gate().is_down()
    }

    /// How it is there just now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let gate = self.own.gate();
        Traffic { lane: gate.lane(), down: gate.is_down(), in_flight: gate.under_way() }
    }

    /// It is somewhere else now: nothing is known of its endpoint any more.
    pub(super) fn begin_anew(&self) {
        self.own.gate().begin_anew();
    }

    /// Lets an attempt through, if need be after a moment.
    ///
    /// # Errors
    /// It is to be held.
    pub(super) async fn enter(&self, progress: &Progress, slots: &Slots) -> Result<Entered, HoldReason> {
        let until = Instant::now() + PATIENCE;
        let mut turn = Turn::New;
        loop {
            let mut left = pin!(self.own.left.notified());
            {
                let mut gate = self.own.gate();
                let (free, slots_in_all) = (slots.free.available_permits(), slots.all);
                let asks = Asks { progress: *progress, free, slots: slots_in_all, turn };
                match gate.admit(&asks, clock::now()) {
                    // Within the lock, so that whoever leaves from here on wakes this one.
                    Admission::Wait => drop(left.as_mut().enable()),
                    Admission::Go(entry) => {
                        return match Arc::clone(&slots.free).try_acquire_owned() {
                            Ok(slot) => {
                                let own = Arc::clone(&self.own);
                                Ok(Entered { own, entry: Some(entry), _slot: slot })
                            }
                            // There are as many slots as deliveries, so this is not expected.
                            Err(_) => {
                                gate.give_back(&entry);
                                Err(HoldReason::GatewayBusy)
                            }
                        };
                    }
                    Admission::Hold(reason) => {
                        // One that was woken leaves that to the next one.
                        if turn != Turn::New {
                            self.own.left.notify_one();
                        }
                        return Err(reason);
                    }
                }
            }
            turn = match timeout_at(until, left).await {
                Ok(()) => Turn::Waiting,
                Err(_) => Turn::Last,
            };
        }
    }
}

/// An attempt is under way. One that never leaves, because its task was ended, says nothing of the merchant.
pub(super) struct Entered {
    own: Arc<Own>,
    entry: Option<Entry>,
    _slot: OwnedSemaphorePermit,
}

impl Entered {
    /// The attempt at that notification has ended: what it says of the endpoint.
    pub(super) fn leave(mut self, notification: &NotificationId, evidence: Evidence) -> Changed {
        match self.entry.take() {
            Some(entry) => self.own.gate().leave(&entry, notification, evidence, clock::now()),
            None => Changed::default(),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.own.gate().give_back(&entry);
        }
        self.own.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::domain::{AttemptNumber, Moment};

    const NEW: Progress = Progress {
        attempt: AttemptNumber::FIRST,
        due: Moment::EPOCH,
        first_seen: Moment::EPOCH,
        held: None,
        replay: 0,
    };

    fn bounded(in_flight: usize) -> GatePolicy {
        GatePolicy { in_flight, ..GatePolicy::default() }
    }

    #[tokio::test]
    async fn a_way_keeps_what_has_not_changed() {
        let roots = http::TlsRoots::system().expect("roots");
        let slots = Slots::new(256);
        let settings = http::Settings::default();
        let reach = http::Reach::guarded([], []);
        let first = Way::new(&settings, &reach, bounded(1), &roots, None);
        let place = first.enter(&NEW, &slots).await.expect("a place");
        let same = Way::new(&settings, &reach, bounded(1), &roots, Some(&first));
        assert!(same.enter(&NEW, &slots).await.is_err(), "the place is taken on both");
        assert!(Arc::ptr_eq(&first.client, &same.client));
        let wider = Way::new(&settings, &reach, bounded(2), &roots, Some(&first));
        assert!(wider.enter(&NEW, &slots).await.is_ok());
        assert!(Arc::ptr_eq(&first.client, &wider.client));
        let other = http::Settings { longest_reply: 1, ..settings };
        let other = Way::new(&other, &reach, bounded(1), &roots, Some(&first));
        assert!(other.enter(&NEW, &slots).await.is_err());
        assert!(!Arc::ptr_eq(&first.client, &other.client));
        let nearer = http::Reach::guarded([], [8443]);
        let nearer = Way::new(&settings, &nearer, bounded(1), &roots, Some(&first));
        assert!(!Arc::ptr_eq(&first.client, &nearer.client), "no connection to where nobody may go any more");
        drop(place);
        assert!(other.enter(&NEW, &slots).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_at_the_gate_goes_when_another_leaves() {
        let roots = http::TlsRoots::system().expect("roots");
        let slots = Slots::new(256);
        let way =
            Way::new(&http::Settings::default(), &http::Reach::guarded([], []), bounded(1), &roots, None);
        let place = way.enter(&NEW, &slots).await.expect("a place");
        let mut second = Box::pin(way.enter(&NEW, &slots));
        let mut third = Box::pin(way.enter(&NEW, &slots));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(place);
        let second = second.await.expect("its turn");
        assert_eq!(slots.free.available_permits(), 255);
        drop(second);
        assert!(third.await.is_ok());
        assert_eq!(slots.free.available_permits(), 256);
    }
}
