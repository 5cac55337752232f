//! What lies in the poison queue is seen, put back, and thrown away.

use http::Method;
use paynotify::domain::Moment;
use paynotify::journal::{Entry, Journal, State};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, query};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};
use crate::support::rabbit::Rabbit;
use crate::{attempts, audit, entry, get, journal_of, order};

async fn started(store: Store, merchant: &StubMerchant) -> Gateway {
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway
}

/// The ids in the poison queue, once there are so many.
async fn poisoned(gateway: &Gateway, count: usize) -> Vec<Value> {
    until("it is seen in the poison queue", async || {
        get(gateway, "/v1/poison").await["messages"].as_array().expect("messages").len() == count
    })
    .await;
    get(gateway, "/v1/poison").await["messages"].as_array().expect("messages").clone()
}

async fn mend(gateway: &Gateway, id: &Value, body: Option<&Value>) -> (u16, Value) {
    let path = format!("/v1/poison/{}/mend", id.as_str().expect("an id"));
    let mut order = json!({"reason": "mended"});
    if let Some(body) = body {
        order["body"] = body.to_string().into();
    }
    gateway.ask(Method::POST, &path, order.to_string()).await
}

/// What could not be read, and what was addressed to another merchant than its record names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_mended_or_thrown_away_over_rabbitmq() {
    let rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = started(rabbit.store(), &merchant).await;
    rabbit.publish(&rabbit.outside.name("in"), "shop", b"{\"half\":").await;
    poisoned(&gateway, 1).await;
    let misled = record("n2", "shop", "o2").to_string();
    rabbit.publish(&rabbit.outside.name("in"), "other", misled.as_bytes()).await;
    let messages = poisoned(&gateway, 2).await;
    assert_eq!((&messages[0]["beginning"], &messages[0]["bytes"]), (&json!("{\"half\":"), &json!(8)));
    assert!(messages[0]["reason"].as_str().expect("a reason").contains("no payment result"), "{messages:?}");
    assert!(messages.iter().all(|message| message["since"].is_string()));
    let (half, other) = (&messages[0]["id"], &messages[1]["id"]);
    let whole = get(&gateway, &format!("/v1/poison/{}", other.as_str().expect("an id"))).await;
    assert_eq!((&whole["body"], &whole["addressed_to"]), (&json!(misled), &json!("other")), "{whole}");
    assert_eq!(gateway.ask(Method::GET, "/v1/poison/none", "").await.0, 404);

    let (status, problem) = mend(&gateway, half, None).await;
    assert_eq!((status, &problem["title"]), (422, &json!("not a payment result")), "{problem}");
    let mut wrong = record("n1", "shop", "o1");
    wrong["amount"]["currency"] = json!("XYZ");
    let (status, problem) = mend(&gateway, half, Some(&wrong)).await;
    assert_eq!((status, &problem["field"]), (422, &json!("amount.currency")), "{problem}");
    let (status, problem) = mend(&gateway, other, None).await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("merchant_id")),
        "money to another merchant: {problem}"
    );
    let right = record("n1", "shop", "o1");
    let (status, answer) = mend(&gateway, half, Some(&right)).await;
    assert_eq!((status, &answer), (202, &json!({"id": half, "notification_id": "n1", "replay": 0})));
    gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(mend(&gateway, half, Some(&right)).await.0, 404, "it is there once");
    let other = other.as_str().expect("an id");
    let (status, answer) = order(&gateway, &format!("/v1/poison/{other}/discard"), "a test of theirs").await;
    assert_eq!((status, answer), (200, json!({"id": other, "discarded": true})));
    poisoned(&gateway, 0).await;
    let half = half.as_str().expect("an id");
    assert_eq!(
        audit(&gateway).await,
        [
            entry("discard", other, "a test of theirs"),
            entry("mend", &format!("{half} notification n1"), "mended")
        ]
    );
    until("every message is settled", async || rabbit.outside.waiting().await == 0).await;
    assert!(gateway.stop().success(), "{}", gateway.log());
    assert_eq!(merchant.requests().len(), 1, "a request too many");
}

/// One that was abandoned goes on as a replay, and only by the way of the poison queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_abandoned_is_put_back_as_it_is() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = started(Store::Embedded, &merchant).await;
    let text = record("n1", "shop", "o1").to_string();
    // As a gateway leaves behind what it has held for three days.
    let ended = "2026-11-20T08:00:00Z".parse::<Moment>().expect("a moment");
    let journal = journal_of(&gateway).await;
    let id: paynotify::domain::NotificationId = "n1".parse().expect("an id");
    let state = State::Ended {
        outcome: "abandoned".to_owned(),
        detail: Some("the plugin is at fault".to_owned()),
        attempts_made: 0,
        ended_at: ended,
        replay: 0,
    };
    let abandoned = Entry {
        notification_id: id.clone(),
        merchant_id: "shop".parse().expect("an id"),
        merchant_order_id: Some("o1".to_owned()),
        raw: text.clone().into(),
        first_seen: ended,
        at: ended,
        state,
        attempt: None,
        transcript: None,
    };
    let _recording = journal.record(abandoned).await.expect("recorded");
    journal.told(&id, 0).await;
    journal.close().await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.folder().join("data/broker.sqlite"));
    let mut broker = SqliteConnection::connect_with(&options).await.expect("opened");
    let headers = json!({"paynotify-attempt": "1", "paynotify-holds": "12", "paynotify-held-since": "1", "paynotify-due": "1"});
    for body in [text.as_str(), "no JSON"] {
        query(
            "INSERT INTO poison (poisoned_at, reason, body, headers) VALUES (1000, 'held too long', ?1, ?2)",
        )
        .bind(body.as_bytes())
        .bind(headers.to_string())
        .execute(&mut broker)
        .await
        .expect("written");
    }
    let messages = poisoned(&gateway, 2).await;
    assert_eq!(messages[0]["since"], "1970-01-01T00:00:01.000Z");
    let (status, problem) = order(&gateway, "/v1/notifications/n1/replay", "x").await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().expect("a detail").contains("/v1/poison/"), "{problem}");
    let changed = record("n1", "shop", "another order");
    let (status, problem) = mend(&gateway, &messages[0]["id"], Some(&changed)).await;
    assert_eq!((status, &problem["field"]), (409, &json!("notification_id")), "an id names one: {problem}");
    let (status, answer) = mend(&gateway, &messages[0]["id"], None).await;
    assert_eq!((status, &answer["replay"]), (202, &json!(1)), "{answer}");
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], attempts(&story)), (&json!("confirmed"), vec![(1, 1)]), "{story}");
    assert_eq!(story["replays"][0]["reason"], "mended");
    let left = poisoned(&gateway, 1).await;
    assert_eq!((&left[0]["id"], &left[0]["beginning"]), (&messages[1]["id"], &json!("no JSON")));
    assert!(gateway.stop().success(), "{}", gateway.log());
    assert_eq!(merchant.requests().len(), 1, "a request too many");
}
