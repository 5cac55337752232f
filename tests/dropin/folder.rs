//! A running gateway whose folders the tests write to, and the versions of plugins that they write.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;

/// A gateway that looks often. `more` is added to its file.
pub fn gateway(more: &str) -> Gateway {
    gateway_with("", more)
}

/// The same, with keys of `[plugin]`.
pub fn gateway_with(plugin: &str, more: &str) -> Gateway {
    let dropin = "[dropin]\nscan = \"20ms\"\nsettle = \"60ms\"";
    Gateway::new(Store::Embedded, &format!("{dropin}\n[plugin]\n{plugin}\n{more}"))
}

/// Another version of a component: the same code, with a section that says nothing.
pub fn variant(component: &[u8], number: u32) -> Vec<u8> {
    let content = [b"\x01v".as_slice(), &number.to_le_bytes()].concat();
    let length = u8::try_from(content.len()).expect("short");
    [component, &[0, length], &content].concat()
}

/// The plugin `plain`, as it is shipped.
pub fn plain() -> Vec<u8> {
    fs::read(xtask::guests::built("plain").expect("the plugin is built")).expect("read")
}

/// The plugin `guest`, which takes any settings.
pub fn guest() -> Vec<u8> {
    Guest::WELL_BEHAVED.build()
}

/// A version of `guest` that takes no settings.
pub fn strict_guest() -> Vec<u8> {
    let check_settings = "(if (result i32) (i32.gt_u (local.get 1) (i32.const 2))
        (then (i32.store8 (i32.const 8192) (i32.const 1))
              (i32.store (i32.const 8196) (i32.const 0)) (i32.store (i32.const 8200) (i32.const 5))
              (i32.const 8192))
        (else (i32.const 4160)))";
    Guest { check_settings, ..Guest::WELL_BEHAVED }.build()
}

/// What versions are named by.
pub fn hash(content: &[u8]) -> String {
    paynotify::plugin::content_hash(content)
}

/// Writes a file as a careful program does: beside, then renamed.
pub fn drop_in(gateway: &Gateway, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = gateway.folder().join(name);
    let beside = gateway.folder().join("beside");
    fs::write(&beside, content).expect("written");
    fs::rename(&beside, &path).expect("renamed");
    path
}

/// A merchant's file.
pub fn merchant(gateway: &Gateway, id: &str, plugin: &str, url: &str, more: &str) {
    let text = format!("url = \"{url}\"\nplugin = \"{plugin}\"\n{more}\n");
    drop_in(gateway, &format!("merchants/{id}.toml"), text);
}

/// What the API says of the plugins, once it is so.
pub async fn until(gateway: &Gateway, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let (status, report) = gateway.ask(Method::GET, "/v1/plugins", "").await;
        assert_eq!(status, 200);
        if is_so(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "not so: {what}: {report:#}\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A plugin among the report's.
pub fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["plugins"].as_array().expect("a list");
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

/// Waits until this version of the plugin runs.
pub async fn until_runs(gateway: &Gateway, name: &str, content: &[u8]) -> Value {
    let hash = hash(content);
    until(gateway, &format!("{name}@{hash} runs"), |report| row(report, name)["hash"] == hash.as_str()).await
}

/// Waits until a file is refused whose name ends so, for a reason in which that stands.
pub async fn until_refused(gateway: &Gateway, file: &str, reason: &str) -> Value {
    let is_it = |refused: &Value| {
        let text = |key: &str| refused[key].as_str().unwrap_or_default().to_owned();
        text("file").ends_with(file) && text("reason").contains(reason)
    };
    let refused = |report: &Value| report["refused"].as_array().is_some_and(|all| all.iter().any(is_it));
    until(gateway, &format!("{file} is refused: {reason}"), refused).await
}

/// Sends a notification, waits until it is confirmed, and gives the version that did it.
pub async fn served_by(gateway: &Gateway, id: &str, merchant: &str) -> String {
    gateway.send(&record(id, merchant, id)).await;
    let story = gateway.wait_for_state(id, "ended", SOON).await;
    assert_eq!(story["outcome"], "confirmed", "{story}");
    let attempts = story["attempts"].as_array().expect("a list");
    attempts.last().expect("one")["plugin"].as_str().expect("a text").to_owned()
}

/// How often that stands in the log.
pub fn logged(gateway: &Gateway, text: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(text)).count()
}
