//! Notifications that nothing has been heard of for long after they were due: they are published again.
//!
//! A broker that keeps its promises loses no message. A person may: by deleting a queue, purging it, or restoring the
//! broker's disk from a copy. The journal knows every notification that was ever taken up or came in over HTTP, so what
//! of them is missing can be told and put back. If the message is there after all, there are two of one notification,
//! which is what [`take_up`](crate::domain::take_up) is for.
//!
//! The rule: nothing is put back that may merely wait in a long queue. While the messages that are taken up are late
//! themselves, or the broker cannot be used, nothing is sought.
//!
//! The same holds for endings: the journal notes when the payment centre has been told, and what is untold for long is told.
//!
//! Deliberately absent: what no gateway has ever seen.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::Deliverer;
use crate::clock;
use crate::domain::Moment;
use crate::journal::Search;

/// How many are sought and published at once.
const BATCH: usize = 256;
/// A message that is so much late, as a part of the time after which a notification is missing, says that the queue is long.
const PART_THAT_IS_LATE: u32 = 10;
/// The longest of such parts.
const LONGEST_PART: Duration = Duration::from_secs(60);

/// When messages were last late, or could not come.
pub(super) struct Punctuality {
    least_late: Duration,
    last_late: AtomicI64,
}

impl Punctuality {
    /// As if messages had been late until now: nothing is known yet.
    pub(super) fn new(missing_after: Duration) -> Self {
        let least_late = (missing_after / PART_THAT_IS_LATE).min(LONGEST_PART);
        Self { least_late, last_late: AtomicI64::new(clock::now().unix_milliseconds()) }
    }

    /// A message was taken up so much later than it was due.
    pub(super) fn note(&self, late: Duration) {
        if late > self.least_late {
            self.note_trouble();
        }
    }

    fn note_trouble(&self) {
        self.last_late.store(clock::now().unix_milliseconds(), Ordering::Relaxed);
    }

    fn has_been_good(&self) -> bool {
        let last = Moment::from_unix_milliseconds(self.last_late.load(Ordering::Relaxed));
        clock::now().since(last) > self.least_late
    }
}

impl Deliverer {
    /// Seeks what is missing again and again, until the gateway stops.
    pub(super) async fn seek_missing(&self, mut draining: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.punctuality.least_late) => {}
                _ = draining.wait_for(|draining| *draining) => return,
            }
            if self.broker.ready().is_err() {
                self.punctuality.note_trouble();
            }
            while !*draining.borrow() && self.punctuality.has_been_good() {
                if self.put_back().await < BATCH && self.tell_again().await < BATCH {
                    break;
                }
            }
        }
    }

    fn search(&self) -> Search {
        Search { now: clock::now(), missing_after: self.rules.policy.missing_after, most: BATCH }
    }

    /// Tells the payment centre of some endings that it is not known to have been told of, and says how many those were.
    async fn tell_again(&self) -> usize {
        // Whoever tells the endpoint seeks them, and tells all.
        if self.outcomes.is_some() {
            return 0;
        }
        let untold = match self.journal.untold(self.search()).await {
            Ok(untold) => untold,
            Err(error) => {
                tracing::warn!(%error, "endings that nobody was told of were not sought");
                return 0;
            }
        };
        for event in &untold {
            let notification = &event.notification_id;
            if let Err(error) = self.broker.tell(event).await {
                tracing::warn!(%notification, %error, "the payment centre may not know how it ended, and could not be told");
                return 0;
            }
            tracing::warn!(%notification, outcome = event.outcome, "the payment centre may not have known how it ended and is told");
            self.journal.told(notification, event.replay).await;
        }
        untold.len()
    }

    /// Publishes some of what is missing again, and says how many that were; fewer than [`BATCH`] if it was all.
    async fn put_back(&self) -> usize {
        let search = self.search();
        let missing = match self.journal.missing(search).await {
            Ok(missing) => missing,
            Err(error) => {
                tracing::warn!(%error, "what is missing was not sought");
                return 0;
            }
        };
        // An attempt may take longer than that.
        let gone = missing.iter().filter(|envelope| !self.under_way.has(envelope.notification.id()));
        let published = join_all(gone.map(|envelope| async {
            let notification = envelope.notification.id();
            match self.broker.publish(envelope).await {
                Ok(()) => {
                    let attempt = envelope.progress.attempt.get();
                    tracing::warn!(%notification, attempt, "it was missing at the broker and is published again");
                    true
                }
                Err(error) => {
                    tracing::warn!(%notification, %error, "it is missing at the broker, and could not be published again");
                    false
                }
            }
        }));
        if published.await.contains(&false) {
            return 0;
        }
        missing.len()
    }
}
