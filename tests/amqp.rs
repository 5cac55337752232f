//! What is RabbitMQ's alone: rungs in real time, hands that delete queues, a node that goes and comes back.

#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicRejectOptions, QueueBindOptions};
use lapin::types::FieldTable;
use paynotify::broker::amqp::Settings;
use paynotify::broker::{BrokerError, Content, Source, SourceFormat};
use paynotify::domain::{AttemptNumber, headers};
use support::amqp::{AmqpProbe, header, settings, until};
use support::conformance::{Fixture, Probe, assert_on_time, envelope, now};

async fn fixture(settings: Settings) -> Fixture {
    Fixture::new(Box::new(AmqpProbe::start(settings).await)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_seconds_are_three_seconds_beside_thirty() {
    let probe = AmqpProbe::start(settings()).await;
    let outside = probe.outside.clone();
    let fixture = Fixture::new(Box::new(probe)).await;
    for (id, wait) in [("long", 30_000), ("between", 3_700), ("short", 3_000)] {
        fixture.publish(&envelope(id)).await;
        let (mut came, delivery) = fixture.take_readable().await;
        came.progress.attempt = came.progress.attempt.next();
        came.progress.due = now().after(Duration::from_millis(wait));
        delivery.receipt.park(&came).await.expect("parked");
    }
    for id in ["short", "between"] {
        let (came, delivery, at) = fixture.take_due().await;
        assert_eq!(came.notification.id().as_str(), id);
        assert_on_time(&came, at);
        fixture.finish(&came, delivery).await;
    }
    assert_eq!(outside.count("rung.30000").await, 1);
    outside.drain("rung.30000").await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_for_another_merchant_is_poisoned_whole_with_its_way() {
    let probe = AmqpProbe::start(settings()).await;
    let body = envelope("n1").notification.raw;
    probe.outside.publish(&probe.name("in"), "other", &body, BasicProperties::default()).await;
    let delivery = probe.broker().next().await.expect("it comes");
    let Content::Unreadable(reason) = &delivery.content else { panic!("it was taken for m's") };
    let reason = reason.to_string();
    delivery.receipt.poison(&reason, None).await.expect("poisoned");
    let [message] = probe.outside.drain("poison").await.try_into().expect("one");
    assert_eq!(message.data, body);
    assert_eq!(header(&message.properties, headers::POISON_REASON), Some(reason));
    assert_eq!(header(&message.properties, "paynotify-poison-routing-key").as_deref(), Some("other"));
    assert_eq!(header(&message.properties, "paynotify-poison-exchange"), Some(probe.name("in")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_producer_is_heard() {
    let settings = settings();
    let exchange = format!("{}.notifyExchange", settings.prefix);
    let source = Source {
        exchange: exchange.clone(),
        routing_key: "AliPaynotify".to_owned(),
        merchant: "shop".parse().expect("valid"),
        format: SourceFormat::Url,
    };
    let probe = AmqpProbe::start(Settings { sources: vec![source], ..settings }).await;
    let outside = probe.outside.clone();
    let url = b"http://127.0.0.1:9/n?out_trade_no=o1&trade_no=p1";
    outside.publish(&exchange, "AliPaynotify", url, BasicProperties::default()).await;
    let fixture = Fixture::new(Box::new(probe)).await;
    let (came, delivery) = fixture.take_readable().await;
    assert_eq!(came.notification.merchant().as_str(), "shop");
    assert_eq!(came.notification.record.merchant_order_id.as_deref(), Some("o1"));
    fixture.finish(&came, delivery).await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rung_that_is_missing_loses_nothing() {
    let probe = AmqpProbe::start(settings()).await;
    let outside = probe.outside.clone();
    let fixture = Fixture::new(Box::new(probe)).await;
    outside.delete("rung.3000").await;
    fixture.publish(&envelope("n1")).await;
    let (mut came, delivery) = fixture.take_readable().await;
    came.progress.attempt = came.progress.attempt.next();
    came.progress.due = now().after(Duration::from_secs(3));
    // Offered again, with the delivery in hand, until the rung is there again.
    delivery.receipt.park(&came).await.expect("parked");
    let (came, delivery, _) = fixture.take_due().await;
    assert_eq!(came.progress.attempt, AttemptNumber::FIRST.next());
    fixture.finish(&came, delivery).await;
    fixture.end().await;
}

/// RabbitMQ passes on properties that are no UTF-8, and the client library breaks at each. Such a message ends in the
/// poison queue all the same, and what stands before and behind it is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_client_library_cannot_parse_is_poisoned() {
    let quick = Duration::from_millis(20);
    let probe = AmqpProbe::start(Settings { reconnect_least: quick, ..settings() }).await;
    let broker = probe.broker();
    for number in 0..10 {
        if number == 5 {
            support::raw_amqp::publish(&probe.settings.urls[0], &probe.name("in"), "m", b"\xc4\xe3", b"{}");
        }
        until("it is there between two breaks", async || {
            broker.publish(&envelope(&format!("n{number}"))).await.is_ok()
        })
        .await;
    }
    let mut seen = std::collections::HashSet::new();
    let all = async {
        while seen.len() < 10 {
            let delivery = broker.next().await.expect("it comes");
            let mut came = support::conformance::readable(&delivery);
            came.progress.due = now().after(Duration::from_secs(3_600));
            if delivery.receipt.park(&came).await.is_ok() {
                seen.insert(came.notification.id().to_string());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), all).await.expect("none is held up for ever");
    until("it is in the poison queue", async || probe.outside.count("poison").await == 1).await;
    until("the gateway has calmed down", async || {
        let settled = broker.publish(&envelope("after")).await.is_ok();
        settled && probe.outside.count("poison").await == 1
    })
    .await;
}

/// An operator's tools look at a message by taking it and giving it back. That must not use it up.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_poisoned_can_be_looked_at_any_number_of_times() {
    let probe = AmqpProbe::start(settings()).await;
    let dead = probe.name("dead");
    probe.outside.publish(&dead, "m", b"kept", BasicProperties::default()).await;
    let channel = probe.outside.channel().await;
    for look in 0..150 {
        let queue = probe.name("poison");
        let message =
            channel.basic_get(queue.into(), BasicGetOptions { no_ack: false }).await.expect("there");
        let message = message.unwrap_or_else(|| panic!("gone after {look} looks"));
        // Of the two ways of giving back, RabbitMQ 4.3 counts only this one.
        assert!(message.reject(BasicRejectOptions { requeue: true }).await.expect("given back"));
    }
    assert_eq!(probe.outside.drain("poison").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_and_comes_back_is_used_again() {
    let mut node = tokio::task::block_in_place(|| xtask::rabbitmq::Node::start().expect("a node"));
    let confirm_timeout = Duration::from_secs(3);
    let settings = Settings { urls: vec![node.amqp_url()], confirm_timeout, ..settings_without_node() };
    let fixture = fixture(settings).await;
    for id in ["n1", "n2"] {
        fixture.publish(&envelope(id)).await;
    }
    let (_, held) = fixture.take_readable().await;
    tokio::task::block_in_place(|| node.kill_hard().expect("killed"));
    let broker = fixture.broker();
    until("it is seen to be away", async || broker.ready().is_err()).await;
    let refused = broker.publish(&envelope("n3")).await;
    assert!(matches!(refused, Err(BrokerError::Away(_))), "{refused:?}");
    tokio::task::block_in_place(|| node.restart().expect("restarted"));
    for _ in 0..2 {
        let (came, delivery) = fixture.take_readable().await;
        delivery.receipt.poison(came.notification.id().as_str(), None).await.expect("settled");
    }
    held.receipt.hand_back().await;
    fixture.nothing_comes().await;
}

/// At-least-once all the way: what expires on a rung while no way leads on from there is kept, and comes once one does.
/// RabbitMQ offers it again after three minutes, the nodes of the tests after two seconds.
#[tokio::test(flavor = "multi_thread")]
async fn what_expires_without_a_way_on_is_kept_own_node() {
    let node = tokio::task::block_in_place(|| xtask::rabbitmq::Node::start().expect("a node"));
    let settings = Settings { urls: vec![node.amqp_url()], ..settings_without_node() };
    let probe = AmqpProbe::start(settings).await;
    let (work, returning) = (probe.name("work"), probe.name("return"));
    let outside = probe.outside.clone();
    let channel = outside.channel().await;
    let arguments = FieldTable::default;
    let (queue, exchange) = (work.as_str().into(), returning.as_str().into());
    channel.queue_unbind(queue, exchange, "*.*.work".into(), arguments()).await.expect("unbound");
    let mut parked = envelope("n1");
    parked.progress.due = now().after(Duration::from_millis(500));
    probe.broker().publish(&parked).await.expect("published");
    until("it has expired", async || outside.count("rung.500").await == 0).await;
    let options = QueueBindOptions::default();
    channel
        .queue_bind(work.into(), returning.into(), "*.*.work".into(), options, arguments())
        .await
        .expect("bound");
    let fixture = Fixture::new(Box::new(probe)).await;
    let (came, delivery) = fixture.take_readable().await;
    assert_eq!(came.notification.id().as_str(), "n1");
    fixture.finish(&came, delivery).await;
    fixture.end().await;
}

fn settings_without_node() -> Settings {
    Settings { prefix: support::amqp::prefix(), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure() {
    let probe = AmqpProbe::start(settings()).await;
    let broker = probe.broker();
    let began = Instant::now();
    let each = (0..256).map(|worker| {
        let broker = broker.clone();
        async move {
            for number in 0..80 {
                broker.publish(&envelope(&format!("n-{worker}-{number}"))).await.expect("published");
            }
        }
    });
    futures_util::future::join_all(each).await;
    println!("{:.0} publishes with confirms per second", 256.0 * 80.0 / began.elapsed().as_secs_f64());
    probe.outside.delete("work").await;
    let probe = AmqpProbe::start(Settings { prefetch: 512, ..settings() }).await;
    let broker = probe.broker();
    let mut late = Vec::new();
    let mut kept = Vec::new();
    let feed = async {
        for number in 0..300 {
            let mut envelope = envelope(&format!("p-{number}"));
            envelope.progress.due = now().after(Duration::from_secs(3));
            broker.publish(&envelope).await.expect("published");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let take = async {
        while late.len() < 300 {
            let delivery = broker.next().await.expect("it comes");
            let came = support::conformance::readable(&delivery);
            // Kept, because a dropped one would come again and be counted twice.
            late.push(now().unix_milliseconds() - came.progress.due.unix_milliseconds());
            kept.push(delivery);
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(feed, take) } => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    late.sort_unstable();
    println!(
        "lateness in ms: {} of 300, p50 {} p99 {}",
        late.len(),
        late[late.len() / 2],
        late[late.len() * 99 / 100]
    );
}
