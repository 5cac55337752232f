//! The way of one notification: taken from the broker, attempted, decided upon, recorded, settled.
//!
//! This is the shell around [`crate::domain`]: it makes the attempt, asks [`next_step`] what follows and carries that
//! out. It decides nothing itself, and it keeps the order that loses nothing: the journal first, then the broker's
//! successor or event, and only then is the message forgotten. A message whose settling fails comes again by itself.

mod attempt;
mod breakers;
mod in_hand;
mod measures;
mod merchant;
mod missing;
mod outcomes;
mod parts;
mod pauses;
mod release;
mod settle;
mod shadow;
mod spans;
mod traffic;
mod under_way;
mod versions;
mod way;
mod wide_event;
mod withheld;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::broker::{self, Broker, Content};
use crate::clock;
use crate::domain::{
    Envelope, Happened, HoldReason, Ladder, Lane, MerchantId, NextStep, Policy, TakeUp, Taken,
    TransportFailure, behind, next_step,
};
use crate::journal::{Journal, Recording};
use crate::live::Live;
use crate::replay::Keep;
use crate::traces::Traces;

use attempt::{Attempted, attempt};
use breakers::Breakers;
pub use breakers::Metrics;
use in_hand::InHand;
use measures::{Measures, Poisoned, TakenUp};
pub use merchant::{Merchant, MerchantMap, Merchants};
use missing::Punctuality;
use outcomes::Outcomes;
pub use outcomes::{Endpoint, OutcomeMetrics};
use parts::{Part, Parts};
pub use pauses::{LOOK as PAUSES_LOOKED_AT, Pauses};
pub use release::Releases;
use settle::settled;
pub use shadow::{Shadow, Shadows};
use spans::Spans;
use traffic::Traffic;
use under_way::UnderWay;
use way::Slots;
pub use way::{Traffic as WayTraffic, Way};
use wide_event::{entry, tell};

/// A message that comes back so little before it is due is kept, not parked once more.
const KEPT_UNTIL_DUE: Duration = Duration::from_millis(250);

/// How long after it was found that another gateway may be at an attempt that is looked into again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a deliverer goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The ladder of a notification whose merchant is unknown.
    pub ladder: Ladder,
    /// For every notification.
    pub policy: Policy,
    /// How many deliveries of the main lane the broker hands out at once, which merchants share.
    pub slots: usize,
    /// The same of the slow lane.
    pub slow_slots: usize,
    /// Of which attempts a transcript is kept.
    pub keep: Keep,
}

/// Takes deliveries and carries each through, until the broker stops handing them out.
pub struct Deliverer {
    broker: Arc<dyn Broker>,
    journal: Arc<dyn Journal>,
    merchants: Merchants,
    rules: Rules,
    shadows: Shadows,
    under_way: UnderWay,
    punctuality: Punctuality,
    breakers: Breakers,
    slots: Slots,
    slow_slots: Slots,
    traffic: Traffic,
    measures: Measures,
    live: Option<Live>,
    traces: Option<Traces>,
    releases: Releases,
    /// Whose notifications are to be released. Held by the task that does it.
    changes: Mutex<mpsc::Receiver<release::Change>>,
    pauses: Arc<Pauses>,
    /// Who is told of endings beside the broker.
    outcomes: Option<Outcomes>,
}

impl Deliverer {
    /// A deliverer to these merchants.
    #[must_use]
    pub fn new(
        broker: Arc<dyn Broker>,
        journal: Arc<dyn Journal>,
        merchants: Merchants,
        rules: Rules,
        metrics: Metrics,
        shadows: Shadows,
    ) -> Self {
        for merchant in merchants.all().values() {
            metrics.show(&merchant.plugin.description().name);
        }
        let Rules { policy, slots, slow_slots, .. } = rules;
        let (traffic, measures) = (metrics.traffic.clone(), metrics.measures.clone());
        let (releases, changes) = release::channel();
        let pauses = Arc::new(Pauses::new(Arc::clone(&journal), releases.clone()));
        Self {
            broker,
            journal,
            merchants,
            rules,
            shadows,
            under_way: UnderWay::default(),
            punctuality: Punctuality::new(policy.missing_after),
            breakers: Breakers::new(policy.breaker, metrics),
            slots: Slots::new(slots),
            slow_slots: Slots::new(slow_slots),
            traffic,
            measures,
            live: None,
            traces: None,
            releases,
            changes: Mutex::new(changes),
            pauses,
            outcomes: None,
        }
    }

    /// Has whoever listens there be told of every attempt.
    #[must_use]
    pub fn heard_by(self, live: Live) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Has what is done with every notification be traced.
    #[must_use]
    pub fn traced_by(self, traces: Traces) -> Self {
        Self { traces: Some(traces), ..self }
    }

    /// The same, and it tells that endpoint of every ending.
    #[must_use]
    pub fn telling(self, endpoint: Endpoint, metrics: OutcomeMetrics) -> Self {
        Self { outcomes: Some(Outcomes::new(endpoint, metrics)), ..self }
    }

