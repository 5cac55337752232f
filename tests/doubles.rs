//! What is doubled, and what is not: notifications that are published or posted twice, and attempts that are cut off.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::amqp::until;
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, in_turn};
use support::proxy::{Cut, Proxy};
use support::rabbit::Rabbit;

const LADDER: &str = r#"ladder = ["500ms", "600ms"]"#;
/// So short that a test sees the further message follow.
const LAG: &str = "[delivery]\nfurther_message_lag = \"1s\"";

async fn started(rabbit: &Rabbit, merchant: &StubMerchant, more: &str) -> Gateway {
    let mut gateway = Gateway::new(rabbit.store(), LAG);
    gateway.merchant("shop", &merchant.url("/"), &format!("{LADDER}\n{more}"));
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    gateway
}

/// The event that comes, and no other: and nothing waits any more.
async fn the_only_event(rabbit: &mut Rabbit) -> Value {
    let (_, event) = rabbit.next_event().await;
    until("every message is settled", async || rabbit.outside.waiting().await == 0).await;
    // What a gateway holds is not counted as waiting, so it is asked to let go before the last look.
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_is_published_twice_is_told_once() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "").await;
    let record = record("n1", "shop", "o1");
    rabbit.send(&record).await;
    rabbit.send(&record).await;
    merchant.wait_for(1, SOON).await;
    rabbit.send(&record).await;
    let event = the_only_event(&mut rabbit).await;
    assert_eq!((&event["outcome"], &event["attempts"]), (&json!("confirmed"), &json!(3)));
    // And once more when it has ended; and by another way.
    rabbit.send(&record).await;
    gateway.send(&record).await;
    until("it is settled", async || rabbit.outside.waiting().await == 0).await;
    assert!(gateway.stop().success());
    assert_eq!(rabbit.outside.waiting().await, 0);
    assert_eq!(rabbit.outside.count("test-outcomes").await, 0, "an event too many");
    assert_eq!(merchant.requests().len(), 3);
    let steps = |step: &str| gateway.log_lines().iter().filter(|line| line["step"] == step).count();
    assert!(steps("follow") >= 2 && steps("forget") >= 3, "{} {}", steps("follow"), steps("forget"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_posted_and_is_published_too_is_told_once() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "").await;
    let record = record("n1", "shop", "o1");
    gateway.send(&record).await;
    rabbit.send(&record).await;
    gateway.send(&record).await;
    the_only_event(&mut rabbit).await;
    assert!(gateway.stop().success());
    assert_eq!(merchant.requests().len(), 2);
}

/// Nobody is told a text under the name of another one, and neither text is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_text_under_the_same_id_goes_to_the_poison_queue() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "").await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    merchant.wait_for(1, SOON).await;
    let other = record("n1", "shop", "o2");
    // Only what is recorded is known: before that, the two are two messages of one attempt.
    gateway.wait_for_state("n1", "waiting", SOON).await;
    rabbit.send(&other).await;
    let (body, reason) = rabbit.next_poisoned().await;
    assert_eq!(body, other.to_string().as_bytes());
    assert!(reason.contains("another notification has this id"), "{reason}");
    the_only_event(&mut rabbit).await;
    assert!(gateway.stop().success());
    assert!(merchant.requests().iter().all(|request| request.query("out_trade_no").as_deref() == Some("o1")));
}

/// A gateway loses its connection to RabbitMQ in the middle of an attempt, and its message comes to another one. That
/// one sees that the first lives, waits, and then tells the payment centre what the first could not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_gateway_lost_its_connection_is_not_repeated() {
    let mut rabbit = Rabbit::start().await;
    let slow = Answer::After(Duration::from_secs(3), Box::new(Answer::Confirm));
    let merchant = StubMerchant::start(in_turn([slow, Answer::Refuse])).await;
    let Store::Amqp { url, prefix } = rabbit.store() else { panic!("it is RabbitMQ") };
    let proxy = Proxy::before(&url).await;
    let mut first = Gateway::new(Store::Amqp { url: proxy.url(&url), prefix }, "");
    let mut other = Gateway::new(rabbit.store(), "");
    other.share_data_of(&first);
    for gateway in [&first, &other] {
        gateway.merchant("shop", &merchant.url("/"), LADDER);
    }
    first.start();
    first.ready().await;
    rabbit.outside.collect_outcomes().await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    merchant.wait_for(1, SOON).await;
    other.start();
    proxy.refuse().await;
    proxy.cut(Cut::Reset);
    let event = the_only_event(&mut rabbit).await;
    assert_eq!((&event["outcome"], &event["attempts"]), (&json!("confirmed"), &json!(1)));
    assert_eq!(merchant.requests().len(), 1);
    let told = |line: &&Value| line["step"] == "finish";
    assert_eq!(other.log_lines().iter().filter(told).count(), 1, "{}", other.log());
    proxy.accept().await;
    assert!(first.stop().success() && other.stop().success());
}

/// A gateway that is killed twice in the middle of one attempt does not send it a third time: it goes on with the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_was_cut_off_twice_is_not_sent_again() {
    let mut rabbit = Rabbit::start().await;
    let merchant = StubMerchant::start(in_turn([Answer::Hang, Answer::Hang, Answer::Confirm])).await;
    let mut gateway = started(&rabbit, &merchant, "total_timeout = \"30s\"").await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    for cut_off in 1..=2 {
        merchant.wait_for(cut_off, SOON).await;
        gateway.kill();
        gateway.start();
    }
    let event = the_only_event(&mut rabbit).await;
    assert_eq!((&event["outcome"], &event["attempts"]), (&json!("confirmed"), &json!(2)));
    let requests = merchant.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[2].at - requests[1].at >= Duration::from_millis(500),
        "the next attempt waits on its rung"
    );
    let (_, story) = gateway.ask(http::Method::GET, "/v1/notifications/n1", "").await;
    let numbers: Vec<_> =
        story["attempts"].as_array().expect("a list").iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [&json!(2)], "an attempt whose end nobody saw has no record");
    assert!(gateway.stop().success());
}
