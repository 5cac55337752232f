//! The main job, by the program itself: a payment result comes in, a plugin formats it, a merchant refuses or confirms.
//!
//! The same cases run over RabbitMQ and over the embedded broker, where the case is not about one of them.

mod support;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, Received, StubMerchant, always, by_order, in_turn};
use support::rabbit::Rabbit;

/// A ladder of six short rungs.
const SHORT: &str = r#"ladder = ["300ms", "400ms", "500ms", "600ms", "700ms", "800ms"]"#;

fn order(received: &Received) -> Option<String> {
    received.query("out_trade_no")
}

fn refusals(count: usize) -> Vec<Answer> {
    let mut answers = vec![Answer::Refuse; count];
    answers.push(Answer::Confirm);
    answers
}

fn of_order(received: &[Received], wanted: &str) -> Vec<Received> {
    received.iter().filter(|received| order(received).as_deref() == Some(wanted)).cloned().collect()
}

/// Runs a case over both brokers.
macro_rules! on_both_brokers {
    ($($case:ident),* $(,)?) => {
        mod over_rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let rabbit = super::Rabbit::start().await;
                super::$case(rabbit.store()).await;
            })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Store::Embedded).await;
            })*
        }
    };
}

on_both_brokers! {
    confirmation_at_any_rung_ends_it,
    a_killed_gateway_loses_nothing,
    a_stop_finishes_what_is_under_way,
    what_came_due_while_the_gateway_was_down_is_delivered_at_once,
    an_unknown_merchant_is_held_until_it_appears,
    a_plugins_fault_spends_no_attempt,
    absurd_replies_are_refusals_with_a_name,
    the_first_attempt_waits_until_not_before,
    a_retry_after_lengthens_the_wait,
}

/// Orders that are confirmed at each of the seven attempts, and one that never is: each gets exactly its attempts,
/// and nothing more after its end.
async fn confirmation_at_any_rung_ends_it(store: Store) {
    let scripts = (0..8).map(|refused| (format!("o{refused}"), refusals(refused)));
    let merchant = StubMerchant::start(by_order(order, scripts)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/notify?own=1%2f2"), SHORT);
    gateway.start();
    gateway.ready().await;
    for refused in 0..8 {
        gateway.send(&record(&format!("n{refused}"), "shop", &format!("o{refused}"))).await;
    }
    for refused in 0..8_usize {
        let story = gateway.wait_for_state(&format!("n{refused}"), "ended", SOON).await;
        let (outcome, attempts) = if refused < 7 { ("confirmed", refused + 1) } else { ("exhausted", 7) };
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!(outcome), &json!(attempts)));
        let numbers: Vec<_> = story["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|attempt| attempt["number"].clone())
            .collect();
        assert_eq!(numbers, (1..=attempts).map(|number| json!(number)).collect::<Vec<_>>());
    }
    // All have ended; had one of them a message left anywhere, it would come within the longest rung.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let received = merchant.requests();
    let delays = [300, 400, 500, 600, 700, 800].map(Duration::from_millis);
    for refused in 0..8_usize {
        let requests = of_order(&received, &format!("o{refused}"));
        assert_eq!(requests.len(), (refused + 1).min(7), "o{refused}");
        for (pair, delay) in requests.windows(2).zip(delays) {
            let gap = pair[1].at - pair[0].at;
            assert!(
                gap >= delay && gap < delay + Duration::from_millis(250),
                "{gap:?} for a rung of {delay:?}"
            );
        }
        for request in &requests {
            assert_eq!(request.method, Method::POST);
            assert!(request.path_and_query.starts_with("/notify?own=1%2f2&is_success=T&notify_id=n"));
            assert_eq!(request.query("total_fee").as_deref(), Some("10.00"));
            assert_eq!(request.query("trade_status").as_deref(), Some("TRADE_SUCCESS"));
        }
    }
    assert!(gateway.stop().success());
}