    /// How it is told that merchants may be served again.
    #[must_use]
    pub fn releases(&self) -> Releases {
        self.releases.clone()
    }

    /// The merchants that are paused. Whoever starts the deliverer has [looked](Pauses::look) before.
    #[must_use]
    pub fn pauses(&self) -> Arc<Pauses> {
        Arc::clone(&self.pauses)
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
        let releaser = Arc::clone(&this);
        let until = drained.clone();
        let releasing = tokio::spawn(async move { releaser.release_what_is_held(until).await });
        let (pauses, until) = (this.pauses(), drained.clone());
        let watching = tokio::spawn(async move { pauses.watch(until).await });
        let (beside, until) = (Arc::clone(&this), drained.clone());
        let comparing = tokio::spawn(async move { beside.shadows.run(until).await });
        let teller = Arc::clone(&this);
        let (ended, until) = watch::channel(false);
        let telling = tokio::spawn(async move { teller.tell_the_endpoint(until).await });
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
        report(releasing.await);
        report(watching.await);
        report(comparing.await);
        ended.send_replace(true);
        report(telling.await);
    }

    async fn deliver(self: Arc<Self>, delivery: broker::Delivery, drained: watch::Receiver<bool>) {
        let broker::Delivery { content, redelivered, receipt } = delivery;
        let _in_hand = self.measures.in_hand();
        let mut envelope = match content {
            Content::Readable(envelope) => envelope,
            Content::Unreadable(reason) => {
                tracing::error!(%reason, "a message that cannot be read goes to the poison queue");
                self.measures.count_poisoned(Poisoned::Unreadable);
                settled(receipt.poison(&reason.to_string(), None).await, None);
                return;
            }
        };
        let early = envelope.progress.due.since(clock::now());
        let lane = self.lane_of(&envelope);
        // One that was handed out before may have a duty (see `take_up`), which its successor would not have.
        let changes_lanes = lane == Lane::Slow && envelope.lane == Lane::Main && !redelivered;
        if early > KEPT_UNTIL_DUE || changes_lanes {
            envelope.lane = lane;
            self.measures.count_taken_up(TakenUp::Parked);
            settled(receipt.park(&envelope).await, Some(&envelope));
            return;
        }
        tokio::time::sleep(early).await;
        let _turn = self.under_way.wait_for_turn(envelope.notification.id()).await;
        let late = clock::now().since(envelope.progress.due);
        self.punctuality.note(late);
        let in_hand = InHand { envelope, redelivered, receipt, drained, late };
        let mut parts = Parts::begin();
        let step = parts.time(Part::TakeUp, self.take_up(&in_hand)).await;
        self.measures.count_taken_up(match &step {
            None | Some(TakeUp::Wait) => TakenUp::HandedBack,
            Some(TakeUp::Attempt(_)) => TakenUp::Attempt,
            Some(TakeUp::Interrupted) => TakenUp::Interrupted,
            Some(TakeUp::Behind(_)) => TakenUp::Behind,
        });
        // Asked for once: whatever is swapped in meanwhile, one version formats, judges and has its ladder climbed.
        let its = self.merchants.get(in_hand.envelope.notification.merchant());
        let merchant = its.as_deref();
        match step {
            None | Some(TakeUp::Wait) => in_hand.receipt.hand_back().await,
            Some(TakeUp::Attempt(_)) => {
                self.measures.note_lateness(in_hand.envelope.lane, late);
                let attempted = self.attempt(&in_hand.envelope, merchant, &mut parts).await;
                let observed = its.as_ref().and_then(|merchant| {
                    let notification = &in_hand.envelope.notification;
                    self.shadows.observe(merchant, notification, attempted.transcript.as_ref())
                });
                self.conclude(in_hand, merchant, attempted, parts).await;
                // The real one is settled, whatever becomes of this.
                if let Some(observed) = observed {
                    self.shadows.submit(observed);
                }
            }
            Some(TakeUp::Interrupted) => {
                let happened = Happened::NoReply(TransportFailure::Interrupted);
                self.conclude(in_hand, merchant, Attempted::without(happened), parts).await;
            }
            Some(TakeUp::Behind(step)) => self.catch_up(in_hand, step).await,
        }
    }

    /// Asks the journal what to do with the message, for as long as a gateway that lives may be at its attempt. Nothing
    /// to do, or still to wait, when the gateway stops meanwhile.
    async fn take_up(&self, in_hand: &InHand) -> Option<TakeUp> {
        loop {
            let message = Taken {
                progress: in_hand.envelope.progress,
                redelivered: in_hand.redelivered,
                gateway: self.journal.gateway(),
                at: clock::now(),
                lag: self.rules.policy.further_message_lag,
            };
            let notification = &in_hand.envelope.notification;
            match in_hand.insist("looked up", || self.journal.take_up(notification, message)).await? {
                TakeUp::Wait if in_hand.may_wait(LOOK_AGAIN).await => {}
                step @ (TakeUp::Attempt(_) | TakeUp::Wait | TakeUp::Interrupted | TakeUp::Behind(_)) => {
                    return Some(step);
                }
            }
        }
    }

