//! The notifications that are being carried through just now: two messages of one take turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::domain::NotificationId;

/// All that are under way here, or wait for their turn. As many as there are deliveries out, which the broker bounds.
#[derive(Default)]
pub(super) struct UnderWay {
    turns: Mutex<HashMap<NotificationId, Arc<tokio::sync::Mutex<()>>>>,
}

impl UnderWay {
    /// Waits until no other message of this notification is being carried through.
    pub(super) async fn wait_for_turn(&self, id: &NotificationId) -> Turn<'_> {
        let turn = Arc::clone(self.turns().entry(id.clone()).or_default());
        let guard = Arc::clone(&turn).lock_owned().await;
        Turn { all: self, id: id.clone(), guard: Some(guard) }
    }

    /// Whether a message of this notification is being carried through just now.
    pub(super) fn has(&self, id: &NotificationId) -> bool {
        self.turns().contains_key(id)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<NotificationId, Arc<tokio::sync::Mutex<()>>>> {
        // A map whose holder panicked is as good as it was: nothing is done with it halfway.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is this message's turn for as long as this lives.
pub(super) struct Turn<'a> {
    all: &'a UnderWay,
    id: NotificationId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.all.turns();
        drop(self.guard.take());
        // Whoever waits has a share of its own; without one, the map's is the last.
        if turns.get(&self.id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.id);
        }
    }
}
