//! A plugin that fails, and the version that works: what was held goes on the moment it is there. And a version that does
//! not do what was recorded does not get so far.

use std::fs;

use serde_json::{Value, json};

use crate::folder::*;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;
use crate::support::merchant::{Answer, StubMerchant, always};
use crate::support::rabbit::Rabbit;

/// A version of `guest` that can format nothing.
fn broken_guest() -> Vec<u8> {
    Guest { format: "(unreachable)", ..Guest::WELL_BEHAVED }.build()
}

/// The breaker opens at the first fault, for an hour: within a test only a release brings back what is held.
async fn what_is_held_goes_on_when_a_working_version_lands(store: Store) {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let breaker = "breaker_after = 1\nbreaker_pause = \"1h\"\nbreaker_longest = \"1h\"";
    let dropin = "[dropin]\nscan = \"20ms\"\nsettle = \"60ms\"";
    let mut gateway = Gateway::new(store, &format!("{dropin}\n[plugin]\n{breaker}"));
    merchant(&gateway, "shop", "guest", &stub.url("/"), "");
    drop_in(&gateway, "plugins/guest.wasm", broken_guest());
    gateway.start();
    gateway.ready().await;
    for number in 0..8 {
        let id = format!("n{number}");
        gateway.send(&record(&id, "shop", &id)).await;
        gateway.wait_for_state(&id, "held", SOON).await;
    }
    let (_, last) = gateway.ask(http::Method::GET, "/v1/notifications/n7", "").await;
    assert!(last["reason"].as_str().is_some_and(|reason| reason.contains("breaker")), "{last}");
    drop_in(&gateway, "plugins/guest.wasm", guest());
    for number in 0..8 {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)), "{story}");
    }
    assert!(gateway.stop().success());
    assert_eq!(stub.requests().len(), 8, "each once, and no attempt was spent on the faults");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_goes_on_at_once() {
    what_is_held_goes_on_when_a_working_version_lands(Store::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_at_rabbitmq_goes_on_at_once() {
    let rabbit = Rabbit::start().await;
    what_is_held_goes_on_when_a_working_version_lands(rabbit.store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_does_not_do_what_was_recorded_is_refused() {
    let stub = StubMerchant::start(always(Answer::Reply(200, vec![], b"success".to_vec()))).await;
    let mut gateway = gateway("");
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/plain/cases/failed.json");
    let text = fs::read_to_string(recorded).expect("a recorded case");
    let mut case: Value = serde_json::from_str(&text).expect("JSON");
    case["request"]["method"] = json!("PUT");
    fs::create_dir(gateway.folder().join("plugins/plain.cases")).expect("made");
    drop_in(&gateway, "plugins/plain.cases/failed.json", case.to_string());
    let (one, other) = (variant(&plain(), 1), variant(&plain(), 2));
    drop_in(&gateway, "plugins/plain.wasm", &one);
    until_refused(&gateway, "plain.wasm", "failed.json").await;
    assert_eq!(served_by(&gateway, "n1", "shop").await, format!("plain@{}", hash(&plain())));
    drop_in(&gateway, "plugins/plain.cases/failed.json", text);
    drop_in(&gateway, "plugins/plain.wasm", &other);
    until_runs(&gateway, "plain", &other).await;
    assert_eq!(served_by(&gateway, "n2", "shop").await, format!("plain@{}", hash(&other)));
}
