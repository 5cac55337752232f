//! The cases of the suite in `conformance.rs`: each is one thing that every broker must do.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use paynotify::broker::{BrokerError, Content, Delivery};
use paynotify::domain::{AttemptNumber, Envelope, Held, Lane, Moment, Outcome, headers};

use super::conformance::{
    Fixture, Options, RUNGS, assert_on_time, assert_same, envelope, envelope_with, event, now, readable,
};

/// How the broker is opened for a case.
pub fn options(case: &str) -> Options {
    let (prefetch, slow_prefetch) = match case {
        "no_more_is_out_than_the_prefetch" => (4, 64),
        "each_lane_has_slots_of_its_own" => (4, 2),
        "thousands_at_once_add_up" => (256, 64),
        _ => (64, 64),
    };
    Options { prefetch, slow_prefetch, ..Options::default() }
}

fn parked(mut envelope: Envelope, wait: Duration) -> Envelope {
    envelope.progress.attempt = envelope.progress.attempt.next();
    envelope.progress.due = now().after(wait);
    envelope
}

pub async fn a_message_that_is_finished_leaves_one_event(fixture: &mut Fixture) {
    fixture.broker().ready().expect("open and well");
    let sent = envelope_with("n1", r#","merchant_order_id":"o1","payment_id":"p1""#);
    fixture.publish(&sent).await;
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &sent);
    fixture.finish(&came, delivery).await;
    fixture.nothing_comes().await;
}

pub async fn content_and_progress_come_back_as_they_were(fixture: &mut Fixture) {
    let long = "ü".repeat(100_000);
    let mut sent = envelope_with(
        "n1",
        &format!(
            " , \n\t\"extra\" : {{ \"z\":1.50, \"quote\":\"\\u00fc\\\"\" }}, \"later\":[\"{long}\",null]"
        ),
    );
    sent.progress.attempt = AttemptNumber::new(u32::MAX).expect("not zero");
    sent.progress.due = Moment::from_unix_milliseconds(1_000_000_000_001);
    sent.progress.first_seen = Moment::from_unix_milliseconds(-1);
    sent.progress.held = Some(Held { since: Moment::EPOCH, count: NonZeroU32::MAX });
    fixture.publish(&sent).await;
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &sent);
    let mut next = came;
    next.progress.attempt = AttemptNumber::FIRST;
    next.progress.held = None;
    delivery.receipt.park(&next).await.expect("parked");
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &next);
    fixture.finish(&came, delivery).await;
}

pub async fn one_who_waits_is_woken_by_a_message(fixture: &mut Fixture) {
    for id in ["n1", "n2", "n3"] {
        let sent = envelope(id);
        let publish = async {
            // The other side has begun to wait by now, or is about to: both must do.
            tokio::task::yield_now().await;
            fixture.publish(&sent).await;
        };
        let ((came, delivery), ()) = tokio::join!(fixture.take_readable(), publish);
        assert_same(&came, &sent);
        fixture.finish(&came, delivery).await;
    }
}

pub async fn a_parked_message_comes_back_on_time(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let next = parked(came, RUNGS[0]);
    delivery.receipt.park(&next).await.expect("parked");
    let (came, delivery, at) = fixture.take_due().await;
    assert_same(&came, &next);
    assert_on_time(&came, at);
    fixture.finish(&came, delivery).await;
}

/// What waits for longer than a case lasts comes at once; a broker that cannot reach what waits lets that come, too.
pub async fn a_message_that_is_hastened_comes_now(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let next = parked(came, RUNGS[1]);
    delivery.receipt.park(&next).await.expect("parked");
    let mut hastened = next.clone();
    hastened.progress.due = now();
    fixture.broker().hasten(&hastened).await.expect("hastened");
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &hastened);
    assert!(now() < next.progress.due, "it came no earlier than it would have");
    fixture.finish(&came, delivery).await;
    let left = tokio::time::timeout(RUNGS[1] + Duration::from_secs(1), fixture.broker().next()).await;
    if let Ok(Some(further)) = left {
        let event = event(&came, &Outcome::Confirmed { detail: None });
        let recorded = fixture.recorded(&came, &event).await;
        further.receipt.forget(recorded).await.expect("forgotten");
    }
    // And one that is not there is there then.
    let new = envelope("n2");
    fixture.broker().hasten(&new).await.expect("published");
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &new);
    fixture.finish(&came, delivery).await;
}

