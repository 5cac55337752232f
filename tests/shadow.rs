//! A shadow plugin runs beside a merchant's own: what it would have done is counted, and nothing else comes of it.

#![allow(missing_docs)]

mod support;

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use support::gateway::{Gateway, SOON, Store, record};
use support::guest::Guest;
use support::merchant::{Answer, StubMerchant, always};

const GOOD: Guest = Guest::WELL_BEHAVED;
const LOOP: &str = "(loop $forever (br $forever)) (unreachable)";

/// More than are told of one shadow in the log.
const EACH: usize = 12;

fn sample(metrics: &str, plugin: &str, result: &str) -> Option<u64> {
    let begin = format!("paynotify_shadow_total{{plugin=\"{plugin}\",result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok())
}

/// All five counts of a shadow, once so many attempts are counted: fault, request, verdict, same, skipped.
async fn counts(gateway: &Gateway, plugin: &str, attempts: u64) -> [u64; 5] {
    let deadline = Instant::now() + 2 * SOON;
    loop {
        let metrics = gateway.text("/metrics").await;
        let counts = ["fault", "request", "verdict", "same", "skipped"]
            .map(|result| sample(&metrics, plugin, result).expect("it is there from the start"));
        if counts.iter().sum::<u64>() >= attempts {
            return counts;
        }
        assert!(Instant::now() < deadline, "{plugin}: {counts:?}, not {attempts}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_is_counted_and_moves_nothing() {
    let shop = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "[plugin]\ncall_timeout = \"100ms\"");
    let install = |name: &str, guest: Guest| {
        fs::write(gateway.folder().join(format!("plugins/{name}.wasm")), guest.build()).expect("written");
    };
    install("guest", GOOD);
    let other_body = "(i32.store8 (i32.const 17) (i32.const 72)) (i32.const 4192)";
    let other_verdict = "(i32.store8 (i32.const 4260) (i32.const 2)) (i32.const 4256)";
    // Each describes itself as `gues` and its letter.
    let each = EACH as u64;
    let shadows = [
        ('a', GOOD, [0, 0, 0, each, 0]),
        ('b', Guest { format: other_body, ..GOOD }, [0, each, 0, 0, 0]),
        ('c', Guest { judge: other_verdict, ..GOOD }, [0, 0, each, 0, 0]),
        ('d', Guest { format: other_body, judge: other_verdict, ..GOOD }, [0, each, 0, 0, 0]),
        ('e', Guest { format: "(unreachable)", ..GOOD }, [each, 0, 0, 0, 0]),
        ('f', Guest { judge: "(unreachable)", ..GOOD }, [each, 0, 0, 0, 0]),
        ('g', Guest { format: LOOP, ..GOOD }, [each, 0, 0, 0, 0]),
    ];
    let mut wanted = Vec::new();
    for (letter, guest, counts) in shadows {
        let describe =
            format!("(i32.store8 (i32.const 4) (i32.const {})) (i32.const 4096)", u32::from(letter));
        install(&letter.to_string(), Guest { describe: describe.leak(), ..guest });
        let file = gateway.folder().join(format!("merchants/{letter}.toml"));
        let url = shop.url(&format!("/{letter}"));
        fs::write(file, format!("url = \"{url}\"\nplugin = \"guest\"\nshadow = \"gues{letter}\""))
            .expect("written");
        wanted.push((letter, counts));
    }
    gateway.start();
    gateway.ready().await;
    assert_eq!(counts(&gateway, "guesa", 0).await, [0; 5], "shown before anything happens");
    for number in 0..EACH {
        for (letter, _) in &wanted {
            gateway.send(&record(&format!("{letter}-{number}"), &letter.to_string(), "o")).await;
        }
    }
    for number in 0..EACH {
        for (letter, _) in &wanted {
            let story = gateway.wait_for_state(&format!("{letter}-{number}"), "ended", SOON).await;
            assert_eq!(
                (&story["outcome"], &story["attempts_made"]),
                (&json!("confirmed"), &json!(1)),
                "{story}"
            );
            assert!(story["attempts"][0]["plugin"].as_str().expect("text").starts_with("guest@"), "{story}");
        }
    }
    for (letter, wanted) in &wanted {
        assert_eq!(counts(&gateway, &format!("gues{letter}"), EACH as u64).await, *wanted, "{letter}");
    }
    let requests = shop.requests();
    assert_eq!(requests.len(), EACH * wanted.len(), "a shadow sends nothing");
    assert!(requests.iter().all(|request| request.body == "hello"), "{requests:#?}");
    gateway.stop();
    for (letter, counts) in &wanted {
        let told: Vec<Value> = gateway
            .log_lines()
            .into_iter()
            .filter(|line| line["fields"]["shadow"].as_str().or(line["shadow"].as_str()).is_some())
            .filter(|line| line.to_string().contains(&format!("gues{letter}@")))
            .collect();
        let most = if counts[3] > 0 { 0 } else { 10 };
        assert_eq!(told.len(), most, "{letter}: {told:#?}");
        assert!(told.iter().all(|line| !line.to_string().to_lowercase().contains("hello")), "{told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_has_the_merchants_keys_and_settings_of_its_own() {
    let shop = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    let alipay = xtask::guests::built("alipay").expect("the plugin is built");
    fs::copy(alipay, gateway.folder().join("plugins/alipay.wasm")).expect("copied");
    let secret = format!("file:{}/tests/formats/keys/test-rsa-2048.pkcs8.pem", env!("CARGO_MANIFEST_DIR"));
    let key =
        format!("[[keys]]\nrole = \"signing\"\nalgorithm = \"rsa-pkcs1v15-sha256\"\nsecret = \"{secret}\"");
    let merchant = |id: &str, lines: &str| {
        let url = shop.url(&format!("/{id}"));
        let text = format!("url = \"{url}\"\n{lines}\n{key}\n");
        fs::write(gateway.folder().join(format!("merchants/{id}.toml")), text).expect("written");
    };
    let check = |gateway: &Gateway| {
        let output = gateway.verb(&["config", "check"]).output().expect("run");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    merchant("moved", "plugin = \"plain\"\nshadow = \"alipai\"");
    let (code, problem) = check(&gateway);
    assert!(
        code == Some(2) && problem.contains("`shadow`: no plugin in") && problem.contains("`alipai`"),
        "{problem}"
    );
    merchant("moved", "plugin = \"plain\"\nshadow = \"alipay\"\n[shadow_settings]\napp = 1");
    let (code, problem) = check(&gateway);
    assert!(code == Some(2) && problem.contains("`shadow_settings`: "), "{problem}");
    merchant("moved", "plugin = \"plain\"\n[shadow_settings]\napp_id = \"2019\"");
    let (code, problem) = check(&gateway);
    assert!(code == Some(2) && problem.contains("no `shadow` that they are for"), "{problem}");
    merchant("moved", "plugin = \"plain\"\nshadow = \"alipay\"\n[shadow_settings]\napp_id = \"2019\"");
    merchant("stays", "plugin = \"alipay\"\nshadow = \"alipay\"\n[settings]\napp_id = \"2019\"");
    assert_eq!(check(&gateway), (Some(0), String::new()));
    gateway.start();
    gateway.ready().await;
    let payment = |id: &str| {
        let mut record = record(id, id, "o1");
        record["created_at"] = json!("2026-11-22T08:00:00Z");
        record["completed_at"] = json!("2026-11-22T08:00:01Z");
        record["subject"] = json!("a thing");
        record
    };
    gateway.send(&payment("stays")).await;
    assert_eq!(counts(&gateway, "alipay", 1).await, [0, 0, 0, 1, 0], "the same to the signature");
    gateway.send(&payment("moved")).await;
    assert_eq!(counts(&gateway, "alipay", 2).await, [0, 1, 0, 1, 0]);
    gateway.wait_for_state("moved", "ended", SOON).await;
}
