//! The way of one notification: taken from the broker, attempted, decided upon, recorded, settled.
//!
//! This is the shell around [`crate::domain`]: it makes the attempt, asks [`next_step`] what follows and carries that
//! out. It decides nothing itself, and it keeps the order that loses nothing: the journal first, then the broker's
//! successor or event, and only then is the message forgotten. A message whose settling fails comes again by itself.

mod attempt;
mod merchant;
mod missing;
mod under_way;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::broker::{self, Broker, BrokerError, Content, Receipt};
use crate::clock;
use crate::domain::{
    Behind, Ending, Envelope, Happened, HoldReason, Ladder, Moment, NextStep, Outcome, OutcomeEvent, Policy,
    Recorded, TakeUp, Taken, TransportFailure, behind, next_step,
};
use crate::journal::{self, Entry, Journal, JournalError, Recording, State};

use attempt::{Attempted, attempt};
pub use merchant::{Merchant, MerchantMap, Merchants, Way};
use missing::Punctuality;
use under_way::UnderWay;

/// Beside a message in the poison queue.
const ANOTHER_TEXT: &str = "another notification has this id: it is known with other content, and an id names one notification for ever";

/// A message that comes back so little before it is due is kept, not parked once more.
const KEPT_UNTIL_DUE: Duration = Duration::from_millis(250);

/// Takes deliveries and carries each through, until the broker stops handing them out.
pub struct Deliverer {
    broker: Arc<dyn Broker>,
    journal: Arc<dyn Journal>,
    merchants: Merchants,
    ladder: Ladder,
    policy: Policy,
    under_way: UnderWay,
    /// What other gateways know this process by.
    gateway: u64,
    punctuality: Punctuality,
}

impl Deliverer {
    /// A deliverer to these merchants. `ladder` is the one that a hold of an unknown merchant is decided with.
    #[must_use]
    pub fn new(
        broker: Arc<dyn Broker>,
        journal: Arc<dyn Journal>,
        merchants: Merchants,
        ladder: Ladder,
        policy: Policy,
    ) -> Self {
        let punctuality = Punctuality::new(policy.missing_after);
        let (under_way, gateway) = (UnderWay::default(), rand::random());
        Self { broker, journal, merchants, ladder, policy, under_way, gateway, punctuality }
    }

    /// Works until the broker has no more to give, which is after [`Broker::stop_taking`]; then finishes what is
    /// under way, for at most `drain`, and hands back the rest.
    pub async fn run(self, drain: Duration) {
        let this = Arc::new(self);
        // Tells the deliveries under way that they may no longer wait for anything.
        let (draining, drained) = watch::channel(false);
        let seeker = Arc::clone(&this);
        let until = drained.clone();
        let seeking = tokio::spawn(async move { seeker.seek_missing(until).await });
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
        report(seeking.await);
    }