pub async fn a_longer_wait_does_not_delay_a_shorter_one(fixture: &mut Fixture) {
    for (id, wait) in [("long", RUNGS[1]), ("short", RUNGS[0])] {
        fixture.publish(&envelope(id)).await;
        let (came, delivery) = fixture.take_readable().await;
        delivery.receipt.park(&parked(came, wait)).await.expect("parked");
    }
    for id in ["short", "long"] {
        let (came, delivery, at) = fixture.take_due().await;
        assert_eq!(came.notification.id().as_str(), id);
        assert_on_time(&came, at);
        fixture.finish(&came, delivery).await;
    }
}

pub async fn a_new_message_waits_for_its_moment(fixture: &mut Fixture) {
    let not_before = now().after(Duration::from_millis(1_200));
    let sent = envelope_with("n1", &format!(r#","not_before":"{not_before}""#));
    assert_eq!(sent.progress.due, not_before);
    fixture.publish(&sent).await;
    let (came, delivery, at) = fixture.take_due().await;
    assert_same(&came, &sent);
    assert_on_time(&came, at);
    fixture.finish(&came, delivery).await;
}

pub async fn a_parked_message_survives_a_restart(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let next = parked(came, RUNGS[1]);
    delivery.receipt.park(&next).await.expect("parked");
    fixture.probe.restart().await;
    let (came, delivery, at) = fixture.take_due().await;
    assert_same(&came, &next);
    // It may have come due while the broker was closed; that it is not early is what counts here.
    assert!(at >= came.progress.due);
    fixture.finish(&came, delivery).await;
}

pub async fn parking_replaces_the_message(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let next = parked(came, Duration::ZERO);
    delivery.receipt.park(&next).await.expect("parked");
    fixture.probe.restart().await;
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &next);
    fixture.nothing_comes().await;
    fixture.finish(&came, delivery).await;
}

pub async fn a_dropped_delivery_comes_again(fixture: &mut Fixture) {
    let sent = envelope("n1");
    fixture.publish(&sent).await;
    for _ in 0..3 {
        let (came, delivery) = fixture.take_readable().await;
        assert_same(&came, &sent);
        drop(delivery);
    }
    let (came, delivery) = fixture.take_readable().await;
    fixture.finish(&came, delivery).await;
}

/// What made the program panic once will do so again: without a rest that would be a hot loop.
pub async fn a_delivery_lost_in_a_panic_rests_and_comes_again(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (_, delivery) = fixture.take_readable().await;
    let began = Instant::now();
    let panicked = tokio::spawn(async move {
        let _lost = delivery;
        panic!("on purpose");
    });
    assert!(panicked.await.is_err());
    // Others do not wait for it.
    fixture.publish(&envelope("n2")).await;
    let (came, delivery) = fixture.take_readable().await;
    assert_eq!(came.notification.id().as_str(), "n2");
    fixture.finish(&came, delivery).await;
    let (came, delivery) = fixture.take_readable().await;
    let rested = began.elapsed();
    assert!(rested >= Duration::from_secs(1), "it rested for {rested:?} only");
    fixture.finish(&came, delivery).await;
}

pub async fn a_delivery_that_is_handed_back_comes_again(fixture: &mut Fixture) {
    let sent = envelope("n1");
    fixture.publish(&sent).await;
    for _ in 0..3 {
        let (came, delivery) = fixture.take_readable().await;
        assert_same(&came, &sent);
        delivery.receipt.hand_back().await;
    }
    let (came, delivery) = fixture.take_readable().await;
    fixture.finish(&came, delivery).await;
}

pub async fn only_what_is_unsettled_comes_again_after_a_restart(fixture: &mut Fixture) {
    for number in 0..4 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
    }
    let (finished, delivery) = fixture.take_readable().await;
    fixture.finish(&finished, delivery).await;
    let (poisoned, delivery) = fixture.take_readable().await;
    fixture.poison(poisoned.notification.raw.clone(), "for the test", None, delivery).await;
    let (held, still_out) = fixture.take_readable().await;
    fixture.probe.restart().await;
    // The old broker's delivery is worthless now, whatever is tried with it.
    let settled = still_out.receipt.park(&parked(held, Duration::ZERO)).await;
    assert!(settled.is_err(), "its message has been handed back");
    let mut came = HashSet::new();
    for _ in 0..2 {
        let (envelope, delivery) = fixture.take_readable().await;
        assert_eq!(envelope.progress.attempt, AttemptNumber::FIRST);
        came.insert(envelope.notification.id().clone());
        fixture.finish(&envelope, delivery).await;
    }
    assert_eq!(came.len(), 2);
    assert!(!came.contains(finished.notification.id()) && !came.contains(poisoned.notification.id()));
    fixture.nothing_comes().await;
}

