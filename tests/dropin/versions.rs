//! Going back to a version, and staying with one.

use std::process::{Command, Output};

use http::Method;
use serde_json::json;

use crate::folder::*;
use crate::support::gateway::Gateway;
use crate::support::merchant::{Answer, StubMerchant, always};

fn roll_back(gateway: &Gateway, more: &[&str]) -> Output {
    let api = gateway.api();
    let arguments = [&["plugin", "rollback", "plain", "--api", &api], more].concat();
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

fn name(content: &[u8]) -> String {
    format!("plain@{}", hash(content))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_lasts_until_another_content_is_dropped_in() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    let (first, second, third) = (plain(), variant(&plain(), 2), variant(&plain(), 3));
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let refused = roll_back(&gateway, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("no version of `plain` ran before"),
        "{refused:?}"
    );
    for content in [&second, &third] {
        drop_in(&gateway, "plugins/plain.wasm", content);
        until_runs(&gateway, "plain", content).await;
    }
    // Back one, over a restart, and back one more.
    let done = roll_back(&gateway, &[]);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.starts_with("plain ") && said.contains(&hash(&second)), "{said}");
    assert_eq!(served_by(&gateway, "n1", "shop").await, name(&second));
    assert!(gateway.stop().success());
    gateway.start();
    gateway.ready().await;
    assert_eq!(served_by(&gateway, "n2", "shop").await, name(&second));
    let report = until_runs(&gateway, "plain", &second).await;
    assert_eq!(row(&report, "plain")["set_aside"], json!([hash(&third)]));
    assert!(roll_back(&gateway, &["--json"]).status.success());
    assert_eq!(served_by(&gateway, "n3", "shop").await, name(&first));
    // The same content again changes nothing; a touch neither; another one ends it.
    drop_in(&gateway, "plugins/plain.wasm", &third);
    merchant(&gateway, "more", "plain", &stub.url("/"), "");
    until(&gateway, "it was looked at", |report| row(report, "plain")["merchants"][0] == "more").await;
    assert_eq!(served_by(&gateway, "n4", "shop").await, name(&first));
    let fourth = variant(&plain(), 4);
    drop_in(&gateway, "plugins/plain.wasm", &fourth);
    let report = until_runs(&gateway, "plain", &fourth).await;
    assert_eq!(row(&report, "plain")["set_aside"], json!([]));
    assert_eq!(row(&report, "plain")["before"], hash(&first).as_str());
    // To any version that is kept, by the beginning of its hash.
    let to = hash(&third);
    assert!(roll_back(&gateway, &["--to", &to[..8]]).status.success());
    assert_eq!(served_by(&gateway, "n5", "shop").await, name(&third));
    for (to, status) in [("00000000", 404), ("xyz", 404), (hash(&third).as_str(), 409)] {
        let body = json!({"to": to}).to_string();
        let answer = gateway.ask(Method::POST, "/v1/plugins/plain/rollback", body).await;
        assert_eq!(answer.0, status, "{answer:?}");
    }
    assert_eq!(gateway.ask(Method::POST, "/v1/plugins/none/rollback", "").await.0, 404);
    assert_eq!(gateway.ask(Method::POST, "/v1/plugins/plain/rollback", "{\"too\":1}").await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_does_not_fit_is_refused() {
    let mut gateway = gateway("");
    drop_in(&gateway, "plugins/guest.wasm", strict_guest());
    merchant(&gateway, "shop", "guest", "http://127.0.0.1:1/", "");
    gateway.start();
    gateway.ready().await;
    drop_in(&gateway, "plugins/guest.wasm", guest());
    until_runs(&gateway, "guest", &guest()).await;
    merchant(&gateway, "shop", "guest", "http://127.0.0.1:1/", "[settings]\ncolour = 1");
    until(&gateway, "its file counts", |_| logged(&gateway, "a merchant's file takes effect") == 1).await;
    let (status, answer) = gateway.ask(Method::POST, "/v1/plugins/guest/rollback", "").await;
    assert_eq!(status, 409);
    assert!(
        answer["detail"].as_str().is_some_and(|text| text.contains("shop.toml:3: `settings`")),
        "{answer}"
    );
    until_runs(&gateway, "guest", &guest()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_stays_with_its_version() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    let (first, second) = (plain(), variant(&plain(), 2));
    let pin = |content: &[u8]| format!("plugin_hash = \"{}\"", hash(content));
    merchant(&gateway, "pinned", "plain", &stub.url("/"), &pin(&first));
    merchant(&gateway, "free", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    drop_in(&gateway, "plugins/plain.wasm", &second);
    let report = until_runs(&gateway, "plain", &second).await;
    assert_eq!(row(&report, "plain")["merchants"], json!(["free"]));
    assert_eq!(served_by(&gateway, "n1", "pinned").await, name(&first));
    assert_eq!(served_by(&gateway, "n2", "free").await, name(&second));
    // What is in no file any more is found among the versions that are kept.
    assert!(gateway.stop().success());
    gateway.start();
    gateway.ready().await;
    assert_eq!(served_by(&gateway, "n3", "pinned").await, name(&first));
    // A pin that nothing meets refuses the file; and too few digits are none.
    let none = "plugin_hash = \"0000000000000000\"";
    merchant(&gateway, "pinned", "plain", &stub.url("/"), none);
    until_refused(&gateway, "pinned.toml", "pinned.toml:3: `plugin_hash`: no version of `plain`").await;
    merchant(&gateway, "pinned", "plain", &stub.url("/"), "plugin_hash = \"00\"");
    until_refused(&gateway, "pinned.toml", "16 to 64 hexadecimal digits").await;
    assert_eq!(served_by(&gateway, "n4", "pinned").await, name(&first));
    merchant(&gateway, "pinned", "plain", &stub.url("/"), &pin(&second));
    until(&gateway, "nothing is refused", |report| report["refused"] == json!([])).await;
    assert_eq!(served_by(&gateway, "n5", "pinned").await, name(&second));
}
