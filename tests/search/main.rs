//! Looking for notifications over the API of a gateway as it runs, with its journal on SQLite and on PostgreSQL.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod figures;
mod lists;
mod orders;

use std::fs;
use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use paynotify::domain::{Reply, Request};
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, query};
use xtask::postgres::Database;

use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, Received, StubMerchant};

/// Who may ask, and with what.
const TOKENS: [(&str, &[&str]); 4] = [
    ("ingest", &["--role", "ingest"]),
    ("read", &["--role", "read"]),
    ("shop", &["--role", "merchant", "--merchant", "shop"]),
    ("other", &["--role", "merchant", "--merchant", "other"]),
];

/// What nobody may see who asks: parts of what the merchants answer.
const SECRETS: [&str; 7] = [
    "c2hvcDphLXBhc3N3b3Jk",
    "a-password",
    "3c6e0b8a9c15224a8228b9a98ca1531d",
    "Zhang San",
    "zhang@example.com",
    "622202123456789",
    "cookie-of-the-shop",
];

/// A gateway with merchants of all kinds.
pub struct Place {
    pub gateway: Gateway,
    tokens: Vec<(&'static str, String)>,
    client: Client,
    _merchant: StubMerchant,
    _database: Option<Database>,
}

/// Where the gateway under test has its journal.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// Answers by the path: `/confirm`, `/no`, or refuses and says more than it should.
fn answer(received: &Received) -> Answer {
    if received.path_and_query.starts_with("/confirm") {
        return Answer::Confirm;
    }
    if received.path_and_query.starts_with("/no") {
        return Answer::Refuse;
    }
    let body = serde_json::json!({
        "error": "signed: a=1&b=2 with 3c6e0b8a9c15224a8228b9a98ca1531d",
        "request": {"authorization": "Basic c2hvcDphLXBhc3N3b3Jk", "payer": {"name": "Zhang San"}},
        "contact": "zhang@example.com",
        "remark": "6222021234567890123",
        "code": "FAIL-17",
    });
    let headers = vec![
        ("set-cookie", "id=cookie-of-the-shop".to_owned()),
        ("location", "https://shop.example/next?who=Zhang%20San".to_owned()),
        ("x-trace", "t-1".to_owned()),
    ];
    Answer::Reply(500, headers, body.to_string().into_bytes())
}

impl Place {
    pub async fn start(kind: Kind) -> Self {
        let merchant = StubMerchant::start(answer).await;
        let folder = tempfile::tempdir().expect("a folder");
        let (database, journal) = match kind {
            Kind::Sqlite => (None, String::new()),
            Kind::Postgres => {
                let database = Database::shared_or_own().expect("a server");
                let url = create(&database).await;
                let file = folder.path().join("url");
                fs::write(&file, url).expect("written");
                let lines = format!("[journal]\nkind = \"postgres\"\nurl = \"file:{}\"\n", file.display());
                (Some(database), lines)
            }
        };
        let made: Vec<_> = TOKENS.iter().map(|(name, arguments)| (*name, new_token(arguments))).collect();
        let lines: String = made.iter().map(|(_, (_, lines))| lines.as_str()).collect();
        let rates = "requests_per_second = 10000\nmerchant_requests_per_second = 10000";
        let mut gateway = Gateway::with_api(Store::Embedded, &format!("{rates}\n{lines}"), &journal);
        let built = xtask::guests::built("epay").expect("the plugin is built");
        fs::copy(built, gateway.folder().join("plugins/epay.wasm")).expect("copied");
        let key = gateway.folder().join("key");
        fs::write(&key, "3c6e0b8a9c15224a8228b9a98ca1531d").expect("written");
        let authorization = gateway.folder().join("authorization");
        fs::write(&authorization, "Basic c2hvcDphLXBhc3N3b3Jk").expect("written");
        gateway.merchant("shop", &merchant.url("/confirm?key=x"), "");
        gateway.merchant("other", &merchant.url("/no"), "ladder = [\"100ms\"]");
        let signed = format!(
            "url = \"{}\"\nplugin = \"epay\"\nladder = [\"1h\"]\nauthorization = \"file:{}\"\n\
             [settings]\npid = \"1001\"\n\
             [[keys]]\nrole = \"signing\"\nalgorithm = \"md5\"\nsecret = \"file:{}\"\n",
            merchant.url("/refuse"),
            authorization.display(),
            key.display()
        );
        fs::write(gateway.folder().join("merchants/signed.toml"), signed).expect("written");
        gateway.start();
        let client =
            Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
        let tokens = made.into_iter().map(|(name, (token, _))| (name, token)).collect();
        let place = Self { gateway, tokens, client, _merchant: merchant, _database: database };
        place.gateway.ready().await;
        place
    }

    /// What a GET answers to whoever has that token, or none, and that no secret is in it.
    pub async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let reply = self.ask(token, Method::GET, path, Bytes::new()).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in the answer to {path}: {text}");
        }
        let problem = reply.headers.get(header::CONTENT_TYPE);
        let problem = problem.is_some_and(|kind| kind == "application/problem+json");
        assert_eq!(problem, !reply.status.is_success(), "{path}: {text}");
        (reply.status.as_u16(), serde_json::from_str(&text).expect("JSON"))
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Bytes) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some((_, token)) = self.tokens.iter().find(|(name, _)| *name == token) {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header's value");
            headers.insert(header::AUTHORIZATION, value);
        }
        let uri = format!("{}{path}", self.gateway.api()).parse().expect("a URL");
        self.client.send(Request { method, uri, headers, body }).await.expect("an answer")
    }

    /// What a GET by whoever may read everything must find.
    pub async fn found(&self, path: &str) -> Value {
        let (status, body) = self.get("read", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Sends what a case needs, one after the other, and waits until each is what it is to be.
    pub async fn fill(&self) {
        for (id, merchant, order, state) in [
            ("n1", "shop", "o1", "ended"),
            ("n2", "shop", "o1", "ended"),
            ("n3", "shop", "o/2 ü", "ended"),
            ("n4", "other", "o1", "ended"),
            ("n5", "signed", "o5", "waiting"),
            ("n6", "nobody", "o6", "held"),
        ] {
            let mut body = record(id, merchant, order);
            body["subject"] = "a thing".into();
            body["completed_at"] = "2026-11-22T08:00:01Z".into();
            body["channel"] = serde_json::json!({"code": "alipay"});
            let body = body.to_string().into();
            let reply = self.ask("ingest", Method::POST, "/v1/notifications", body).await;
            assert_eq!(reply.status, 202, "{id}");
            self.wait_for(id, state).await;
        }
    }

    async fn wait_for(&self, id: &str, state: &str) {
        let deadline = std::time::Instant::now() + SOON;
        loop {
            let (status, story) = self.get("read", &format!("/v1/notifications/{id}")).await;
            if status == 200 && story["state"] == state {
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{id} is not {state}: {story}; {}",
                self.gateway.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// A database for a journal.
pub async fn create(database: &Database) -> String {
    let name = format!("search_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&database.url("postgres")).await.expect("connected");
    query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.expect("made");
    database.url(&name)
}

/// A token, and its lines for the configuration.
fn new_token(arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
    let output = command.args([&["token", "new"], arguments].concat()).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let (token, lines) = text.split_once("\n\n").expect("the token stands alone");
    (token.to_owned(), lines.to_owned())
}

/// The ids of a list, in their order.
pub fn ids(list: &Value) -> Vec<String> {
    let rows = list["notifications"].as_array().expect("a list");
    rows.iter().map(|row| row["notification_id"].as_str().expect("an id").to_owned()).collect()
}
