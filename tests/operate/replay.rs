//! One notification is begun anew.

use http::Method;
use paynotify::domain::{Moment, ReplayRoute};
use paynotify::journal::{Journal, Order, ReplayOrder, Replayed};
use serde_json::json;
use tokio::sync::watch;

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, in_turn};
use crate::support::rabbit::Rabbit;
use crate::{attempts, audit, entry, get, journal_of, order};

const REPLAY: &str = "/v1/notifications/n1/replay";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_ended_is_told_again_embedded() {
    one_that_has_ended_is_told_again(Store::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_ended_is_told_again_over_rabbitmq() {
    let mut rabbit = Rabbit::start().await;
    let store = rabbit.store();
    // The exchanges are there once a gateway was: the events of this one are collected from its first replay on.
    let mut gateway = Gateway::new(store.clone(), "");
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    assert!(gateway.stop().success());
    one_that_has_ended_is_told_again(store).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let (key, event) = rabbit.next_event().await;
        told.push((key, event["attempts"].clone(), event["replay"].clone()));
    }
    let expected = [
        ("exhausted.shop".to_owned(), json!(2), json!(null)),
        ("confirmed.shop".to_owned(), json!(2), json!(1)),
        ("confirmed.shop".to_owned(), json!(1), json!(2)),
    ];
    assert_eq!(told, expected);
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    until("every message is settled", async || rabbit.outside.waiting().await == 0).await;
}

/// Refused to its end; begun anew, refused once and confirmed; and once more, while which it is not begun a third time.
async fn one_that_has_ended_is_told_again(store: Store) {
    let (answer, answered) = watch::channel(false);
    let slow = Answer::Once(answered, Box::new(Answer::Confirm));
    let merchant =
        StubMerchant::start(in_turn([Answer::Refuse, Answer::Refuse, Answer::Refuse, Answer::Confirm, slow]))
            .await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]\ntotal_timeout = \"60s\"\n");
    gateway.start();
    gateway.ready().await;
    assert_eq!(order(&gateway, REPLAY, "x").await.0, 404, "there is none");
    gateway.send(&record("n1", "shop", "o1")).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(
        (&story["outcome"], &story["replay"], &story["replays"]),
        (&json!("exhausted"), &json!(null), &json!(null))
    );
    let (status, problem) = gateway.ask(Method::POST, REPLAY, "{}").await;
    assert_eq!((status, &problem["field"]), (422, &json!("reason")), "{problem}");
    let (status, problem) = order(&gateway, REPLAY, " ").await;
    assert_eq!((status, &problem["field"]), (422, &json!("reason")), "{problem}");

    begin(&gateway, "the shop was down", 1).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    let ended = (&story["outcome"], &story["attempts_made"], &story["replay"]);
    assert_eq!(ended, (&json!("confirmed"), &json!(2), &json!(1)), "{story}");
    assert_eq!(attempts(&story), [(0, 1), (0, 2), (1, 1), (1, 2)], "{story}");

    begin(&gateway, "it asked for it", 2).await;
    merchant.wait_for(5, SOON).await;
    let (status, problem) = order(&gateway, REPLAY, "impatience").await;
    assert_eq!(status, 409, "{problem}");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("notification `n1` has not ended: it waits for attempt 1, which is due at "),
        "{detail}"
    );
    answer.send_replace(true);
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(attempts(&story), [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)], "{story}");
    let replays: Vec<_> = story["replays"]
        .as_array()
        .expect("replays")
        .iter()
        .map(|one| (one["replay"].clone(), one["by"].clone(), one["reason"].clone()))
        .collect();
    let by = |number: u32, reason: &str| (json!(number), json!("local"), json!(reason));
    assert_eq!(replays, [by(1, "the shop was down"), by(2, "it asked for it")]);
    assert_eq!(
        audit(&gateway).await,
        [entry("replay", "n1", "it asked for it"), entry("replay", "n1", "the shop was down")]
    );
    assert!(gateway.stop().success(), "{}", gateway.log());
    let requests = merchant.requests();
    assert_eq!(requests.len(), 5, "a request too many");
    assert!(requests.iter().all(|request| request.query("out_trade_no").as_deref() == Some("o1")));
}

async fn begin(gateway: &Gateway, reason: &str, expected: u32) {
    let answer = order(gateway, REPLAY, reason).await;
    assert_eq!(answer, (202, json!({"notification_id": "n1", "replay": expected})));
}

/// The gateway that began it is gone before it published anything: it is missing, and so it is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_was_begun_and_never_published_is_found() {
    let merchant = StubMerchant::start(in_turn([Answer::Confirm])).await;
    let mut gateway = Gateway::new(Store::Embedded, "[delivery]\nmissing_after = \"1s\"");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    let journal = journal_of(&gateway).await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let at = Moment::EPOCH.after(now);
    let by = Order { by: "another".to_owned(), reason: "a crash".to_owned(), at };
    let id = "n1".parse().expect("an id");
    let wanted = ReplayOrder { id, route: ReplayRoute::Id, order: by, audited: true };
    let begun = loop {
        match journal.replay(wanted.clone()).await.expect("an answer") {
            Replayed::Refused { .. } => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            begun @ (Replayed::Begun(_) | Replayed::Unknown) => break begun,
        }
    };
    assert!(matches!(begun, Replayed::Begun(_)), "{begun:?}");
    journal.close().await;
    merchant.wait_for(2, SOON).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(attempts(&story), [(0, 1), (1, 1)], "{story}");
    assert_eq!(get(&gateway, "/v1/ladder").await["work_queue"]["waiting"], 0);
    assert!(gateway.stop().success());
    assert_eq!(merchant.requests().len(), 2, "a request too many");
}
