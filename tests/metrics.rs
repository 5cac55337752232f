//! Every metric is in docs/metrics.md, as it is exported after notifications have come to every kind of end.

#![allow(missing_docs)]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use paynotify::domain::headers;
use support::gateway::{Gateway, SOON, Store, record};
use support::guest::Guest;
use support::merchant::{Answer, StubMerchant, always};
use support::promtool::{firing, hold_to_the_format};
use support::rabbit::Rabbit;

/// Traps whatever it is asked to format.
const TRAPS: Guest = Guest { format: "unreachable", ..Guest::WELL_BEHAVED };

/// Wants no more of anything: a verdict `stop` with an empty text, in the places of [`Guest`]'s template.
const STOPS: Guest = Guest {
    judge: "(i32.store8 (i32.const 4260) (i32.const 2)) (i32.store (i32.const 4264) (i32.const 0))
        (i32.store (i32.const 4268) (i32.const 0)) (i32.const 4256)",
    ..Guest::WELL_BEHAVED
};

/// The value of a sample of the exported text.
fn sample(text: &str, sample: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {sample} in {text}"))
}

/// As a gateway has left it that had held it for three days.
fn held_for_long() -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in [
        (headers::ATTEMPT, "1"),
        (headers::DUE, "1000"),
        (headers::FIRST_SEEN, "1000"),
        (headers::HOLDS, "50"),
        (headers::HELD_SINCE, "1000"),
    ] {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    BasicProperties::default().with_delivery_mode(2).with_headers(table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_in_the_table_as_it_is_exported() {
    let rabbit = Rabbit::start().await;
    let confirms = StubMerchant::start(always(Answer::Confirm)).await;
    let refuses = StubMerchant::start(always(Answer::Refuse)).await;
    let more = "audit_interval = \"300ms\"\n[delivery]\nladder = [\"500ms\"]";
    let mut gateway = Gateway::new(rabbit.store(), more);
    for (name, guest) in [("traps", TRAPS), ("stops", STOPS)] {
        let file = gateway.folder().join(format!("plugins/{name}.wasm"));
        fs::write(file, guest.build_named(name)).expect("written");
        let merchant = format!("url = \"{}\"\nplugin = \"{name}\"\n", confirms.url("/"));
        fs::write(gateway.folder().join(format!("merchants/{name}.toml")), merchant).expect("written");
    }
    gateway.merchant("shop", &confirms.url("/"), "shadow = \"plain\"");
    gateway.merchant("refuses", &refuses.url("/"), "");
    gateway.merchant("waits", &refuses.url("/"), "ladder = [\"300s\"]");
    gateway.start();
    gateway.ready().await;
    let before = gateway.text("/metrics").await;
    for (id, merchant) in [
        ("n1", "shop"),
        ("n2", "refuses"),
        ("n3", "stops"),
        ("n4", "waits"),
        ("n5", "traps"),
        ("n6", "nobody"),
    ] {
        gateway.send(&record(id, merchant, id)).await;
    }
    let intake = rabbit.outside.name("in");
    let abandoned = record("n7", "nobody", "n7").to_string();
    rabbit.outside.publish(&intake, "nobody", abandoned.as_bytes(), held_for_long()).await;
    rabbit.publish(&intake, "shop", b"{\"half\":").await;
    for (id, state) in [
        ("n1", "ended"),
        ("n2", "ended"),
        ("n3", "ended"),
        ("n4", "waiting"),
        ("n5", "held"),
        ("n6", "held"),
        ("n7", "ended"),
    ] {
        gateway.wait_for_state(id, state, SOON).await;
    }
    // Counts are good for ten seconds, and RabbitMQ's rungs are probed now and then.
    let last = [
        "paynotify_merchant_undelivered{merchant=\"waits\"} 1",
        "paynotify_poison_messages 2",
        "paynotify_broker_rung_overdue_seconds{",
    ];
    let deadline = Instant::now() + 2 * SOON;
    let text = loop {
        let text = gateway.text("/metrics").await;
        let missing = last.iter().find(|sample| !text.contains(**sample));
        let Some(missing) = missing else { break text };
        assert!(Instant::now() < deadline, "{missing} does not come: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    support::metrics::hold_against_the_table(&text, &[]);
    hold_to_the_format(&text);
    for (name, least) in [
        ("paynotify_attempts_total{result=\"confirmed\",owner=\"none\"}", 1.0),
        ("paynotify_attempts_total{result=\"retry\",owner=\"merchant\"}", 3.0),
        ("paynotify_attempts_total{result=\"stop\",owner=\"merchant\"}", 1.0),
        ("paynotify_notifications_ended_total{outcome=\"confirmed\"}", 1.0),
        ("paynotify_notifications_ended_total{outcome=\"stopped\"}", 1.0),
        ("paynotify_notifications_ended_total{outcome=\"exhausted\"}", 1.0),
        ("paynotify_notifications_ended_total{outcome=\"abandoned\"}", 1.0),
        ("paynotify_poisoned_total{cause=\"unreadable\"}", 1.0),
        ("paynotify_poisoned_total{cause=\"abandoned\"}", 1.0),
        ("paynotify_confirmed_after_seconds_count", 1.0),
        ("paynotify_attempt_part_seconds_count{part=\"send\"}", 5.0),
        ("paynotify_held{cause=\"plugin_fault\"}", 1.0),
        ("paynotify_held{cause=\"unknown_merchant\"}", 1.0),
        ("paynotify_waiting{rung=\"other\"}", 1.0),
        ("paynotify_ended_unconfirmed{outcome=\"exhausted\"}", 1.0),
        ("paynotify_merchants", 5.0),
    ] {
        assert_eq!(sample(&text, name), least, "{name} in {text}");
    }
    // The merchant that nobody has configured is not named.
    assert!(!text.contains("nobody"), "{text}");
    assert_eq!(sample(&text, "paynotify_deliveries_in_hand"), 0.0, "all is settled");
    let (soon, _) = firing(&before, &text);
    let wanted = ["PaynotifyExhausted", "PaynotifyPluginFaults", "PaynotifyPoison"];
    assert_eq!(soon.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    assert!(gateway.stop().success(), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_alert_fires_for_a_gateway_that_does_its_work() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let before = gateway.text("/metrics").await;
    for number in 0..20 {
        gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    for number in 0..20 {
        gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
    }
    let after = gateway.text("/metrics").await;
    assert_eq!(sample(&after, "paynotify_notifications_ended_total{outcome=\"confirmed\"}"), 20.0);
    let (soon, later) = firing(&before, &after);
    assert!(soon.is_empty() && later.is_empty(), "{soon:?}, {later:?}");
    assert!(gateway.stop().success(), "{}", gateway.log());
}
