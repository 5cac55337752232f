//! The gate before one merchant: whether an attempt may be made now.
//!
//! Here all of a merchant's bounds come together: how many attempts may be under way at once, the share of the slots that are free, the
//! rate, and the breaker of its endpoint. Whoever may not go through waits at the gate for a moment, or is held.
//!
//! - **Slots.** A merchant has at most [`GatePolicy::in_flight`] attempts under way, and at most its
//!   [share](super::fair_share) of the slots. So hanging merchants cannot have them all while they are fewer than half of the slots.
//! - **Waiting at the gate** costs nobody anything if it is short, and a hold costs a round through the broker and the
//!   journal. So one waits, with its delivery in hand, if its turn is expected within [`PATIENCE`], by what the merchant's attempts
//!   typically last; and goes when that is over. From then on nobody waits, until an attempt has ended that began after that.
//! - **Holds** wait the longer the more is held. Who is held for the first time comes back when all that is held would be through, by what the merchant's
//!   attempts typically last; who comes back and finds no place, at some moment of the first half of that, then of the first third and quarter. So
//!   no more than a few times as many come back as find a place, however many are held, and who came first is not sent behind who came later.
//!   No wait is longer than [`LONGEST_WAIT`].
//!   While something is held, those who come for the first time leave half of the places to those who come back.
//! - **The breaker** delays an attempt and never replaces it: nothing is held by it for longer than its longest pause
//!   ([`BreakerPolicy::longest`]) in a row, then it is attempted whatever the breaker says. So what is for a merchant that is down
//!   climbs its ladder and ends as exhausted, at most one such pause later for each rung. Meanwhile ten in a second
//!   come back to ask, from the end of the pause on.
//!
//! Deliberately absent: the clock, and other merchants; the caller says how many slots are free.

use std::time::Duration;

use super::breaker::{Breaker, BreakerPolicy, Change, Evidence, Pass};
use super::lane::{Lane, Pace};
use super::rate::{Bucket, Rate};
use super::{Held, HoldReason, Moment, NotificationId, Progress, fair_share};

/// How long an attempt may wait at the gate.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// The longest wait that a hold gets from the gate.
pub const LONGEST_WAIT: Duration = Duration::from_secs(256);

/// What is held for want of a place, or because of the breaker, comes back no sooner.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Who was held before comes back within a half, a third, and then such a part of what all that is held needs.
const SMALLEST_PART: u32 = 4;

/// How far from each other those come back that wait for a breaker.
const APART: Duration = Duration::from_millis(100);

/// A merchant's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatePolicy {
    /// How many attempts may be under way at once, at least 1.
    pub in_flight: usize,
    /// How many may be made in a time, if there is a bound.
    pub rate: Option<Rate>,
    /// When its endpoint is left alone.
    pub breaker: BreakerPolicy,
    /// A merchant whose attempts typically last so long goes into the slow lane.
    pub slow_after: Duration,
}

impl Default for GatePolicy {
    /// 32, no rate, ten failures, five seconds, a minute; one second.
    fn default() -> Self {
        let after = std::num::NonZeroU32::MIN.saturating_add(9);
        let (pause, longest) = (Duration::from_secs(5), Duration::from_secs(60));
        let breaker = BreakerPolicy { after, pause, longest };
        Self { in_flight: 32, rate: None, breaker, slow_after: Duration::from_secs(1) }
    }
}

/// Whoever stands before the gate.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// How far its notification has come.
    pub progress: Progress,
    /// How many slots are free, of the lane in which it came.
    pub free: usize,
    /// How many slots that lane has.
    pub slots: usize,
    /// Whether it has waited.
    pub turn: Turn,
}

/// Whether one has waited at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has just come.
    New,
    /// It waits, and something has changed.
    Waiting,
    /// It has waited for [`PATIENCE`].
    Last,
}

/// What the gate says.
#[derive(Debug)]
pub enum Admission {
    /// The attempt may be made. To be given back with [`Gate::leave`] or [`Gate::give_back`].
    Go(Entry),
    /// It is to wait until another attempt of this merchant has ended, at most for [`PATIENCE`] in all.
    Wait,
    /// It is to be held.
    Hold(HoldReason),
}

