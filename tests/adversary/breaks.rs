//! Connections and channels that end in the middle of a batch, consumers that are cancelled, and a broker that
//! blocks or falls silent.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use paynotify::broker::Broker;
use tokio::time::timeout;

use crate::fake_amqp::rig::{Rig, park};
use crate::fake_amqp::script::{Gather, Line};
use crate::fake_amqp::world::Event;
use crate::fake_amqp::{Manner, Role};
use crate::support::amqp::until_ready;
use crate::support::conformance::envelope;

/// How many messages a batch has here.
const COUNT: usize = 4;

/// In the middle of a batch of four, after each number of confirms: before the server has seen all of it, or when it
/// has. What was not confirmed is not settled; all of it comes again.
async fn break_after_each_confirm(end: fn(&mut Line<'_>)) {
    let rig = Rig::start().await;
    for seen in [2, COUNT] {
        for confirmed in 0..=seen {
            until_ready(&rig.broker).await;
            let name = format!("n{seen}{confirmed}");
            let generations = rig.generations();
            let answers = rig
                .batch((COUNT, seen), &name, move |batch, line| {
                    batch.iter().take(confirmed).for_each(|publish| line.ack(publish.tag));
                    end(line);
                })
                .await;
            let all_confirmed = confirmed == COUNT;
            assert!(all_confirmed || answers.iter().all(Result::is_err), "{name}: {answers:?}");
            rig.server.world().until("a new generation", |_| rig.generations() > generations).await;
            rig.settle_the_rest().await;
            for number in 0..COUNT {
                assert_eq!(rig.acknowledged(&format!("{name}-{number}")), 1, "{name}-{number}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_in_the_middle_of_a_batch() {
    break_after_each_confirm(|line| line.close_connection()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_closed_in_the_middle_of_a_batch() {
    break_after_each_confirm(|line| line.close_channel()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_of_a_batch() {
    break_after_each_confirm(|line| line.reset()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_closed_in_the_middle_of_a_batch() {
    break_after_each_confirm(|line| line.hang_up()).await;
}

/// Breaks the consuming side while the confirms are held back, and gives them afterwards.
async fn break_consuming(end: fn(&mut Line<'_>)) {
    let rig = Rig::start().await;
    for round in 0..3 {
        until_ready(&rig.broker).await;
        let deliveries = rig.deliveries(COUNT, &format!("n{round}")).await;
        rig.server.follow(Gather::hold());
        let generations = rig.generations();
        let world = rig.server.world();
        let published = world.count(|event| matches!(event, Event::Published(_)));
        let parking = join_all(deliveries.into_iter().map(park));
        let breaking = async {
            world
                .until("one is out", |world| {
                    world.count(|event| matches!(event, Event::Published(_))) > published
                })
                .await;
            rig.server.on(Role::Consuming, end).await;
            world.until("a new generation", |_| rig.generations() > generations).await;
        };
        let (answers, ()) = tokio::join!(timeout(Duration::from_secs(20), parking), breaking);
        let answers = answers.expect("nothing hangs");
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        rig.settle_the_rest().await;
    }
}

/// Their queue may be gone, and then they come from nowhere again: they are settled where they are, while consuming has
/// begun again beside them.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_cancelled_with_deliveries_in_hand() {
    let rig = Rig::start().await;
    let world = rig.server.world();
    let consuming =
        |event: &Event| matches!(event, Event::Consuming { queue, .. } if queue.ends_with(".work"));
    for round in 0..3 {
        let mut deliveries = rig.deliveries(COUNT, &format!("n{round}")).await;
        let begun = world.count(consuming);
        rig.server.on(Role::Consuming, |line| line.cancel_consumers()).await;
        world.until("consuming begins again", |world| world.count(consuming) > begun).await;
        deliveries.extend(rig.deliveries(COUNT, &format!("later{round}")).await);
        let answers = join_all(deliveries.into_iter().map(park)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        rig.until_acknowledged((round + 1) * 2 * COUNT).await;
    }
    assert_eq!(rig.generations(), 1);
    rig.settle_the_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consuming_connection_closed_with_deliveries_in_hand() {
    break_consuming(|line| line.close_connection()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consuming_channel_closed_with_deliveries_in_hand() {
    break_consuming(|line| line.close_channel()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consuming_connection_reset_with_deliveries_in_hand() {
    break_consuming(|line| line.reset()).await;
}

/// Blocked with messages under way, and then closed. lapin writes nothing while it is blocked, not even the answer to
/// the close; whether or not the broker closes the socket, the messages must not wait for ever.
async fn blocked_and_then(end: fn(&mut Line<'_>)) {
    let manner = Manner { heartbeat: 1, ..Manner::default() };
    let rig = Rig::with(manner, |settings| settings.heartbeat = Duration::from_secs(1)).await;
    let answers = rig
        .batch((COUNT, COUNT), "n", move |batch, line| {
            line.ack(batch[0].tag);
            line.block();
            end(line);
        })
        .await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    rig.settle_the_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_and_then_closed_politely() {
    blocked_and_then(|line| line.close_connection()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_and_then_reset() {
    blocked_and_then(|line| line.reset()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_and_then_silent() {
    blocked_and_then(|line| line.fall_silent()).await;
}

/// Blocked is no reason to give up: the time does not count, and what was under way is confirmed in the end.
#[tokio::test(flavor = "multi_thread")]
async fn blocked_for_longer_than_the_limit_and_then_confirmed() {
    let rig = Rig::start().await;
    let deliveries = rig.deliveries(COUNT, "n").await;
    rig.server.follow(Gather::new(1, |_, line| line.block()));
    // The probe was the first message on the channel, and the second one is the one that is blocked.
    let parking = join_all(deliveries.into_iter().map(park));
    let opening = async {
        // Longer than the confirms may take: nothing can be waited for here but the time itself.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        rig.server
            .on(Role::Publishing, |line| {
                line.unblock();
                line.ack(2);
            })
            .await;
    };
    let (answers, ()) = tokio::join!(timeout(Duration::from_secs(20), parking), opening);
    let answers = answers.expect("nothing hangs");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(rig.generations(), 1);
    rig.settle_the_rest().await;
}

/// A server that is silent from one moment to the next, heartbeats and all, is given up after two intervals.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_that_stop() {
    let manner = Manner { heartbeat: 1, ..Manner::default() };
    let rig = Rig::with(manner, |settings| settings.heartbeat = Duration::from_secs(1)).await;
    for role in [Role::Consuming, Role::Publishing] {
        until_ready(&rig.broker).await;
        let generations = rig.generations();
        rig.server.on(role, |line| line.fall_silent()).await;
        let began = Instant::now();
        rig.server.world().until("a new generation", |_| rig.generations() > generations).await;
        assert!(began.elapsed() < Duration::from_secs(6), "{role:?}: {:?}", began.elapsed());
    }
    until_ready(&rig.broker).await;
    rig.broker.publish(&envelope("after")).await.expect("it is there again");
    rig.deliveries(COUNT, "n").await;
    rig.settle_the_rest().await;
}
