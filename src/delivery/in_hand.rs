//! A message in hand: what is known of it, and how patiently its way goes on.

use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Receipt;
use crate::domain::Envelope;
use crate::journal::JournalError;

/// A message that has been taken up.
pub(super) struct InHand {
    pub(super) envelope: Box<Envelope>,
    /// Whether it was handed out before.
    pub(super) redelivered: bool,
    pub(super) receipt: Box<dyn Receipt>,
    /// Becomes true when the gateway stops.
    pub(super) drained: watch::Receiver<bool>,
    /// How much later than due it was taken up.
    pub(super) late: Duration,
}

impl InHand {
    /// Asks the journal, however long it takes: a journal that is away slows the intake down, because deliveries stay
    /// out. Gives up only when the gateway stops.
    pub(super) async fn insist<T, F>(&self, done: &str, mut ask: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, JournalError>>,
    {
        const LONGEST_WAIT: Duration = Duration::from_secs(5);
        let mut wait = Duration::from_millis(50);
        loop {
            // So that all that is in hand does not ask at once when the journal is back.
            let pause = wait.mul_f64(rand::random_range(0.5..1.0));
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    let notification = self.envelope.notification.id();
                    tracing::error!(%notification, %error, retry_in = ?pause, "not {done}");
                }
            }
            if !self.may_wait(pause).await {
                return None;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Waits for so long; false as soon as the gateway stops.
    pub(super) async fn may_wait(&self, wait: Duration) -> bool {
        let mut drained = self.drained.clone();
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            _ = drained.wait_for(|draining| *draining) => false,
        }
    }
}
