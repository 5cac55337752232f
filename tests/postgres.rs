//! The program with its journal on PostgreSQL: what a database that is away does to it, and what it tells.

mod support;

use http::Method;
use sqlx::{Connection, PgConnection};
use xtask::postgres::{Durability, Server};

use support::amqp::until;
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, in_turn};

async fn make_database(server: &Server) {
    let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("connected");
    sqlx::query("CREATE DATABASE journal").execute(&mut connection).await.expect("made");
}

/// A gateway on its embedded broker, with its journal on a server of this test's own.
async fn gateway(server: &Server, merchant: &StubMerchant) -> Gateway {
    make_database(server).await;
    let mut gateway = not_started(server, merchant);
    gateway.start();
    gateway.ready().await;
    gateway
}

fn not_started(server: &Server, merchant: &StubMerchant) -> Gateway {
    let url = server.folder().join("url");
    std::fs::write(&url, server.url("journal")).expect("written");
    let journal =
        format!("[journal]\nkind = \"postgres\"\nurl = \"file:{}\"\npatience = \"1s\"", url.display());
    let gateway = Gateway::new(Store::Embedded, &journal);
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]\ntotal_timeout = \"60s\"\n");
    gateway
}

/// Two gateways that start before their database, which has no tables yet: each says so, takes nothing in, and goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_before_its_database_waits_for_it() {
    let mut server = Server::start(Durability::None).expect("a server");
    let merchant = StubMerchant::start(in_turn([Answer::Confirm])).await;
    make_database(&server).await;
    server.kill_hard().expect("killed");
    let mut gateways = [not_started(&server, &merchant), not_started(&server, &merchant)];
    for gateway in &mut gateways {
        gateway.start();
        let (status, said) = gateway.ask(Method::GET, "/readyz", "").await;
        let journal = said["journal"].as_str().unwrap_or_default();
        assert!(status == 503 && journal.contains("cannot be reached"), "{said}");
        let (status, _) =
            gateway.ask(Method::POST, "/v1/notifications", record("n1", "shop", "o1").to_string()).await;
        assert_eq!(status, 503);
    }
    server.restart().expect("back");
    for (number, gateway) in gateways.iter_mut().enumerate() {
        gateway.ready().await;
        let id = format!("n{number}");
        gateway.send(&record(&id, "shop", &id)).await;
        let story = gateway.wait_for_state(&id, "ended", SOON).await;
        assert_eq!(story["outcome"], "confirmed", "{story}");
    }
    for gateway in &mut gateways {
        assert!(gateway.stop().success(), "{}", gateway.log());
        assert!(!gateway.log().contains(server.password()));
    }
}

/// Whoever is there and refuses us is no reason to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_ends_the_start() {
    let server = Server::start(Durability::None).expect("a server");
    let wrong = server.url("journal").replace(server.password(), "hunter2");
    for (url, part) in [
        (server.url("nothing"), "does not exist"),
        (wrong, "password authentication failed"),
        (server.url("postgres?sslmode=require"), "TLS with it does not come about"),
        (
            server.url("postgres?sslmode=verify-full&sslrootcert=/none/ca.pem"),
            "TLS with it does not come about",
        ),
    ] {
        let gateway =
            Gateway::new(Store::Embedded, &format!("[journal]\nkind = \"postgres\"\nurl = \"{url}\""));
        let (status, said) = gateway.run_to_its_end();
        assert!(!status.success() && said.contains(part), "{said}");
        assert!(!said.contains("hunter2") && !said.contains(server.password()), "{said}");
    }
}

/// An attempt is under way while the database is killed: its outcome is kept in hand until it can be recorded, and then is,
/// with nothing done twice. Meanwhile nothing is taken in, and `/readyz` says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_kept_in_hand_while_the_database_is_away() {
    let mut server = Server::start(Durability::Disk).expect("a server");
    let (answer, answered) = tokio::sync::watch::channel(false);
    let slow = Answer::Once(answered, Box::new(Answer::Refuse));
    let merchant = StubMerchant::start(in_turn([Answer::Confirm, slow, Answer::Confirm])).await;
    let mut gateway = gateway(&server, &merchant).await;
    gateway.send(&record("before", "shop", "o1")).await;
    gateway.wait_for_state("before", "ended", SOON).await;
    gateway.send(&record("during", "shop", "o2")).await;
    until("its attempt is under way", async || merchant.requests().len() == 2).await;
    server.kill_hard().expect("killed");
    until("it says that it is not ready", async || {
        let (status, said) = gateway.ask(Method::GET, "/readyz", "").await;
        status == 503 && said["journal"].as_str().is_some_and(|said| said.contains("cannot be reached"))
    })
    .await;
    let (status, problem) =
        gateway.ask(Method::POST, "/v1/notifications", record("refused", "shop", "o3").to_string()).await;
    assert_eq!(status, 503, "{problem}");
    answer.send_replace(true);
    until("the outcome is in hand", async || gateway.log().contains("not recorded")).await;
    server.restart().expect("back");
    gateway.ready().await;
    let story = gateway.wait_for_state("during", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&"confirmed".into(), &2.into()), "{story}");
    let numbers: Vec<_> =
        story["attempts"].as_array().expect("a list").iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2], "{story}");
    assert_eq!(merchant.requests().len(), 3, "one that was told already was told again");
    gateway.send(&record("refused", "shop", "o3")).await;
    gateway.wait_for_state("refused", "ended", SOON).await;

    let output = gateway.verb(&["plugin", "replay", "during/2"]).output().expect("it runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the same to the byte"), "{said}");
    let log = gateway.log();
    assert!(gateway.stop().success(), "{}", gateway.log());
    assert!(!log.contains(server.password()) && !said.contains(server.password()), "the password is told");
}

/// Without its database a gateway does not start, and says which it is and not with which password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_journals_configuration_is_told_with_its_key() {
    for (journal, part) in [
        ("kind = \"postgres\"", "is needed for `kind = \"postgres\"`"),
        ("url = \"postgres://u:hunter2@127.0.0.1/j\"", "`journal.kind` is not \"postgres\""),
        ("kind = \"postgres\"\nurl = \"mysql://u:hunter2@127.0.0.1/j\"", "is no URL such as"),
        ("kind = \"postgres\"\nurl = \"env:PAYNOTIFY_NO_SUCH_URL\"", "PAYNOTIFY_NO_SUCH_URL"),
    ] {
        let gateway = Gateway::new(Store::Embedded, &format!("[journal]\n{journal}"));
        let (status, said) = gateway.run_to_its_end();
        assert!(!status.success() && said.contains(part), "{said}");
        assert!(said.contains("journal") && !said.contains("hunter2"), "{said}");
    }
}
