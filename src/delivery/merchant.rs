//! A merchant, ready to be told: everything that an attempt needs, put together once. And all of them.
//!
//! The rule: a merchant never changes. When its file or its plugin does, another one takes its place among all merchants;
//! an attempt that is under way ends with the one that it began with. What is the merchant's own over all of that, its
//! connections and its places, is its [`Way`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ::http::HeaderValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shadow::Shadow;
use crate::domain::{Ladder, MerchantId};
use crate::{http, plugin};

/// One merchant with its plugin, its ladder and its own connections.
pub struct Merchant {
    /// Its plugin.
    pub plugin: plugin::Plugin,
    /// What the plugin is told of it.
    pub endpoint: plugin::Endpoint,
    /// How long it is waited for.
    pub ladder: Ladder,
    /// What the gateway writes into the `authorization` header of each request, so that the plugin need not know it.
    pub authorization: Option<HeaderValue>,
    /// A plugin that runs beside its own, and whose work is compared and never sent.
    pub shadow: Option<Shadow>,
    /// The way to it. No other merchant's requests take it.
    pub way: Way,
}

/// The way to one merchant: its connections, and how many attempts may use them at once. Cheap to clone; clones are the
/// same way.
#[derive(Clone)]
pub struct Way {
    settings: http::Settings,
    reach: http::Reach,
    in_flight: usize,
    client: Arc<http::Client>,
    slots: Arc<Semaphore>,
}

impl Way {
    /// A way for so many attempts at once, to nowhere beyond `reach`. What is as it was `before` is kept: the connections
    /// if the settings and the reach are the same, the places if there are as many. Otherwise what is under way ends on what it has.
    #[must_use]
    pub fn new(
        settings: &http::Settings,
        reach: &http::Reach,
        in_flight: usize,
        roots: &http::TlsRoots,
        before: Option<&Self>,
    ) -> Self {
        let client = match before {
            Some(before) if before.settings == *settings && before.reach == *reach => {
                Arc::clone(&before.client)
            }
            Some(_) | None => Arc::new(http::Client::new(settings, roots, reach)),
        };
        let slots = match before {
            Some(before) if before.in_flight == in_flight => Arc::clone(&before.slots),
            Some(_) | None => Arc::new(Semaphore::new(in_flight)),
        };
        Self { settings: *settings, reach: reach.clone(), in_flight, client, slots }
    }

    /// The merchant's client.
    pub(super) fn client(&self) -> &http::Client {
        &self.client
    }

    /// A place for one attempt, if there is one just now.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }
}

/// All merchants at one moment, by their id.
pub type MerchantMap = HashMap<MerchantId, Arc<Merchant>>;

/// All merchants, as they are just now. Cheap to clone; clones see the same.
#[derive(Clone, Default)]
pub struct Merchants(Arc<RwLock<Arc<MerchantMap>>>);

impl Merchants {
    /// One merchant. Whoever makes an attempt asks once, and holds on to the answer until it is recorded.
    #[must_use]
    pub fn get(&self, id: &MerchantId) -> Option<Arc<Merchant>> {
        self.all().get(id).cloned()
    }

    /// All of them, as they are at this moment.
    #[must_use]
    pub fn all(&self) -> Arc<MerchantMap> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in their place, all at once. Gives what was there before, so that it ends outside the lock.
    pub fn replace(&self, merchants: MerchantMap) -> Arc<MerchantMap> {
        let merchants = Arc::new(merchants);
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), merchants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_way_keeps_what_has_not_changed() {
        let roots = http::TlsRoots::system().expect("roots");
        let settings = http::Settings::default();
        let reach = http::Reach::guarded([], []);
        let first = Way::new(&settings, &reach, 1, &roots, None);
        let place = first.slot().expect("a place");
        let same = Way::new(&settings, &reach, 1, &roots, Some(&first));
        assert!(same.slot().is_none(), "the place is taken on both");
        assert!(Arc::ptr_eq(&first.client, &same.client));
        let wider = Way::new(&settings, &reach, 2, &roots, Some(&first));
        assert!(wider.slot().is_some());
        assert!(Arc::ptr_eq(&first.client, &wider.client));
        let other = http::Settings { longest_reply: 1, ..settings };
        let other = Way::new(&other, &reach, 1, &roots, Some(&first));
        assert!(other.slot().is_none());
        assert!(!Arc::ptr_eq(&first.client, &other.client));
        let nearer = Way::new(&settings, &http::Reach::guarded([], [8443]), 1, &roots, Some(&first));
        assert!(!Arc::ptr_eq(&first.client, &nearer.client), "no connection to where nobody may go any more");
        drop(place);
        assert!(other.slot().is_some());
    }
}
