//! Merchants' files that come, change and go.

use std::fs;

use serde_json::json;

use crate::folder::*;
use crate::support::gateway::{SOON, record};
use crate::support::merchant::{Answer, StubMerchant, always};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_and_a_merchant_that_are_dropped_in_are_served() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    gateway.start();
    gateway.ready().await;
    // Known to the payment centre before it is configured: it waits.
    gateway.send(&record("early", "shop", "early")).await;
    gateway.wait_for_state("early", "held", SOON).await;
    merchant(&gateway, "shop", "guest", &stub.url("/"), "");
    drop_in(&gateway, "plugins/guest.wasm", guest());
    let report = until_runs(&gateway, "guest", &guest()).await;
    let row = row(&report, "guest");
    assert_eq!((&row["version"], &row["merchants"]), (&json!("1.0.0"), &json!(["shop"])));
    assert!(row["file"].as_str().is_some_and(|file| file.ends_with("plugins/guest.wasm")));
    assert_eq!(served_by(&gateway, "n1", "shop").await, format!("guest@{}", hash(&guest())));
    assert_eq!(stub.wait_for(1, SOON).await[0].body, "hello");
    gateway.wait_for_state("early", "ended", SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchants_file_changes_keeps_its_last_good_form_and_goes() {
    let (one, other) = (
        StubMerchant::start(always(Answer::Confirm)).await,
        StubMerchant::start(always(Answer::Confirm)).await,
    );
    let mut gateway = gateway("");
    merchant(&gateway, "shop", "plain", &one.url("/"), "");
    gateway.start();
    gateway.ready().await;
    served_by(&gateway, "n1", "shop").await;
    // The plugin changes: the merchant's connection stays.
    let next = variant(&plain(), 1);
    drop_in(&gateway, "plugins/plain.wasm", &next);
    until_runs(&gateway, "plain", &next).await;
    served_by(&gateway, "n2", "shop").await;
    let received = one.wait_for(2, SOON).await;
    assert_eq!(received[0].connection, received[1].connection);

    for (wrong, reason) in [
        ("plugin = [", "shop.toml:1"),
        ("plugin = \"plain\"\n", "missing field `url`"),
        ("url = \"http://127.0.0.1:1/\"\nplugin = \"plane\"\n", "no plugin in"),
        (
            "url = \"http://127.0.0.1:1/\"\nplugin = \"plain\"\nsettings = { a = 1 }\n",
            "shop.toml:3: `settings`",
        ),
    ] {
        drop_in(&gateway, "merchants/shop.toml", wrong);
        until_refused(&gateway, "shop.toml", reason).await;
    }
    served_by(&gateway, "n3", "shop").await;
    assert_eq!(one.wait_for(3, SOON).await.len(), 3, "by the last good form of its file");

    merchant(&gateway, "shop", "plain", &other.url("/"), "");
    until(&gateway, "nothing is refused", |report| report["refused"] == json!([])).await;
    served_by(&gateway, "n4", "shop").await;
    assert_eq!(other.wait_for(1, SOON).await.len(), 1);

    fs::remove_file(gateway.folder().join("merchants/shop.toml")).expect("removed");
    until(&gateway, "it is gone", |report| row(report, "plain")["merchants"] == json!([])).await;
    assert_eq!(logged(&gateway, "a merchant is gone"), 1);
    gateway.send(&record("n5", "shop", "n5")).await;
    gateway.wait_for_state("n5", "held", SOON).await;
    merchant(&gateway, "shop", "plain", &one.url("/"), "");
    gateway.wait_for_state("n5", "ended", SOON).await;
}

/// A merchant whose name leads to where nobody may go is not tried, and loses no attempt by it; as soon as its file allows
/// the address, it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_holds_until_the_merchants_file_allows_it() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    let file = gateway.folder().join("paynotify.toml");
    let text = fs::read_to_string(&file).expect("its configuration");
    fs::write(&file, text.replace("allow_addresses = [\"127.0.0.0/8\"]", "")).expect("written");
    let url = stub.url("/").replace("127.0.0.1", "localhost");
    merchant(&gateway, "shop", "plain", &url, "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    let story = gateway.wait_for_state("n1", "held", SOON).await;
    assert!(story["reason"].as_str().is_some_and(|reason| reason.contains("allow_addresses")), "{story}");
    assert_eq!(story["attempts"], json!([]), "no attempt was made");
    let told = gateway.log_lines().into_iter().find(|line| line["failure"] == "address_refused");
    let told = told.expect("the log tells which address");
    assert!(told["cause"].as_str().is_some_and(|cause| cause.contains("loopback")), "{told}");
    assert_eq!(stub.requests().len(), 0);
    merchant(&gateway, "shop", "plain", &url, "allow_addresses = [\"127.0.0.1\", \"::1\"]");
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
    assert!(gateway.stop().success());
}
