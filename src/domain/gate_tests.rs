use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{AttemptNumber, Held};
use std::num::NonZeroU32;

fn at(milliseconds: i64) -> Moment {
    Moment::from_unix_milliseconds(milliseconds)
}

fn id(number: usize) -> NotificationId {
    format!("n{number}").parse().expect("an id")
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

const NEW: Progress = Progress {
    attempt: AttemptNumber::FIRST,
    due: Moment::EPOCH,
    first_seen: Moment::EPOCH,
    held: None,
    replay: 0,
};

fn held(since: Moment) -> Progress {
    Progress { held: Some(Held { since, count: NonZeroU32::MIN }), ..NEW }
}

fn asks(progress: Progress, turn: Turn) -> Asks {
    Asks { progress, free: 256, slots: 256, turn }
}

fn go(gate: &mut Gate, progress: Progress, now: i64) -> Entry {
    match gate.admit(&asks(progress, Turn::New), at(now)) {
        Admission::Go(entry) => entry,
        Admission::Wait => panic!("it waits"),
        Admission::Hold(reason) => panic!("held: {reason}"),
    }
}

fn hold(gate: &mut Gate, progress: Progress, turn: Turn, now: i64) -> HoldReason {
    match gate.admit(&asks(progress, turn), at(now)) {
        Admission::Hold(reason) => reason,
        Admission::Wait => panic!("it waits"),
        Admission::Go(_) => panic!("it goes through"),
    }
}

fn fails(gate: &mut Gate, progress: Progress, number: usize, now: i64) -> Changed {
    let entry = go(gate, progress, now);
    gate.leave(&entry, &id(number), Evidence::Fault, at(now))
}

#[test]
fn one_waits_for_a_place_and_is_held_when_that_was_in_vain() {
    let mut gate = Gate::new(GatePolicy { in_flight: 2, ..GatePolicy::default() });
    let entries = [go(&mut gate, NEW, 0), go(&mut gate, NEW, 0)];
    assert!(matches!(gate.admit(&asks(NEW, Turn::New), at(0)), Admission::Wait));
    assert!(matches!(gate.admit(&asks(NEW, Turn::Waiting), at(50)), Admission::Wait));
    let reason = hold(&mut gate, NEW, Turn::Last, 100);
    assert_eq!(reason, HoldReason::MerchantBusy { until: at(1_100) });
    // From now on nobody waits.
    hold(&mut gate, NEW, Turn::New, 101);
    // What began before that proves nothing.
    let [first, second] = entries;
    gate.leave(&first, &id(0), Evidence::Works, at(200));
    let third = go(&mut gate, held(at(100)), 200);
    hold(&mut gate, NEW, Turn::New, 200);
    gate.leave(&second, &id(1), Evidence::Works, at(201));
    let fourth = go(&mut gate, held(at(100)), 201);
    gate.leave(&third, &id(2), Evidence::Works, at(202));
    let fifth = go(&mut gate, held(at(100)), 202);
    assert!(matches!(gate.admit(&asks(held(at(100)), Turn::New), at(203)), Admission::Wait));
    for entry in [fourth, fifth] {
        gate.give_back(&entry);
    }
}

#[test]
fn nobody_waits_where_the_turn_would_come_too_late() {
    let mut gate = Gate::new(GatePolicy { in_flight: 1, ..GatePolicy::default() });
    let slow = go(&mut gate, NEW, 0);
    gate.leave(&slow, &id(0), Evidence::Works, at(5_000));
    let _slow = go(&mut gate, NEW, 5_000);
    assert!(matches!(hold(&mut gate, NEW, Turn::New, 5_001), HoldReason::MerchantBusy { .. }));
}

#[test]
fn new_ones_are_held_behind_all_that_are_and_none_for_longer_than_the_longest_wait() {
    let mut gate = Gate::new(GatePolicy { in_flight: 1, ..GatePolicy::default() });
    for _ in 0..60 {
        let entry = go(&mut gate, NEW, 0);
        gate.leave(&entry, &id(0), Evidence::Works, at(1_000));
    }
    let typical = gate.pace.typical();
    assert!(typical > milliseconds(990) && typical <= milliseconds(1_000), "{typical:?}");
    let _entry = go(&mut gate, NEW, 1_000);
    let mut before = at(1_000);
    for number in 0..1_000 {
        let HoldReason::MerchantBusy { until } = hold(&mut gate, NEW, Turn::New, 1_000) else {
            panic!("it is busy")
        };
        let wait = until.since(at(1_000));
        assert!(wait >= LEAST_WAIT && wait <= LONGEST_WAIT, "{wait:?}");
        if number < 250 {
            assert!(number < 2 || until.since(before) >= milliseconds(990), "{until} after {before}");
        }
        before = until;
    }
}

#[test]
fn while_something_is_held_half_of_the_places_are_for_what_comes_back() {
    let mut gate = Gate::new(GatePolicy { in_flight: 4, ..GatePolicy::default() });
    let mut entries: Vec<_> = (0..4).map(|_| go(&mut gate, NEW, 0)).collect();
    assert!(matches!(gate.admit(&asks(NEW, Turn::New), at(0)), Admission::Wait));
    hold(&mut gate, NEW, Turn::Last, 100);
    for entry in entries.drain(..) {
        gate.leave(&entry, &id(0), Evidence::Works, at(100));
    }
    entries.extend([go(&mut gate, NEW, 101), go(&mut gate, NEW, 101)]);
    hold(&mut gate, NEW, Turn::New, 101);
    entries.push(go(&mut gate, held(at(100)), 101));
    entries.push(go(&mut gate, held(at(100)), 101));
    for entry in entries.drain(..) {
        gate.leave(&entry, &id(0), Evidence::Works, at(102));
    }
    // When all are back, everybody has all places.
    let later = 10_000;
    entries.extend((0..4).map(|_| go(&mut gate, NEW, later)));
    assert_eq!(entries.len(), 4);
}

#[test]
fn the_breaker_delays_each_attempt_by_its_longest_pause_at_most() {
    let mut gate = Gate::new(GatePolicy::default());
    for number in 0..9 {
        assert_eq!(fails(&mut gate, NEW, number, 0), Changed::default());
    }
    let opened = fails(&mut gate, NEW, 9, 0);
    assert_eq!(opened.breaker, Some(Change::Opened { until: at(5_000) }));
    assert_eq!((opened.lane, gate.is_down()), (Some(Lane::Slow), true));
    // They come back one after the other, from the end of the pause on.
    for number in 0..3 {
        let until = at(5_000 + 100 * number);
        assert_eq!(hold(&mut gate, NEW, Turn::New, 0), HoldReason::EndpointDown { until });
    }
    // One tries it. The others wait for what it finds out, or for the next pause.
    let trial = go(&mut gate, held(at(0)), 5_000);
    let until = at(6_100);
    assert_eq!(hold(&mut gate, held(at(0)), Turn::New, 5_100), HoldReason::EndpointDown { until });
    gate.leave(&trial, &id(10), Evidence::Fault, at(5_200));
    let HoldReason::EndpointDown { until } = hold(&mut gate, held(at(0)), Turn::New, 6_100) else {
        panic!("it is down")
    };
    assert_eq!(until, at(15_200));
    // Whoever has waited for a minute is tried in any case, and a reply closes it.
    assert!(matches!(hold(&mut gate, held(at(0)), Turn::New, 14_000), HoldReason::EndpointDown { .. }));
    let HoldReason::EndpointDown { until } = hold(&mut gate, held(at(-50_000)), Turn::New, 9_000) else {
        panic!("it is down")
    };
    assert_eq!(until, at(10_000), "no later than a minute after it was held first");
    let forced = go(&mut gate, held(at(-50_000)), 10_000);
    let closed = gate.leave(&forced, &id(11), Evidence::Works, at(10_001));
    assert_eq!(closed, Changed { breaker: Some(Change::Closed), lane: Some(Lane::Main) });
}

#[test]
fn what_is_over_the_rate_is_held_until_its_token_comes() {
    let mut gate = Gate::new(GatePolicy { rate: "2/s".parse().ok(), ..GatePolicy::default() });
    let entries = [go(&mut gate, NEW, 0), go(&mut gate, NEW, 0)];
    assert_eq!(hold(&mut gate, NEW, Turn::New, 0), HoldReason::OverRate { until: at(500) });
    assert_eq!(hold(&mut gate, NEW, Turn::New, 0), HoldReason::OverRate { until: at(1_000) });
    for now in [500, 1_000] {
        let entry = go(&mut gate, held(at(0)), now);
        gate.give_back(&entry);
    }
    entries.iter().for_each(|entry| gate.give_back(entry));
}

/// A merchant and its notifications, in virtual time: each is taken up when it is due, waits where it is told to, comes
/// back when it was told to, and ends with its attempt.
struct World {
    gate: Gate,
    free: usize,
    /// What happens when: the notifications that are taken up then, and the attempts that end then.
    coming: BTreeMap<Moment, Vec<(usize, Progress)>>,
    ending: BTreeMap<Moment, Vec<(usize, Entry)>>,
    waiting: Vec<(usize, Progress, Moment)>,
    /// How long each took from its first being taken up to its attempt, and how often it was held.
    began: BTreeMap<usize, (Moment, Moment, u32)>,
}

impl World {
    fn take_up(&mut self, number: usize, progress: Progress, turn: Turn, now: Moment, lasts: Duration) {
        let asks = Asks { progress, free: self.free, slots: 256, turn };
        match self.gate.admit(&asks, now) {
            Admission::Go(entry) => {
                assert!(self.gate.under_way <= self.gate.policy.in_flight);
                assert!(self.gate.under_way <= fair_share(self.free, 256), "more than its share");
                self.free -= 1;
                self.ending.entry(now.after(lasts)).or_default().push((number, entry));
                let holds = progress.held.map_or(0, |held| held.count.get());
                assert!(self.began.insert(number, (progress.first_seen, now, holds)).is_none());
            }
            Admission::Wait => {
                let until = if turn == Turn::New { now.after(PATIENCE) } else { now };
                assert_ne!(turn, Turn::Last, "it has waited long enough");
                match self.waiting.iter_mut().find(|(other, ..)| *other == number) {
                    Some(_) => {}
                    None => self.waiting.push((number, progress, until)),
                }
            }
            Admission::Hold(reason) => {
                let random = u64::from(u32::try_from(number).expect("small")) << 40;
                let step = crate::domain::next_step(
                    progress,
                    &crate::domain::Ladder::default(),
                    &crate::domain::Policy::default(),
                    crate::domain::Happened::Held(reason),
                    now,
                    random,
                );
                let crate::domain::NextStep::Hold(next, _) = step else { panic!("a hold ended it") };
                assert!(next.due > now && next.due.since(now) <= LONGEST_WAIT);
                self.coming.entry(next.due).or_default().push((number, next));
            }
        }
    }

    fn step(&mut self, lasts: &impl Fn(usize) -> Duration) -> Option<Moment> {
        let patience = self.waiting.iter().map(|(.., until)| *until).min();
        let next = [self.coming.keys().next().copied(), self.ending.keys().next().copied(), patience];
        let now = next.into_iter().flatten().min()?;
        for (number, entry) in self.ending.remove(&now).unwrap_or_default() {
            self.free += 1;
            let _changed = self.gate.leave(&entry, &id(number), Evidence::Works, now);
            if let Some((number, progress, until)) = self.waiting.first().copied() {
                self.waiting.remove(0);
                self.take_up(number, progress, Turn::Waiting, now, lasts(number));
                if let Some(again) = self.waiting.iter_mut().find(|(other, ..)| *other == number) {
                    again.2 = until;
                }
            }
        }
        let over: Vec<_> = self.waiting.extract_if(.., |(.., until)| *until <= now).collect();
        for (number, progress, _) in over {
            self.take_up(number, progress, Turn::Last, now, lasts(number));
        }
        for (number, progress) in self.coming.remove(&now).unwrap_or_default() {
            self.take_up(number, progress, Turn::New, now, lasts(number));
        }
        Some(now)
    }
}

fn run(in_flight: usize, arrivals: &[i64], lasts: impl Fn(usize) -> Duration) -> World {
    let gate = Gate::new(GatePolicy { in_flight, ..GatePolicy::default() });
    let mut coming = BTreeMap::<_, Vec<_>>::new();
    for (number, arrival) in arrivals.iter().enumerate() {
        let moment = at(*arrival);
        let progress = Progress { due: moment, first_seen: moment, ..NEW };
        coming.entry(moment).or_default().push((number, progress));
    }
    let (ending, waiting, began) = Default::default();
    let mut world = World { gate, free: 256, coming, ending, waiting, began };
    for _ in 0..1_000_000 {
        if world.step(&lasts).is_none() {
            return world;
        }
    }
    panic!("it never ends");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and however long it takes: each gets through exactly once, never more are under way than may be,
    /// and no hold is longer than the longest wait (see `World::take_up`).
    #[test]
    fn everything_gets_through(
        in_flight in 1_usize..40,
        gaps in proptest::collection::vec(0_i64..200, 1..300),
        slow in proptest::collection::vec(1_u64..6_000, 8),
    ) {
        let arrivals: Vec<_> = gaps.iter().scan(0, |moment, gap| { *moment += gap; Some(*moment) }).collect();
        let world = run(in_flight, &arrivals, |number| milliseconds(slow[number % slow.len()]));
        prop_assert_eq!(world.began.len(), arrivals.len());
        prop_assert_eq!((world.gate.under_way, world.gate.waiting, world.free), (0, 0, 256));
    }
}

/// A merchant that can take 40 in a second is sent twice as many for a minute: those that came first are not left behind
/// for those that came later.
#[test]
fn who_came_first_is_not_starved_by_who_came_later() {
    let arrivals: Vec<_> = (0..4_800_i64).map(|number| number * 25 / 2).collect();
    let world = run(4, &arrivals, |_| milliseconds(100));
    let ages: Vec<_> = world.began.values().map(|(came, began, _)| began.since(*came).as_secs()).collect();
    let holds = world.began.values().map(|(.., holds)| *holds).max();
    let oldest = ages.iter().max().expect("some");
    let mean = |ages: &[u64]| ages.iter().sum::<u64>() / ages.len() as u64;
    let (early, late) = (mean(&ages[..800]), mean(&ages[4_000..]));
    println!(
        "{early} s for the first sixth, {late} s for the last, {oldest} s at most; {holds:?} holds at most"
    );
    // Twice the load for a minute takes two minutes, and nobody waits much longer than that.
    assert!(*oldest <= 150 && early <= 60, "{early} s and {oldest} s");
    assert!(holds.is_some_and(|holds| holds <= 40), "{holds:?}");
}

/// A merchant that hangs, with a backlog: how often it is held in ten minutes, for each.
#[test]
fn a_long_backlog_does_not_churn() {
    let arrivals = vec![0; 5_000];
    let world = run(32, &arrivals, |_| milliseconds(5_000));
    let holds: u32 = world.began.values().map(|(.., holds)| *holds).sum();
    let last = world.began.values().map(|(_, began, _)| *began).max().expect("some");
    let lasted = last.since(at(0)).as_secs().max(1);
    println!("{holds} holds for 5,000 in {lasted} s: {} in a second", u64::from(holds) / lasted);
    assert!(u64::from(holds) / lasted <= 100, "{holds} holds in {lasted} s");
}
