//! Schemathesis asks a gateway by the gateway's own document: each operation with its examples, with the edges of every parameter
//! and field, with what its schemas allow and with what they do not; and one operation after the other with what the one before
//! has answered. Whatever is answered must be what the document says of it, and nothing may end in a fault.
//!
//! The questions are the same each time (`schemathesis.toml`). What goes on meanwhile is the gateway's own work: each record that is
//! accepted is delivered to a merchant that refuses it.

use std::path::Path;
use std::process::{Command, Output};

use http::Method;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection, query};

use super::document::as_it_is_served;
use super::support::amqp::until;
use super::support::gateway::{Gateway, Store, record};
use super::support::merchant::{Answer, StubMerchant, in_turn};

/// How many messages lie in the poison queue before.
const POISONED: usize = 20;

const ROLES: [&str; 4] = ["ingest", "read", "operate", "merchant"];

fn paynotify(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

/// A token of that role, and the lines of the configuration that let it in.
fn token(role: &str) -> (String, String) {
    let mut arguments = vec!["token", "new", "--role", role];
    if role == "merchant" {
        arguments.extend(["--merchant", "shop"]);
    }
    let text = String::from_utf8(paynotify(&arguments).stdout).expect("text");
    let (token, lines) = text.split_once("\n\n").expect("the token stands alone");
    (token.to_owned(), lines.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_its_document_says_whatever_it_is_asked() {
    let fuzzer = xtask::fuzzer::ensure_installed().expect("installed");
    let merchant = StubMerchant::start(in_turn([Answer::Confirm, Answer::Refuse])).await;
    let tokens = ROLES.map(|role| (format!("{}_TOKEN", role.to_uppercase()), token(role)));
    let lines: String = tokens.iter().map(|(_, (_, lines))| lines.as_str()).collect();
    let rates = "requests_per_second = 1000000\nmerchant_requests_per_second = 1000000\n";
    let mut gateway = Gateway::with_api(Store::Embedded, &format!("{rates}{lines}"), "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"100ms\"]");
    gateway.start();
    gateway.ready().await;
    // What the document's examples ask about is there.
    let folder = gateway.folder().to_owned();
    let examples = folder.join("n-1001.json");
    std::fs::write(&examples, record("n-1001", "shop", "order-1001").to_string()).expect("written");
    let mut send = Command::new(env!("CARGO_BIN_EXE_paynotify"));
    send.arg("send").arg(&examples).args(["--api", &gateway.api()]);
    let sent = send.env("PAYNOTIFY_TOKEN", &tokens[0].1.0).output().expect("run");
    assert!(sent.status.success(), "{sent:?}");
    until("it is told", async || !merchant.requests().is_empty()).await;
    // As a gateway leaves what it cannot read.
    let broker = SqliteConnectOptions::new().filename(folder.join("data/broker.sqlite"));
    let mut broker = SqliteConnection::connect_with(&broker).await.expect("opened");
    for number in 0..POISONED {
        let insert = "INSERT INTO poison (poisoned_at, reason, body, headers) VALUES (1000, 'why', ?1, '{}')";
        let body = if number % 2 == 0 {
            record(&format!("p-{number}"), "shop", "o").to_string()
        } else {
            "no".to_owned()
        };
        query(insert).bind(body.into_bytes()).execute(&mut broker).await.expect("written");
    }
    broker.close().await.expect("closed");

    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_fuzz");
    let mut run = Command::new(fuzzer.schemathesis());
    let document = folder.join("openapi.json");
    std::fs::write(&document, as_it_is_served()).expect("written");
    run.arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .arg("run")
        .arg(document)
        .args(["--url", &gateway.api()]);
    run.env("HOOKS", here.join("hooks.py"));
    run.current_dir(&folder).envs(tokens.iter().map(|(name, (token, _))| (name, token)));
    let run = tokio::task::spawn_blocking(move || run.output()).await.expect("ended").expect("run");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    // It has been asked a lot, and is as well as before.
    assert_eq!(gateway.ask(Method::GET, "/readyz", "").await.0, 200, "{said}");
    let mut list = Command::new(env!("CARGO_BIN_EXE_paynotify"));
    list.args(["list", "--json", "--api", &gateway.api()]).env("PAYNOTIFY_TOKEN", &tokens[1].1.0);
    let listed: serde_json::Value =
        serde_json::from_slice(&list.output().expect("run").stdout).expect("JSON");
    let accepted = listed["notifications"].as_array().expect("a list").len();
    assert_eq!(accepted, 50, "a page of what was accepted: {said}");
    let log = gateway.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(gateway.stop().success());
}
