//! A merchant, ready to be told: everything that an attempt needs, put together once. And all of them.
//!
//! The rule: a merchant never changes. When its file or its plugin does, another one takes its place among all merchants;
//! an attempt that is under way ends with the one that it began with. What is the merchant's own over all of that, its
//! connections and the gate before it, is its [`Way`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::shadow::Shadow;
use super::way::Way;
use crate::domain::{Ladder, MerchantId, Withheld};
use crate::plugin;
use ::http::HeaderValue;

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
    /// What of its own is withheld from people, where it or its plugin repeats it.
    pub withheld: Withheld,
    /// A plugin that runs beside its own, and whose work is compared and never sent.
    pub shadow: Option<Shadow>,
    /// The way to it. No other merchant's requests take it.
    pub way: Way,
}

/// All merchants at one moment, by their id.
pub type MerchantMap = HashMap<MerchantId, Arc<Merchant>>;

/// All merchants, as they are just now. Cheap to clone; clones see the same.
#[derive(Clone, Default)]
pub struct Merchants(Arc<RwLock<Arc<MerchantMap>>>);

impl fmt::Debug for Merchants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.all().keys()).finish()
    }
}

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
