//! Confirms and returns in every order.

use std::time::Duration;

use amq_protocol::protocol::BasicProperties;
use paynotify::broker::{Broker, BrokerError};

use crate::fake_amqp::rig::Rig;
use crate::fake_amqp::script::{Gather, Line};
use crate::fake_amqp::world::{Event, Publish};
use crate::support::amqp::until;
use crate::support::conformance::envelope;

/// What must come of a batch's deliveries, one letter each: `o` it is settled, `x` it is not, `?` either, but by
/// the rule.
async fn check(expected: &str, act: impl FnOnce(&[Publish], &mut Line<'_>) + Send + 'static) {
    let rig = Rig::start().await;
    let answers = rig.batch((expected.len(), expected.len()), "n", act).await;
    let told: String = answers.iter().map(|answer| if answer.is_ok() { 'o' } else { 'x' }).collect();
    let fits = |(expected, told): (char, char)| expected == '?' || expected == told;
    assert!(expected.chars().zip(told.chars()).all(fits), "{told}, not {expected}: {answers:?}");
    rig.check();
    if rig.generations() == 1 {
        rig.until_acknowledged(told.matches('o').count()).await;
        for (number, answer) in answers.iter().enumerate() {
            let acknowledged = rig.acknowledged(&format!("n-{number}"));
            assert_eq!(acknowledged, usize::from(answer.is_ok()), "n-{number}: {answer:?}");
        }
    }
    rig.settle_the_rest().await;
}

/// Confirms those of a batch that stand there.
fn ack(line: &mut Line<'_>, batch: &[Publish], at: &[usize]) {
    at.iter().for_each(|at| line.ack(batch[*at].tag));
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_in_another_order() {
    check("ooooo", |batch, line| ack(line, batch, &[4, 3, 2, 1, 0])).await;
    check("ooooo", |batch, line| ack(line, batch, &[2, 0, 4, 1, 3])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_for_several_for_one_and_for_all() {
    check("ooooo", |batch, line| line.ack_up_to(batch[4].tag)).await;
    check("ooooo", |batch, line| {
        line.ack_up_to(batch[0].tag);
        ack(line, batch, &[3]);
        line.ack_up_to(batch[4].tag);
    })
    .await;
    check("ooooo", |_, line| line.ack_up_to(0)).await;
    // One that covers nothing any more.
    check("ooooo", |batch, line| {
        ack(line, batch, &[0, 1]);
        line.ack_up_to(batch[1].tag);
        ack(line, batch, &[2, 3, 4]);
    })
    .await;
}

/// What came back is offered again, with the delivery in hand: by then its queue has been declared again.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_before_its_ack() {
    check("ooooo", |batch, line| {
        line.give_back(&batch[1]);
        ack(line, batch, &[1, 0, 2, 3, 4]);
    })
    .await;
    // The ack of another stands between.
    check("ooooo", |batch, line| {
        ack(line, batch, &[0]);
        line.give_back(&batch[3]);
        ack(line, batch, &[1, 2, 3, 4]);
    })
    .await;
    check("ooooo", |batch, line| {
        batch.iter().for_each(|publish| line.give_back(publish));
        line.ack_up_to(batch[4].tag);
    })
    .await;
    check("ooooo", |batch, line| {
        line.give_back(&batch[4]);
        line.give_back(&batch[1]);
        line.ack_up_to(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_after_its_ack_in_the_same_batch() {
    check("ooooo", |batch, line| {
        ack(line, batch, &[0, 1]);
        line.give_back(&batch[1]);
        ack(line, batch, &[2, 3, 4]);
    })
    .await;
    check("ooooo", |batch, line| {
        ack(line, batch, &[0, 1, 2]);
        line.give_back(&batch[2]);
        line.give_back(&batch[1]);
        ack(line, batch, &[4, 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_without_an_ack() {
    check("xxxxx", |batch, line| {
        line.give_back(&batch[2]);
        ack(line, batch, &[0, 1, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_twice() {
    check("ooooo", |batch, line| {
        line.give_back(&batch[1]);
        line.give_back(&batch[1]);
        ack(line, batch, &[0, 1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_that_is_refused_as_well() {
    check("ooooo", |batch, line| {
        line.give_back(&batch[1]);
        line.nack(batch[1].tag);
        ack(line, batch, &[0, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_of_nobody_knows_what() {
    // Without the number that each message carries, it could be any of them.
    check("xxx", |batch, line| {
        line.give_back_as(&batch[1], &BasicProperties::default());
        line.ack_up_to(0);
    })
    .await;
    for number in ["999", "0", "-1", "1.0", "", "three", "18446744073709551616"] {
        check("xxx", move |batch, line| {
            let properties = BasicProperties::default().with_correlation_id(number.into());
            line.give_back_as(&batch[1], &properties);
            line.ack_up_to(0);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_nack_is_a_nack() {
    // What was refused is offered again, with the delivery in hand, and then taken.
    check("ooooo", |batch, line| {
        ack(line, batch, &[4, 3, 2, 0]);
        line.nack(batch[1].tag);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nacks_for_several_and_both_mixed() {
    check("ooooo", |batch, line| {
        line.nack_up_to(batch[2].tag);
        line.ack_up_to(batch[4].tag);
    })
    .await;
    check("ooooo", |batch, line| {
        ack(line, batch, &[1]);
        line.nack_up_to(batch[2].tag);
        ack(line, batch, &[4]);
        line.nack_up_to(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_for_what_was_never_published() {
    check("xxxxx", |batch, line| {
        line.ack(999);
        ack(line, batch, &[0, 1, 2, 3, 4]);
    })
    .await;
    check("?????", |batch, line| {
        ack(line, batch, &[0, 1, 2, 3, 4]);
        line.ack(999);
    })
    .await;
    check("xxxxx", |batch, line| {
        ack(line, batch, &[0, 1, 2, 3]);
        line.ack(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_twice() {
    check("xxxxx", |batch, line| {
        ack(line, batch, &[0, 1, 1, 2, 3, 4]);
    })
    .await;
    check("xxxxx", |batch, line| {
        line.nack(batch[1].tag);
        ack(line, batch, &[0, 1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_that_never_comes() {
    for missing in 0..3 {
        check("xxx", move |batch, line| {
            let rest: Vec<usize> = (0..3).filter(|at| *at != missing).collect();
            ack(line, batch, &rest);
        })
        .await;
    }
}

/// RabbitMQ promises the return before the ack. From a broker that breaks this after the last ack of a batch, the
/// message is acknowledged already. It cannot be undone, but it must be told: by name, and not taken for another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_after_everything_was_confirmed_ends_the_generation_and_is_told() {
    let slowly = Duration::from_secs(3);
    let rig = Rig::with(Default::default(), |settings| {
        settings.reconnect_least = slowly;
        settings.reconnect_most = slowly;
    })
    .await;
    let answers = rig
        .batch((3, 3), "n", |batch, line| {
            ack(line, batch, &[0, 1, 2]);
            line.give_back(&batch[2]);
        })
        .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // The next message on the channel meets it, is not taken for it, and not confirmed either.
    let next = rig.broker.publish(&envelope("next")).await;
    assert!(matches!(next, Err(BrokerError::Away(_))), "{next:?}");
    until("it is told", async || rig.broker.ready().is_err_and(|reason| reason.contains("n-2"))).await;
    rig.server.follow(Gather::new(1, |batch, line| ack(line, batch, &[0])));
    until("it is there again", async || rig.broker.publish(&envelope("later")).await.is_ok()).await;
    let confirmed = rig.server.world().count(|event| matches!(event, Event::Confirmed { ack: true, .. }));
    assert!(confirmed > 3);
}
