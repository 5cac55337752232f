//! Places for calls, and how they are shared: so that plugins that take long leave room for those that do not.
//!
//! Plugins that loop would soon have all places, because each of their calls lasts until its bound. So a plugin may have
//! only a part of what is free just now ([`fair_share`]), and always one: however many calls the others would like to
//! make, there is a place for a plugin that has none, as long as there are not half as many plugins at work as places.
//! How the processors are shared is for [`threads`](super::threads).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::domain::fair_share;

/// All places of a host.
pub(super) struct Places {
    free: Arc<Semaphore>,
    all: u32,
    changed: Arc<Notify>,
}

/// The places of one plugin.
pub(super) struct OwnPlaces {
    free: Arc<Semaphore>,
    taken: Arc<AtomicUsize>,
}

/// A place that is taken for as long as this lives.
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    taken: Arc<AtomicUsize>,
    common: Option<OwnedSemaphorePermit>,
    changed: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
        drop(self.common.take());
        self.changed.notify_waiters();
    }
}

impl OwnPlaces {
    /// For a plugin that may never have more than so many.
    pub(super) fn new(most: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(most as usize)), taken: Arc::default() }
    }
}

impl Places {
    /// So many.
    pub(super) fn new(all: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(all as usize)), all, changed: Arc::default() }
    }

    /// Waits for a place, however long that takes. Nothing once the places are closed.
    pub(super) async fn take(&self, own: &OwnPlaces) -> Option<Place> {
        // The plugin's own first: waiting for it takes nobody else's.
        let own_permit = Arc::clone(&own.free).acquire_owned().await.ok()?;
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let share = fair_share(self.free.available_permits(), self.all as usize);
            if own.taken.load(Ordering::Relaxed) < share {
                match Arc::clone(&self.free).try_acquire_owned() {
                    Ok(common) => {
                        own.taken.fetch_add(1, Ordering::Relaxed);
                        let (taken, changed) = (Arc::clone(&own.taken), Arc::clone(&self.changed));
                        return Some(Place { _own: own_permit, taken, common: Some(common), changed });
                    }
                    Err(TryAcquireError::Closed) => return None,
                    Err(TryAcquireError::NoPermits) => {}
                }
            }
            changed.await;
        }
    }

    /// Waits until every place is free, and gives none any more.
    pub(super) async fn close(&self) {
        let all = self.free.acquire_many(self.all).await;
        self.free.close();
        drop(all);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn take(places: &Places, own: &OwnPlaces) -> Option<Place> {
        tokio::task::unconstrained(places.take(own)).now_or_never().flatten()
    }

    #[tokio::test]
    async fn however_greedy_the_others_are_there_is_a_place_for_one_that_has_none() {
        let places = Places::new(64);
        let greedy: Vec<_> = (0..30).map(|_| OwnPlaces::new(8)).collect();
        let mut taken = Vec::new();
        for _ in 0..8 {
            taken.extend(greedy.iter().filter_map(|own| take(&places, own)));
        }
        assert!((30..=56).contains(&taken.len()), "{}", taken.len());
        let modest = OwnPlaces::new(8);
        assert!(take(&places, &modest).is_some());
        // One alone has nearly all that it may have.
        drop(taken);
        let taken: Vec<_> = (0..9).filter_map(|_| take(&places, &greedy[0])).collect();
        assert_eq!(taken.len(), 7);
    }

    #[tokio::test]
    async fn who_waits_has_the_next_place_that_is_free_and_none_after_the_end() {
        let places = Arc::new(Places::new(1));
        let (one, other) = (OwnPlaces::new(2), Arc::new(OwnPlaces::new(2)));
        let first = take(&places, &one).expect("free");
        let (these, own) = (Arc::clone(&places), Arc::clone(&other));
        let waiting = tokio::spawn(async move { these.take(&own).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.expect("no panic").expect("a place");
        drop(second);
        places.close().await;
        assert!(places.take(&other).await.is_none());
    }
}
