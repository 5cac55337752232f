//! The breaker: when something that fails again and again is left alone for a while: a merchant's plugin, or its endpoint.
//!
//! ```text
//!            `after` notifications in a row            the pause is over
//!   closed ───────────────────────────────────► open ───────────────────► trying: one call goes through
//!     ▲                                          ▲                          │            │
//!     │                                          └── it fails: twice as long ┘            │
//!     └──────────────────────────────────── it works ────────────────────────────────────┘
//! ```
//!
//! The rule: **one breaker for each merchant and its endpoint, and one for each version of a plugin and each merchant.** What a plugin is given comes from one
//! merchant (its record, its settings, its reply), and a reply can be made up so that a careless `judge` traps. Were there one breaker
//! for a version alone, whoever finds such a reply stops the version for everybody who uses it; and were faults from several
//! merchants asked for first, whoever owns several merchants does. A breaker for each merchant can be opened only by what
//! that merchant sent or answered, so nobody else waits for it. The price: a version that is broken for all of its
//! merchants costs [`BreakerPolicy::after`] calls for each of them instead of for one, each within the bounds of a call.
//!
//! Within a merchant, too, one bad record must not stop the good ones. So notifications are counted, not calls: one that
//! faults whenever it is tried counts once, and any attempt in which the plugin did its work begins the count again.
//!
//! What counts is said by [`Evidence`]. A plugin that answers with an error of its own is at work, and says what it
//! does not like: that is neither a fault nor a proof of health. An endpoint works if it replies, whatever it replies.
//!
//! Deliberately absent: the clock (an argument), and what becomes of notifications meanwhile
//! ([`HoldReason::BreakerOpen`](super::HoldReason::BreakerOpen), [`HoldReason::EndpointDown`](super::HoldReason::EndpointDown)).

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Moment, NotificationId};

/// When breakers open, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many different notifications in a row must fault.
    pub after: NonZeroU32,
    /// How long it is open at first. Each call that fails after a pause doubles it.
    pub pause: Duration,
    /// The longest pause; never shorter than the first.
    pub longest: Duration,
}

impl BreakerPolicy {
    /// The longest pause there is: never shorter than the first.
    #[must_use]
    pub fn longest_pause(&self) -> Duration {
        self.longest.max(self.pause)
    }
}

impl Default for BreakerPolicy {
    /// Five, ten seconds, five minutes.
    fn default() -> Self {
        let after = NonZeroU32::MIN.saturating_add(4);
        Self { after, pause: Duration::from_secs(10), longest: Duration::from_secs(5 * 60) }
    }
}

/// What an attempt says of the plugin, or of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It did all that was asked of it.
    Works,
    /// The plugin trapped, ran for too long, went over a bound, or made the gateway panic; the endpoint did not reply.
    Fault,
    /// Neither: it was not called, or a plugin answered with an error or a request that breaks a rule.
    None,
}

/// That an attempt may be made. To be given back with [`Breaker::note`], whatever came of it.
///
/// The default is that of a breaker which is closed.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Pass {
    /// It is the one call that decides whether the breaker closes: the number of its trial.
    trial: Option<u64>,
    /// It goes through although the breaker is open.
    forced: bool,
}

/// What an attempt has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has opened, for the first time since it was closed.
    Opened {
        /// Until then nothing goes through.
        until: Moment,
    },
    /// It goes on being open: the call after the pause failed, too.
    StaysOpen {
        /// Until then nothing goes through.
        until: Moment,
    },
    /// It works again.
    Closed,
}

/// One breaker. See the module.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    trials: u64,
}

