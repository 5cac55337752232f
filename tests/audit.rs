//! The audit on real nodes: what stops a start, what is told later, and what an operator can do about it.

#![allow(missing_docs)]

mod support;

use std::process::{Child, Output};
use std::time::{Duration, Instant};

use http::Method;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use paynotify::broker::amqp::Settings;
use serde_json::Value;
use support::amqp::{Outside, until};
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, always};
use xtask::rabbitmq::Node;

/// Audits are quick here, and rungs are held to their time.
const QUICK: &str = "audit_interval = \"300ms\"\nrung_lateness = \"1s\"";

/// A node of this test's own.
struct Own {
    node: Node,
    prefix: String,
    outside: Outside,
}

impl Own {
    async fn start() -> Self {
        Self::around(tokio::task::block_in_place(|| Node::start().expect("a node"))).await
    }

    async fn with_management() -> Self {
        Self::around(tokio::task::block_in_place(|| Node::start_with_management().expect("a node"))).await
    }

    async fn around(node: Node) -> Self {
        let prefix = support::amqp::prefix();
        let settings =
            Settings { urls: vec![node.amqp_url()], prefix: prefix.clone(), ..Settings::default() };
        let outside = Outside::connect(&settings).await;
        Self { node, prefix, outside }
    }

    /// A gateway that asks the management API, if the node has one. Its merchants' ladder is `ladder`.
    fn gateway(&self, ladder: &str) -> Gateway {
        let management = self.node.management_url().map(|url| format!("management_url = \"{url}\""));
        let store = Store::Amqp { url: self.node.amqp_url(), prefix: self.prefix.clone() };
        let more = format!("{}\n{QUICK}\n[delivery]\nladder = {ladder}", management.unwrap_or_default());
        Gateway::new(store, &more)
    }

    fn ctl(&self, arguments: &[&str]) -> String {
        tokio::task::block_in_place(|| self.node.ctl(arguments).expect("rabbitmqctl"))
    }

    fn set_policy(&self, name: &str, pattern: &str, definition: &str) {
        self.ctl(&["set_policy", name, pattern, definition, "--apply-to", "queues", "--priority", "7"]);
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }
}

