//! How notifications end is told to an HTTP endpoint as CloudEvents, at least once, whatever that endpoint does.

#![allow(missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, query_scalar};

use support::amqp::until;
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, Received, StubMerchant, always};
use support::proxy::{Cut, Proxy};
use support::rabbit::Rabbit;

const TOKEN: &str = "a-token-of-the-payment-centre";

/// A gateway that tells the endpoint at that URL, in a hurry.
fn gateway(store: Store, url: &str, more: &str) -> Gateway {
    gateway_that_tells_again(store, url, "1s", more)
}

fn gateway_that_tells_again(store: Store, url: &str, after: &str, more: &str) -> Gateway {
    let outcomes = format!(
        "[outcomes]\nurl = \"{url}\"\ntoken = \"file:token\"\nallow_addresses = [\"127.0.0.1\"]\n\
         longest_pause = \"500ms\"\nagain_after = \"{after}\"\ntimeout = \"2s\"\n{more}\n"
    );
    let gateway = Gateway::new(store, &outcomes);
    std::fs::write(gateway.folder().join("token"), TOKEN).expect("written");
    gateway
}

/// The event that a story must have been told with.
fn event_of(story: &Value) -> Value {
    let id = story["notification_id"].as_str().expect("an id");
    let (outcome, ended_at) = (&story["outcome"], &story["ended_at"]);
    json!({
        "specversion": "1.0",
        "id": format!("{id}/{}", ended_at.as_str().expect("a moment")),
        "source": "/paynotify",
        "type": format!("paynotify.outcome.{}", outcome.as_str().expect("a word")),
        "subject": id,
        "time": ended_at,
        "datacontenttype": "application/json",
        "data": {
            "schema": "payment-outcome/1",
            "notification_id": id,
            "merchant_id": story["merchant_id"],
            "merchant_order_id": story["merchant_order_id"],
            "payment_id": format!("p-{}", story["merchant_order_id"].as_str().expect("an order")),
            "outcome": outcome,
            "detail": story["detail"],
            "attempts": story["attempts_made"],
            "first_seen": story["first_seen"],
            "ended_at": ended_at,
        },
    })
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("an event is JSON")
}