/// That an attempt is under way.
#[derive(Debug)]
#[must_use]
pub struct Entry {
    pass: Pass,
    began: Moment,
}

/// What an attempt has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The breaker.
    pub breaker: Option<Change>,
    /// The lane.
    pub lane: Option<Lane>,
}

/// One merchant's gate. See the module.
#[derive(Debug)]
pub struct Gate {
    policy: GatePolicy,
    under_way: usize,
    waiting: usize,
    pace: Pace,
    /// When waiting was last in vain, until an attempt has ended that began after that.
    stalled: Option<Moment>,
    breaker: Breaker,
    bucket: Option<Bucket>,
    /// How many are held, as far as is known here.
    held: usize,
    /// When the last of those comes back.
    all_back: Moment,
    /// When the last of those that wait for the breaker asks again.
    asking: Moment,
    /// Where the last one was that was spread.
    spread: u32,
    lane: Lane,
}

impl Gate {
    /// A gate before a merchant of whom nothing is known.
    #[must_use]
    pub fn new(policy: GatePolicy) -> Self {
        Self {
            policy,
            under_way: 0,
            waiting: 0,
            pace: Pace::default(),
            stalled: None,
            breaker: Breaker::new(policy.breaker),
            bucket: policy.rate.map(Bucket::new),
            held: 0,
            all_back: Moment::EPOCH,
            asking: Moment::EPOCH,
            spread: 0,
            lane: Lane::Main,
        }
    }

