//! Notifications whose messages an operator has destroyed come back, and no others.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use paynotify::domain::Moment;
use support::amqp::until;
use support::gateway::{Gateway, SOON, record};
use support::merchant::{Answer, StubMerchant, in_turn};
use support::rabbit::Rabbit;

async fn started(rabbit: &Rabbit, merchant: &StubMerchant, missing_after: &str, ladder: &str) -> Gateway {
    let lag = "further_message_lag = \"500ms\"";
    let mut gateway =
        Gateway::new(rabbit.store(), &format!("[delivery]\nmissing_after = \"{missing_after}\"\n{lag}"));
    gateway.merchant("shop", &merchant.url("/"), &format!("ladder = {ladder}"));
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    gateway
}

fn put_back(gateway: &Gateway) -> Vec<Value> {
    let lines = gateway.log_lines().into_iter();
    let ours =
        lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains("published again")));
    ours.map(|line| line["notification"].clone()).collect()
}

/// One that waits for its second attempt, and one that was posted and waits for its first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_queue_that_is_deleted_is_told_all_the_same() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "3s", r#"["3s"]"#).await;
    rabbit.send(&record("refused", "shop", "o1")).await;
    gateway.wait_for_state("refused", "waiting", SOON).await;
    let mut later = record("later", "shop", "o2");
    let soon = Moment::from_unix_milliseconds(
        i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis())
            .expect("not for long")
            + 3_000,
    );
    later["not_before"] = json!(soon.to_string());
    gateway.send(&later).await;
    // The waits of both are spent on this rung, unless the second's is spent on shorter ones.
    let rungs: Vec<_> = rabbit.outside.rungs.clone();
    until("both wait", async || rabbit.outside.waiting().await == 2).await;
    for rung in rungs {
        rabbit.outside.delete(&format!("rung.{rung}")).await;
    }
    let (_, one) = rabbit.next_event().await;
    let (_, other) = rabbit.next_event().await;
    let mut told: Vec<_> = [one, other]
        .iter()
        .map(|event| (event["notification_id"].clone(), event["attempts"].clone()))
        .collect();
    told.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(told, [(json!("later"), json!(1)), (json!("refused"), json!(2))]);
    until("every message is settled", async || rabbit.outside.waiting().await == 0).await;
    assert!(gateway.stop().success());
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    assert_eq!(merchant.requests().len(), 3);
    assert_eq!(put_back(&gateway).len(), 2);
}

/// Waiting is not being missing, however long it is, nor is an attempt that takes long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_merely_waits_is_left_alone() {
    let mut rabbit = Rabbit::start().await;
    let slow = Answer::After(Duration::from_secs(3), Box::new(Answer::Confirm));
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, slow])).await;
    let mut gateway = started(&rabbit, &merchant, "1s", r#"["4s"]"#).await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    let (_, event) = rabbit.next_event().await;
    assert_eq!((&event["outcome"], &event["attempts"]), (&json!("confirmed"), &json!(2)));
    assert!(gateway.stop().success());
    assert_eq!(put_back(&gateway), Vec::<Value>::new());
    assert_eq!(merchant.requests().len(), 2);
    assert_eq!(rabbit.outside.waiting().await, 0);
}

/// The note that the payment centre was told is lost with the process that was killed before it wrote it; or the event
/// was lost with a queue that was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_that_nobody_may_have_been_told_of_is_told() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "2s", r#"["4s"]"#).await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    let (_, event) = rabbit.next_event().await;
    let journal = gateway.folder().join("data/journal.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(journal);
    let mut other = SqliteConnection::connect_with(&options).await.expect("opened");
    until("it is noted as told", async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM notification WHERE told = 1")
            .fetch_one(&mut other)
            .await
            .expect("readable")
            == 1
    })
    .await;
    sqlx::query("UPDATE notification SET told = NULL").execute(&mut other).await.expect("forgotten");
    let (routing_key, again) = rabbit.next_event().await;
    assert_eq!((routing_key.as_str(), &again), ("confirmed.shop", &event));
    assert!(gateway.stop().success());
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    assert_eq!(merchant.requests().len(), 1);
}
