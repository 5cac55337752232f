//! A merchant is paused, with one gateway and with two over one journal.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use xtask::postgres::Database;

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always, in_turn};
use crate::support::rabbit::Rabbit;
use crate::{attempts, audit, entry, get, order};

async fn paused(gateway: &Gateway) -> Value {
    get(gateway, "/v1/merchants/shop").await["paused"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_merchant_is_told_nothing_until_it_is_resumed() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    for id in ["shop", "other"] {
        gateway.merchant(id, &merchant.url(&format!("/{id}")), "");
    }
    gateway.start();
    gateway.ready().await;
    assert_eq!(order(&gateway, "/v1/merchants/nobody/pause", "x").await.0, 404);
    let (status, answer) = order(&gateway, "/v1/merchants/shop/pause", "it has asked us to").await;
    assert_eq!(status, 200, "{answer}");
    let (by, reason) = (&answer["paused"]["by"], &answer["paused"]["reason"]);
    assert_eq!(
        (by, reason, &answer["changed"]),
        (&json!("local"), &json!("it has asked us to"), &json!(true))
    );
    let since = answer["paused"]["since"].clone();
    let (_, again) = order(&gateway, "/v1/merchants/shop/pause", "once more").await;
    assert_eq!((&again["paused"]["since"], &again["changed"]), (&since, &json!(false)), "it stays as it is");
    for number in 0..5 {
        gateway.send(&record(&format!("n{number}"), "shop", &format!("o{number}"))).await;
    }
    gateway.send(&record("other", "other", "o9")).await;
    gateway.wait_for_state("other", "ended", SOON).await;
    for number in 0..5 {
        let story = gateway.wait_for_state(&format!("n{number}"), "held", SOON).await;
        assert_eq!((&story["cause"], &story["next_attempt"]), (&json!("paused"), &json!(1)), "{story}");
    }
    // It outlasts the process, and nothing is attempted before it is known again.
    gateway.kill();
    gateway.start();
    gateway.ready().await;
    assert_eq!(paused(&gateway).await["reason"], "it has asked us to");
    until("all of them are counted", async || {
        let holds = get(&gateway, "/v1/holds").await;
        let held = holds["holds"].as_array().expect("holds").iter();
        held.map(|hold| hold["count"].as_u64().expect("a count")).sum::<u64>() == 5
    })
    .await;
    let holds = get(&gateway, "/v1/holds").await;
    let hold = &holds["holds"][0];
    assert_eq!(
        (&hold["cause"], &hold["merchant_id"], &holds["next"]),
        (&json!("paused"), &json!("shop"), &Value::Null)
    );
    assert_eq!(merchant.requests().len(), 1, "a paused merchant was told");
    let (status, answer) = order(&gateway, "/v1/merchants/shop/resume", "it is back").await;
    assert_eq!((status, &answer), (200, &json!({"merchant_id": "shop", "paused": null, "changed": true})));
    for number in 0..5 {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], attempts(&story)), (&json!("confirmed"), vec![(0, 1)]), "{story}");
    }
    let (_, answer) = order(&gateway, "/v1/merchants/shop/resume", "it is back").await;
    assert_eq!(answer["changed"], false);
    assert_eq!(
        audit(&gateway).await,
        [entry("resume", "shop", "it is back"), entry("pause", "shop", "it has asked us to")]
    );
    assert!(gateway.stop().success(), "{}", gateway.log());
    assert_eq!(merchant.requests().len(), 6, "a request too many");
}

/// Two gateways that share RabbitMQ and a journal on PostgreSQL: what is ordered of one holds for both, and outlasts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ordered_of_one_gateway_holds_for_the_other() {
    let rabbit = Rabbit::start().await;
    let database = Database::shared_or_own().expect("a server");
    let name = format!("operate_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&database.url("postgres")).await.expect("connected");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.expect("made");
    let journal = format!("[journal]\nkind = \"postgres\"\nurl = \"{}\"", database.url(&name));
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Refuse, Answer::Confirm])).await;
    let gateway = || {
        let gateway = Gateway::new(rabbit.store(), &journal);
        gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]");
        gateway
    };
    let (mut one, mut other) = (gateway(), gateway());
    for gateway in [&mut one, &mut other] {
        gateway.start();
        gateway.ready().await;
    }
    one.send(&record("n0", "shop", "o0")).await;
    other.wait_for_state("n0", "ended", SOON).await;
    until("it is begun anew", async || {
        order(&other, "/v1/notifications/n0/replay", "by the other").await.0 == 202
    })
    .await;
    let story = one.wait_for_state("n0", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["replay"]), (&json!("confirmed"), &json!(1)), "{story}");
    assert_eq!(attempts(&story), [(0, 1), (0, 2), (1, 1)]);

    assert_eq!(order(&one, "/v1/merchants/shop/pause", "night").await.0, 200);
    until("the other one knows", async || !paused(&other).await.is_null()).await;
    for number in 1..=8 {
        let gateway = if number % 2 == 0 { &one } else { &other };
        gateway.send(&record(&format!("n{number}"), "shop", &format!("o{number}"))).await;
    }
    for number in 1..=8 {
        let story = one.wait_for_state(&format!("n{number}"), "held", SOON).await;
        assert_eq!(story["cause"], "paused");
    }
    one.kill();
    one.start();
    one.ready().await;
    assert_eq!(paused(&one).await["reason"], "night");
    assert_eq!(merchant.requests().len(), 3, "a paused merchant was told");
    assert_eq!(order(&other, "/v1/merchants/shop/resume", "morning").await.0, 200);
    for number in 1..=8 {
        let story = one.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], attempts(&story)), (&json!("confirmed"), vec![(0, 1)]), "{story}");
    }
    until("this one knows", async || paused(&one).await.is_null()).await;
    assert_eq!(
        audit(&one).await,
        [
            entry("resume", "shop", "morning"),
            entry("pause", "shop", "night"),
            entry("replay", "n0", "by the other")
        ]
    );
    until("every message is settled", async || rabbit.outside.waiting().await == 0).await;
    for gateway in [&mut one, &mut other] {
        assert!(gateway.stop().success(), "{}", gateway.log());
    }
    assert_eq!(merchant.requests().len(), 11, "a request too many");
}
