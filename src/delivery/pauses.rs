//! The merchants that an operator has paused: nothing is attempted for them until they are resumed.
//!
//! The journal keeps them, so that a pause outlasts every restart and holds for all gateways that share the journal. Each gateway looks
//! every [`LOOK`], and at once when it is told that something has changed. So it is that long, at most, until another gateway
//! keeps to it; what a gateway that has not looked yet takes up is attempted, or held once more.
//!
//! When a pause ends, what was held for it is released by whichever gateway sees that first. One that sees it later releases
//! what was held meanwhile by others that had not seen it: nothing is released twice, because what is released is due at once.
//!
//! While the journal cannot be read, the last that was seen holds. Before anything was seen, nobody is told anything.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::Releases;
use crate::domain::MerchantId;
use crate::journal::{Journal, JournalError, Pause};

/// How often a gateway looks.
pub const LOOK: Duration = Duration::from_secs(2);

/// The paused merchants, as this gateway knows them.
pub struct Pauses {
    journal: Arc<dyn Journal>,
    releases: Releases,
    /// Nothing until the first good look.
    known: RwLock<Option<Arc<HashMap<MerchantId, Pause>>>>,
    /// Held from the question to its effect, so that an older answer never takes the place of a newer one.
    looking: Mutex<()>,
}

impl Pauses {
    /// None, until somebody [`look`](Self::look)s.
    pub(super) fn new(journal: Arc<dyn Journal>, releases: Releases) -> Self {
        Self { journal, releases, known: RwLock::default(), looking: Mutex::default() }
    }

    /// The pause of a merchant, if it is paused.
    #[must_use]
    pub fn of(&self, merchant: &MerchantId) -> Option<Pause> {
        self.known().get(merchant).cloned()
    }

    /// Whether nothing is to be attempted for the merchant. Asks the journal if nobody has yet.
    ///
    /// # Errors
    /// The journal cannot be read, and never could.
    pub(super) async fn holds(&self, merchant: &MerchantId) -> Result<bool, JournalError> {
        if self.seen().is_none() {
            self.look().await?;
        }
        Ok(self.known().contains_key(merchant))
    }

    /// Asks the journal, and has take effect what it says before this returns.
    ///
    /// # Errors
    /// The journal cannot be read: everything stays as it was.
    pub async fn look(&self) -> Result<(), JournalError> {
        let _alone = self.looking.lock().await;
        let pauses = self.journal.pauses().await?;
        let now: HashMap<_, _> = pauses.into_iter().map(|pause| (pause.merchant.clone(), pause)).collect();
        let before = self.known();
        let begun = now.keys().filter(|merchant| !before.contains_key(*merchant));
        for merchant in begun {
            tracing::warn!(%merchant, "it is paused: what is for it is held until it is resumed");
        }
        let ended: Vec<_> = before.keys().filter(|merchant| !now.contains_key(*merchant)).cloned().collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(now));
        for merchant in &ended {
            tracing::info!(%merchant, "it is resumed");
        }
        self.releases.resume(ended).await;
        Ok(())
    }

    /// Looks again and again, until the gateway stops.
    pub(super) async fn watch(&self, mut draining: watch::Receiver<bool>) {
        let mut was_good = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = draining.wait_for(|draining| *draining) => return,
            }
            let looked = tokio::select! {
                looked = self.look() => looked,
                _ = draining.wait_for(|draining| *draining) => return,
            };
            if let (Err(error), true) = (&looked, was_good) {
                tracing::warn!(%error, "whether merchants are paused could not be looked up; it stays as it was");
            }
            was_good = looked.is_ok();
        }
    }

    fn known(&self) -> Arc<HashMap<MerchantId, Pause>> {
        self.seen().unwrap_or_default()
    }

    fn seen(&self) -> Option<Arc<HashMap<MerchantId, Pause>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