pub async fn no_more_is_out_than_the_prefetch(fixture: &mut Fixture) {
    for number in 0..12 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
    }
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(fixture.take_readable().await);
    }
    fixture.nothing_comes().await;
    // Each way to settle a delivery makes room for exactly one more.
    let (envelope, delivery) = out.pop().expect("four are out");
    fixture.finish(&envelope, delivery).await;
    out.push(fixture.take_readable().await);
    let (envelope, delivery) = out.pop().expect("four are out");
    fixture.poison(envelope.notification.raw.clone(), "for the test", None, delivery).await;
    out.push(fixture.take_readable().await);
    let (_, delivery) = out.pop().expect("four are out");
    drop(delivery);
    out.push(fixture.take_readable().await);
    fixture.nothing_comes().await;
    let mut seen = HashSet::new();
    for (envelope, delivery) in out {
        assert!(seen.insert(envelope.notification.id().clone()), "none is out twice");
        fixture.finish(&envelope, delivery).await;
    }
    for _ in 0..6 {
        let (envelope, delivery) = fixture.take_readable().await;
        fixture.finish(&envelope, delivery).await;
    }
}

pub async fn each_lane_has_slots_of_its_own(fixture: &mut Fixture) {
    for number in 0..7 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
    }
    for _ in 0..3 {
        let (mut came, delivery) = fixture.take_readable().await;
        assert_eq!(came.lane, Lane::Main, "what is new comes in the main lane");
        came.lane = Lane::Slow;
        delivery.receipt.park(&came).await.expect("parked");
    }
    let (mut main, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let (came, delivery) = fixture.take_readable().await;
        match came.lane {
            Lane::Main => main.push((came, delivery)),
            Lane::Slow => slow.push((came, delivery)),
        }
    }
    assert_eq!((main.len(), slow.len()), (4, 2));
    fixture.nothing_comes().await;
    // Room in one lane is none in the other.
    for (came, delivery) in main {
        fixture.finish(&came, delivery).await;
    }
    fixture.nothing_comes().await;
    let (came, delivery) = slow.pop().expect("two are out");
    fixture.finish(&came, delivery).await;
    let (mut third, delivery) = fixture.take_readable().await;
    assert_eq!(third.lane, Lane::Slow);
    // Back again, and over a restart; what waits keeps its lane.
    third.lane = Lane::Main;
    third.progress.due = now().after(RUNGS[0]);
    delivery.receipt.park(&third).await.expect("parked");
    let (mut second, delivery) = slow.pop().expect("one is out");
    second.progress.due = now().after(RUNGS[0]);
    delivery.receipt.park(&second).await.expect("parked");
    fixture.probe.restart().await;
    for _ in 0..2 {
        let (came, delivery, _) = fixture.take_due().await;
        let was = if came.notification.id() == third.notification.id() { &third } else { &second };
        assert_same(&came, was);
        fixture.finish(&came, delivery).await;
    }
}