/// How many endings the journal does not have as told.
async fn untold(gateway: &Gateway) -> i64 {
    let file = gateway.folder().join("data/journal.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut other = SqliteConnection::connect_with(&options).await.expect("opened");
    let untold = "SELECT count(*) FROM notification WHERE phase = 'ended' AND told IS NULL";
    query_scalar(untold).fetch_one(&mut other).await.expect("read")
}

/// What the endpoint was told, each event as often as it came.
fn told(endpoint: &StubMerchant) -> BTreeMap<String, Vec<Value>> {
    let mut told = BTreeMap::<String, Vec<Value>>::new();
    for received in endpoint.requests() {
        let event = body(&received);
        told.entry(event["subject"].as_str().expect("a subject").to_owned()).or_default().push(event);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ending_is_told_once_with_all_there_is_to_tell() {
    let merchant =
        StubMerchant::start(|received: &Received| match received.query("out_trade_no").as_deref() {
            Some("confirmed") => Answer::Confirm,
            Some(_) => Answer::Refuse,
            None => Answer::Status(410),
        })
        .await;
    let endpoint = StubMerchant::start(always(Answer::Status(204))).await;
    let url = endpoint.url("/outcomes?centre=1");
    let mut gateway = gateway_that_tells_again(Store::Embedded, &url, "1m", "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"100ms\"]");
    let plugin = xtask::guests::built("cloudevents").expect("the plugin is built");
    std::fs::copy(plugin, gateway.folder().join("plugins/cloudevents.wasm")).expect("copied");
    let tired =
        format!("url = \"{}\"\nplugin = \"cloudevents\"\nsettings.source = \"/s\"\n", merchant.url("/"));
    std::fs::write(gateway.folder().join("merchants/tired.toml"), tired).expect("written");
    gateway.start();
    gateway.ready().await;
    for (id, merchant, order) in
        [("c", "shop", "confirmed"), ("e", "shop", "refused"), ("s", "tired", "stopped")]
    {
        gateway.send(&record(id, merchant, order)).await;
    }
    let mut expected = BTreeMap::new();
    for (id, outcome) in [("c", "confirmed"), ("e", "exhausted"), ("s", "stopped")] {
        let story = gateway.wait_for_state(id, "ended", SOON).await;
        assert_eq!(story["outcome"], outcome, "{story}");
        assert!(outcome == "confirmed" || story["detail"].is_string(), "{story}");
        expected.insert(id.to_owned(), vec![event_of(&story)]);
    }
    until("all is told", async || endpoint.requests().len() >= 3 && untold(&gateway).await == 0).await;
    assert_eq!(told(&endpoint), expected);
    for received in endpoint.requests() {
        assert_eq!((received.method.as_str(), &*received.path_and_query), ("POST", "/outcomes?centre=1"));
        assert_eq!(received.headers["content-type"], "application/cloudevents+json; charset=utf-8");
        assert_eq!(received.headers["authorization"], format!("Bearer {TOKEN}"));
    }
    assert!(gateway.text("/metrics").await.contains("paynotify_outcome_events_total{result=\"told\"} 3\n"));
    assert!(gateway.stop().success());
    assert!(!gateway.log().contains(TOKEN));
}

/// It refuses, hangs, is away, and comes back; the gateway is killed in between. More ends than there is room for in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_heard_and_no_merchant_waits_for_that() {
    const EACH: usize = 20;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let endpoint = StubMerchant::start(always(Answer::Status(200))).await;
    let network = Proxy::start(endpoint.address()).await;
    let mut gateway =
        gateway(Store::Embedded, &format!("http://{}/", network.address()), "queue = 4\nside_by_side = 2");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let mut stories = BTreeMap::new();
    let all_end = async |gateway: &Gateway, what: &str| {
        let mut stories = BTreeMap::new();
        for number in 0..EACH {
            gateway.send(&record(&format!("{what}-{number}"), "shop", &format!("{what}-o-{number}"))).await;
        }
        for number in 0..EACH {
            let id = format!("{what}-{number}");
            let story = gateway.wait_for_state(&id, "ended", SOON).await;
            assert_eq!(story["outcome"], "confirmed", "{story}");
            stories.insert(id, story);
        }
        stories
    };
    network.refuse().await;
    network.cut(Cut::Reset);
    stories.extend(all_end(&gateway, "away").await);
    assert!(endpoint.requests().is_empty());
    network.accept().await;
    network.black_hole();
    stories.extend(all_end(&gateway, "hanging").await);
    gateway.kill();
    endpoint.follow(always(Answer::Status(503)));
    network.cut(Cut::Reset);
    network.release();
    gateway.start();
    gateway.ready().await;
    stories.extend(all_end(&gateway, "refusing").await);
    until("it is tried", async || !endpoint.requests().is_empty()).await;
    assert!(untold(&gateway).await >= 3 * EACH as i64, "nothing was taken yet");
    let refused = endpoint.requests().len();
    endpoint.follow(always(Answer::Status(200)));
    until("all is told", async || untold(&gateway).await == 0).await;
    let taken = endpoint.requests().split_off(refused);
    let heard: BTreeSet<String> = taken
        .iter()
        .map(|received| body(received)["subject"].as_str().expect("a subject").to_owned())
        .collect();
    assert_eq!(heard.len(), 3 * EACH, "{heard:?}");
    for (id, events) in told(&endpoint) {
        let expected = event_of(&stories[&id]);
        assert!(events.iter().all(|event| *event == expected), "{events:?} is not {expected}");
    }
    assert_eq!(merchant.requests().len(), 3 * EACH, "no merchant was told twice");
    // What comes now is told at once.
    let before = endpoint.requests().len();
    all_end(&gateway, "after").await;
    until("all is told", async || untold(&gateway).await == 0).await;
    let after = endpoint.requests().split_off(before);
    let heard: BTreeSet<_> = after.iter().map(|received| body(received)["subject"].to_string()).collect();
    assert_eq!(heard.len(), EACH, "{heard:?}");
    assert!(gateway.stop().success());
}

/// What one of the two who listen has not heard is not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_are_the_exchange_and_the_endpoint() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let endpoint = StubMerchant::start(always(Answer::Status(500))).await;
    let mut gateway = gateway(rabbit.store(), &endpoint.url("/"), "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    let (_, event) = rabbit.next_event().await;
    endpoint.wait_for(2, SOON).await;
    assert_eq!(body(&endpoint.requests()[0])["data"], event);
    assert_eq!(untold(&gateway).await, 1);
    endpoint.follow(always(Answer::Status(202)));
    until("all is told", async || untold(&gateway).await == 0).await;
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "the exchange was told once");
    // The note is lost: nobody knows of either.
    let file = gateway.folder().join("data/journal.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut other = SqliteConnection::connect_with(&options).await.expect("opened");
    let heard = endpoint.requests().len();
    sqlx::query("UPDATE notification SET told = NULL").execute(&mut other).await.expect("forgotten");
    let (_, again) = rabbit.next_event().await;
    assert_eq!(again, event);
    until("all is told", async || untold(&gateway).await == 0).await;
    let requests = endpoint.requests();
    assert_eq!((requests.len(), body(&requests[heard])), (heard + 1, body(&requests[0])));
    assert!(gateway.stop().success());
}

#[test]
fn what_is_wrong_with_the_endpoint_is_told_with_its_key() {
    for (table, key, part) in [
        ("url = \"http://127.0.0.1:1/?key=hunter2\"", "outcomes.url", "loopback"),
        (
            "url = \"https://me:hunter2@centre.example/\"",
            "outcomes.url",
            "without a fragment, user or password",
        ),
        ("url = \"env:PAYNOTIFY_NO_SUCH_URL\"", "outcomes.url", "PAYNOTIFY_NO_SUCH_URL"),
        ("token = \"hunter2\"", "outcomes.token", "no `outcomes.url`"),
        (
            "url = \"https://centre.example/\"\ntoken = \"hunter2 and more\"",
            "outcomes.token",
            "no bearer token",
        ),
        ("url = \"https://centre.example/\"\nsource = \"\"", "outcomes.source", "not empty"),
        ("url = \"https://centre.example/\"\nca_file = \"none.pem\"", "outcomes.ca_file", "none.pem"),
        ("url = \"https://centre.example/\"\ntimeouts = \"5s\"", "outcomes", "unknown field"),
    ] {
        let gateway = Gateway::new(Store::Embedded, &format!("[outcomes]\n{table}"));
        let output = gateway.verb(&["config", "check"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(key) && said.contains(part) && said.contains("paynotify.toml:"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
