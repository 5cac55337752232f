//! The decision: what follows an attempt, or a reason that there was none.
//!
//! The one place where it is decided whether a notification goes on, waits or ends. The caller brings the moment and
//! a random number, and carries out what comes back: it publishes no other progress than the one returned here.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{
    AttemptNumber, BreakerPolicy, Held, Ladder, Moment, Outcome, Progress, TransportFailure, Verdict,
};

/// Bounds of the decision that are the gateway's, not a merchant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The longest wait that a `Retry-After` or a plugin may ask for; longer ones are cut to it.
    pub longest_retry_after: Duration,
    /// How long a notification may be held in a row before it is abandoned to the poison queue. A hold that passes by
    /// itself (for want of room, over a rate, before an endpoint that is down), or that an operator wants, never abandons it.
    pub longest_hold: Duration,
    /// How much longer than the message that goes on a further message of the same notification waits. To be longer
    /// than an attempt takes, so that gateways that share their queues do not attempt both at once.
    pub further_message_lag: Duration,
    /// A notification of which nothing has been heard for so long after it was due is missing at the broker.
    pub missing_after: Duration,
    /// When a plugin that fails again and again is left alone.
    pub breaker: BreakerPolicy,
}

impl Default for Policy {
    /// One hour, three days, half a minute, and ten minutes.
    fn default() -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self {
            longest_retry_after: hour,
            longest_hold: 72 * hour,
            further_message_lag: Duration::from_secs(30),
            missing_after: Duration::from_secs(10 * 60),
            breaker: BreakerPolicy::default(),
        }
    }
}

/// What came of taking a notification up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// An attempt was made, and the plugin has judged the reply.
    Replied(Verdict),
    /// An attempt was made, and no reply came of it.
    NoReply(TransportFailure),
    /// No attempt counts: it could not be made, or its reply could not be judged.
    Held(HoldReason),
}

impl Happened {
    /// A short name for records, metrics and traces.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replied(Verdict::Confirmed { .. }) => "confirmed",
            Self::Replied(Verdict::Retry { .. }) => "retry",
            Self::Replied(Verdict::Stop { .. }) => "stop",
            Self::NoReply(failure) => failure.name(),
            Self::Held(reason) => reason.name(),
        }
    }
}

/// Why a notification waits without an attempt being spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// No merchant of that name is configured; one may be in a minute.
    UnknownMerchant,
    /// An operator has paused the merchant.
    Paused,
    /// The plugin trapped, ran over a bound, answered with an error or made an invalid request: what it was.
    PluginFault(String),
    /// The plugin has failed so often in a row with this merchant's notifications that it is not called before then.
    BreakerOpen {
        /// When it may be tried again.
        until: Moment,
    },
    /// No address of the merchant's host may be connected to: it is not public, and nobody has allowed it. Nothing was
    /// sent, and it is for an operator, or for whoever looks after the host's name, to mend.
    AddressRefused,
    /// The merchant has as many attempts under way as it may.
    MerchantBusy {
        /// When it is this one's turn to ask again.
        until: Moment,
    },
    /// The merchant's rate is used up.
    OverRate {
        /// When it is this one's turn.
        until: Moment,
    },
    /// The merchant's endpoint could not be reached so often in a row that it is left alone.
    EndpointDown {
        /// When it is this one's turn to ask again.
        until: Moment,
    },
    /// The gateway has no room for a plugin call just now.
    GatewayBusy,
}

const PAUSED: &str = "paused";