async fn poison_what_was_injected(fixture: &mut Fixture, body: Bytes, headers: &[(&'static str, &str)]) {
    fixture.probe.inject(body.clone(), headers).await;
    let delivery = fixture.take().await;
    let Content::Unreadable(reason) = &delivery.content else { panic!("{body:?} cannot be read") };
    let reason = reason.to_string();
    fixture.poison(body, &reason, None, delivery).await;
}

pub async fn only_what_was_out_before_is_redelivered(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    assert!(!delivery.redelivered, "it is new");
    delivery.receipt.park(&parked(came, Duration::from_millis(1))).await.expect("parked");
    let (_, delivery, _) = fixture.take_due().await;
    assert!(!delivery.redelivered, "a successor is new");
    delivery.receipt.hand_back().await;
    let (_, delivery) = fixture.take_readable().await;
    assert!(delivery.redelivered, "it was handed back");
    drop(delivery);
    let (came, delivery) = fixture.take_readable().await;
    assert!(delivery.redelivered, "it was dropped");
    delivery.receipt.park(&parked(came, Duration::from_millis(1))).await.expect("parked");
    let (came, delivery, _) = fixture.take_due().await;
    assert!(!delivery.redelivered, "its successor is new again");
    fixture.probe.restart().await;
    drop(delivery);
    let (again, delivery) = fixture.take_readable().await;
    assert_same(&again, &came);
    assert!(delivery.redelivered, "it was out when the broker ended");
    fixture.finish(&again, delivery).await;
}

pub async fn a_further_message_is_forgotten_without_an_event(fixture: &mut Fixture) {
    let sent = envelope("n1");
    fixture.publish(&sent).await;
    let (came, delivery) = fixture.take_readable().await;
    let recorded = fixture.recorded(&came, &event(&came, &Outcome::Confirmed { detail: None })).await;
    delivery.receipt.forget(recorded).await.expect("forgotten");
    fixture.nothing_comes().await;
}

pub async fn an_unreadable_body_is_poisoned_whole(fixture: &mut Fixture) {
    let bodies: [&[u8]; 4] = [b"", b"success", b"{\"schema\":\"payment-result/2\"}\n", b"\x00\xff\xfe{"];
    for body in bodies {
        poison_what_was_injected(fixture, Bytes::from_static(body), &[]).await;
    }
    fixture.probe.restart().await;
    fixture.nothing_comes().await;
}

pub async fn an_unreadable_header_is_poisoned_whole(fixture: &mut Fixture) {
    let body = envelope("n1").notification.raw;
    poison_what_was_injected(fixture, body, &[(headers::ATTEMPT, "one"), (headers::DUE, "1000")]).await;
}

pub async fn a_bare_record_is_a_new_notification(fixture: &mut Fixture) {
    let body = envelope("n1").notification.raw;
    let before = now();
    fixture.probe.inject(body.clone(), &[]).await;
    let (came, delivery, at) = fixture.take_due().await;
    assert_eq!(came.notification.raw, body);
    assert_eq!(came.progress.attempt, AttemptNumber::FIRST);
    assert!(before <= came.progress.first_seen && came.progress.first_seen <= at);
    fixture.finish(&came, delivery).await;
}

pub async fn an_abandoned_notification_is_poisoned_and_told(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let abandoned = event(&came, &Outcome::Abandoned { reason: "unknown_merchant".to_owned() });
    let body = came.notification.raw.clone();
    fixture.poison(body, "held for 72 h: \"ünknown\" \\ merchant\n", Some(&abandoned), delivery).await;
    fixture.nothing_comes().await;
}

/// Whoever looks takes nothing away; what is put back comes, and what is thrown away does not; both once.
pub async fn what_is_poisoned_is_seen_put_back_and_thrown_away(fixture: &mut Fixture) {
    let none = fixture.broker().poisoned(0, 10).await.expect("seen");
    assert!(none.rows.is_empty() && !none.more);
    let before = now();
    let mut bodies = Vec::new();
    for number in 0..4 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
        let (came, delivery) = fixture.take_readable().await;
        bodies.push(came.notification.raw.clone());
        fixture.poison(came.notification.raw.clone(), &format!("because {number}"), None, delivery).await;
    }
    let garbage = Bytes::from(vec![0xff; 3_000]);
    fixture.probe.inject(garbage.clone(), &[]).await;
    let delivery = fixture.take().await;
    fixture.poison(garbage.clone(), "no JSON", None, delivery).await;
    let broker = fixture.broker();
    count_becomes(fixture, 5).await;
    let (first, rest) =
        (broker.poisoned(0, 2).await.expect("seen"), broker.poisoned(2, 10).await.expect("seen"));
    assert!(first.more && first.rows.len() == 2 && !rest.more);
    let rows: Vec<_> = first.rows.iter().chain(&rest.rows).collect();
    let shown: Vec<_> = rows.iter().map(|row| (row.reason.as_str(), row.bytes)).collect();
    let length = bodies[0].len();
    assert_eq!(
        shown,
        [
            ("because 0", length),
            ("because 1", length),
            ("because 2", length),
            ("because 3", length),
            ("no JSON", 3_000)
        ]
    );
    assert_eq!(rows[1].beginning.as_bytes(), &bodies[1][..]);
    assert_eq!(rows[4].beginning, "\u{fffd}".repeat(200));
    assert!(rows.iter().all(|row| row.since.is_some_and(|since| before <= since && since <= now())));
    let message = broker.poison_message(&rows[1].id).await.expect("seen").expect("there");
    assert_eq!((&message.row, &message.body), (rows[1], &bodies[1]));
    let read = message.read(now()).expect("readable");
    assert_eq!((read.notification.id().as_str(), read.progress.attempt), ("n1", AttemptNumber::FIRST));
    let whole = broker.poison_message(&rows[4].id).await.expect("seen").expect("there");
    assert_eq!(whole.body, garbage);
    assert!(whole.read(now()).is_err());
    count_becomes(fixture, 5).await;
    assert!(broker.put_back(&rows[1].id, &read).await.expect("put back"));
    fixture.expect_unpoisoned("because 1");
    let (came, delivery) = fixture.take_readable().await;
    assert_same(&came, &read);
    fixture.finish(&came, delivery).await;
    assert!(!broker.put_back(&rows[1].id, &read).await.expect("an answer"), "it is not there any more");
    assert!(broker.discard(&rows[4].id).await.expect("thrown away"));
    fixture.expect_unpoisoned("no JSON");
    assert!(!broker.discard(&rows[4].id).await.expect("an answer"));
    assert!(broker.poison_message("no such id").await.expect("an answer").is_none());
    assert!(!broker.discard("77777").await.expect("an answer"));
    count_becomes(fixture, 3).await;
    fixture.nothing_comes().await;
}

/// Each sees all of it, and each message is put back by one of them.
pub async fn operators_at_once_do_not_hurt_each_other(fixture: &mut Fixture) {
    for number in 0..3 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
        let (came, delivery) = fixture.take_readable().await;
        fixture.poison(came.notification.raw.clone(), &format!("because {number}"), None, delivery).await;
    }
    count_becomes(fixture, 3).await;
    let broker = fixture.broker();
    let (one, other, third) =
        tokio::join!(broker.poisoned(0, 10), broker.poisoned(0, 10), broker.poisoned(0, 10));
    let [one, other, third] = [one, other, third].map(|page| page.expect("seen").rows);
    assert_eq!(one.len(), 3);
    assert!(one == other && other == third);
    let again = envelope("n0");
    let (id, other_id) = (&one[0].id, &one[2].id);
    let (first, second, thrown) =
        tokio::join!(broker.put_back(id, &again), broker.put_back(id, &again), broker.discard(other_id));
    let [first, second, thrown] = [first, second, thrown].map(|answer| answer.expect("an answer"));
    assert!((first ^ second) && thrown, "{first} {second} {thrown}");
    fixture.expect_unpoisoned("because 0");
    fixture.expect_unpoisoned("because 2");
    let (came, delivery) = fixture.take_readable().await;
    fixture.finish(&came, delivery).await;
    count_becomes(fixture, 1).await;
    fixture.nothing_comes().await;
}