#[derive(Debug)]
enum State {
    /// Everything goes through. The notifications that have faulted since the plugin last worked; fewer than `after`.
    Closed(Vec<NotificationId>),
    /// Nothing goes through.
    Open { until: Moment, pause: Duration },
    /// One at a time goes through; whether one is out.
    Trying { pause: Duration, out: bool },
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed(Vec::new()), trials: 0 }
    }

    /// Whether nothing has happened that matters: as good as a new one.
    #[must_use]
    pub fn is_pristine(&self) -> bool {
        matches!(&self.state, State::Closed(faulted) if faulted.is_empty())
    }

    /// Whether it is anything but closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed(_))
    }

    /// Whether an attempt may be made now.
    ///
    /// # Errors
    /// Not before that moment. It may be `now`: somebody else's attempt is just finding out.
    pub fn admit(&mut self, now: Moment) -> Result<Pass, Moment> {
        match self.state {
            State::Closed(_) => Ok(Pass::default()),
            State::Open { until, .. } if now < until => Err(until),
            State::Trying { out: true, .. } => Err(now),
            State::Open { pause, .. } | State::Trying { pause, out: false } => {
                self.state = State::Trying { pause, out: true };
                self.trials += 1;
                Ok(Pass { trial: Some(self.trials), forced: false })
            }
        }
    }

    /// Lets an attempt through that may not wait any longer. If it works, that closes the breaker; if it fails, that is no news.
    pub fn force(&self) -> Pass {
        Pass { trial: None, forced: self.is_open() }
    }

    /// Takes a pass back, with what the attempt at that notification said of the plugin.
    pub fn note(
        &mut self,
        pass: &Pass,
        notification: &NotificationId,
        evidence: Evidence,
        now: Moment,
    ) -> Option<Change> {
        match (&mut self.state, evidence) {
            (State::Closed(faulted), Evidence::Works) => {
                faulted.clear();
                None
            }
            (State::Closed(faulted), Evidence::Fault) => {
                if !faulted.contains(notification) {
                    faulted.push(notification.clone());
                }
                let enough = faulted.len() >= self.policy.after.get() as usize;
                enough.then(|| Change::Opened { until: self.open(self.policy.pause, now) })
            }
            (State::Trying { pause, .. }, evidence) if pass.trial == Some(self.trials) => match evidence {
                Evidence::Works => {
                    self.state = State::Closed(Vec::new());
                    Some(Change::Closed)
                }
                Evidence::Fault => {
                    let pause = pause.saturating_mul(2);
                    Some(Change::StaysOpen { until: self.open(pause, now) })
                }
                Evidence::None => {
                    self.give_back(pass);
                    None
                }
            },
            (State::Open { .. } | State::Trying { .. }, Evidence::Works) if pass.forced => {
                self.state = State::Closed(Vec::new());
                Some(Change::Closed)
            }
            // An attempt that was begun before the breaker opened says nothing new.
            (State::Closed(_), Evidence::None) | (State::Open { .. } | State::Trying { .. }, _) => None,
        }
    }

    /// Takes a pass back of which nothing came: whoever had it was ended.
    pub fn give_back(&mut self, pass: &Pass) {
        if let State::Trying { out, .. } = &mut self.state
            && pass.trial == Some(self.trials)
        {
            *out = false;
        }
    }

    fn open(&mut self, pause: Duration, now: Moment) -> Moment {
        let pause = pause.min(self.policy.longest_pause());
        let until = now.after(pause);
        self.state = State::Open { until, pause };
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u32) -> NotificationId {
        format!("n{number}").parse().expect("an id")
    }

    fn at(milliseconds: i64) -> Moment {
        Moment::from_unix_milliseconds(milliseconds)
    }

    fn policy(after: u32, pause: u64, longest: u64) -> BreakerPolicy {
        BreakerPolicy {
            after: NonZeroU32::new(after).expect("not zero"),
            pause: Duration::from_millis(pause),
            longest: Duration::from_millis(longest),
        }
    }

    /// Makes an attempt that must be let through.
    fn attempt(breaker: &mut Breaker, number: u32, evidence: Evidence, now: i64) -> Option<Change> {
        let pass = breaker.admit(at(now)).expect("it goes through");
        breaker.note(&pass, &id(number), evidence, at(now))
    }

    #[test]
    fn it_opens_tries_doubles_up_to_the_bound_and_closes() {
        let mut breaker = Breaker::new(policy(3, 100, 300));
        assert_eq!(attempt(&mut breaker, 1, Evidence::Fault, 0), None);
        assert_eq!(attempt(&mut breaker, 2, Evidence::Fault, 1), None);
        assert_eq!(attempt(&mut breaker, 3, Evidence::Fault, 2), Some(Change::Opened { until: at(102) }));
        assert_eq!(breaker.admit(at(101)), Err(at(102)));
        let mut now = 102;
        for pause in [200, 300, 300] {
            let stays = Change::StaysOpen { until: at(now + pause) };
            assert_eq!(attempt(&mut breaker, 1, Evidence::Fault, now), Some(stays));
            now += pause;
        }
        // What says nothing leaves the trial to the next one.
        assert_eq!(attempt(&mut breaker, 1, Evidence::None, now), None);
        let pass = breaker.admit(at(now)).expect("a trial");
        assert_eq!(breaker.admit(at(now)), Err(at(now)), "one at a time");
        assert_eq!(breaker.note(&pass, &id(4), Evidence::Works, at(now)), Some(Change::Closed));
        assert!(breaker.is_pristine());
        // The pause begins anew, too.
        for number in 1..3 {
            assert_eq!(attempt(&mut breaker, number, Evidence::Fault, now), None);
        }
        let opened = Change::Opened { until: at(now + 100) };
        assert_eq!(attempt(&mut breaker, 3, Evidence::Fault, now), Some(opened));
    }

    #[test]
    fn one_bad_notification_never_opens_it() {
        let mut breaker = Breaker::new(policy(2, 100, 300));
        for now in 0..100 {
            assert_eq!(attempt(&mut breaker, 7, Evidence::Fault, now), None);
        }
        assert_eq!(attempt(&mut breaker, 8, Evidence::None, 100), None);
        assert_eq!(attempt(&mut breaker, 8, Evidence::Works, 100), None);
        assert_eq!(attempt(&mut breaker, 9, Evidence::Fault, 101), None);
        assert_eq!(attempt(&mut breaker, 7, Evidence::Fault, 102), Some(Change::Opened { until: at(202) }));
    }

    #[test]
    fn what_began_before_it_opened_decides_nothing() {
        let mut breaker = Breaker::new(policy(1, 100, 300));
        let early = breaker.admit(at(0)).expect("closed");
        assert!(attempt(&mut breaker, 1, Evidence::Fault, 0).is_some());
        let trial = breaker.admit(at(100)).expect("a trial");
        assert_eq!(breaker.note(&early, &id(2), Evidence::Works, at(100)), None);
        assert_eq!(breaker.note(&early, &id(2), Evidence::None, at(100)), None);
        assert_eq!(breaker.admit(at(100)), Err(at(100)), "the trial is still out");
        assert_eq!(breaker.note(&trial, &id(3), Evidence::Works, at(100)), Some(Change::Closed));
    }

    #[test]
    fn one_that_was_forced_through_closes_it_if_it_works_and_is_no_news_otherwise() {
        let mut breaker = Breaker::new(policy(1, 100, 300));
        assert!(attempt(&mut breaker, 1, Evidence::Fault, 0).is_some());
        let (fails, works, late) = (breaker.force(), breaker.force(), breaker.force());
        assert_eq!(breaker.note(&fails, &id(2), Evidence::Fault, at(50)), None);
        assert_eq!(breaker.admit(at(50)), Err(at(100)), "its pause is as it was");
        let trial = breaker.admit(at(100)).expect("a trial");
        assert_eq!(breaker.note(&works, &id(3), Evidence::Works, at(100)), Some(Change::Closed));
        assert_eq!(
            breaker.note(&trial, &id(4), Evidence::Fault, at(100)),
            Some(Change::Opened { until: at(200) })
        );
        assert_eq!(breaker.note(&late, &id(5), Evidence::Works, at(150)), Some(Change::Closed));
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        prop_oneof![3 => Just(Evidence::Fault), 1 => Just(Evidence::Works), 1 => Just(Evidence::None)]
    }

    #[derive(Clone, Debug)]
    enum Event {
        Begin,
        /// One goes through in any case.
        Force,
        /// The oldest attempt under way comes to its end.
        End(Evidence),
        Wait(u64),
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Begin),
            1 => Just(Event::Force),
            4 => any_evidence().prop_map(Event::End),
            1 => (1u64..2_000).prop_map(Event::Wait),
        ]
    }

    proptest! {
        /// In virtual time, with attempts that overlap: it opens only after `after` different notifications have
        /// faulted since the plugin last worked; while it is open nothing goes through; after a pause one does at a
        /// time; a pause is never longer than the bound; and whoever waits long enough is let through.
        #[test]
        fn whatever_happens_it_keeps_its_rules(
            after in 1u32..5,
            pause in 1u64..500,
            longest in 1u64..5_000,
            events in proptest::collection::vec(any_event(), 1..200),
        ) {
            let mut breaker = Breaker::new(policy(after, pause, longest));
            let bound = longest.max(pause);
            let mut now = at(0);
            let mut under_way = std::collections::VecDeque::new();
            let mut faulted_since_it_worked = std::collections::HashSet::new();
            let mut open_until = None;
            let mut number = 0;
            for event in events {
                match event {
                    Event::Wait(milliseconds) => now = now.after(Duration::from_millis(milliseconds)),
                    Event::Force => {
                        number += 1;
                        under_way.push_back((breaker.force(), number));
                    }
                    Event::Begin => {
                        number += 1;
                        match (breaker.admit(now), open_until) {
                            (Ok(pass), None) => {
                                prop_assert!(pass.trial.is_none());
                                under_way.push_back((pass, number));
                            }
                            (Ok(pass), Some(until)) => {
                                prop_assert!(now >= until, "through an open breaker");
                                prop_assert!(pass.trial.is_some());
                                let trials = under_way.iter().filter(|(pass, _)| pass.trial == Some(breaker.trials));
                                prop_assert_eq!(trials.count(), 0, "two trials at once");
                                under_way.push_back((pass, number));
                            }
                            (Err(until), Some(open)) if now < open => prop_assert_eq!(until, open),
                            (Err(until), Some(_)) => {
                                prop_assert_eq!(until, now);
                                let trials = under_way.iter().filter(|(pass, _)| pass.trial == Some(breaker.trials));
                                prop_assert_eq!(trials.count(), 1, "refused, and nobody is trying");
                            }
                            (Err(_), None) => prop_assert!(false, "a closed breaker refuses"),
                        }
                    }
                    Event::End(evidence) => {
                        let Some((pass, number)) = under_way.pop_front() else { continue };
                        let was_open = open_until.is_some();
                        let change = breaker.note(&pass, &id(number), evidence, now);
                        if !was_open {
                            match evidence {
                                Evidence::Works => faulted_since_it_worked.clear(),
                                Evidence::Fault => drop(faulted_since_it_worked.insert(number)),
                                Evidence::None => {}
                            }
                        }
                        let enough = faulted_since_it_worked.len() >= after as usize;
                        match change {
                            Some(Change::Opened { until }) => {
                                prop_assert!(!was_open && enough);
                                prop_assert_eq!(until, now.after(Duration::from_millis(pause.min(bound))));
                                open_until = Some(until);
                            }
                            Some(Change::StaysOpen { until }) => {
                                prop_assert!(was_open && evidence == Evidence::Fault);
                                prop_assert!(until.since(now) <= Duration::from_millis(bound));
                                open_until = Some(until);
                            }
                            Some(Change::Closed) => {
                                prop_assert!(was_open && evidence == Evidence::Works);
                                faulted_since_it_worked.clear();
                                open_until = None;
                            }
                            None => prop_assert!(was_open || !enough, "it should have opened"),
                        }
                    }
                }
                prop_assert_eq!(breaker.is_open(), open_until.is_some());
            }
        }
    }
}
