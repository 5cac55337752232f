//! A merchant, ready to be told: everything that an attempt needs, put together once.

use std::collections::HashMap;
use std::sync::Arc;

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
    /// The way to it. No other merchant's requests take it.
    pub client: http::Client,
    /// What the gateway writes into the `authorization` header of each request, so that the plugin need not know it.
    pub authorization: Option<HeaderValue>,
    /// A plugin that runs beside its own, and whose work is compared and never sent.
    pub shadow: Option<Shadow>,
    slots: Arc<Semaphore>,
}

impl Merchant {
    /// A merchant that may have so many attempts under way at once.
    #[must_use]
    pub fn new(
        plugin: plugin::Plugin,
        endpoint: plugin::Endpoint,
        ladder: Ladder,
        client: http::Client,
        authorization: Option<HeaderValue>,
        in_flight: usize,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(in_flight));
        Self { plugin, endpoint, ladder, client, authorization, shadow: None, slots }
    }

    /// A place for one attempt, if there is one just now.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }
}

/// All merchants by their id.
pub type Merchants = HashMap<MerchantId, Arc<Merchant>>;