/// The program is killed three times in the middle of two hundred notifications: all are confirmed in the end, and
/// what came twice came under the same id.
async fn a_killed_gateway_loses_nothing(store: Store) {
    const COUNT: usize = 200;
    let scripts = (0..COUNT).map(|number| (format!("o{number}"), refusals(number % 3)));
    let merchant = StubMerchant::start(by_order(order, scripts)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), SHORT);
    gateway.start();
    gateway.ready().await;
    for number in 0..COUNT {
        gateway.send(&record(&format!("n{number}"), "shop", &format!("o{number}"))).await;
        if number % 60 == 59 {
            gateway.kill();
            gateway.start();
            gateway.ready().await;
        }
    }
    for number in 0..COUNT {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!(story["outcome"], "confirmed", "{story}");
    }
    let received = merchant.requests();
    let least: usize = (0..COUNT).map(|number| number % 3 + 1).sum();
    let twice = received.len().saturating_sub(least);
    // At most what was under way at a kill can come twice: 32 for this merchant, three times.
    assert!(received.len() >= least && twice <= 3 * 32, "{} requests, {least} needed", received.len());
    assert!(gateway.stop().success());
}

async fn a_stop_finishes_what_is_under_way(store: Store) {
    let slow = Answer::After(Duration::from_millis(1_500), Box::new(Answer::Confirm));
    let merchant = StubMerchant::start(always(slow)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "in_flight = 1");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    merchant.wait_for(1, SOON).await;
    assert!(gateway.stop().success());
    merchant.follow(always(Answer::Confirm));
    gateway.start();
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(story["attempts_made"], 1);
    assert_eq!(merchant.requests().len(), 1, "it was recorded before the stop");
}

async fn what_came_due_while_the_gateway_was_down_is_delivered_at_once(store: Store) {
    let merchant = StubMerchant::start(in_turn(refusals(1))).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), r#"ladder = ["1s"]"#);
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "waiting", SOON).await;
    gateway.kill();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(merchant.requests().len(), 1);
    gateway.start();
    gateway.ready().await;
    merchant.wait_for(2, Duration::from_secs(2)).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(2)));
}

async fn an_unknown_merchant_is_held_until_it_appears(store: Store) {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    let story = gateway.wait_for_state("n1", "held", SOON).await;
    assert_eq!(story["reason"], "no merchant of that name is configured");
    assert_eq!((&story["next_attempt"], &story["attempts"]), (&json!(1), &json!([])));
    assert!(gateway.stop().success());
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
}

/// `plain` cannot express a record without an amount, and says so. Its merchant hears nothing, another everything.
async fn a_plugins_fault_spends_no_attempt(store: Store) {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let mut lacking = record("n1", "shop", "o1");
    lacking.as_object_mut().expect("an object").remove("amount");
    gateway.send(&lacking).await;
    gateway.send(&record("n2", "shop", "o2")).await;
    let story = gateway.wait_for_state("n1", "held", SOON).await;
    let reason = story["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the plugin is at fault") && reason.contains("amount"), "{reason}");
    assert_eq!((&story["next_attempt"], &story["attempts"]), (&json!(1), &json!([])));
    gateway.wait_for_state("n2", "ended", SOON).await;
    assert_eq!(merchant.requests().len(), 1);
    assert!(gateway.stop().success());
}