impl HoldReason {
    /// A short name for logs, records and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownMerchant => "unknown_merchant",
            Self::Paused => PAUSED,
            Self::PluginFault(_) => "plugin_fault",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::AddressRefused => "address_refused",
            Self::MerchantBusy { .. } => "merchant_busy",
            Self::OverRate { .. } => "over_rate",
            Self::EndpointDown { .. } => "endpoint_down",
            Self::GatewayBusy => "gateway_busy",
        }
    }

    /// All names that [`name`](Self::name) gives.
    pub const NAMES: [&'static str; 9] = [
        "unknown_merchant",
        PAUSED,
        "plugin_fault",
        "breaker_open",
        "address_refused",
        "merchant_busy",
        "over_rate",
        "endpoint_down",
        "gateway_busy",
    ];

    /// Whether it passes by itself, or by an operator's word: such a hold is never given up.
    fn passes(&self) -> bool {
        match self {
            Self::MerchantBusy { .. }
            | Self::OverRate { .. }
            | Self::EndpointDown { .. }
            | Self::Paused
            | Self::GatewayBusy => true,
            Self::UnknownMerchant
            | Self::PluginFault(_)
            | Self::BreakerOpen { .. }
            | Self::AddressRefused => false,
        }
    }

    /// The [`name`](Self::name)s of what another version of the plugin, or of the merchant's file, may end.
    pub const MENDABLE: &'static [&'static str] =
        &["plugin_fault", "breaker_open", "unknown_merchant", "address_refused", "endpoint_down"];

    /// The same of what the end of a pause ends.
    pub const PAUSES: &'static [&'static str] = &[PAUSED];

    /// The n-th hold in a row waits twice as long as the one before it, from a least to a most; but never longer than
    /// twice what the row has lasted, so that a row that was begun anew ([`Progress::released`]) waits little again.
    /// What waits at a merchant's [`Gate`](super::Gate) comes back at the moment that this gave it.
    fn delay(&self, held: Held, now: Moment) -> Duration {
        let doubling = |least: u64, most: u64| {
            let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
            let doublings = (held.count.get() - 1).min(16);
            (least * (1 << doublings)).min(least.max(2 * now.since(held.since))).min(most)
        };
        match self {
            Self::GatewayBusy | Self::UnknownMerchant => doubling(1, 64),
            Self::PluginFault(_) | Self::AddressRefused => doubling(4, 256),
            // The end of the pause brings it forward; until then all that waits is work for nothing.
            Self::Paused => doubling(4, 2 * 3_600),
            Self::BreakerOpen { until } => doubling(4, 256).max(until.since(now)),
            Self::MerchantBusy { until } | Self::OverRate { until } | Self::EndpointDown { until } => {
                until.since(now).max(Duration::from_millis(1))
            }
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMerchant => formatter.write_str("no merchant of that name is configured"),
            Self::Paused => formatter.write_str("an operator has paused the merchant"),
            Self::PluginFault(fault) => write!(formatter, "the plugin is at fault: {fault}"),
            Self::BreakerOpen { until } => write!(
                formatter,
                "the plugin failed too often in a row for this merchant: its breaker is open until {until}"
            ),
            Self::AddressRefused => formatter.write_str(
                "no address of the merchant's host may be connected to (the log says which): name its subnet in \
                 `allow_addresses` of the merchant's file if it is meant",
            ),
            Self::MerchantBusy { .. } => {
                formatter.write_str("the merchant has as many attempts under way as it may")
            }
            Self::OverRate { .. } => formatter.write_str("the merchant's rate is used up"),
            Self::EndpointDown { until } => write!(
                formatter,
                "the merchant could not be reached too often in a row: it is left alone until {until}"
            ),
            Self::GatewayBusy => formatter.write_str("the gateway has no room for a plugin call"),
        }
    }
}

/// What to do with the notification now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// It has ended.
    Finish(Outcome),
    /// The next attempt waits on its rung.
    Retry(Progress),
    /// The same attempt waits, unspent.
    Hold(Progress, HoldReason),
}

/// Decides. `random` spreads waits where the ladder has jitter: any number, all equally likely.
#[must_use]
pub fn next_step(
    progress: Progress,
    ladder: &Ladder,
    policy: &Policy,
    happened: Happened,
    now: Moment,
    random: u64,
) -> NextStep {
    let climb = |after: Option<Duration>, reason: String| match ladder.delay_after(progress.attempt, random) {
        None => NextStep::Finish(Outcome::Exhausted { reason }),
        Some(delay) => {
            let asked = after.unwrap_or_default().min(policy.longest_retry_after);
            NextStep::Retry(Progress {
                attempt: progress.attempt.next(),
                due: now.after(delay.max(asked)),
                held: None,
                ..progress
            })
        }
    };
    match happened {
        Happened::Replied(Verdict::Confirmed { detail }) => NextStep::Finish(Outcome::Confirmed { detail }),
        Happened::Replied(Verdict::Stop { reason }) => NextStep::Finish(Outcome::Stopped { reason }),
        Happened::Replied(Verdict::Retry { after, reason }) => climb(after, reason),
        Happened::NoReply(failure) => climb(None, failure.to_string()),
        Happened::Held(reason) => hold(progress, policy, reason, now),
    }
}

/// A notification is not abandoned before it was taken up so many times in a row: a gateway that was down for days
/// must not give up what it has tried once.
const LEAST_HOLDS: u32 = 10;

fn hold(progress: Progress, policy: &Policy, reason: HoldReason, now: Moment) -> NextStep {
    let held = match progress.held {
        None => Held { since: now, count: NonZeroU32::MIN },
        Some(held) => Held { since: held.since, count: held.count.saturating_add(1) },
    };
    let tried_enough = held.count.get() >= LEAST_HOLDS && now.since(held.since) >= policy.longest_hold;
    if tried_enough && !reason.passes() {
        return NextStep::Finish(Outcome::Abandoned { reason: reason.to_string() });
    }
    let due = now.after(reason.delay(held, now));
    NextStep::Hold(Progress { due, held: Some(held), ..progress }, reason)
}

