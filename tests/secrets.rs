//! A whole run with keys of every kind: notifications that are confirmed, refused to the end, and held because of a fault.
//! No secret is in what the gateway sends, answers, logs or keeps, in any form.
//!
//! What a guest's memory holds is looked at in `src/plugin/memory_tests.rs`.

#![allow(missing_docs)]

#[path = "secrets/anywhere.rs"]
mod anywhere;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::gateway::{Gateway, SOON, Store};
use support::merchant::{Answer, Received, StubMerchant};
use support::traces::Traces;

/// A merchant: its plugin, its settings, and its keys' roles, algorithms, further lines, and secrets.
struct Merchant {
    plugin: &'static str,
    settings: &'static str,
    keys: Vec<(&'static str, &'static str, &'static str, String)>,
}

fn test_key(name: &str) -> String {
    let path = format!("{}/tests/formats/keys/test-{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).expect(&path)
}

fn merchants() -> Vec<Merchant> {
    let merchant = |plugin, settings, keys| Merchant { plugin, settings, keys };
    let text = str::to_owned;
    let rsa = |lines| ("signing", "rsa-pkcs1v15-sha256", lines, test_key("rsa-2048.pkcs8.pem"));
    vec![
        merchant("alipay", "app_id = \"2019\"", vec![rsa("")]),
        merchant(
            "wechat-v2",
            "appid = \"wx1\"\nmch_id = \"1\"",
            vec![("api-key", "md5-or-hmac-sha256", "", text("192006250b4c09247ec02edce69f6a2d"))],
        ),
        merchant(
            "wechat-v3",
            "appid = \"wx1\"\nmchid = \"1\"",
            vec![
                rsa("id = \"PUB_KEY_ID_1\""),
                ("api-v3-key", "aes-256-gcm", "", text("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb")),
            ],
        ),
        merchant(
            "standard-webhooks",
            "",
            vec![
                (
                    "signing",
                    "hmac-sha256",
                    "name = \"a\"\nencoding = \"whsec\"",
                    text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                ),
                ("signing", "ed25519", "name = \"b\"", test_key("ed25519.pem")),
            ],
        ),
        merchant(
            "stripe",
            "",
            vec![(
                "signing",
                "hmac-sha256",
                "encoding = \"raw\"",
                text("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
            )],
        ),
        merchant(
            "adyen",
            "merchant_account = \"Shop\"",
            vec![(
                "signing",
                "hmac-sha256",
                "encoding = \"hex\"",
                text("44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"),
            )],
        ),
        merchant(
            "paddle",
            "",
            vec![(
                "signing",
                "hmac-sha256",
                "encoding = \"raw\"",
                text("pdl_ntfset_01jd0000_abcdefghijklmnop"),
            )],
        ),
        merchant(
            "epay",
            "pid = \"1001\"",
            vec![("signing", "md5", "", text("3c6e0b8a9c15224a8228b9a98ca1531d"))],
        ),
        merchant(
            "cloudevents",
            "source = \"/shop\"\ntoken_algorithm = \"HS256\"",
            vec![("token", "hmac-sha256", "", text("a-secret-that-signs-tokens-of-32"))],
        ),
    ]
}

fn record(id: &str, merchant: &str) -> Value {
    json!({
        "schema": "payment-result/1",
        "notification_id": id,
        "merchant_id": merchant,
        "kind": "payment",
        "status": "succeeded",
        "payment_id": format!("p-{id}"),
        "merchant_order_id": format!("o-{id}"),
        "amount": {"minor": 1_000, "currency": "CNY"},
        "created_at": "2026-11-22T08:00:00Z",
        "completed_at": "2026-11-22T08:00:01Z",
        "subject": "a thing",
        "channel": {"code": "alipay"},
    })
}

/// What one merchant's requests carry as HTTP authentication: user and password in Base64. Nobody else may see it.
const CREDENTIALS: &str = "c2hvcDphLXBhc3N3b3JkLW9mLXRoZS1zaG9w";

/// Confirms in each format's own words what is sent to `/confirm`, and refuses everything else.
fn answer(received: &Received) -> Answer {
    let path = received.path_and_query.split('?').next().unwrap_or_default();
    let body = match path {
        "/wechat-v2/confirm" => "<xml><return_code>SUCCESS</return_code></xml>",
        "/alipay/confirm" | "/epay/confirm" => "success",
        _ if path.ends_with("/confirm") => "",
        _ => return Answer::Reply(500, Vec::new(), b"no".to_vec()),
    };
    Answer::Reply(200, Vec::new(), body.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_sent_answered_logged_or_kept() {
    let shop = StubMerchant::start(answer).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    // Everything that the gateway itself and those who carry its data could say.
    let file = gateway.folder().join("paynotify.toml");
    let level = "format = \"json\"\nlevel = \"info,paynotify=trace,hyper=trace,hyper_util=trace,sqlx=trace,tower=trace\"";
    let text = fs::read_to_string(&file).expect("written").replace("format = \"json\"", level);
    fs::write(&file, text).expect("written");
    let secrets = tempfile::tempdir().expect("a folder");
    let keys = set_up(&gateway, &shop, secrets.path());
    gateway.start();
    gateway.ready().await;
    let mut answers = Vec::new();
    for merchant in merchants() {
        let plugin = merchant.plugin;
        gateway.send(&record(&format!("c-{plugin}"), &format!("{plugin}-confirm"))).await;
        gateway.send(&record(&format!("r-{plugin}"), &format!("{plugin}-refuse"))).await;
        let mut unusable = record(&format!("f-{plugin}"), &format!("{plugin}-refuse"));
        unusable["status"] = Value::Null;
        gateway.send(&unusable).await;
    }
    for merchant in merchants() {
        for (id, state) in [("c", "ended"), ("r", "ended"), ("f", "held")] {
            let id = format!("{id}-{}", merchant.plugin);
            // One format needs no status, and is refused to the end instead.
            let state = if id == "f-standard-webhooks" { "ended" } else { state };
            let story = gateway.wait_for_state(&id, state, SOON).await;
            assert!(!id.starts_with("c-") || story["outcome"] == "confirmed", "{story}");
            answers.push(story.to_string());
            answers.push(gateway.text(&format!("/v1/notifications/{id}/attempts/1")).await);
        }
    }
    for path in ["/metrics", "/readyz", "/v1/notifications/none", "/v1/notifications?limit=200"] {
        answers.push(gateway.text(path).await);
    }
    let check = gateway.verb(&["config", "check"]).output().expect("run");
    answers.push(String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned());
    for merchant in merchants() {
        for id in ["c", "r", "f"].map(|kind| format!("{kind}-{}", merchant.plugin)) {
            answers.push(made_again(&gateway, &id));
        }
    }
    let requests = shop.requests();
    let tokens: Vec<_> = requests.iter().filter_map(|request| request.headers.get("authorization")).collect();
    let journal = fs::read(gateway.folder().join("data/journal.sqlite-wal")).expect("there");
    let has = |part: &[u8]| journal.windows(part.len()).any(|window| window == part);
    assert!(has(b"\"host_calls\":{\"calls\":[{\"function\":\"sign\""), "transcripts are kept");
    // What plugins write into that header themselves is kept as its digest.
    assert!(!tokens.iter().any(|token| has(token.as_bytes())), "{tokens:?}");
    assert!(requests.iter().any(|request| request.headers.contains_key("authorization")), "{requests:#?}");
    for request in requests {
        let head = format!("{} {:?}", request.path_and_query, request.headers);
        let found = [keys.found_in(head.as_bytes()), keys.found_in(&request.body)].concat();
        assert!(found.is_empty(), "{found:?} in {request:#?}");
    }
    let traces = keys.of("authorization", CREDENTIALS);
    for answer in &answers {
        let found = traces.found_in(answer.as_bytes());
        assert!(found.is_empty(), "{found:?} in {answer}");
    }
    nothing_found(&traces, gateway.folder());
    gateway.stop();
    nothing_found(&traces, gateway.folder());
    assert!(gateway.log().contains("\"level\":\"TRACE\"") || gateway.log().contains("\"level\":\"DEBUG\""));
}

/// Makes an attempt of each shipped plugin again, which is the same to the byte; gives all that is said of it.
fn made_again(gateway: &Gateway, id: &str) -> String {
    let output = gateway.verb(&["plugin", "replay", id, "--json"]).output().expect("run");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("\"same\":true"), "{id}: {said}");
    said
}

/// Two merchants with each plugin, whose keys are in files elsewhere. Gives what is to be looked for.
fn set_up(gateway: &Gateway, shop: &StubMerchant, secrets: &Path) -> Traces {
    let mut traces = Traces::default();
    for Merchant { plugin, settings, keys } in merchants() {
        let component = xtask::guests::built(plugin).expect("the plugin is built");
        fs::copy(component, gateway.folder().join(format!("plugins/{plugin}.wasm"))).expect("copied");
        let authorization = secrets.join("authorization");
        fs::write(&authorization, format!("Basic {CREDENTIALS}")).expect("written");
        let mut rest = format!("plugin = \"{plugin}\"\nladder = [\"100ms\"]\n");
        if plugin == "adyen" {
            rest += &format!("authorization = \"file:{}\"\n", authorization.display());
        }
        rest += &format!("[settings]\n{settings}\n");
        for (index, (role, algorithm, lines, secret)) in keys.into_iter().enumerate() {
            let path = secrets.join(format!("{plugin}-{index}"));
            fs::write(&path, &secret).expect("written");
            rest += &format!("[[keys]]\nrole = \"{role}\"\nalgorithm = \"{algorithm}\"\n{lines}\n");
            rest += &format!("secret = \"file:{}\"\n", path.display());
            traces = traces.of(&format!("{plugin}, {role}"), &secret);
        }
        for way in ["confirm", "refuse"] {
            let url = shop.url(&format!("/{plugin}/{way}"));
            let file = gateway.folder().join(format!("merchants/{plugin}-{way}.toml"));
            fs::write(file, format!("url = \"{url}\"\n{rest}")).expect("written");
        }
    }
    traces
}

fn nothing_found(traces: &Traces, folder: &Path) {
    let mut looked_at: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What a database removes while we look is gone.
            let Ok(bytes) = fs::read(&path) else { continue };
            let found = traces.found_in(&bytes);
            assert!(found.is_empty(), "{found:?} in {}", path.display());
            looked_at.push(path);
        }
    }
    let is_there = |name: &str| looked_at.iter().any(|path| path.to_string_lossy().contains(name));
    assert!(is_there("journal") && is_there("/log"), "{looked_at:?}");
}