    /// Decides what follows, records it and carries it out.
    async fn conclude(
        &self,
        in_hand: InHand,
        merchant: Option<&Merchant>,
        attempted: Attempted,
        mut parts: Parts,
    ) {
        let envelope = &in_hand.envelope;
        let Attempted { happened, record, transcript, failed: _, outdated } = attempted;
        let ladder = merchant.map_or(&self.rules.ladder, |merchant| &merchant.ladder);
        let now = clock::now();
        // A fault of a version that is no more keeps nothing waiting long.
        let progress = if outdated { envelope.progress.released(now) } else { envelope.progress };
        if record.is_some() || matches!(happened, Happened::NoReply(_)) {
            self.measures.count_attempt(&happened);
        }
        let spans = self.traces.as_ref().and_then(|traces| {
            let (taken_up, its) = ((&**envelope, in_hand.late), (merchant, ladder));
            Spans::of(traces, taken_up, its, record.as_ref(), &happened)
        });
        let step = next_step(progress, ladder, &self.rules.policy, happened, now, rand::random());
        if let NextStep::Hold(_, reason) = &step {
            self.traffic.count_hold(reason);
        }
        tell(self.live.as_ref(), (envelope, in_hand.late), record.as_ref(), &step, now);
        let transcript = transcript.filter(|transcript| self.rules.keep.keeps(transcript));
        let entry = entry(envelope, record, transcript.as_ref(), &step);
        let at = entry.at;
        let recording = in_hand.insist("recorded", || self.journal.record(entry.clone()));
        match parts.time(Part::Journal, recording).await {
            None => in_hand.receipt.hand_back().await,
            Some(Recording::Current(recorded)) => {
                if let NextStep::Finish(outcome) = &step {
                    self.measures.count_end(outcome, at.since(envelope.progress.first_seen));
                }
                parts.time(Part::Settle, self.carry_out(in_hand, step, at, recorded)).await;
                self.measures.note_parts(&parts);
            }
            Some(Recording::Behind(standing)) => {
                let lag = self.rules.policy.further_message_lag;
                match behind(&envelope.progress, in_hand.redelivered, standing, lag) {
                    Some(step) => self.catch_up(in_hand, step).await,
                    // Nothing is as far as what has just been recorded, so this cannot be; it comes again.
                    None => in_hand.receipt.hand_back().await,
                }
            }
        }
        if let Some(spans) = spans {
            spans.finish(&parts);
        }
    }

    /// What comes of the attempt.
    async fn attempt(
        &self,
        envelope: &Envelope,
        merchant: Option<&Merchant>,
        parts: &mut Parts,
    ) -> Attempted {
        let held = |reason| Attempted::without(Happened::Held(reason));
        let (id, notification) = (envelope.notification.merchant(), envelope.notification.id());
        match self.pauses.holds(id).await {
            Ok(false) => {}
            Ok(true) => return held(HoldReason::Paused),
            Err(error) => {
                tracing::warn!(%notification, %error, "whether its merchant is paused is not known yet; it is held for a moment");
                return held(HoldReason::GatewayBusy);
            }
        }
        let Some(merchant) = merchant else { return held(HoldReason::UnknownMerchant) };
        let slots = match envelope.lane {
            Lane::Main => &self.slots,
            Lane::Slow => &self.slow_slots,
        };
        let entered = match merchant.way.enter(&envelope.progress, slots).await {
            Ok(entered) => entered,
            Err(reason) => return held(reason),
        };
        let admitted = match self.breakers.admit(id, &merchant.plugin, clock::now()) {
            Ok(admitted) => admitted,
            Err(until) => return held(HoldReason::BreakerOpen { until }),
        };
        let _in_flight = self.measures.in_flight(envelope.lane);
        let attempted = attempt(envelope, merchant, parts).await.withholding(&merchant.withheld);
        admitted.note(notification, attempted.failed.as_ref());
        self.traffic.leave(entered, id, notification, &attempted);
        let outdated = attempted.failed.is_some() && !self.is_current(id, merchant);
        Attempted { outdated, ..attempted }
    }

    /// The lane in which the notification's merchant is just now.
    fn lane_of(&self, envelope: &Envelope) -> Lane {
        let merchant = self.merchants.get(envelope.notification.merchant());
        merchant.map_or(Lane::Main, |merchant| merchant.way.lane())
    }

    /// Whether the merchant is served by that version of its plugin still.
    fn is_current(&self, id: &MerchantId, merchant: &Merchant) -> bool {
        self.merchants.get(id).is_some_and(|current| current.plugin.hash() == merchant.plugin.hash())
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a delivery ended by a fault of the gateway; its message will come again");
    }
}
