//! Servers that are no broker, and brokers with odd bounds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use paynotify::broker::Broker;

use crate::fake_amqp::rig::{Rig, park};
use crate::fake_amqp::world::Event;
use crate::fake_amqp::{Greeting, Manner};
use crate::support::amqp::{until, until_ready};
use crate::support::conformance::envelope;

/// While the server is like that, the gateway says that it is away, tries again without hurry, and leaves nothing
/// behind; when the server behaves, everything is there within a moment.
async fn greeted_by(greeting: Greeting) {
    let rig = Rig::with(Manner { greeting, ..Manner::default() }, |settings| {
        settings.connect_timeout = Duration::from_millis(200);
    })
    .await;
    let mut most = 0;
    let began = Instant::now();
    // For about a dozen attempts.
    while began.elapsed() < Duration::from_secs(3) {
        assert!(rig.broker.ready().is_err());
        most = most.max(rig.server.open_connections());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A pair for the attempt under way, and a pair that is just being closed.
    assert!(most <= 4, "{most} connections at a time");
    let accepted = rig.server.accepted();
    assert!((4..400).contains(&accepted), "{accepted} connections in 3 s");
    rig.server.treat(|manner| *manner = Manner::default());
    until_ready(&rig.broker).await;
    rig.deliveries(3, "n").await;
    rig.settle_the_rest().await;
    until("nothing is left behind", async || rig.server.open_connections() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing() {
    greeted_by(Greeting::Nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_something_else() {
    greeted_by(Greeting::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_after_the_protocol_header() {
    greeted_by(Greeting::HangUp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_when_it_has_heard_the_password() {
    greeted_by(Greeting::HangUpAfterStart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_password() {
    greeted_by(Greeting::Refusal).await;
}

/// Large bodies are cut to the frames that the broker allows, and a poisoned message with all that is written beside
/// it still fits one.
#[tokio::test(flavor = "multi_thread")]
async fn small_frames_are_kept_to() {
    let manner = Manner { frame_max: 4_096, ..Manner::default() };
    let rig = Rig::with(manner, |_| {}).await;
    let long = format!(r#","extra":{{"a":"{}"}}"#, "x".repeat(50_000));
    let envelope = crate::support::conformance::envelope_with("long", &long);
    until_ready(&rig.broker).await;
    rig.broker.publish(&envelope).await.expect("published");
    let body = rig.server.world().record().into_iter().find_map(|event| {
        let Event::Published(publish) = event else { return None };
        publish.mandatory.then_some(publish.body)
    });
    assert_eq!(body.map(Bytes::from), Some(envelope.notification.raw));
    rig.deliveries(3, "n").await;
    rig.check();
    assert_eq!(rig.generations(), 1);
}

/// A gateway needs three channels on its publishing connection at once, with one publisher. With fewer it says so,
/// and does not spin.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_channels_are_told() {
    let manner = Manner { channel_max: 1, ..Manner::default() };
    let rig = Rig::with(manner, |settings| settings.publishers = 2).await;
    until("it is told", async || rig.broker.ready().is_err_and(|reason| reason.contains("channel"))).await;
    rig.server.treat(|manner| *manner = Manner::default());
    until_ready(&rig.broker).await;
    rig.deliveries(3, "n").await;
    rig.settle_the_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn just_enough_channels_are_enough() {
    // One for each publisher. The audit has three on a connection of its own.
    let manner = Manner { channel_max: 3, ..Manner::default() };
    let rig = Rig::with(manner, |settings| settings.publishers = 3).await;
    until_ready(&rig.broker).await;
    let deliveries = rig.deliveries(8, "n").await;
    let answers = join_all(deliveries.into_iter().map(park)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    rig.broker.publish(&envelope("n")).await.expect("published");
    rig.settle_the_rest().await;
}
