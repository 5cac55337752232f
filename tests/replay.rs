//! Attempts are made again from the journal, to the byte, and what a changed plugin would have done otherwise is shown.

#![allow(missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use paynotify::journal::{Lookup, look_up};
use serde_json::{Value, json};

use support::gateway::{Gateway, SOON, Store, record};
use support::guest::Guest;
use support::merchant::{Answer, Received, StubMerchant, always};

const LADDER: &str = "ladder = [\"100ms\", \"100ms\"]";

fn install(gateway: &Gateway, plugin: &str) -> PathBuf {
    let file = gateway.folder().join(format!("plugins/{plugin}.wasm"));
    fs::copy(xtask::guests::built(plugin).expect("the plugin is built"), &file).expect("copied");
    file
}

fn key_file(name: &str) -> String {
    format!("file:{}/tests/formats/keys/test-{name}", env!("CARGO_MANIFEST_DIR"))
}

fn rsa_key(more: &str) -> String {
    let secret = key_file("rsa-2048.pkcs8.pem");
    format!(
        "[[keys]]\nrole = \"signing\"\nalgorithm = \"rsa-pkcs1v15-sha256\"\nsecret = \"{secret}\"\n{more}\n"
    )
}

fn alipay() -> String {
    format!("plugin = \"alipay\"\n{LADDER}\n[settings]\napp_id = \"2019\"\n{}", rsa_key(""))
}

fn wechat_v3() -> String {
    let sealing = "[[keys]]\nrole = \"api-v3-key\"\nalgorithm = \"aes-256-gcm\"\nsecret = \"a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb\"\n";
    let settings = "[settings]\nappid = \"wx1\"\nmchid = \"1\"";
    let signing = rsa_key("id = \"PUB_KEY_ID_1\"");
    format!("plugin = \"wechat-v3\"\n{LADDER}\n{settings}\n{signing}{sealing}")
}

/// Writes a merchant's file, whose first line names its URL.
fn merchant(gateway: &Gateway, id: &str, url: &str, rest: &str) {
    let file = gateway.folder().join(format!("merchants/{id}.toml"));
    fs::write(file, format!("url = \"{url}\"\n{rest}\n")).expect("written");
}

fn payment(id: &str, merchant: &str) -> Value {
    let mut record = record(id, merchant, &format!("o-{id}"));
    for (field, value) in [
        ("created_at", json!("2026-11-22T08:00:00Z")),
        ("completed_at", json!("2026-11-22T08:00:01Z")),
        ("subject", json!("a \"thing\" für 10 €")),
        ("channel", json!({"code": "alipay", "trade_type": "JSAPI", "bank_type": "OTHERS"})),
    ] {
        record[field] = value;
    }
    record
}

fn replay(gateway: &Gateway, words: &[&str]) -> Output {
    gateway.verb(&[&["plugin", "replay"], words].concat()).output().expect("run")
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    format!("{out}{err}")
}

#[track_caller]
fn is_the_same(gateway: &Gateway, attempt: &str) -> String {
    let said = said(&replay(gateway, &[attempt]), 0);
    assert!(said.contains("the same to the byte (request and verdict)"), "{said}");
    said
}

/// Refuses twice, then confirms, with words that no text has.
fn reluctant() -> impl FnMut(&Received) -> Answer + Send + 'static {
    let mut turns = std::collections::HashMap::new();
    move |received: &Received| {
        let path = received.path_and_query.split('?').next().unwrap_or_default().to_owned();
        let turn = turns.entry(path).or_insert(0);
        *turn += 1;
        match turn {
            1 => Answer::Reply(500, vec![("x-odd", "a \"b\"".to_owned())], b"\xff\xfe no\0".to_vec()),
            2 => Answer::Status(503),
            _ => Answer::Confirm,
        }
    }
}

