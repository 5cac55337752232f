//! Each example in a real gateway: a merchant refuses, asks for a wait, confirms; and another wants no more.

use std::fs;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::json;

use super::support::gateway::{Gateway, SOON, Store, record};
use super::support::merchant::{Answer, Received, StubMerchant, in_turn};
use super::{KEY, compiled, example, load};

/// What is there beside the three header fields that change: all of them, in every language.
const HEADERS: [&str; 6] =
    ["acme-signature", "acme-time", "content-length", "content-type", "host", "user-agent"];

async fn is_delivered(language: &str) {
    let Some(file) = example(language) else { return };
    // Compiled here, where there is no hurry; the gateway finds it.
    drop(load(&file).await);
    let busy = Answer::Reply(503, Vec::new(), b"wait 1".to_vec());
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, busy, ok()])).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    fs::copy(&file, gateway.folder().join("plugins/acme.wasm")).expect("copied");
    fs::create_dir(gateway.folder().join("data")).expect("a folder");
    std::os::unix::fs::symlink(compiled(), gateway.folder().join("data/compiled")).expect("a link");
    let shop = format!(
        "url = \"{}\"\nplugin = \"acme\"\nladder = [\"100ms\", \"200ms\"]\n\
         [[keys]]\nrole = \"signing\"\nalgorithm = \"hmac-sha256\"\nsecret = \"file:shop.key\"\n",
        merchant.url("/notify?shop=7")
    );
    fs::write(gateway.folder().join("merchants/shop.toml"), shop).expect("written");
    fs::write(gateway.folder().join("merchants/shop.key"), format!("{KEY}\n")).expect("written");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o \"1\"")).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(3)), "{story}");
    let received = merchant.requests();
    assert_eq!(received.len(), 3);
    for request in &received {
        let body = r#"{"id":"n1","order":"o \"1\"","amount":1000,"currency":"CNY","status":"succeeded"}"#;
        assert_eq!((request.path_and_query.as_str(), &request.body[..]), ("/notify?shop=7", body.as_bytes()));
        is_signed(request);
    }
    let waited = received[2].at - received[1].at;
    assert!(waited >= Duration::from_secs(1), "the merchant asked for a second, and had {waited:?}");

    merchant.follow(in_turn([Answer::Status(410)]));
    gateway.send(&record("n2", "shop", "o2")).await;
    let story = gateway.wait_for_state("n2", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("stopped"), &json!(1)), "{story}");
    assert!(gateway.stop().success());
}

/// What confirms.
pub(super) fn ok() -> Answer {
    Answer::Reply(200, Vec::new(), b"ok".to_vec())
}

/// The merchant's own look at it: the signature is over the time and the body, and the time is the attempt's.
pub(super) fn is_signed(request: &Received) {
    let text =
        |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut names: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| HEADERS.contains(name));
    assert!(names.starts_with(&["acme-signature", "acme-time"]), "{:?}", request.headers);
    assert_eq!(request.headers.len(), names.len(), "a field too many: {:?}", request.headers);
    assert_eq!(text("content-type"), "application/json");
    let time = text("acme-time");
    let seconds: i64 = time.parse().expect("seconds since 1970");
    let late = request.moment.unix_milliseconds() / 1_000 - seconds;
    assert!((0..30).contains(&late), "the time is the attempt's: {late} s");
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = [time.as_bytes(), b".", &request.body].concat();
    let signature = hex::decode(text("acme-signature")).expect("hexadecimal digits");
    hmac::verify(&key, &signed, &signature).expect("the signature is the merchant's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_in_javascript_is_delivered() {
    is_delivered("js").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_in_rust_is_delivered() {
    is_delivered("rust").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_in_c_is_delivered() {
    is_delivered("c").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_in_python_is_delivered() {
    is_delivered("python").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_in_go_is_delivered() {
    is_delivered("go").await;
}
