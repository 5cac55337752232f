//! Frames that are none, and frames at the wrong time, on either connection. Whether the client takes offence or
//! not, it goes on: with a new generation or with the old one.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{BasicProperties, basic, channel, connection};

use crate::fake_amqp::rig::Rig;
use crate::fake_amqp::script::Line;
use crate::fake_amqp::{Role, codec};
use crate::support::amqp::until_ready;

/// Says that in the middle of everything, and sees that everything is settled all the same.
async fn said(say: fn(&mut Line<'_>)) {
    for role in [Role::Publishing, Role::Consuming] {
        let rig = Rig::start().await;
        let deliveries = rig.deliveries(3, "n").await;
        rig.server.on(role, say).await;
        drop(deliveries);
        rig.settle_the_rest().await;
        until_ready(&rig.broker).await;
        rig.enqueue(crate::fake_amqp::rig::message("later"));
        rig.settle_the_rest().await;
    }
}

fn deliver(line: &mut Line<'_>) {
    let deliver = basic::Deliver {
        consumer_tag: "nobody".into(),
        delivery_tag: 7,
        redelivered: false,
        exchange: "".into(),
        routing_key: "".into(),
    };
    codec::write_basic(&mut line.voice.out, line.place.1, basic::AMQPMethod::Deliver(deliver));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_frames_at_all() {
    said(|line| line.voice.out.extend_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")).await;
    // One that does not end as a frame does, and one of a kind that there is not.
    said(|line| line.voice.out.extend_from_slice(b"\x08\0\0\0\0\0\0\0")).await;
    said(|line| line.voice.out.extend_from_slice(b"\x05\0\0\0\0\0\0\xce")).await;
    // A method that there is not.
    said(|line| line.voice.out.extend_from_slice(b"\x01\0\x01\0\0\0\x04\0\x77\0\x77\xce")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_larger_than_agreed() {
    said(|line| {
        let body = AMQPFrame::Body(line.place.1, vec![0; 200_000]);
        codec::write(&mut line.voice.out, &body);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_out_of_order() {
    said(|line| codec::write(&mut line.voice.out, &AMQPFrame::Body(line.place.1, b"body".to_vec()))).await;
    said(|line| {
        codec::write_content(&mut line.voice.out, line.place.1, &BasicProperties::default(), b"body", 4_096);
    })
    .await;
    // More body than the header says.
    said(|line| {
        deliver(line);
        let out = &mut line.voice.out;
        codec::write_content(out, line.place.1, &BasicProperties::default(), b"body", 4_096);
        codec::write(out, &AMQPFrame::Body(line.place.1, b"more".to_vec()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_for_nobody() {
    said(|line| {
        deliver(line);
        codec::write_content(&mut line.voice.out, line.place.1, &BasicProperties::default(), b"body", 4_096);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_asked_for() {
    said(|line| {
        codec::write_channel(
            &mut line.voice.out,
            line.place.1,
            channel::AMQPMethod::CloseOk(channel::CloseOk {}),
        );
    })
    .await;
    said(|line| {
        codec::write_connection(&mut line.voice.out, connection::AMQPMethod::CloseOk(connection::CloseOk {}));
    })
    .await;
    said(|line| {
        codec::write_connection(&mut line.voice.out, connection::AMQPMethod::OpenOk(connection::OpenOk {}));
    })
    .await;
    said(|line| {
        let tag = basic::CancelOk { consumer_tag: format!("consumer-{}", line.place.1).into() };
        codec::write_basic(&mut line.voice.out, line.place.1, basic::AMQPMethod::CancelOk(tag));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_not_open() {
    said(|line| {
        codec::write_basic(
            &mut line.voice.out,
            77,
            basic::AMQPMethod::Ack(basic::Ack { delivery_tag: 1, multiple: false }),
        );
    })
    .await;
    said(|line| codec::write(&mut line.voice.out, &AMQPFrame::InvalidHeartbeat(3))).await;
}

/// RabbitMQ has not sent this for years. The client library stops to publish; the confirms' bound ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_told_to_stop() {
    said(|line| {
        codec::write_channel(
            &mut line.voice.out,
            line.place.1,
            channel::AMQPMethod::Flow(channel::Flow { active: false }),
        );
    })
    .await;
}
