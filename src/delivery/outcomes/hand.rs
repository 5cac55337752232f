//! The events that are in hand, and when each may be told. Pure: time is an argument.
//!
//! The rule: an event that was not taken waits longer each time, and while the endpoint takes none, one at a time tries it,
//! after pauses that double. So one event that the endpoint never takes hinders no other, and an endpoint that is away costs next to nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::{Moment, NotificationId, OutcomeEvent};

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What bounds the events in hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many there may be.
    pub(super) most: usize,
    /// How many are told side by side, while the endpoint takes them.
    pub(super) side_by_side: usize,
    /// The longest pause.
    pub(super) longest_pause: Duration,
}

/// An event in hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) event: OutcomeEvent,
    /// The broker's exchange has been told already.
    pub(super) by_broker: bool,
    tries: u32,
}

/// See the module.
pub(super) struct Hand {
    bounds: Bounds,
    /// Those that wait, by when they are due; the number tells those apart that are due together.
    waiting: BTreeMap<(Instant, u64), Held>,
    number: u64,
    /// The endings of each notification that are in hand: one that is replayed ends more than once.
    of: HashMap<NotificationId, Vec<Moment>>,
    telling: usize,
    /// How many were not taken in a row.
    failures: u32,
    /// Before this none is told.
    pause_until: Option<Instant>,
}

impl Hand {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: BTreeMap::new(),
            number: 0,
            of: HashMap::new(),
            telling: 0,
            failures: 0,
            pause_until: None,
        }
    }

    /// How many events are in hand.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.telling
    }

    /// How many more may come.
    pub(super) fn room(&self) -> usize {
        self.bounds.most.saturating_sub(self.len())
    }

    /// Whether the endpoint took the last one that it was told.
    pub(super) fn endpoint_takes(&self) -> bool {
        self.failures == 0
    }

    /// Takes an event in. One that is in hand already stays as it is.
    pub(super) fn put(&mut self, event: OutcomeEvent, by_broker: bool, now: Instant) {
        let endings = self.of.entry(event.notification_id.clone()).or_default();
        let ended_at = event.ended_at;
        if !endings.contains(&ended_at) {
            endings.push(ended_at);
            self.wait(Held { event, by_broker, tries: 0 }, now);
        }
    }

    /// The next event that may be told now, if there is one. Whoever takes it brings it back.
    pub(super) fn next(&mut self, now: Instant) -> Option<Held> {
        if self.next_at().is_none_or(|at| now < at) {
            return None;
        }
        let (_, held) = self.waiting.pop_first()?;
        self.telling += 1;
        Some(held)
    }

    /// When the next event may be told; nothing while enough are being told.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let may = if self.endpoint_takes() { self.bounds.side_by_side } else { 1 };
        let ((due, _), _) = self.waiting.first_key_value().filter(|_| self.telling < may)?;
        Some(self.pause_until.map_or(*due, |until| until.max(*due)))
    }

    /// The endpoint took it. Says whether no other ending of the same notification is in hand.
    pub(super) fn taken(&mut self, held: &Held) -> bool {
        self.telling -= 1;
        (self.failures, self.pause_until) = (0, None);
        let id = &held.event.notification_id;
        let ended_at = held.event.ended_at;
        let rest = self.of.get_mut(id).map_or(0, |endings| {
            endings.retain(|ending| *ending != ended_at);
            endings.len()
        });
        if rest == 0 {
            self.of.remove(id);
        }
        rest == 0
    }

    /// The endpoint did not take it: it waits. Says whether that is the first failure after a success.
    pub(super) fn not_taken(&mut self, mut held: Held, now: Instant) -> bool {
        self.telling -= 1;
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(now + self.pause(self.failures));
        held.tries = held.tries.saturating_add(1);
        let due = now + self.pause(held.tries);
        self.wait(held, due);
        self.failures == 1
    }

    fn wait(&mut self, held: Held, due: Instant) {
        self.number += 1;
        self.waiting.insert((due, self.number), held);
    }

    fn pause(&self, failures: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.bounds.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Notification, Outcome};

    fn event(id: &str, ended_at: i64) -> OutcomeEvent {
        let record = format!(
            r#"{{"schema":"payment-result/1","notification_id":"{id}","merchant_id":"shop","kind":"payment"}}"#
        );
        let notification = Notification::parse(record.into()).expect("a record");
        let at = Moment::from_unix_milliseconds(ended_at);
        OutcomeEvent::new(&notification, &Outcome::Confirmed { detail: None }, 1, Moment::EPOCH, at)
    }

    fn hand(most: usize) -> Hand {
        Hand::new(Bounds { most, side_by_side: 2, longest_pause: Duration::from_secs(2) })
    }

    fn name(held: &Held) -> &str {
        held.event.notification_id.as_str()
    }

    #[test]
    fn an_endpoint_that_takes_them_is_told_side_by_side() {
        let (mut hand, now) = (hand(4), Instant::now());
        for id in ["a", "b", "a", "c"] {
            hand.put(event(id, 1), true, now);
        }
        assert_eq!((hand.len(), hand.room()), (3, 1), "one came twice");
        let first = hand.next(now).expect("due");
        let second = hand.next(now).expect("due");
        assert_eq!((name(&first), name(&second)), ("a", "b"));
        assert!(hand.next(now).is_none() && hand.next_at().is_none(), "two at once");
        assert!(hand.taken(&first));
        assert_eq!(name(&hand.next(now).expect("due")), "c");
        assert_eq!(hand.len(), 2);
    }

    #[test]
    fn an_endpoint_that_is_away_is_tried_by_one_at_a_time_and_ever_less_often() {
        let (mut hand, start) = (hand(8), Instant::now());
        for id in ["a", "b", "c"] {
            hand.put(event(id, 1), true, start);
        }
        let (mut now, mut tried, mut pauses) = (start, String::new(), Vec::new());
        for turn in 0..8 {
            let held = hand.next(now).expect("due");
            assert!(turn == 0 || hand.next(now).is_none(), "one at a time");
            tried.push_str(name(&held));
            assert_eq!(hand.not_taken(held, now), turn == 0);
            let next = hand.next_at().expect("one waits");
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(tried, "abcabcab", "each has its turn");
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
        let held = hand.next(now).expect("due");
        hand.taken(&held);
        assert!(
            hand.endpoint_takes() && hand.next_at().is_some_and(|at| at <= now),
            "the others follow at once"
        );
    }

    #[test]
    fn one_that_is_never_taken_hinders_no_other() {
        let (mut hand, mut now) = (hand(100), Instant::now());
        hand.put(event("bad", 1), true, now);
        let (mut refused, mut taken) = (0, 0);
        for number in 0..200 {
            hand.put(event(&format!("n{number}"), 1), true, now);
            now = hand.next_at().expect("one waits").max(now);
            let held = hand.next(now).expect("due");
            if name(&held) == "bad" {
                hand.not_taken(held, now);
                refused += 1;
            } else {
                hand.taken(&held);
                taken += 1;
            }
            now += Duration::from_millis(10);
        }
        assert!(refused < 10 && taken > 190, "{refused} {taken}");
    }

    #[test]
    fn of_two_endings_the_second_one_says_that_all_is_told() {
        let (mut hand, now) = (hand(4), Instant::now());
        hand.put(event("a", 1), true, now);
        hand.put(event("a", 2), false, now);
        let (first, second) = (hand.next(now).expect("due"), hand.next(now).expect("due"));
        assert!(first.by_broker && !second.by_broker);
        assert!(!hand.taken(&first));
        assert!(hand.taken(&second));
        assert_eq!(hand.len(), 0);
    }
}
