//! Notifications that were held go on the moment that what held them is gone.
//!
//! Whoever resumes a merchant that was paused, or changes what a merchant is served with (its plugin's version, its settings, its keys, or the merchant itself)
//! says so through [`Releases`]. What the journal knows as held for that merchant is brought forward to now. Where the broker cannot reach
//! the message that still lies on its rung, there are two of one notification, and that one is then behind, which is
//! what [`take_up`](crate::domain::take_up) is for.
//!
//! The rule: a release is a favour. If it fails, or what is published faults again, every notification still comes back
//! by its own hold. What comes back within moments anyhow is left alone, so that releases in quick succession make no more than one
//! further message each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};

use super::Deliverer;
use crate::clock;
use crate::domain::{Envelope, HoldReason, Lane, MerchantId, Moment};
use crate::journal::{Release, ReleasePlace};

/// How many are sought and published at once.
const BATCH: usize = 256;
/// What is due within so long is not released.
const DUE_ANYHOW: Duration = Duration::from_secs(1);
/// Changes that may wait to be acted upon; whoever makes more of them waits.
const WAITING_CHANGES: usize = 16;

/// A way to tell a [`Deliverer`] that merchants may be served again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Releases(mpsc::Sender<Change>);

/// Of some merchants something has changed.
#[derive(Debug)]
pub(super) struct Change {
    merchants: Arc<[MerchantId]>,
    /// What for whatever is held goes on.
    causes: &'static [&'static str],
    /// Whether they are served with something else now.
    served_anew: bool,
}

impl Releases {
    /// What these merchants are served with has changed, and has already taken effect: what is held for them goes on.
    /// Their breakers are closed. Waits while many such changes are being acted upon; does nothing once deliveries have ended.
    pub async fn release(&self, merchants: impl IntoIterator<Item = MerchantId>) {
        let merchants = merchants.into_iter().collect();
        self.send(Change { merchants, causes: HoldReason::MENDABLE, served_anew: true }).await;
    }

    /// These merchants are paused no more: what is held for that goes on. Otherwise as [`release`](Self::release), and nothing
    /// becomes of their breakers.
    pub(super) async fn resume(&self, merchants: Vec<MerchantId>) {
        self.send(Change { merchants: merchants.into(), causes: HoldReason::PAUSES, served_anew: false })
            .await;
    }

    async fn send(&self, change: Change) {
        if !change.merchants.is_empty() {
            let _ended = self.0.send(change).await;
        }
    }
}

pub(super) fn channel() -> (Releases, mpsc::Receiver<Change>) {
    let (sender, receiver) = mpsc::channel(WAITING_CHANGES);
    (Releases(sender), receiver)
}

impl Deliverer {
    /// Acts upon changes until the gateway stops.
    pub(super) async fn release_what_is_held(&self, mut draining: watch::Receiver<bool>) {
        let mut changes = self.changes.lock().await;
        loop {
            let change = tokio::select! {
                Some(change) = changes.recv() => change,
                _ = draining.wait_for(|draining| *draining) => return,
            };
            let Change { merchants, served_anew, .. } = &change;
            if *served_anew {
                self.breakers.forget(merchants);
                for merchant in merchants.iter().filter_map(|merchant| self.merchants.get(merchant)) {
                    merchant.way.begin_anew();
                }
            }
            let now = clock::now();
            let mut from = None;
            let mut released = 0;
            while !*draining.borrow() {
                let Some((published, next)) = self.release_some(now, &change, from).await else { break };
                released += published;
                from = next;
                if from.is_none() {
                    break;
                }
            }
            if released > 0 {
                tracing::info!(
                    released,
                    merchants = merchants.len(),
                    causes = ?change.causes,
                    "what was held goes on"
                );
            }
        }
    }

    /// Releases a page: how many those were, and where the next page begins. Nothing if it failed.
    async fn release_some(
        &self,
        now: Moment,
        change: &Change,
        from: Option<ReleasePlace>,
    ) -> Option<(usize, Option<ReleasePlace>)> {
        let (merchants, causes) = (Arc::clone(&change.merchants), change.causes);
        let release = Release { now, merchants, causes, due_after: DUE_ANYHOW, from, most: BATCH };
        let released = match self.journal.release(release).await {
            Ok(released) => released,
            Err(error) => {
                tracing::warn!(%error, "what is held was not released, and comes back by itself");
                return None;
            }
        };
        // By the slow lane, so that a merchant of whom much was held does not stand before what is new for others.
        let envelopes: Vec<_> = released
            .envelopes
            .into_iter()
            .map(|envelope| Envelope { lane: Lane::Slow, ..envelope })
            .collect();
        let published = join_all(envelopes.iter().map(|envelope| self.broker.hasten(envelope))).await;
        for (envelope, result) in envelopes.iter().zip(&published) {
            if let Err(error) = result {
                let notification = envelope.notification.id();
                tracing::warn!(%notification, %error, "it could not be released, and comes back by itself");
            }
        }
        let failed = published.iter().any(Result::is_err);
        (!failed).then_some((published.len(), released.next))
    }
}
