//! The way of one notification: taken from the broker, attempted, decided upon, recorded, settled.
//!
//! This is the shell around [`crate::domain`]: it makes the attempt, asks [`next_step`] what follows and carries that
//! out. It decides nothing itself, and it keeps the order that loses nothing: the journal first, then the broker's
//! successor or event, and only then is the message forgotten. A message whose settling fails comes again by itself.

mod attempt;
mod merchant;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::broker::{self, Broker, BrokerError, Content, Receipt};
use crate::clock;
use crate::domain::{
    Envelope, Happened, HoldReason, Ladder, NextStep, Outcome, OutcomeEvent, Policy, Recorded, next_step,
};
use crate::journal::{self, Entry, Journal, State};

use attempt::{Attempted, attempt};
pub use merchant::{Merchant, Merchants};

/// A message that comes back so little before it is due is kept, not parked once more.
const KEPT_UNTIL_DUE: Duration = Duration::from_millis(250);

/// Takes deliveries and carries each through, until the broker stops handing them out.
pub struct Deliverer {
    /// Where notifications wait.
    pub broker: Arc<dyn Broker>,
    /// What happened.
    pub journal: Arc<dyn Journal>,
    /// Everybody that can be told.
    pub merchants: Merchants,
    /// The ladder that a hold of an unknown merchant is decided with.
    pub ladder: Ladder,
    /// Bounds of the decisions.
    pub policy: Policy,
}

