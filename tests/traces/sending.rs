//! How spans leave the gateway, whatever the collector does: no notification waits for it, what is lost is counted, and secrets stay secret.

use std::time::{Duration, Instant};

use prost::Message;

use crate::collector::{Collector, spans_of, table};
use crate::otlp::{ExportResponse, PartialSuccess};
use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always, in_turn};
use crate::support::proxy::{Cut, Proxy};
use crate::{counted, said};

/// Each notification that is confirmed at once has a root, an attempt, and its six parts.
const EACH: u64 = 8;

async fn started(table: &str, merchant: &StubMerchant) -> Gateway {
    let mut gateway = Gateway::new(Store::Embedded, table);
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway
}

/// So many notifications, each confirmed.
async fn confirm(gateway: &Gateway, word: &str, count: u64) {
    for number in 0..count {
        let id = format!("{word}-{number}");
        gateway.send(&record(&id, "shop", &id)).await;
    }
    for number in 0..count {
        let story = gateway.wait_for_state(&format!("{word}-{number}"), "ended", SOON).await;
        assert_eq!(story["outcome"], "confirmed", "{story}");
    }
}

/// It refuses connections, then takes them and says nothing; in the end it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_nothing_but_its_spans() {
    const COUNT: u64 = 30;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let collector = Collector::start().await;
    let network = Proxy::start(collector.stub.address()).await;
    network.refuse().await;
    let more = "queue = 64\nbatch = 16\npatience = \"1h\"\ntimeout = \"30s\"";
    let mut gateway = started(&table(&format!("http://{}", network.address()), more), &merchant).await;
    confirm(&gateway, "away", COUNT).await;
    until("what finds no room is dropped", async || counted(&gateway, "dropped").await > 0).await;
    assert_eq!(counted(&gateway, "sent").await, 0);
    assert_eq!(said(&gateway, "the collector does not take spans"), 1, "said once: {}", gateway.log());
    network.black_hole();
    network.accept().await;
    until("it is asked, and says nothing", async || network.connections() > 0).await;
    confirm(&gateway, "hanging", COUNT).await;
    assert_eq!(counted(&gateway, "sent").await, 0);
    network.cut(Cut::Reset);
    network.release();
    until("the collector is sent what has waited", async || !collector.spans().is_empty()).await;
    until("all is sent or dropped", async || {
        counted(&gateway, "sent").await + counted(&gateway, "dropped").await == 2 * COUNT * EACH
    })
    .await;
    assert_eq!(counted(&gateway, "failed").await, 0);
    assert_eq!(collector.spans().len() as u64, counted(&gateway, "sent").await);
    assert_eq!(said(&gateway, "the collector takes spans again"), 1, "{}", gateway.log());
    assert_eq!(merchant.requests().len() as u64, 2 * COUNT, "no merchant was told twice");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_collector_does_not_take_for_now_is_sent_again() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let busy = Answer::Reply(503, vec![("retry-after", "1".to_owned())], Vec::new());
    let answers = [
        busy,
        Answer::Status(429),
        Answer::Status(502),
        Answer::Status(504),
        Answer::Reset,
        Answer::Status(202),
    ];
    let collector = Collector::that(in_turn(answers)).await;
    // All that comes of the notification goes with one post.
    let table = collector.table("batch = 8\npatience = \"1h\"").replace("20ms", "1h").replace("100ms", "2s");
    let mut gateway = started(&table, &merchant).await;
    confirm(&gateway, "n", 1).await;
    until("all is sent", async || counted(&gateway, "sent").await == EACH).await;
    let posts = collector.stub.requests();
    assert_eq!(posts.len(), 6);
    assert!(posts.iter().all(|post| post.body == posts[0].body), "the same again");
    assert!(posts[1].at - posts[0].at >= Duration::from_secs(1), "as the collector wished");
    for (pair, least) in posts[1..].windows(2).zip([500, 1_000, 1_000, 1_000]) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(least), "pauses double, up to the longest");
    }
    // One that is not taken for longer than we have patience for is given up; and so is one that is refused for good.
    assert!(gateway.stop().success());
    for (answer, more) in [(503, "patience = \"0s\""), (400, ""), (500, ""), (307, "")] {
        let collector = Collector::that(in_turn([Answer::Status(answer), Answer::Status(200)])).await;
        let table = collector.table(&format!("batch = 8\n{more}")).replace("20ms", "1h");
        let mut gateway = started(&table, &merchant).await;
        confirm(&gateway, "n", 1).await;
        until("it is given up", async || counted(&gateway, "failed").await == EACH).await;
        confirm(&gateway, "m", 1).await;
        until("the next goes through", async || counted(&gateway, "sent").await == EACH).await;
        assert_eq!(collector.stub.requests().len(), 2, "{answer}");
        assert!(gateway.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_headers_are_sent_and_in_no_log_and_what_is_rejected_is_said_once() {
    const SECRET: &str = "collector-s3cret-0123456789";
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    // Such a collector repeats what it was sent.
    let partial =
        PartialSuccess { rejected_spans: 3, error_message: format!("too many for Bearer {SECRET}") };
    let body = ExportResponse { partial_success: Some(partial) }.encode_to_vec();
    let collector = Collector::that(always(Answer::Reply(200, Vec::new(), body))).await;
    let table = collector.table("batch = 8\nheaders_file = \"collector-headers\"").replace("20ms", "1h");
    let mut gateway = Gateway::new(Store::Embedded, &table);
    let file = gateway.folder().join("paynotify.toml");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, text.replace("format = \"json\"", "format = \"json\"\nlevel = \"trace\""))
        .expect("written");
    let headers = format!("# of the collector\n\nauthorization: Bearer {SECRET}\nx-scope-orgid: payments\n");
    std::fs::write(gateway.folder().join("collector-headers"), headers).expect("written");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    for (word, posts) in [("n", 1), ("m", 2)] {
        confirm(&gateway, word, 1).await;
        collector.stub.wait_for(posts, SOON).await;
        let posts = posts as u64;
        until("it is counted", async || counted(&gateway, "failed").await == 3 * posts).await;
        assert_eq!(counted(&gateway, "sent").await, (EACH - 3) * posts);
    }
    for post in collector.stub.requests() {
        assert_eq!(spans_of(&post).len() as u64, EACH);
        assert_eq!(post.headers["authorization"], format!("Bearer {SECRET}"));
        assert_eq!(post.headers["x-scope-orgid"], "payments");
    }
    assert!(merchant.requests().iter().all(|request| !request.headers.contains_key("authorization")));
    assert_eq!(said(&gateway, "has not taken all spans"), 1);
    assert!(gateway.stop().success());
    let log = gateway.log();
    assert!(log.contains("too many for ***"), "{log}");
    assert!(!log.contains(SECRET) && log.contains("\"level\":\"DEBUG\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sends_what_is_left_and_waits_only_so_long() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let collector = Collector::start().await;
    let mut gateway = started(&collector.table("").replace("20ms", "1h"), &merchant).await;
    confirm(&gateway, "n", 3).await;
    assert!(collector.stub.requests().is_empty(), "they wait for others");
    assert!(gateway.stop().success());
    assert_eq!(collector.spans().len() as u64, 3 * EACH);
    assert!(!gateway.log().contains("not sent"), "{}", gateway.log());

    let hanging = Collector::that(always(Answer::Hang)).await;
    let mut gateway = started(&hanging.table("timeout = \"10m\""), &merchant).await;
    confirm(&gateway, "n", 3).await;
    hanging.stub.wait_for(1, SOON).await;
    let began = Instant::now();
    assert!(gateway.stop().success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let left: Vec<_> = gateway.log_lines().into_iter().filter_map(|line| line["left"].as_u64()).collect();
    assert_eq!(left, [3 * EACH], "{}", gateway.log());
}

#[test]
fn what_is_wrong_with_the_collector_is_told_with_its_key() {
    for (table, key, part) in [
        (
            "endpoint = \"http://127.0.0.1:4318\"",
            "traces.endpoint",
            "name it or its subnet in `traces.allow_addresses`",
        ),
        (
            "endpoint = \"https://me:hunter2@collector.example\"",
            "traces.endpoint",
            "without a fragment, user or password",
        ),
        (
            "endpoint = \"https://collector.example/v1/traces\"",
            "traces.endpoint",
            "`/v1/traces`, which is added",
        ),
        ("endpoint = \"https://collector.example?key=hunter2\"", "traces.endpoint", "without a query"),
        ("headers_file = \"headers\"", "traces.headers_file", "no `traces.endpoint`"),
        (
            "endpoint = \"https://collector.example\"\nheaders_file = \"headers\"",
            "traces.headers_file",
            "headers:2:",
        ),
        (
            "endpoint = \"https://collector.example\"\nsample_ratio = 1.5",
            "traces.sample_ratio",
            "not between 0 and 1",
        ),
        ("endpoint = \"https://collector.example\"\nca_file = \"none.pem\"", "traces.ca_file", "none.pem"),
        ("endpoints = \"https://collector.example\"", "traces", "unknown field"),
    ] {
        let gateway = Gateway::new(Store::Embedded, &format!("[traces]\n{table}"));
        std::fs::write(gateway.folder().join("headers"), "a: b\nhunter2\n").expect("written");
        let output = gateway.verb(&["config", "check"]).output().expect("it runs");
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(key) && told.contains(part) && told.contains("paynotify.toml:"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