impl Outcome {
    /// How many attempts were made by one that ended like this while `attempt` was the next to be made.
    #[must_use]
    pub fn attempts(&self, attempt: AttemptNumber) -> u32 {
        match self {
            Self::Confirmed { .. } | Self::Stopped { .. } | Self::Exhausted { .. } => attempt.get(),
            Self::Abandoned { .. } => attempt.get() - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Jitter;
    use proptest::prelude::*;

    fn any_until() -> impl Strategy<Value = Moment> {
        (900_000_i64..3_000_000).prop_map(Moment::from_unix_milliseconds)
    }

    fn any_happened() -> impl Strategy<Value = Happened> {
        let after = proptest::option::of((0u64..100_000).prop_map(Duration::from_secs));
        prop_oneof![
            1 => Just(Happened::Replied(Verdict::Confirmed { detail: None })),
            1 => Just(Happened::Replied(Verdict::Stop { reason: "gone".into() })),
            8 => after.prop_map(|after| Happened::Replied(Verdict::Retry { after, reason: "no".into() })),
            4 => Just(Happened::NoReply(TransportFailure::ConnectFailed)),
            3 => any_until().prop_map(|until| Happened::Held(HoldReason::MerchantBusy { until })),
            1 => any_until().prop_map(|until| Happened::Held(HoldReason::OverRate { until })),
            1 => any_until().prop_map(|until| Happened::Held(HoldReason::EndpointDown { until })),
            2 => Just(Happened::Held(HoldReason::PluginFault("trap".into()))),
            1 => Just(Happened::Held(HoldReason::BreakerOpen { until: Moment::from_unix_milliseconds(2_000_000) })),
            2 => Just(Happened::Held(HoldReason::UnknownMerchant)),
            1 => Just(Happened::Held(HoldReason::AddressRefused)),
        ]
    }

    fn any_ladder() -> impl Strategy<Value = Ladder> {
        let delays = proptest::collection::vec((100u64..600_000).prop_map(Duration::from_millis), 1..9);
        (delays, 0u16..=1_000).prop_map(|(delays, jitter)| {
            let jitter = Jitter::from_thousandths(jitter).expect("in bounds");
            Ladder::new(delays, jitter).expect("in bounds")
        })
    }

    proptest! {
        /// The model: a count of refusals. A notification is waiting or has ended, exactly one of the two, at each
        /// step; the n-th refusal climbs to rung n and to no other; a hold spends nothing; the refusal after the last
        /// rung exhausts; nothing is due before its rung's delay or after its bound.
        #[test]
        fn no_sequence_loses_ends_twice_skips_or_overclimbs(
            ladder in any_ladder(),
            events in proptest::collection::vec((any_happened(), any::<u64>(), 0u64..5_000), 1..60),
        ) {
            let policy = Policy::default();
            let mut now = Moment::from_unix_milliseconds(1_000_000);
            let mut progress =
                Progress { attempt: AttemptNumber::FIRST, due: now, first_seen: now, held: None, replay: 3 };
            let mut refusals = 0_usize;
            let mut held_since = None;
            for (happened, random, late) in events {
                now = progress.due.after(Duration::from_millis(late));
                let step = next_step(progress, &ladder, &policy, happened.clone(), now, random);
                let refused_after = match &happened {
                    Happened::Replied(Verdict::Retry { after, .. }) => Some(after.unwrap_or_default()),
                    Happened::NoReply(_) => Some(Duration::ZERO),
                    Happened::Replied(_) | Happened::Held(_) => None,
                };
                match (happened, step) {
                    (Happened::Replied(Verdict::Confirmed { .. }), NextStep::Finish(Outcome::Confirmed { .. }))
                    | (Happened::Replied(Verdict::Stop { .. }), NextStep::Finish(Outcome::Stopped { .. })) => return Ok(()),
                    (Happened::Held(_), NextStep::Finish(Outcome::Abandoned { .. })) => {
                        let since = held_since.unwrap_or(now);
                        prop_assert!(now.since(since) >= policy.longest_hold);
                        return Ok(());
                    }
                    (Happened::Held(reason), NextStep::Hold(next, why)) => {
                        prop_assert_eq!(&reason, &why);
                        let since = *held_since.get_or_insert(now);
                        prop_assert_eq!(next.attempt, progress.attempt);
                        prop_assert_eq!(next.held.map(|held| held.since), Some(since));
                        let (closed, most) = match why {
                            HoldReason::BreakerOpen { until } => (until.since(now), Duration::from_secs(256)),
                            HoldReason::MerchantBusy { until }
                            | HoldReason::OverRate { until }
                            | HoldReason::EndpointDown { until } => (until.since(now), Duration::from_millis(1)),
                            HoldReason::UnknownMerchant | HoldReason::PluginFault(_) | HoldReason::Paused
                            | HoldReason::AddressRefused | HoldReason::GatewayBusy => (Duration::ZERO, Duration::from_secs(256)),
                        };
                        let wait = next.due.since(now);
                        prop_assert!(next.due > now && wait >= closed);
                        prop_assert!(wait <= most.max(closed));
                        progress = next;
                    }
                    (_, NextStep::Finish(Outcome::Exhausted { .. })) => {
                        prop_assert!(refused_after.is_some());
                        prop_assert_eq!(refusals, ladder.delays().len());
                        return Ok(());
                    }
                    (_, NextStep::Retry(next)) => {
                        let asked = refused_after.expect("only a refusal climbs");
                        let rung = ladder.delays().get(refusals).copied().expect("not past the last rung");
                        refusals += 1;
                        held_since = None;
                        prop_assert_eq!(next.attempt.get() as usize, refusals + 1);
                        prop_assert_eq!(next.held, None);
                        let least = rung.max(asked.min(policy.longest_retry_after));
                        let most = (rung * 2).max(asked.min(policy.longest_retry_after));
                        let wait = next.due.since(now);
                        prop_assert!(wait >= least && wait <= most, "{wait:?} for {rung:?}, asked {asked:?}");
                        progress = next;
                    }
                    (happened, step) => prop_assert!(false, "{happened:?} led to {step:?}"),
                }
                prop_assert_eq!((progress.first_seen.unix_milliseconds(), progress.replay), (1_000_000, 3));
            }
        }
    }

    #[test]
    fn want_of_room_is_no_reason_to_give_up_and_nor_is_a_single_try_after_days() {
        let policy = Policy::default();
        let began = Moment::EPOCH;
        let late = began.after(2 * policy.longest_hold);
        let mut held = Held { since: began, count: NonZeroU32::MAX };
        let step = |held, reason| {
            let progress = Progress {
                attempt: AttemptNumber::FIRST,
                due: late,
                first_seen: began,
                held: Some(held),
                replay: 0,
            };
            next_step(progress, &Ladder::default(), &policy, Happened::Held(reason), late, 0)
        };
        let until = late;
        for passes in [
            HoldReason::MerchantBusy { until },
            HoldReason::OverRate { until },
            HoldReason::EndpointDown { until },
            HoldReason::Paused,
            HoldReason::GatewayBusy,
        ] {
            assert!(matches!(step(held, passes), NextStep::Hold(..)));
        }
        assert!(matches!(
            step(held, HoldReason::UnknownMerchant),
            NextStep::Finish(Outcome::Abandoned { .. })
        ));
        held.count = NonZeroU32::MIN;
        assert!(matches!(step(held, HoldReason::UnknownMerchant), NextStep::Hold(..)));
    }

    #[test]
    fn one_that_is_released_waits_little_again_and_is_not_given_up() {
        let policy = Policy::default();
        let began = Moment::EPOCH;
        let released = began.after(policy.longest_hold - Duration::from_secs(1));
        let held = Held { since: began, count: NonZeroU32::new(900).expect("not zero") };
        let progress = Progress {
            attempt: AttemptNumber::FIRST,
            due: released,
            first_seen: began,
            held: Some(held),
            replay: 0,
        };
        let mut progress = progress.released(released);
        assert_eq!((progress.place(), progress.due), ((0, 1, 900), released));
        let mut waits = Vec::new();
        let mut now = progress.due;
        for _ in 0..8 {
            let happened = Happened::Held(HoldReason::PluginFault("trap".into()));
            let NextStep::Hold(next, _) = next_step(progress, &Ladder::default(), &policy, happened, now, 0)
            else {
                unreachable!("it is held")
            };
            waits.push(next.due.since(now).as_secs());
            assert!(next.place() > progress.place());
            (progress, now) = (next, next.due);
        }
        assert_eq!(waits, [4, 8, 24, 72, 216, 256, 256, 256]);
    }

    #[test]
    fn a_hold_that_never_ends_is_abandoned() {
        let policy = Policy::default();
        let mut now = Moment::EPOCH;
        let mut progress =
            Progress { attempt: AttemptNumber::FIRST, due: now, first_seen: now, held: None, replay: 0 };
        let mut holds = 0;
        loop {
            let happened = Happened::Held(HoldReason::PluginFault("trap".into()));
            match next_step(progress, &Ladder::default(), &policy, happened, now, 0) {
                NextStep::Hold(next, _) => progress = next,
                NextStep::Finish(outcome) => {
                    assert_eq!(outcome.name(), "abandoned");
                    assert_eq!(outcome.attempts(progress.attempt), 0);
                    break;
                }
                NextStep::Retry(_) => unreachable!("a hold spends no attempt"),
            }
            now = progress.due;
            holds += 1;
        }
        // 4, 8, … 128 s, then 256 s each, until three days are over.
        assert_eq!(holds, 6 + (72 * 3_600_u64 - 252).div_ceil(256));
    }
}
