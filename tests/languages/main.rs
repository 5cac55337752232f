//! Plugins in other languages than Rust: the examples, which are one format in five languages, and what
//! `paynotify plugin new` writes.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod delivered;
mod projects;

use std::path::{Path, PathBuf};

use paynotify::kit::{Case, cases};
use paynotify::plugin::{Host, Plugin, Settings};
use xtask::examples::{Built, LANGUAGES};

/// The key of the merchant's, in the cases and everywhere else.
const KEY: &str = "a-key-for-tests";

/// The example in that language. None, and a sentence on the screen, where its tools cannot be had; never in CI.
fn example(language: &str) -> Option<PathBuf> {
    match xtask::examples::built(language).expect("`cargo xtask examples` has been run") {
        Built::Component(file) => Some(file),
        Built::Skipped(reason) => {
            println!("{reason}");
            None
        }
    }
}

/// Compiled code that the tests keep between them: the largest example takes Cranelift some seconds.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-compiled")
}

async fn load(file: &Path) -> Plugin {
    let settings = Settings { cache_folder: Some(compiled()), ..Settings::default() };
    Host::new(settings).expect("plugins can be run").load(file).await.expect("a plugin")
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/acme.cases")
}

/// The cases say to the byte what is written and judged: so all languages do the same.
async fn does_as_recorded(language: &str) {
    let Some(file) = example(language) else { return };
    let plugin = load(&file).await;
    let description = plugin.description();
    let told = format!("{} {} {}", description.name, description.version, description.summary);
    assert_eq!(told, "acme 0.1.0 A signed POST of JSON, confirmed by 200 and `ok`");
    assert!(description.settings_schema.contains("\"additionalProperties\":false"), "{language}");
    assert_eq!((description.keys.len(), description.keys[0].role.as_str()), (1, "signing"));
    plugin.check_settings(" { } ").await.expect("no settings are needed");
    assert!(plugin.check_settings("{\"colour\":\"red\"}").await.is_err(), "and none are taken");
    let outcomes = cases::run(&plugin, &recorded()).await.expect("the cases are tried");
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    assert!(failed.is_empty() && outcomes.len() == 5, "{language}: {failed:#?}");
}

#[tokio::test]
async fn javascript_does_as_recorded() {
    does_as_recorded("js").await;
}

#[tokio::test]
async fn rust_does_as_recorded() {
    does_as_recorded("rust").await;
}

#[tokio::test]
async fn c_does_as_recorded() {
    does_as_recorded("c").await;
}

#[tokio::test]
async fn python_does_as_recorded() {
    does_as_recorded("python").await;
}

#[tokio::test]
async fn go_does_as_recorded() {
    does_as_recorded("go").await;
}

/// What no case has: a long record, every status, and an amount that not every language can count.
#[tokio::test]
async fn all_languages_write_the_same_bytes() {
    let mut plugins = Vec::new();
    for language in &LANGUAGES {
        if let Some(file) = example(language.name) {
            plugins.push((language.name, load(&file).await));
        }
    }
    let case = Case::read(&recorded().join("payment.json")).expect("a case");
    let record = case.record.get().to_owned();
    let mut records: Vec<String> = ["failed", "pending", "closed", "finished"]
        .map(|status| record.replace("\"succeeded\"", &format!("\"{status}\"")))
        .to_vec();
    let order = (1..0xD7FF).step_by(7).filter_map(char::from_u32).collect::<String>();
    let order = serde_json::to_string(&order).expect("text");
    records.push(record.replace("\"order-1001\"", &order));
    for record in records {
        let record = serde_json::value::RawValue::from_string(record).expect("JSON");
        let case = Case { record, ..case.clone() };
        let mut made = Vec::new();
        for (language, plugin) in &plugins {
            made.push((*language, case.observe(plugin).await.expect("tried")));
        }
        for (language, seen) in &made {
            assert!(seen.request.is_some(), "{language}: {:?}", seen.error);
            assert_eq!(seen.request, made[0].1.request, "{language} and {}", made[0].0);
        }
    }
    // 2^53 + 1 is no number of JavaScript's: it must not be told as another.
    let huge = record_with_amount(&record, "9007199254740993");
    let case = Case { record: huge, ..case };
    for (language, plugin) in &plugins {
        let seen = case.observe(plugin).await.expect("tried");
        let body = seen.request.and_then(|request| request.body).unwrap_or_default();
        let error = seen.error.unwrap_or_default();
        match *language {
            "js" => assert!(error.starts_with("unusable-record: amount: "), "{body} {error}"),
            _ => assert!(body.contains("\"amount\":9007199254740993,"), "{language}: {body} {error}"),
        }
    }
}

fn record_with_amount(record: &str, minor: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(record.replace("12950", minor)).expect("JSON")
}