/// What is given back counts again in a moment.
async fn count_becomes(fixture: &Fixture, expected: u64) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let count = fixture.broker().poison_count().await.expect("counted");
        if count == expected {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "there are {count}, not {expected}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn what_is_out_can_be_settled_after_taking_has_stopped(fixture: &mut Fixture) {
    for number in 0..6 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
    }
    let (first, first_delivery) = fixture.take_readable().await;
    let (second, second_delivery) = fixture.take_readable().await;
    let broker = fixture.broker();
    broker.stop_taking().await;
    for _ in 0..3 {
        assert!(broker.next().await.is_none(), "none is handed out any more");
    }
    fixture.finish(&first, first_delivery).await;
    second_delivery.receipt.park(&parked(second, Duration::ZERO)).await.expect("parked");
    // One who publishes is not turned away either.
    fixture.publish(&envelope("n6")).await;
    broker.stop_taking().await;
    assert!(broker.next().await.is_none());
    fixture.probe.restart().await;
    let waits = fixture.broker();
    for _ in 0..6 {
        let (envelope, delivery) = fixture.take_readable().await;
        fixture.finish(&envelope, delivery).await;
    }
    // One who is waiting when taking stops is let go as well.
    let ((), none) = tokio::join!(waits.stop_taking(), waits.next());
    assert!(none.is_none());
}