    /// The lane in which the merchant is.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether the breaker is anything but closed.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.breaker.is_open()
    }

    /// How many attempts are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// The merchant is somewhere else now: nothing is known of its endpoint any more.
    pub fn begin_anew(&mut self) {
        self.breaker = Breaker::new(self.policy.breaker);
        self.asking = Moment::EPOCH;
    }

    /// Asks to go through. Whoever is told to wait asks again, until it hears something else.
    pub fn admit(&mut self, asks: &Asks, now: Moment) -> Admission {
        if asks.turn == Turn::New && asks.progress.held.is_some() {
            self.held = self.held.saturating_sub(1);
        }
        if self.all_back.after(LONGEST_WAIT / 2) <= now {
            // What is not back by now was taken up by another gateway, or lost to this one.
            self.held = 0;
        }
        let admission = self.decide(asks, now);
        if let Admission::Hold(_) = admission {
            self.held += 1;
        }
        match (asks.turn, &admission) {
            (Turn::New, Admission::Wait) => self.waiting += 1,
            (Turn::Waiting | Turn::Last, Admission::Go(_) | Admission::Hold(_)) => {
                self.waiting = self.waiting.saturating_sub(1);
            }
            (Turn::New, Admission::Go(_) | Admission::Hold(_)) => {}
            (Turn::Waiting | Turn::Last, Admission::Wait) => {}
        }
        admission
    }

    fn decide(&mut self, asks: &Asks, now: Moment) -> Admission {
        let pass = match self.breaker.admit(now) {
            Ok(pass) => pass,
            Err(until) => {
                let longest = self.policy.breaker.longest_pause();
                let held_since = asks.progress.held.map_or(now, |held| held.since);
                let latest = held_since.after(longest);
                if latest > now {
                    let until = self.ask_again(until, now).min(latest);
                    return Admission::Hold(HoldReason::EndpointDown { until });
                }
                self.breaker.force()
            }
        };
        let refused = self.look_for_a_place(asks, now).or_else(|| self.look_for_a_token(asks, now));
        if let Some(refused) = refused {
            self.breaker.give_back(&pass);
            return refused;
        }
        self.under_way += 1;
        Admission::Go(Entry { pass, began: now })
    }

    /// An attempt at that notification has ended: what it says of the endpoint.
    pub fn leave(
        &mut self,
        entry: &Entry,
        notification: &NotificationId,
        evidence: Evidence,
        now: Moment,
    ) -> Changed {
        self.under_way = self.under_way.saturating_sub(1);
        self.pace.note(now.since(entry.began));
        if self.stalled.is_some_and(|stalled| entry.began > stalled) {
            self.stalled = None;
        }
        let breaker = self.breaker.note(&entry.pass, notification, evidence, now);
        let before = self.lane;
        self.lane = before.next(self.pace.typical(), self.breaker.is_open(), self.policy.slow_after);
        Changed { breaker, lane: (self.lane != before).then_some(self.lane) }
    }

    /// An attempt was cut off: it says nothing.
    pub fn give_back(&mut self, entry: &Entry) {
        self.under_way = self.under_way.saturating_sub(1);
        self.breaker.give_back(&entry.pass);
    }

    fn look_for_a_place(&mut self, asks: &Asks, now: Moment) -> Option<Admission> {
        let is_new = asks.progress.held.is_none();
        let mut bound = self.policy.in_flight.min(fair_share(asks.free, asks.slots));
        if is_new && self.all_back > now {
            bound = bound.div_ceil(2);
        }
        let is_its_turn = self.waiting == 0 || asks.turn != Turn::New;
        if self.under_way < bound && is_its_turn {
            return None;
        }
        let places = u32::try_from(self.policy.in_flight.max(1)).unwrap_or(u32::MAX);
        // Whoever has waited in vain has seen none of those under way end.
        let at_least = self.stalled.map_or(Duration::ZERO, |stalled| now.since(stalled));
        let one = self.pace.typical().max(at_least) / places;
        match asks.turn {
            Turn::Waiting => return Some(Admission::Wait),
            Turn::New => {
                let before = u32::try_from(self.waiting + 1).unwrap_or(u32::MAX);
                if self.stalled.is_none() && one * before <= PATIENCE {
                    return Some(Admission::Wait);
                }
            }
            Turn::Last => {
                self.stalled.get_or_insert(now);
            }
        }
        let until = self.come_back(asks.progress.held, one, now);
        Some(Admission::Hold(HoldReason::MerchantBusy { until }))
    }

    fn look_for_a_token(&mut self, asks: &Asks, now: Moment) -> Option<Admission> {
        let returns = asks.progress.held.is_some();
        let taken = self.bucket.as_mut()?.take(returns, LONGEST_WAIT, now);
        taken.err().map(|until| Admission::Hold(HoldReason::OverRate { until }))
    }

    /// When one more comes back that finds no place, where one attempt takes so much of the merchant's time.
    fn come_back(&mut self, before: Option<Held>, one: Duration, now: Moment) -> Moment {
        let all_through = one.saturating_mul(u32::try_from(self.held).unwrap_or(u32::MAX));
        let half = LONGEST_WAIT / 2;
        let wait = match before {
            None if all_through <= LONGEST_WAIT => all_through.max(LEAST_WAIT),
            None => half + self.spread(half),
            Some(held) => {
                let part = held.count.get().saturating_add(1).min(SMALLEST_PART);
                LEAST_WAIT + self.spread((all_through / part).clamp(LEAST_WAIT / 4, half - LEAST_WAIT))
            }
        };
        let until = now.after(wait);
        self.all_back = self.all_back.max(until);
        until
    }

    /// When one more comes back that waits for the breaker: one after the other.
    fn ask_again(&mut self, until: Moment, now: Moment) -> Moment {
        let last = now.after(LONGEST_WAIT).max(until);
        let next = self.asking.after(APART).max(until).max(now.after(LEAST_WAIT));
        self.asking = next.min(last);
        self.all_back = self.all_back.max(self.asking);
        self.asking
    }

    /// A part of that span: one after the other evenly over all of it, wherever the last ones were.
    fn spread(&mut self, span: Duration) -> Duration {
        /// The golden section of the range of numbers, for which each new point falls into one of the widest gaps.
        const GOLDEN: u32 = 0x9e37_79b9;
        self.spread = self.spread.wrapping_add(GOLDEN);
        span.mul_f64(f64::from(self.spread) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
