//! One merchant never harms another, on the way to the merchants: by the program itself, with merchants that hang, refuse
//! connections, or are sent too much.

#![allow(missing_docs)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use support::amqp::until;
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, always};
use support::rabbit::Rabbit;

async fn sample(gateway: &Gateway, sample: &str) -> f64 {
    let text = gateway.text("/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {sample} in {text}"))
}

async fn holds(gateway: &Gateway, cause: &str) -> f64 {
    sample(gateway, &format!("paynotify_holds_total{{cause=\"{cause}\"}}")).await
}

fn lines_with(gateway: &Gateway, text: &str) -> Vec<Value> {
    let has = |line: &Value| line["message"].as_str().is_some_and(|message| message.contains(text));
    gateway.log_lines().into_iter().filter(has).collect()
}

/// Bounds of the broker beside what the store needs.
fn small(store: &Store) -> &'static str {
    match store {
        Store::Embedded => "prefetch = 32\nslow_prefetch = 32\n",
        // In this table of the file there are keys of RabbitMQ alone.
        Store::Amqp { .. } => "",
    }
}

/// Merchants that never answer, each with more to be told than all slots together would take, and time-outs longer than
/// the test: whoever gets a slot keeps it. One that answers is served beside them.
async fn beside_those_that_hang(store: Store, hanging: usize, each: usize) {
    let hangs = StubMerchant::start(always(Answer::Hang)).await;
    let answers = StubMerchant::start(always(Answer::Confirm)).await;
    let small = small(&store);
    let mut gateway = Gateway::new(store, &format!("{small}[delivery]\ndrain = \"0s\""));
    for number in 0..hanging {
        gateway.merchant(&format!("hangs{number}"), &hangs.url("/"), "total_timeout = \"10m\"");
    }
    gateway.merchant("shop", &answers.url("/"), "");
    gateway.start();
    gateway.ready().await;
    for number in 0..each {
        for merchant in 0..hanging {
            let id = format!("h{merchant}-{number}");
            gateway.send(&record(&id, &format!("hangs{merchant}"), "o")).await;
        }
    }
    for number in 0..30 {
        let id = format!("n{number}");
        gateway.send(&record(&id, "shop", "o")).await;
        let story = gateway.wait_for_state(&id, "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
    }
    assert!(hangs.requests().len() >= hanging, "each of them was asked");
    assert!(holds(&gateway, "merchant_busy").await >= 1.0);
    let last = gateway.wait_for_state(&format!("h0-{}", each - 1), "held", SOON).await;
    assert_eq!((&last["cause"], &last["attempts"]), (&json!("merchant_busy"), &json!([])));
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_answers_is_served_while_twenty_hang() {
    beside_those_that_hang(Store::Embedded, 20, 20).await;
}

/// There are 256 slots; ten would have 32 each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_answers_is_served_while_ten_hang_over_rabbitmq() {
    let rabbit = Rabbit::start().await;
    beside_those_that_hang(rabbit.store(), 10, 40).await;
}

/// An address at which nobody listens.
fn nowhere() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_down_is_left_alone_and_its_notifications_end_by_attempts_all_the_same() {
    let address = nowhere();
    let bounds = "[delivery]\nladder = [\"200ms\", \"300ms\"]\nbreaker_after = 3\nbreaker_pause = \"500ms\"\n\
                  breaker_longest = \"2s\"";
    let mut gateway = Gateway::new(Store::Embedded, bounds);
    gateway.merchant("shop", &format!("http://{address}/"), "");
    gateway.start();
    gateway.ready().await;
    let down = "paynotify_endpoint_breaker_open";
    assert!(sample(&gateway, down).await < 0.5);
    for number in 0..8 {
        gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    until("its breaker is open", async || sample(&gateway, down).await > 0.5).await;
    for number in 0..8 {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("exhausted"), &json!(3)), "{story}");
        let attempts = story["attempts"].as_array().expect("a list");
        assert!(attempts.len() == 3 && attempts.iter().all(|attempt| attempt["result"] == "connect_failed"));
    }
    assert!(holds(&gateway, "endpoint_down").await >= 1.0);
    let merchant = StubMerchant::start_at(address, always(Answer::Confirm)).await;
    for number in 0..3 {
        gateway.send(&record(&format!("b{number}"), "shop", "o")).await;
    }
    for number in 0..3 {
        let story = gateway.wait_for_state(&format!("b{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)), "{story}");
    }
    assert_eq!(merchant.requests().len(), 3);
    until("its breaker is closed", async || sample(&gateway, down).await < 0.5).await;
    assert!(gateway.stop().success());
    let counts = ["merchant's breaker has opened", "merchant's breaker has closed"]
        .map(|text| lines_with(&gateway, text).len());
    assert_eq!(counts, [1, 1], "each is told once");
}

/// Refusals are replies: a merchant that refuses everything is no merchant that is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_open_no_breaker_and_resets_do() {
    let bounds = "[delivery]\nladder = [\"200ms\"]\nbreaker_after = 3\nbreaker_pause = \"1s\"\nbreaker_longest = \"1s\"";
    let mut gateway = Gateway::new(Store::Embedded, bounds);
    let refuses = StubMerchant::start(always(Answer::Refuse)).await;
    let resets = StubMerchant::start(always(Answer::Reset)).await;
    gateway.merchant("refuses", &refuses.url("/"), "");
    gateway.merchant("resets", &resets.url("/"), "");
    gateway.start();
    gateway.ready().await;
    for merchant in ["refuses", "resets"] {
        for number in 0..6 {
            gateway.send(&record(&format!("{merchant}{number}"), merchant, "o")).await;
        }
        for number in 0..6 {
            let story = gateway.wait_for_state(&format!("{merchant}{number}"), "ended", SOON).await;
            assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("exhausted"), &json!(2)));
        }
    }
    let opened = lines_with(&gateway, "merchant's breaker has opened");
    assert!(!opened.is_empty() && opened.iter().all(|line| line["merchant"] == "resets"), "{opened:?}");
    assert_eq!(opened[0]["failure"], "connection_lost");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept_and_what_is_over_it_comes_when_its_token_does() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "rate = \"10/s\"");
    gateway.start();
    gateway.ready().await;
    for number in 0..40 {
        gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    for number in 0..40 {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
    }
    let mut moments: Vec<_> = merchant.requests().iter().map(|received| received.moment).collect();
    moments.sort();
    for (first, from) in moments.iter().enumerate() {
        for (last, to) in moments.iter().enumerate().skip(first) {
            // The bucket's ten, what the time brings, and a few that were on their way longer than others.
            let most = 10.0 + 10.0 * to.since(*from).as_secs_f64() + 5.0;
            assert!(((last - first + 1) as f64) < most, "{} within {:?}", last - first + 1, to.since(*from));
        }
    }
    assert!(holds(&gateway, "over_rate").await >= 1.0);
    assert!(gateway.stop().success());
}

