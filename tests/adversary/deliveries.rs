//! Deliveries of every shape, and at every wrong moment.

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use paynotify::broker::{Broker, Content};

use crate::fake_amqp::rig::{Rig, message};
use crate::fake_amqp::world::{Event, Message};
use crate::fake_amqp::{Manner, Role};
use crate::support::conformance::envelope_with;

/// A message that is a notification all the same is taken as one, settled, and settled once.
async fn is_taken(id: &str, change: impl FnOnce(&mut Message)) {
    let rig = Rig::start().await;
    let mut odd = message(id);
    change(&mut odd);
    let redelivered = odd.redelivered;
    rig.enqueue(odd);
    let (came, delivery) = rig.take_readable().await;
    assert_eq!(delivery.redelivered, redelivered);
    assert_eq!(came.notification.id().as_str(), id);
    delivery.receipt.park(&came).await.expect("parked");
    rig.settle_the_rest().await;
    assert_eq!((rig.acknowledged(id), rig.generations()), (1, 1));
}

/// A message that is none goes, whole, to the poison queue.
async fn is_poisoned(manner: Manner, change: impl FnOnce(&mut Message)) {
    let rig = Rig::with(manner, |_| {}).await;
    let mut odd = message("odd");
    change(&mut odd);
    let body = odd.body.clone();
    rig.enqueue(odd);
    let delivery = rig.take().await;
    let Content::Unreadable(reason) = &delivery.content else { panic!("it was taken for a notification") };
    let reason = reason.to_string();
    delivery.receipt.poison(&reason, None).await.expect("poisoned");
    rig.settle_the_rest().await;
    let poisoned = rig.server.world().count(
        |event| matches!(event, Event::Published(publish) if publish.exchange == "fake.dead" && publish.body == body),
    );
    assert_eq!((poisoned, rig.generations()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_delivered_before() {
    is_taken("n", |message| message.redelivered = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_many_frames() {
    is_taken("n", |message| message.piece = Some(1)).await;
    let long = "x".repeat(300_000);
    is_taken("n", |message| {
        message.body = envelope_with("n", &format!(r#","extra":{{"a":"{long}"}}"#)).notification.raw.to_vec();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_headers_and_no_properties() {
    is_taken("n", |message| {
        message.properties = BasicProperties::default().with_headers(FieldTable::default());
    })
    .await;
    is_taken("n", |message| message.properties = BasicProperties::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_message_id() {
    for odd in ["", "another", "\0\u{1}", "💰", "a\nb", &"x".repeat(255)] {
        is_taken("n", |message| {
            message.properties = message.properties.clone().with_message_id(odd.into());
        })
        .await;
    }
}

fn many_headers(bytes: usize) -> FieldTable {
    let mut table = FieldTable::default();
    for number in 0..bytes / 100 {
        table.insert(format!("header-{number:06}").into(), AMQPValue::LongString("x".repeat(79).into()));
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_header_table() {
    is_taken("n", |message| {
        message.properties = message.properties.clone().with_headers(many_headers(100_000));
    })
    .await;
    is_poisoned(Manner::default(), |message| {
        message.properties = message.properties.clone().with_headers(many_headers(100_000));
        message.body = b"no record".to_vec();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body() {
    is_poisoned(Manner::default(), |message| message.body.clear()).await;
}

/// What stands beside a poisoned message must fit the frames of a broker that allows only small ones, however full
/// the message's own header was.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_header_where_frames_are_small() {
    is_poisoned(Manner { frame_max: 4_096, ..Manner::default() }, |message| {
        message.properties = message.properties.clone().with_headers(many_headers(3_900));
        message.body = b"no record".to_vec();
    })
    .await;
}

/// RabbitMQ never does this. The client library drops such a delivery, and so it rests with the broker: it is not
/// acknowledged, nothing else is held up, and it comes with the next generation.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_before_the_consumer_is_known() {
    let manner = Manner { delivers_before_consume_ok: true, ..Manner::default() };
    let rig =
        Rig::with(manner, |settings| settings.reconnect_least = std::time::Duration::from_millis(300)).await;
    rig.enqueue(message("early"));
    let consuming =
        |event: &Event| matches!(event, Event::Consuming { queue, .. } if queue.ends_with(".work"));
    rig.server.world().until("it is out", |world| world.count(consuming) == 1).await;
    let (came, delivery) = {
        rig.enqueue(message("later"));
        rig.take_readable().await
    };
    assert_eq!(came.notification.id().as_str(), "later");
    delivery.receipt.park(&came).await.expect("parked");
    assert_eq!(rig.acknowledged("early"), 0);
    rig.server.treat(|manner| *manner = Manner::default());
    rig.server.on(Role::Consuming, |line| line.close_connection()).await;
    rig.settle_the_rest().await;
    assert_eq!(rig.acknowledged("early"), 1);
}

/// However many the broker sends ahead, no more are out than the configured prefetch, and all are settled.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_asked_for() {
    let manner = Manner { ignores_prefetch: true, ..Manner::default() };
    let rig = Rig::with(manner, |settings| settings.prefetch = 4).await;
    (0..100).for_each(|number| rig.enqueue(message(&format!("n-{number}"))));
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(rig.take_readable().await);
    }
    let fifth = tokio::time::timeout(std::time::Duration::from_millis(300), rig.broker.next()).await;
    assert!(fifth.is_err(), "a fifth one is out");
    drop(out);
    rig.settle_the_rest().await;
    assert_eq!(rig.generations(), 1);
}