async fn absurd_replies_are_refusals_with_a_name(store: Store) {
    let endless = Answer::Reply(200, vec![], vec![b'x'; 100_000]);
    let scripts = [
        ("reset", vec![Answer::Reset, Answer::Confirm]),
        ("hang", vec![Answer::Hang, Answer::Confirm]),
        ("long", vec![endless, Answer::Confirm]),
        ("status", vec![Answer::Status(500), Answer::Confirm]),
        (
            "redirect",
            vec![Answer::Reply(302, vec![("location", "/elsewhere".to_owned())], vec![]), Answer::Confirm],
        ),
    ];
    let merchant = StubMerchant::start(by_order(order, scripts)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"200ms\"]\nfirst_byte_timeout = \"300ms\"");
    gateway.start();
    gateway.ready().await;
    for (order, result, status) in [
        ("reset", "connection_lost", Value::Null),
        ("hang", "first_byte_timed_out", Value::Null),
        ("long", "retry", json!(200)),
        ("status", "retry", json!(500)),
        ("redirect", "retry", json!(302)),
    ] {
        gateway.send(&record(order, "shop", order)).await;
        let story = gateway.wait_for_state(order, "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(2)), "{story}");
        let first = &story["attempts"][0];
        assert_eq!((&first["result"], &first["status"]), (&json!(result), &status), "{story}");
    }
    assert!(merchant.requests().iter().all(|request| !request.path_and_query.contains("elsewhere")));
    assert!(gateway.stop().success());
}

async fn the_first_attempt_waits_until_not_before(store: Store) {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let due = paynotify::clock::now().after(Duration::from_millis(1_700));
    let mut later = record("n1", "shop", "o1");
    later["not_before"] = json!(due);
    gateway.send(&later).await;
    let received = merchant.wait_for(1, SOON).await;
    let late = received[0].moment.since(due);
    assert!(received[0].moment >= due && late < Duration::from_millis(400), "late by {late:?}");
    assert!(gateway.stop().success());
}

async fn a_retry_after_lengthens_the_wait(store: Store) {
    let busy = Answer::Reply(503, vec![("retry-after", "2".to_owned())], vec![]);
    let merchant = StubMerchant::start(in_turn([busy, Answer::Confirm])).await;
    let mut gateway = Gateway::new(store, "");
    gateway.merchant("shop", &merchant.url("/"), r#"ladder = ["200ms"]"#);
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    let received = merchant.wait_for(2, SOON).await;
    let gap = received[1].at - received[0].at;
    assert!(gap >= Duration::from_secs(2) && gap < Duration::from_millis(2_500), "{gap:?}");
    assert!(gateway.stop().success());
}

/// The default ladder's first two rungs in real time, each at most 100 ms late, and on time although others wait on
/// the longer one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_ladder_keeps_its_times_on_rabbitmq() {
    let rabbit = Rabbit::start().await;
    let scripts = [("first", refusals(2)), ("second", refusals(1))];
    let merchant = StubMerchant::start(by_order(order, scripts)).await;
    let mut gateway = Gateway::new(rabbit.store(), "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "first")).await;
    let two = |received: &[Received]| of_order(received, "first").len() == 2;
    merchant.wait_until(SOON, two).await;
    gateway.wait_for_state("n1", "waiting", SOON).await;
    // The first waits on 30 s now; the second must not wait for it on 3 s.
    gateway.send(&record("n2", "shop", "second")).await;
    gateway.wait_for_state("n2", "ended", Duration::from_secs(10)).await;
    gateway.wait_for_state("n1", "ended", Duration::from_secs(40)).await;
    let received = merchant.requests();
    let (first, second) = (of_order(&received, "first"), of_order(&received, "second"));
    assert_eq!((first.len(), second.len()), (3, 2));
    for (earlier, later, rung) in
        [(&first[0], &first[1], 3), (&first[1], &first[2], 30), (&second[0], &second[1], 3)]
    {
        let (gap, rung) = (later.at - earlier.at, Duration::from_secs(rung));
        println!("a rung of {rung:?}: {gap:?}");
        assert!(gap >= rung && gap <= rung + Duration::from_millis(100), "{gap:?} for a rung of {rung:?}");
    }
    assert!(gateway.stop().success());
}

/// A producer in another language, and the payment centre: everything over AMQP alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_come_in_and_outcomes_go_out_over_rabbitmq() {
    let mut rabbit = Rabbit::start().await;
    let scripts = [("confirmed", refusals(1)), ("exhausted", vec![Answer::Refuse])];
    let merchant = StubMerchant::start(by_order(order, scripts)).await;
    let mut gateway = Gateway::new(rabbit.store(), "");
    gateway.merchant("shop", &merchant.url("/"), SHORT);
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    rabbit.send(&record("n1", "shop", "confirmed")).await;
    let (key, event) = rabbit.next_event().await;
    assert_eq!(key, "confirmed.shop");
    assert_eq!(event["schema"], "payment-outcome/1");
    assert_eq!((&event["notification_id"], &event["attempts"]), (&json!("n1"), &json!(2)));
    assert_eq!(event["merchant_order_id"], "confirmed");
    // The seventh refusal, past the sixth rung, exhausts it.
    rabbit.send(&record("n2", "shop", "exhausted")).await;
    let (key, event) = rabbit.next_event().await;
    assert_eq!(key, "exhausted.shop");
    assert_eq!((&event["notification_id"], &event["attempts"]), (&json!("n2"), &json!(7)));
    // Unreadable, and for a merchant other than the routing key says: whole into the poison queue.
    let intake = rabbit.outside.name("in");
    rabbit.publish(&intake, "shop", b"\xff no record").await;
    let (body, reason) = rabbit.next_poisoned().await;
    assert_eq!(body, b"\xff no record");
    assert!(reason.contains("no payment result"), "{reason}");
    let other = record("n3", "other", "o").to_string();
    rabbit.publish(&intake, "shop", other.as_bytes()).await;
    let (body, _) = rabbit.next_poisoned().await;
    assert_eq!(body, other.as_bytes());
    assert!(gateway.stop().success());
    assert_eq!(rabbit.outside.waiting().await, 0);
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    assert_eq!(merchant.requests().len(), 2 + 7);
}

/// A queue of the payment centre's that is full holds the event back; the merchant, who has confirmed, is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_of_the_payment_centres_repeats_no_attempt() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(rabbit.store(), "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes_up_to(Some(1)).await;
    for id in ["n1", "n2"] {
        gateway.send(&record(id, "shop", id)).await;
        gateway.wait_for_state(id, "ended", SOON).await;
    }
    // Longer than a delivery that is handed back would rest.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(merchant.requests().len(), 2);
    assert_eq!(rabbit.next_event().await.1["notification_id"], "n1");
    assert_eq!(rabbit.next_event().await.1["notification_id"], "n2");
    assert_eq!(merchant.requests().len(), 2);
    assert!(gateway.stop().success());
}