/// A merchant that takes long, and then does not any more.
async fn into_the_slow_lane_and_back(store: Store) {
    let takes_long = Answer::After(Duration::from_secs(3), Box::new(Answer::Confirm));
    let merchant = StubMerchant::start(always(takes_long)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let slow = "paynotify_merchants_in_slow_lane";
    assert!(sample(&gateway, slow).await < 0.5);
    let mut sent = 0;
    let mut send = async |count: usize| {
        // Each is sent before any is waited for.
        for number in sent..sent + count {
            gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
        }
        sent += count;
        for number in sent - count..sent {
            let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
            assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
        }
    };
    send(10).await;
    assert!(sample(&gateway, slow).await > 0.5, "{}", gateway.log());
    // Now it goes through the slow lane, to the same end.
    send(10).await;
    merchant.follow(always(Answer::Confirm));
    let mut quick = 0;
    while sample(&gateway, slow).await > 0.5 {
        send(1).await;
        quick += 1;
        assert!(quick < 300, "it is quick, and not taken back");
    }
    assert!(quick > 5, "one quick attempt makes no quick merchant");
    send(10).await;
    let received = merchant.requests();
    let ids: std::collections::HashSet<_> =
        received.iter().map(|received| received.query("notify_id")).collect();
    assert_eq!((received.len(), ids.len()), (30 + quick, 30 + quick), "each once");
    assert!(gateway.stop().success());
    let counts =
        ["goes into the slow lane", "leaves the slow lane"].map(|text| lines_with(&gateway, text).len());
    assert_eq!(counts, [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_long_goes_into_the_slow_lane_and_comes_back() {
    into_the_slow_lane_and_back(Store::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_long_goes_into_the_slow_lane_and_comes_back_over_rabbitmq() {
    let rabbit = Rabbit::start().await;
    into_the_slow_lane_and_back(rabbit.store()).await;
    assert_eq!(rabbit.outside.count("slow").await, 0);
}