    async fn deliver(self: Arc<Self>, delivery: broker::Delivery, drained: watch::Receiver<bool>) {
        let broker::Delivery { content, redelivered, receipt } = delivery;
        let envelope = match content {
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
        let _turn = self.under_way.wait_for_turn(envelope.notification.id()).await;
        let message = Taken {
            progress: envelope.progress,
            redelivered,
            gateway: self.gateway,
            at: clock::now(),
            lag: self.policy.further_message_lag,
        };
        let late = message.at.since(envelope.progress.due);
        self.punctuality.note(late);
        let in_hand = InHand { envelope, redelivered, receipt, drained, late };
        let step = in_hand
            .insist("looked up", || self.journal.take_up(&in_hand.envelope.notification, message))
            .await;
        // Asked for once: whatever is swapped in meanwhile, one version formats, judges and has its ladder climbed.
        let merchant = self.merchants.get(in_hand.envelope.notification.merchant());
        let merchant = merchant.as_deref();
        match step {
            None => in_hand.receipt.hand_back().await,
            Some(TakeUp::Attempt(_)) => {
                let attempted = self.attempt(&in_hand.envelope, merchant).await;
                self.conclude(in_hand, merchant, attempted).await;
            }
            Some(TakeUp::Interrupted) => {
                let happened = Happened::NoReply(TransportFailure::Interrupted);
                self.conclude(in_hand, merchant, Attempted { happened, record: None }).await;
            }
            Some(TakeUp::Behind(step)) => self.catch_up(in_hand, step).await,
        }
    }

    /// Decides what follows, records it and carries it out.
    async fn conclude(&self, in_hand: InHand, merchant: Option<&Merchant>, attempted: Attempted) {
        let envelope = &in_hand.envelope;
        let Attempted { happened, record } = attempted;
        let ladder = merchant.map_or(&self.ladder, |merchant| &merchant.ladder);
        let now = clock::now();
        let step = next_step(envelope.progress, ladder, &self.policy, happened, now, rand::random());
        log(envelope, in_hand.late, record.as_ref(), &step);
        let entry = entry(envelope, record, &step);
        let at = entry.at;
        match in_hand.insist("recorded", || self.journal.record(entry.clone())).await {
            None => in_hand.receipt.hand_back().await,
            Some(Recording::Current(recorded)) => self.carry_out(in_hand, step, at, recorded).await,
            Some(Recording::Behind(standing)) => {
                let lag = self.policy.further_message_lag;
                match behind(&envelope.progress, in_hand.redelivered, standing, lag) {
                    Some(step) => self.catch_up(in_hand, step).await,
                    // Nothing is as far as what has just been recorded, so this cannot be; it comes again.
                    None => in_hand.receipt.hand_back().await,
                }
            }
        }
    }

    /// What comes of the attempt.
    async fn attempt(&self, envelope: &Envelope, merchant: Option<&Merchant>) -> Attempted {
        let without = |happened| Attempted { happened, record: None };
        let Some(merchant) = merchant else {
            return without(Happened::Held(HoldReason::UnknownMerchant));
        };
        let Some(_slot) = merchant.way.slot() else {
            return without(Happened::Held(HoldReason::MerchantBusy));
        };
        attempt(envelope, merchant).await
    }

    /// Carries out what follows an attempt, which is recorded.
    async fn carry_out(&self, in_hand: InHand, step: NextStep, at: Moment, recorded: Recorded) {
        let InHand { envelope, receipt, .. } = in_hand;
        let result = match step {
            NextStep::Retry(progress) | NextStep::Hold(progress, _) => {
                receipt.park(&Envelope { progress, ..(*envelope).clone() }).await
            }
            NextStep::Finish(outcome) => {
                let attempts = outcome.attempts(envelope.progress.attempt);
                let first_seen = envelope.progress.first_seen;
                self.finish(&envelope, receipt, Ending { outcome, attempts, first_seen, at, recorded }).await
            }
        };
        settled(result, Some(&envelope));
    }

    /// Settles a message that makes no attempt, because its notification has come further.
    async fn catch_up(&self, in_hand: InHand, step: Behind) {
        let InHand { envelope, receipt, redelivered, .. } = in_hand;
        let (notification, attempt) = (envelope.notification.id(), envelope.progress.attempt.get());
        tracing::info!(%notification, attempt, redelivered, step = step.name(), "a message whose attempt was made already");
        let result = match step {
            Behind::Follow(progress) => receipt.park(&Envelope { progress, ..(*envelope).clone() }).await,
            Behind::Finish(ending) => self.finish(&envelope, receipt, ending).await,
            Behind::Forget(recorded) => receipt.forget(recorded).await,
            Behind::Refuse => receipt.poison(ANOTHER_TEXT, None).await,
        };
        settled(result, Some(&envelope));
    }

    /// Tells the payment centre, forgets the message, and notes that the payment centre has been told.
    async fn finish(
        &self,
        envelope: &Envelope,
        receipt: Box<dyn Receipt>,
        ending: Ending,
    ) -> Result<(), BrokerError> {
        let Ending { outcome, attempts, first_seen, at, recorded } = ending;
        let event = OutcomeEvent::new(&envelope.notification, &outcome, attempts, first_seen, at);
        match outcome {
            Outcome::Abandoned { reason } => receipt.poison(&reason, Some(&event)).await?,
            Outcome::Confirmed { .. } | Outcome::Stopped { .. } | Outcome::Exhausted { .. } => {
                receipt.finish(&event, recorded).await?;
            }
        }
        self.journal.told(envelope.notification.id()).await;
        Ok(())
    }
}

/// A message that has been taken up.
struct InHand {
    envelope: Box<Envelope>,
    redelivered: bool,
    receipt: Box<dyn Receipt>,
    /// Becomes true when the gateway stops.
    drained: watch::Receiver<bool>,
    /// How much later than due it was taken up.
    late: Duration,
}

impl InHand {
    /// Asks the journal, however long it takes: a journal that is away slows the intake down, because deliveries stay
    /// out. Gives up only when the gateway stops.
    async fn insist<T, F>(&self, done: &str, mut ask: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, JournalError>>,
    {
        const LONGEST_WAIT: Duration = Duration::from_secs(5);
        let mut wait = Duration::from_millis(50);
        let mut drained = self.drained.clone();
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    let notification = self.envelope.notification.id();
                    tracing::error!(%notification, %error, retry_in = ?wait, "not {done}");
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
    let at = clock::now();
    let state = match step {
        NextStep::Retry(progress) => {
            State::Waiting { next_attempt: progress.attempt.get(), due: progress.due }
        }
        NextStep::Hold(progress, reason) => State::Held {
            next_attempt: progress.attempt.get(),
            due: progress.due,
            reason: reason.to_string(),
            holds: progress.held.map_or(NonZeroU32::MIN, |held| held.count),
            since: progress.held.map_or(at, |held| held.since),
        },
        NextStep::Finish(outcome) => State::Ended {
            outcome: outcome.name().to_owned(),
            detail: outcome.detail().map(str::to_owned),
            attempts_made: outcome.attempts(envelope.progress.attempt),
            ended_at: at,
        },
    };
    Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: envelope.notification.record.merchant_order_id.clone(),
        raw: envelope.notification.raw.clone(),
        first_seen: envelope.progress.first_seen,
        at,
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