/// The same wasm with a text in it changed to one as long.
fn changed(file: &Path, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).expect("there");
    let places: Vec<_> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes()).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{from} is in {}", file.display());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_is_made_again_to_the_byte() {
    let shop = StubMerchant::start(reluctant()).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    install(&gateway, "alipay");
    install(&gateway, "wechat-v3");
    gateway.merchant("plain", &shop.url("/plain?own=1%2f2"), LADDER);
    merchant(&gateway, "alipay", &shop.url("/alipay"), &alipay());
    merchant(&gateway, "wechat-v3", &shop.url("/wechat-v3"), &wechat_v3());
    gateway.start();
    gateway.ready().await;
    for id in ["plain", "alipay", "wechat-v3"] {
        gateway.send(&payment(id, id)).await;
    }
    for id in ["plain", "alipay", "wechat-v3"] {
        let story = gateway.wait_for_state(id, "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(3)), "{story}");
        for number in 1..=3 {
            let said = is_the_same(&gateway, &format!("{id}/{number}"));
            let by = story["attempts"][number - 1]["plugin"].as_str().expect("a plugin");
            assert!(said.starts_with(&format!("{id}/{number}, by {by}: ")), "{said}");
        }
        let journal = gateway.folder().join("data/journal.sqlite");
        let kept = look_up(&journal, &id.parse().expect("an id"), None).await.expect("readable");
        let Lookup::Found(kept) = kept else { panic!("{kept:?}") };
        let size = kept.transcript.content.len();
        println!("{id}: a record of {} bytes has a transcript of {size} bytes", kept.raw.len());
        assert!(size < 8_192, "{}", kept.transcript.content);
    }
    gateway.stop();
    // Neither the gateway is needed, nor a merchant's file, nor a key, nor what lies in the plugins' folder.
    for folder in ["merchants", "plugins"] {
        fs::remove_dir_all(gateway.folder().join(folder)).expect("removed");
    }
    for id in ["plain", "alipay", "wechat-v3"] {
        assert!(is_the_same(&gateway, id).starts_with(&format!("{id}/3, ")), "the last without a number");
    }
    let error = said(&replay(&gateway, &["plain/4"]), 1);
    assert!(error.contains("no record of that attempt is kept, only of: 1, 2, 3"), "{error}");
    assert!(said(&replay(&gateway, &["nobody"]), 1).contains("no notification `nobody` is known"));
    assert!(said(&replay(&gateway, &["a/b"]), 2).contains("`b` is no attempt's number"));
    for file in fs::read_dir(gateway.folder().join("data/plugins")).expect("versions") {
        fs::remove_file(file.expect("a file").path()).expect("removed");
    }
    let error = said(&replay(&gateway, &["plain"]), 1);
    assert!(error.contains("named by --with") && error.contains("no version `"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_plugin_shows_exactly_what_it_changes() {
    let shop = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    let guest = Guest { judge: "(i32.const 4256)", ..Guest::WELL_BEHAVED };
    fs::write(gateway.folder().join("plugins/guest.wasm"), guest.build()).expect("written");
    let alipay_file = install(&gateway, "alipay");
    merchant(&gateway, "guest", &shop.url("/guest"), "plugin = \"guest\"");
    merchant(&gateway, "alipay", &shop.url("/alipay"), &alipay());
    gateway.start();
    gateway.ready().await;
    for id in ["guest", "alipay"] {
        gateway.send(&payment(id, id)).await;
        gateway.wait_for_state(id, "ended", SOON).await;
    }
    let new = gateway.folder().join("new.wasm");
    let with = |attempt: &str, more: &[&str]| {
        replay(&gateway, &[&[attempt, "--with", new.to_str().expect("UTF-8")], more].concat())
    };
    // The body's first letter, and a verdict without its confirmation.
    let format = "(i32.store8 (i32.const 17) (i32.const 72)) (i32.const 4192)";
    let judge = "(i32.store8 (i32.const 4260) (i32.const 1)) (i32.const 4256)";
    fs::write(&new, Guest { format, judge, ..Guest::WELL_BEHAVED }.build()).expect("written");
    let text = said(&with("guest", &[]), 1);
    let (_, differences) = text.split_once('\n').expect("a head");
    assert_eq!(
        differences,
        "the request's body differs from byte 0 on (line 1)\n  - hello\n  + Hello\nthe verdict\n  - confirmed\n  + retry ()\n\
        paynotify: guest/1 is not the same any more\n"
    );
    let json: Value = serde_json::from_slice(&with("guest", &["--json"]).stdout).expect("JSON");
    let parts: Vec<_> =
        json["differences"].as_array().expect("a list").iter().map(|one| &one["part"]).collect();
    assert_eq!((parts, &json["same"]), (vec![&json!("body"), &json!("verdict")], &json!(false)), "{json}");
    assert_eq!(
        (&json["format"]["result"]["body"], &json["differences"][0]["was"]),
        (&json!("Hello"), &json!("hello"))
    );
    // A trap takes the request's place.
    fs::write(&new, Guest { format: "(unreachable)", ..Guest::WELL_BEHAVED }.build()).expect("written");
    let text = said(&with("guest", &[]), 1);
    assert!(
        text.contains("the request\n  - POST http") && text.contains("+ a fault of the plugin's: trapped: "),
        "{text}"
    );
    // What is signed changes: the recorded signature stands in, so that the body shows the change and nothing else.
    fs::write(&new, changed(&alipay_file, "trade_status", "trade_statuS")).expect("written");
    let text = said(&with("alipay", &[]), 1);
    let body: Vec<_> =
        text.lines().filter(|line| line.starts_with("  - ") || line.starts_with("  + ")).collect();
    assert!(text.matches("the request's body differs").count() == 1 && body.len() == 3, "{text}");
    assert!(
        body[1].contains("trade_statuS=")
            && body[1].replace("trade_statuS", "trade_status") == body[0].replacen("  - ", "  + ", 1),
        "{text}"
    );
    assert!(
        text.contains("a call of `crypto.sign`") && body[2].contains("is no signature of what is signed now"),
        "{text}"
    );
    // With the merchant's keys, it is signed anew.
    let text = said(&with("alipay", &["--sign"]), 1);
    assert!(text.contains("the merchant's key has answered it now"), "{text}");
    assert!(text.contains("trade_statuS="), "{text}");
}

/// A fault has a record, too: whoever mends the plugin sees what it would have sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_can_be_made_again_and_mended() {
    let shop = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    let file = gateway.folder().join("plugins/guest.wasm");
    fs::write(&file, Guest { format: "(unreachable)", ..Guest::WELL_BEHAVED }.build()).expect("written");
    merchant(&gateway, "shop", &shop.url("/"), "plugin = \"guest\"");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "held", SOON).await;
    let same = said(&replay(&gateway, &["n1"]), 0);
    assert!(same.starts_with("n1/1, by guest@") && same.contains("the same to the byte"), "{same}");
    let new = gateway.folder().join("new.wasm");
    fs::write(&new, Guest::WELL_BEHAVED.build()).expect("written");
    let mended = said(&replay(&gateway, &["n1", "--with", new.to_str().expect("UTF-8")]), 1);
    assert!(
        mended.contains("  - a fault of the plugin's: trapped: ") && mended.contains("  + POST http"),
        "{mended}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_follows_the_configuration() {
    let shop = StubMerchant::start(reluctant()).await;
    let mut gateway = Gateway::new(Store::Embedded, "[journal]\ntranscripts = \"failures\"");
    gateway.merchant("shop", &shop.url("/"), LADDER);
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    is_the_same(&gateway, "n1/1");
    assert!(is_the_same(&gateway, "n1").starts_with("n1/2, "));
    assert!(said(&replay(&gateway, &["n1/3"]), 1).contains("only of: 1, 2"));
    gateway.stop();
    let file = gateway.folder().join("paynotify.toml");
    let text = fs::read_to_string(&file).expect("written").replace("\"failures\"", "\"none\"");
    fs::write(&file, text).expect("written");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n2", "shop", "o2")).await;
    gateway.wait_for_state("n2", "ended", SOON).await;
    assert!(said(&replay(&gateway, &["n2"]), 1).contains("no record of an attempt of `n2` is kept"));
}