/// The original producers publish a bare URL; the merchant gets the request that the original consumer would have sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legacy_producers_message_is_delivered_unchanged() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn(refusals(1))).await;
    let exchange = format!("{}.notifyExchange", rabbit.prefix);
    let source = format!(
        "[[broker.sources]]\nexchange = \"{exchange}\"\nrouting_key = \"AliPaynotify\"\nmerchant = \"shop\"\nformat = \"url\""
    );
    let mut gateway = Gateway::new(rabbit.store(), &source);
    gateway.merchant("shop", &merchant.url("/notify"), r#"ladder = ["200ms"]"#);
    gateway.start();
    gateway.ready().await;
    let path = "/notify?is_success=T&notify_id=RqPn%252Fv&notify_time=2026-11-22+16%3A00%3A00&notify_type=trade_status_sync\
        &out_trade_no=o-1&total_fee=0.01&trade_no=t-1&trade_status=TRADE_SUCCESS";
    rabbit.publish(&exchange, "AliPaynotify", merchant.url(path).as_bytes()).await;
    let received = merchant.wait_for(2, SOON).await;
    for request in &received {
        assert_eq!((&request.method, request.path_and_query.as_str()), (&Method::POST, path));
        assert!(request.body.is_empty());
    }
    rabbit.publish(&exchange, "AliPaynotify", b"no URL").await;
    let (body, reason) = rabbit.next_poisoned().await;
    assert_eq!(body, b"no URL");
    assert!(reason.contains("URL"), "{reason}");
    assert_eq!(merchant.requests().len(), 2);
    assert!(gateway.stop().success());
}
