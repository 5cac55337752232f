//! Queues that an operator deletes while merchants are being asked: what is in hand then comes back from no queue, so it
//! is carried through where it is.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paynotify::broker::amqp::Settings;
use support::amqp::{Outside, until};
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, Received, StubMerchant};
use tokio::sync::watch;
use tokio::task::block_in_place;
use xtask::rabbitmq::Node;

/// How many are in hand: every other one will be refused, and the rest confirmed.
const HELD: usize = 8;

/// Longer than any of this takes: what is refused is still on its rung at the end.
const RUNG: &str = "rung.60000";

/// What comes after a deletion is asked for no later.
const PROMISE: Duration = Duration::from_secs(5);

fn order(request: &Received) -> String {
    request.query("out_trade_no").expect("an order")
}

/// Has merchants hold their replies, deletes these queues in this order, and has the merchants reply. Everything is
/// there once: on its rung or among the events.
async fn nothing_in_hand_is_lost_with(deleted: &[&str]) {
    let node = block_in_place(|| Node::start().expect("a node"));
    let prefix = support::amqp::prefix();
    let settings = Settings { urls: vec![node.amqp_url()], prefix: prefix.clone(), ..Settings::default() };
    let outside = Outside::connect(&settings).await;
    let (tell, told) = watch::channel(false);
    let merchant = StubMerchant::start(move |request: &Received| match order(request).split_once('-') {
        Some(("refused", _)) => Answer::Once(told.clone(), Box::new(Answer::Refuse)),
        Some(("confirmed", _)) => Answer::Once(told.clone(), Box::new(Answer::Confirm)),
        _ => Answer::Confirm,
    })
    .await;
    let mut gateway = Gateway::new(Store::Amqp { url: node.amqp_url(), prefix: prefix.clone() }, "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"60s\"]\ntotal_timeout = \"60s\"");
    gateway.start();
    gateway.ready().await;
    outside.collect_outcomes().await;

    let [refused, confirmed] = ["refused", "confirmed"]
        .map(|name| (0..HELD / 2).map(|number| format!("{name}-{number}")).collect::<Vec<_>>());
    for id in refused.iter().chain(&confirmed) {
        gateway.send(&record(id, "shop", id)).await;
    }
    merchant.wait_for(HELD, SOON).await;
    for queue in deleted {
        block_in_place(|| node.ctl(&["delete_queue", &format!("{prefix}.{queue}")]).expect("deleted"));
    }
    // Deliveries go on meanwhile.
    let since = Instant::now();
    until("it is taken", async || {
        let body = record("later", "shop", "later").to_string();
        let answer = gateway.ask(http::Method::POST, "/v1/notifications", body).await;
        answer.0 == 202
    })
    .await;
    gateway.wait_for_state("later", "ended", SOON).await;
    println!("delivered again after {:?}", since.elapsed());
    assert!(since.elapsed() < PROMISE, "{:?}", since.elapsed());
    tell.send_replace(true);

    let mut events = Vec::new();
    until("every confirmed one is told of", async || {
        events.extend(outside.drain("test-outcomes").await);
        events.len() > HELD / 2
    })
    .await;
    until("every refused one is on its rung", async || outside.count(RUNG).await == HELD / 2).await;
    // What the gateway had in hand unnoticed would come back now, and what it was about to publish is published.
    assert!(gateway.stop().success());
    events.extend(outside.drain("test-outcomes").await);
    let events = events.into_iter().map(|event| {
        let event: serde_json::Value = serde_json::from_slice(&event.data).expect("an event is JSON");
        assert_eq!(event["outcome"], "confirmed", "{event}");
        event["notification_id"].as_str().expect("an id").to_owned()
    });
    let told_of = [confirmed, vec!["later".to_owned()]].concat();
    assert_eq!(counted(events), counted(told_of));
    let parked = outside.drain(RUNG).await.into_iter().map(|message| {
        let record: serde_json::Value = serde_json::from_slice(&message.data).expect("a record");
        record["notification_id"].as_str().expect("an id").to_owned()
    });
    assert_eq!(counted(parked), counted(refused));
    assert_eq!(outside.waiting().await, 0, "nothing waits elsewhere");
    assert_eq!(merchant.requests().len(), HELD + 1, "nobody was asked twice");
}

/// How often each is there.
fn counted(ids: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    ids.into_iter().fold(BTreeMap::new(), |mut counted, id| {
        *counted.entry(id).or_default() += 1;
        counted
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn own_node_nothing_in_hand_is_lost_with_the_work_queue() {
    nothing_in_hand_is_lost_with(&["work"]).await;
}

/// One after the other, as an operator would who wants to begin with empty queues.
#[tokio::test(flavor = "multi_thread")]
async fn own_node_nothing_in_hand_is_lost_with_a_rung_and_the_work_queue() {
    nothing_in_hand_is_lost_with(&["work", RUNG, "work"]).await;
}