pub async fn closing_ends_everything_and_can_be_done_twice(fixture: &mut Fixture) {
    fixture.publish(&envelope("n1")).await;
    let (came, delivery) = fixture.take_readable().await;
    let broker = fixture.broker();
    tokio::join!(broker.close(), broker.close());
    broker.close().await;
    assert!(broker.next().await.is_none());
    assert!(broker.ready().is_err());
    let refused = broker.publish(&envelope("n2")).await;
    assert!(matches!(refused, Err(BrokerError::Away(_))), "{refused:?}");
    let refused = delivery.receipt.park(&came).await;
    assert!(matches!(refused, Err(BrokerError::Away(_))), "{refused:?}");
    fixture.probe.restart().await;
    let (again, delivery) = fixture.take_readable().await;
    assert_same(&again, &came);
    fixture.finish(&again, delivery).await;
}

/// A number that looks random, the same in every run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 31;
    mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// Two thousand notifications from eight publishers; sixteen takers do to each delivery one of the things that can
/// be done to it, until every notification has ended.
pub async fn thousands_at_once_add_up(fixture: &mut Fixture) {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 250;
    let fixture = &*fixture;
    let began = Instant::now();
    let publish = (0..PUBLISHERS).map(|publisher| async move {
        for number in 0..EACH {
            fixture.publish(&envelope(&format!("n-{publisher}-{number}"))).await;
        }
    });
    let ended = Mutex::new(HashSet::new());
    let takers = (0..16_u64).map(|taker| {
        let ended = &ended;
        async move {
            let broker = fixture.broker();
            let mut turn = 0;
            while let Some(delivery) = broker.next().await {
                turn += 1;
                let envelope = readable(&delivery);
                let id = envelope.notification.id().clone();
                assert!(!ended.lock().expect("sound").contains(&id), "{id} comes after its end");
                if do_one_thing(fixture, envelope, delivery, mixed(taker << 32 | turn)).await {
                    assert!(ended.lock().expect("sound").insert(id));
                    if ended.lock().expect("sound").len() == PUBLISHERS * EACH {
                        broker.stop_taking().await;
                    }
                }
            }
        }
    });
    let work = async { tokio::join!(join_all(publish), join_all(takers)) };
    tokio::time::timeout(Duration::from_secs(100), work).await.expect("every notification ends");
    assert_eq!(ended.lock().expect("sound").len(), PUBLISHERS * EACH);
    println!("{} notifications in {:?}", PUBLISHERS * EACH, began.elapsed());
}

/// Whether the notification has ended by it.
async fn do_one_thing(fixture: &Fixture, envelope: Envelope, delivery: Delivery, random: u64) -> bool {
    match random % 8 {
        0 => drop(delivery),
        1 => delivery.receipt.hand_back().await,
        2 | 3 => {
            let wait = Duration::from_millis(random / 8 % 50);
            delivery.receipt.park(&parked(envelope, wait)).await.expect("parked");
        }
        4 => {
            let abandoned = event(&envelope, &Outcome::Abandoned { reason: "for the test".to_owned() });
            fixture.poison(envelope.notification.raw, "for the test", Some(&abandoned), delivery).await;
            return true;
        }
        _ => {
            fixture.finish(&envelope, delivery).await;
            return true;
        }
    }
    false
}
