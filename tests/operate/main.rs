//! What operators do to a gateway that runs: begin notifications anew, pause merchants, see what waits, empty the poison queue; and
//! the audit of it. Each merchant counts its requests: one too many fails the test.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod pause;
mod poison;
mod range;
mod replay;
mod views;

use http::Method;
use paynotify::journal::SqliteJournal;
use serde_json::{Value, json};

use support::gateway::Gateway;

/// An answer to a GET, which must be a good one.
async fn get(gateway: &Gateway, path: &str) -> Value {
    let (status, answer) = gateway.ask(Method::GET, path, "").await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// What is answered to an order with a reason.
async fn order(gateway: &Gateway, path: &str, reason: &str) -> (u16, Value) {
    gateway.ask(Method::POST, path, json!({"reason": reason}).to_string()).await
}

/// The entries of the audit without their moments, the latest first.
async fn audit(gateway: &Gateway) -> Vec<[String; 4]> {
    let answer = get(gateway, "/v1/audit").await;
    let text = |entry: &Value, name: &str| entry[name].as_str().expect(name).to_owned();
    let entries = answer["entries"].as_array().expect("entries").iter();
    entries.map(|entry| ["by", "action", "whom", "reason"].map(|name| text(entry, name))).collect()
}

fn entry(action: &str, whom: &str, reason: &str) -> [String; 4] {
    ["local", action, whom, reason].map(str::to_owned)
}

/// The replay and number of each attempt that a story tells of.
fn attempts(story: &Value) -> Vec<(u64, u64)> {
    let attempts = story["attempts"].as_array().expect("attempts").iter();
    attempts
        .map(|one| (one["replay"].as_u64().unwrap_or(0), one["number"].as_u64().expect("a number")))
        .collect()
}

/// The gateway's own journal, opened beside it as by another process.
async fn journal_of(gateway: &Gateway) -> SqliteJournal {
    let file = gateway.folder().join("data/journal.sqlite");
    SqliteJournal::open(paynotify::journal::Settings::new(file)).await.expect("a journal")
}