fn output(child: std::io::Result<Child>) -> Output {
    tokio::task::block_in_place(|| child.expect("started").wait_with_output().expect("ended"))
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn topology(gateway: &Gateway, words: &[&str]) -> Output {
    output(gateway.verb(&[&["topology"], words].concat()).spawn())
}

/// The value of a sample, such as `paynotify_ready{part="broker"}`.
async fn sample(gateway: &Gateway, sample: &str) -> Option<f64> {
    let text = gateway.text("/metrics").await;
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

/// docs/metrics.md names exactly the metrics that are shown. Nothing was sent yet, so no merchant has anything undelivered.
async fn metrics_are_documented(gateway: &Gateway) {
    let text = gateway.text("/metrics").await;
    support::metrics::hold_against_the_table(&text, &["paynotify_merchant_undelivered"]);
}

async fn readiness(gateway: &Gateway) -> (u16, String) {
    let (status, answer) = gateway.ask(Method::GET, "/readyz", "").await;
    (status, answer["broker"].as_str().unwrap_or_default().to_owned())
}

/// One node for everything that stops a start, because nodes are slow to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_an_own_node_is_stopped_by_what_breaks_the_guarantee() {
    let own = Own::with_management().await;
    let mut gateway = own.gateway("[\"3s\"]");
    // A good one passes, and everything is there for what follows.
    gateway.start();
    gateway.ready().await;
    assert!(gateway.stop().success());
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    gateway.merchant("shop", &merchant.url("/notify"), "");
    let body = record("n1", "shop", "o1").to_string();
    let persistent = lapin::BasicProperties::default().with_delivery_mode(2);
    own.outside.publish(&own.name("in"), "shop", body.as_bytes(), persistent).await;
    let mut refused_before_delivery = 0;
    for (pattern, definition, sentence) in [
        (".*", "{\"overflow\":\"drop-head\"}", "sets overflow = drop-head"),
        (".*\\.rung\\..*", "{\"expires\":3600000}", "sets expires = 3600000"),
        (".*\\.work", "{\"message-ttl\":3600000}", "sets message-ttl = 3600000"),
    ] {
        own.set_policy("careless", pattern, definition);
        let (status, said) = tokio::task::block_in_place(|| gateway.run_to_its_end());
        assert_eq!(status.code(), Some(1), "{said}");
        if merchant.requests().is_empty() {
            refused_before_delivery += 1;
        }
        let last = said.lines().last().expect("it says why");
        assert!(last.contains(sentence), "{last}");
        assert!(last.contains("rabbitmqctl clear_policy -p / careless"), "{last}");
        let check = topology(&gateway, &["check"]);
        assert_eq!(check.status.code(), Some(1), "{}", words(&check));
        assert!(words(&check).contains(sentence), "{}", words(&check));
        // Who insists may go on.
        gateway.arguments = vec!["--accept-weaker".to_owned()];
        gateway.start();
        gateway.ready().await;
        merchant.wait_for(1, SOON).await;
        assert!(gateway.stop().success());
        gateway.arguments.clear();
        own.ctl(&["clear_policy", "careless"]);
    }
    // The first refused start has delivered nothing; those that insisted have.
    assert_eq!(refused_before_delivery, 1);
    let check = topology(&gateway, &["check", "--json"]);
    assert!(check.status.success(), "{}", words(&check));
    let report: Value = serde_json::from_slice(&check.stdout).expect("JSON");
    let work =
        report["queues"].as_array().expect("queues").iter().find(|row| row["name"] == own.name("work"));
    assert_eq!(work.expect("there")["kind"], "quorum");
    assert!(
        report["version"]
            .as_str()
            .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    );
    // A queue of the wrong type cannot even be declared: the gateway waits, and says so.
    own.outside.delete("work").await;
    let channel = own.outside.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(own.name("work").into(), durable, FieldTable::default()).await.expect("declared");
    let check = topology(&gateway, &["check"]);
    assert!(words(&check).contains("is a classic queue"), "{}", words(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_later_on_an_own_node_is_shouted_and_delivery_goes_on() {
    let own = Own::with_management().await;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = own.gateway("[\"3s\"]");
    // Its shadow's metrics are there, too.
    gateway.merchant("shop", &merchant.url("/notify"), "shadow = \"plain\"");
    gateway.start();
    gateway.ready().await;
    let broken = "paynotify_broker_audit_findings{severity=\"breaks\",check=\"policy\"}";
    assert_eq!(sample(&gateway, broken).await, Some(0.0));
    metrics_are_documented(&gateway).await;
    own.set_policy("careless", ".*", "{\"overflow\":\"drop-head\"}");
    until("it is seen", async || readiness(&gateway).await.0 == 503).await;
    let (_, reason) = readiness(&gateway).await;
    assert!(reason.contains("overflow = drop-head") && reason.contains("clear_policy"), "{reason}");
    assert_eq!(sample(&gateway, broken).await, Some(1.0));
    assert_eq!(sample(&gateway, "paynotify_ready{part=\"broker\"}").await, Some(0.0));
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    let audits = sample(&gateway, "paynotify_broker_audits_total{result=\"done\"}").await.expect("a count");
    until("it is audited again and again", async || {
        sample(&gateway, "paynotify_broker_audits_total{result=\"done\"}").await > Some(audits + 2.0)
    })
    .await;
    let shouted = |line: &Value| line["level"] == "ERROR" && line["check"] == "policy";
    assert_eq!(gateway.log_lines().iter().filter(|line| shouted(line)).count(), 1, "{}", gateway.log());
    own.ctl(&["clear_policy", "careless"]);
    gateway.ready().await;
    assert_eq!(sample(&gateway, broken).await, Some(0.0));
    // The way back from the rungs is cut: it is told, mended, and told.
    let channel = own.outside.channel().await;
    let unbind = channel.queue_unbind(
        own.name("work").into(),
        own.name("return").into(),
        "*.*.work".into(),
        FieldTable::default(),
    );
    unbind.await.expect("unbound");
    let told = |line: &Value| line["level"] == "ERROR" && line["check"] == "binding";
    until("it is told", async || gateway.log_lines().iter().any(told)).await;
    gateway.ready().await;
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn behaviour_tells_on_an_own_node_without_the_management_api() {
    let own = Own::start().await;
    let mut gateway = own.gateway("[\"3s\"]");
    gateway.start();
    gateway.ready().await;
    let unaudited = |line: &&Value| line["check"] == "unaudited";
    assert_eq!(gateway.log_lines().iter().filter(unaudited).count(), 1, "{}", gateway.log());
    own.set_policy("careless", ".*", "{\"overflow\":\"drop-head\"}");
    until("it is seen", async || readiness(&gateway).await.0 == 503).await;
    assert!(gateway.stop().success());
    let (status, said) = tokio::task::block_in_place(|| gateway.run_to_its_end());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.lines().last().expect("a reason").contains("overflow = drop-head"), "{said}");
    own.ctl(&["clear_policy", "careless"]);
    gateway.start();
    gateway.ready().await;
    // A rung is deleted: it is told, and there again.
    own.outside.delete("rung.3000").await;
    let told = |line: &Value| line["level"] == "ERROR" && line["check"] == "missing";
    until("it is told", async || gateway.log_lines().iter().any(told)).await;
    gateway.ready().await;
    // A policy sends what the rungs give back where no queue is bound: nothing but a probe that does not come tells.
    own.set_policy("careless", ".*\\.rung\\..*", "{\"dead-letter-routing-key\":\"elsewhere\"}");
    until("the watchdog barks", async || readiness(&gateway).await.1.contains("gives nothing back")).await;
    assert!(gateway.stop().success());
}

/// A gateway that starts before RabbitMQ: the first audit when it comes back is the one that counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_audit_of_an_own_node_that_comes_late_counts_as_the_start() {
    let mut own = Own::with_management().await;
    own.set_policy("careless", ".*", "{\"overflow\":\"drop-head\"}");
    tokio::task::block_in_place(|| own.node.stop().expect("stopped"));
    let gateway = own.gateway("[\"3s\"]");
    let mut child = gateway.verb(&["run"]).spawn().expect("started");
    tokio::task::block_in_place(|| own.node.restart().expect("started"));
    let deadline = Instant::now() + SOON;
    while child.try_wait().expect("waited for").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
            panic!("it goes on: {}", words(&output(Ok(child))));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = output(Ok(child));
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("overflow = drop-head"), "{}", words(&output));
}

/// Ids in a queue, each as often as it is there.
async fn ids(outside: &Outside, queue: &str) -> Vec<String> {
    let messages = outside.drain(queue).await;
    let id = |message: &lapin::message::BasicGetMessage| {
        message.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default()
    };
    messages.iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_killed_on_an_own_node_loses_nothing() {
    const MANY: usize = 3_000;
    let own = Own::start().await;
    let gateway = own.gateway("[\"1h\"]");
    let declared = topology(&gateway, &["declare"]);
    assert!(declared.status.success(), "{}", words(&declared));
    let channel = own.outside.channel().await;
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.expect("confirms");
    for number in 0..MANY {
        let properties = lapin::BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(format!("n{number}").into());
        let sent = channel
            .basic_publish(
                own.name("delay").into(),
                "rung.3600000.work".into(),
                lapin::options::BasicPublishOptions::default(),
                b"{}",
                properties,
            )
            .await
            .expect("published");
        if number + 1 == MANY {
            sent.await.expect("confirmed");
        }
    }
    until("all are on the rung", async || own.outside.count("rung.3600000").await == MANY).await;
    let mut kills = 0;
    loop {
        let mut child = gateway.verb(&["topology", "drain", "--rung", "3600000"]).spawn().expect("started");
        let before = own.outside.count("work").await;
        let deadline = Instant::now() + SOON;
        let ended = loop {
            if let Some(status) = child.try_wait().expect("waited for") {
                break Some(status);
            }
            assert!(Instant::now() < deadline, "it hangs");
            if kills < 5 && own.outside.count("work").await > before {
                child.kill().expect("killed");
                child.wait().expect("waited for");
                break None;
            }
        };
        match ended {
            None => kills += 1,
            Some(status) => {
                assert!(status.success(), "{}", words(&output(Ok(child))));
                if own.outside.count("rung.3600000").await == 0 {
                    break;
                }
            }
        }
    }
    assert_eq!(kills, 5);
    let ids = ids(&own.outside, "work").await;
    let different: std::collections::HashSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), MANY);
    // Each kill doubles at most what was under way.
    assert!(ids.len() - MANY <= kills * 64, "{} are doubled", ids.len() - MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_that_is_changed_on_an_own_node_strands_nothing() {
    let own = Own::with_management().await;
    let merchant = StubMerchant::start(always(Answer::Refuse)).await;
    let mut old = own.gateway("[\"2100ms\", \"700ms\"]");
    old.merchant("shop", &merchant.url("/notify"), "");
    old.start();
    old.ready().await;
    own.outside.collect_outcomes().await;
    for number in 0..5 {
        old.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    until("they wait on the old rung", async || own.outside.count("rung.2100").await == 5).await;
    // Another with a new ladder on the same queues: both go on, and what lies on the old rung comes back.
    let mut new = own.gateway("[\"900ms\"]");
    new.merchant("shop", &merchant.url("/notify"), "");
    new.start();
    new.ready().await;
    for number in 5..10 {
        new.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    assert!(old.stop().success());
    until("all have ended", async || {
        own.outside.count("test-outcomes").await == 10 && own.outside.waiting().await == 0
    })
    .await;
    let check = topology(&new, &["check"]);
    assert!(words(&check).contains("rung.2100"), "{}", words(&check));
    assert!(words(&check).contains("belongs to no ladder"), "{}", words(&check));
    let drained = topology(&new, &["drain", "--unused", "--delete-empty"]);
    assert!(drained.status.success(), "{}", words(&drained));
    assert!(words(&drained).contains("rung.2100: 0 moved, 0 left"), "{}", words(&drained));
    assert!(new.stop().success());
}

/// What was parked before its time, and what a rung without a delay holds for ever, is with the gateways again.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_brings_back_what_lies_on_a_rung_of_an_own_node() {
    let own = Own::with_management().await;
    let merchant = StubMerchant::start(always(Answer::Refuse)).await;
    let mut gateway = own.gateway("[\"1h\"]");
    gateway.merchant("shop", &merchant.url("/notify"), "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    until("it waits", async || own.outside.count("rung.3600000").await == 1).await;
    // Not by itself: it is in time.
    let drained = topology(&gateway, &["drain"]);
    // A probe may lie behind it.
    let in_time = words(&drained);
    assert!(
        in_time.contains("rung.3600000: 0 moved") && !in_time.contains("rung.3600000: 0 moved, 0 left"),
        "{in_time}"
    );
    let drained = topology(&gateway, &["drain", "--rung", "3600000"]);
    assert!(words(&drained).contains("rung.3600000: 1 moved"), "{}", words(&drained));
    // It is parked again for the rest, on a shorter alarm.
    until("it waits again", async || own.outside.count("rung.2048000").await > 0).await;
    let story = gateway.wait_for_state("n1", "waiting", SOON).await;
    assert_eq!(story["next_attempt"], 2, "{story}");
    // Somebody has made a rung without a delay: nothing would ever leave it.
    let channel = own.outside.channel().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let (queue, delay) = (own.name("rung.5000"), own.name("delay"));
    channel.queue_declare(queue.as_str().into(), durable, arguments).await.expect("declared");
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(queue.into(), delay.clone().into(), "rung.5000.#".into(), bind, FieldTable::default())
        .await
        .expect("bound");
    let body = record("n2", "shop", "o2").to_string();
    let properties = lapin::BasicProperties::default().with_delivery_mode(2);
    own.outside.publish(&delay, "rung.5000.work", body.as_bytes(), properties).await;
    let drained = topology(&gateway, &["drain", "--unused"]);
    assert!(words(&drained).contains("rung.5000: 1 moved, 0 left"), "{}", words(&drained));
    gateway.wait_for_state("n2", "waiting", SOON).await;
    assert!(gateway.stop().success());
}