impl Deliverer {
    /// Works until the broker has no more to give, which is after [`Broker::stop_taking`]; then finishes what is
    /// under way, for at most `drain`, and hands back the rest.
    pub async fn run(self, drain: Duration) {
        let this = Arc::new(self);
        // Tells the deliveries under way that they may no longer wait for anything.
        let (draining, drained) = watch::channel(false);
        let mut under_way = JoinSet::new();
        // The broker bounds how many deliveries are out at once, and so how many tasks there are.
        while let Some(delivery) = this.broker.next().await {
            while let Some(ended) = under_way.try_join_next() {
                report(ended);
            }
            under_way.spawn(Arc::clone(&this).deliver(delivery, drained.clone()));
        }
        draining.send_replace(true);
        let all = async {
            while let Some(ended) = under_way.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(drain, all).await.is_err() {
            tracing::warn!(
                left = under_way.len(),
                "the drain's time is over: what is under way is handed back"
            );
            under_way.shutdown().await;
        }
    }

    async fn deliver(self: Arc<Self>, delivery: broker::Delivery, drained: watch::Receiver<bool>) {
        let receipt = delivery.receipt;
        let envelope = match delivery.content {
            Content::Readable(envelope) => envelope,
            Content::Unreadable(reason) => {
                tracing::error!(%reason, "a message that cannot be read goes to the poison queue");
                settled(receipt.poison(&reason.to_string(), None).await, None);
                return;
            }
        };
        let early = envelope.progress.due.since(clock::now());
        if early > KEPT_UNTIL_DUE {
            settled(receipt.park(&envelope).await, Some(&envelope));
            return;
        }
        tokio::time::sleep(early).await;
        let late = clock::now().since(envelope.progress.due);
        let Attempted { happened, record } = self.attempt(&envelope).await;
        let ladder = self.merchant(&envelope).map_or(&self.ladder, |merchant| &merchant.ladder);
        let now = clock::now();
        let step = next_step(envelope.progress, ladder, &self.policy, happened, now, rand::random());
        log(&envelope, late, record.as_ref(), &step);
        self.carry_out(&envelope, record, step, receipt, drained).await;
    }

    fn merchant(&self, envelope: &Envelope) -> Option<&Arc<Merchant>> {
        self.merchants.get(envelope.notification.merchant())
    }

    async fn attempt(&self, envelope: &Envelope) -> Attempted {
        let held = |reason| Attempted { happened: Happened::Held(reason), record: None };
        let Some(merchant) = self.merchant(envelope) else { return held(HoldReason::UnknownMerchant) };
        let Some(_slot) = merchant.slot() else { return held(HoldReason::MerchantBusy) };
        attempt(envelope, merchant).await
    }

    async fn carry_out(
        &self,
        envelope: &Envelope,
        attempt: Option<journal::Attempt>,
        step: NextStep,
        receipt: Box<dyn Receipt>,
        drained: watch::Receiver<bool>,
    ) {
        let entry = entry(envelope, attempt, &step);
        let at = entry.at;
        let Some(recorded) = self.record(entry, drained).await else {
            receipt.hand_back().await;
            return;
        };
        let result = match step {
            NextStep::Retry(progress) | NextStep::Hold(progress, _) => {
                receipt.park(&Envelope { progress, ..envelope.clone() }).await
            }
            NextStep::Finish(outcome) => {
                let attempts = outcome.attempts(envelope.progress.attempt);
                let first_seen = envelope.progress.first_seen;
                let event = OutcomeEvent::new(&envelope.notification, &outcome, attempts, first_seen, at);
                match outcome {
                    Outcome::Abandoned { reason } => receipt.poison(&reason, Some(&event)).await,
                    Outcome::Confirmed { .. } | Outcome::Stopped { .. } | Outcome::Exhausted { .. } => {
                        receipt.finish(&event, recorded).await
                    }
                }
            }
        };
        settled(result, Some(envelope));
    }

    /// Records, however long it takes: a journal that is away slows the intake down, because deliveries stay out.
    /// Gives up only when the gateway stops.
    async fn record(&self, entry: Entry, mut drained: watch::Receiver<bool>) -> Option<Recorded> {
        const LONGEST_WAIT: Duration = Duration::from_secs(5);
        let mut wait = Duration::from_millis(50);
        loop {
            match self.journal.record(entry.clone()).await {
                Ok(recorded) => return Some(recorded),
                Err(error) => {
                    tracing::error!(notification = %entry.notification_id, %error, retry_in = ?wait, "not recorded");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                _ = drained.wait_for(|draining| *draining) => return None,
            }
        }
    }
}

fn entry(envelope: &Envelope, attempt: Option<journal::Attempt>, step: &NextStep) -> Entry {
    let state = match step {
        NextStep::Retry(progress) => {
            State::Waiting { next_attempt: progress.attempt.get(), due: progress.due }
        }
        NextStep::Hold(progress, reason) => State::Held {
            next_attempt: progress.attempt.get(),
            due: progress.due,
            reason: reason.to_string(),
        },
        NextStep::Finish(outcome) => State::Ended {
            outcome: outcome.name().to_owned(),
            detail: outcome.detail().map(str::to_owned),
            attempts_made: outcome.attempts(envelope.progress.attempt),
        },
    };
    Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: envelope.notification.record.merchant_order_id.clone(),
        raw: envelope.notification.raw.clone(),
        first_seen: envelope.progress.first_seen,
        at: clock::now(),
        state,
        attempt,
    }
}

/// The wide event: one line for every attempt and every hold, with all that is known of it.
fn log(envelope: &Envelope, late: Duration, attempt: Option<&journal::Attempt>, step: &NextStep) {
    let (next, due, reason) = match step {
        NextStep::Retry(progress) => ("retry", Some(progress.due), None),
        NextStep::Hold(progress, reason) => ("hold", Some(progress.due), Some(reason.to_string())),
        NextStep::Finish(outcome) => (outcome.name(), None, outcome.detail().map(str::to_owned)),
    };
    tracing::info!(
        notification = %envelope.notification.id(),
        merchant = %envelope.notification.merchant(),
        order = envelope.notification.record.merchant_order_id.as_deref(),
        attempt = envelope.progress.attempt.get(),
        late_ms = whole_milliseconds(late),
        plugin = attempt.map(|attempt| attempt.plugin.as_str()),
        url = attempt.map(|attempt| attempt.url.as_str()),
        status = attempt.and_then(|attempt| attempt.status),
        result = attempt.map(|attempt| attempt.result.as_str()),
        duration_ms = attempt.map(|attempt| whole_milliseconds(attempt.duration)),
        next,
        due = due.map(|due| due.to_string()),
        reason,
        "attempt"
    );
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn settled(result: Result<(), BrokerError>, envelope: Option<&Envelope>) {
    if let Err(error) = result {
        let notification = envelope.map(|envelope| envelope.notification.id().as_str());
        tracing::warn!(notification, %error, "a message was not settled and will come again");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a delivery ended by a fault of the gateway; its message will come again");
    }
}
