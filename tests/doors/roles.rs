//! Every route, asked by everybody.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, header};
use paynotify::api::ROUTES;
use serde_json::json;

use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};
use crate::{Made, ask, bearer, client, json, new_token};

/// Who asks. `shop` and `other` are merchants.
const CALLERS: [&str; 5] = ["ingest", "read", "operate", "shop", "other"];

/// A route, what is asked of it, and the status for each of the callers and for one without a token.
struct Row {
    method: &'static str,
    route: &'static str,
    path: &'static str,
    expected: [u16; 5],
    nobody: u16,
}

const fn row(
    method: &'static str,
    route: &'static str,
    path: &'static str,
    expected: [u16; 5],
    nobody: u16,
) -> Row {
    Row { method, route, path, expected, nobody }
}

/// Whoever may ask about everything.
const READS: [u16; 5] = [403, 200, 200, 403, 403];
/// Whoever may change what runs; what it is about is not there.
const OPERATES: [u16; 5] = [403, 403, 404, 403, 403];

const ROWS: [Row; 27] = [
    row("POST", "/v1/notifications", "/v1/notifications", [202, 403, 403, 403, 403], 401),
    row("GET", "/v1/notifications/{id}", "/v1/notifications/n1", [403, 200, 200, 200, 404], 401),
    row("GET", "/v1/notifications", "/v1/notifications", [403, 200, 200, 403, 403], 401),
    row(
        "GET",
        "/v1/notifications/{id}/attempts/{number}",
        "/v1/notifications/n1/attempts/99",
        [403, 404, 404, 403, 403],
        401,
    ),
    row(
        "GET",
        "/v1/orders/{merchant_order_id}",
        "/v1/orders/o1?merchant=shop",
        [403, 200, 200, 200, 404],
        401,
    ),
    row("POST", "/v1/notifications/{id}/replay", "/v1/notifications/none/replay", OPERATES, 401),
    // Whoever is let in is told that this is no merchant, instead of being told of attempts without an end.
    row("GET", "/v1/live", "/v1/live?merchant=", [403, 400, 400, 403, 403], 401),
    row("POST", "/v1/replays", "/v1/replays", [403, 403, 422, 403, 403], 401),
    row("GET", "/v1/replays/{id}", "/v1/replays/none", [403, 404, 404, 403, 403], 401),
    row("GET", "/v1/merchants", "/v1/merchants", READS, 401),
    row("GET", "/v1/merchants/{id}", "/v1/merchants/shop", READS, 401),
    row("POST", "/v1/merchants/{id}/pause", "/v1/merchants/none/pause", OPERATES, 401),
    row("POST", "/v1/merchants/{id}/resume", "/v1/merchants/none/resume", OPERATES, 401),
    row("GET", "/v1/ladder", "/v1/ladder", READS, 401),
    row("GET", "/v1/holds", "/v1/holds", READS, 401),
    row("GET", "/v1/poison", "/v1/poison", READS, 401),
    row("GET", "/v1/poison/{id}", "/v1/poison/none", [403, 403, 404, 403, 403], 401),
    row("POST", "/v1/poison/{id}/mend", "/v1/poison/none/mend", OPERATES, 401),
    row("POST", "/v1/poison/{id}/discard", "/v1/poison/none/discard", OPERATES, 401),
    row("GET", "/v1/audit", "/v1/audit", READS, 401),
    row("GET", "/v1/plugins", "/v1/plugins", [403, 200, 200, 403, 403], 401),
    row("POST", "/v1/plugins/{name}/rollback", "/v1/plugins/none/rollback", [403, 403, 404, 403, 403], 401),
    row("GET", "/metrics", "/metrics", [403, 200, 200, 403, 403], 401),
    row("GET", "/v1/token", "/v1/token", READS, 401),
    row("GET", "/v1/openapi.json", "/v1/openapi.json", [200; 5], 200),
    row("GET", "/healthz", "/healthz", [200; 5], 200),
    row("GET", "/readyz", "/readyz", [200; 5], 200),
];

fn tokens() -> BTreeMap<&'static str, Made> {
    let make = |caller| match caller {
        "shop" | "other" => new_token(&["--role", "merchant", "--merchant", caller]),
        role => new_token(&["--role", role]),
    };
    CALLERS.into_iter().map(|caller| (caller, make(caller))).collect()
}

#[test]
fn every_route_has_a_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| (row.method, row.route)).collect();
    let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    assert_eq!(rows, routes, "a route needs a row in ROWS: who may ask, and who may not");
    assert_eq!(ROUTES.len(), ROWS.len(), "each route is there once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_opens_for_its_roles_alone() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let tokens = tokens();
    let lines: String = tokens.values().map(|made| made.lines.as_str()).collect();
    // One request for each route, at once.
    let lines = format!("merchant_requests_per_second = 1000\n{lines}");
    let mut gateway = Gateway::with_api(Store::Embedded, &lines, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let client = client();
    let of = |caller: &str| bearer(&tokens[caller].token);
    let url = |path: &str| format!("{}{path}", gateway.api());
    let body = record("n1", "shop", "o1").to_string();
    for Row { method, route, path, expected, nobody } in ROWS {
        let method: Method = method.parse().expect("a method");
        let body = match route {
            "/v1/notifications" => body.clone(),
            // It takes an empty body, too.
            "/v1/plugins/{name}/rollback" => String::new(),
            _ => json!({"reason": "to see"}).to_string(),
        };
        let asked = || (method.clone(), url(path));
        let stranger = bearer(&new_token(&["--role", "operate"]).token);
        let wrong_scheme = of("operate").replace("Bearer", "Basic");
        let mut denials = BTreeSet::new();
        for authorization in
            [None, Some(stranger.as_str()), Some(&wrong_scheme), Some("Bearer"), Some("Bearer ")]
        {
            let reply = ask(&client, asked(), authorization, body.clone()).await.expect("an answer");
            assert_eq!(reply.status, nobody, "{method} {path} with {authorization:?}");
            if nobody == 401 {
                assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
                assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json");
                denials.insert(reply.body);
            }
        }
        assert!(denials.len() <= 1, "an unknown token is told from none: {denials:?}");
        for (caller, expected) in CALLERS.iter().zip(expected) {
            let reply = ask(&client, asked(), Some(&of(caller)), body.clone()).await.expect("an answer");
            assert_eq!(reply.status, expected, "{method} {path} by {caller}: {:?}", json(&reply));
            if expected == 403 {
                assert_eq!(json(&reply)["status"], json!(403));
            }
        }
    }
    gateway_tells_no_merchant_of_another(&gateway, &of("other"), &of("read")).await;
    let log = gateway.log();
    assert!(log.contains("\"token\":\"shop\""), "a refusal is logged by the token's name");
    assert!(tokens.values().all(|made| !log.contains(&made.token)), "a token is logged");
    assert!(gateway.stop().success());
}

/// What is another merchant's answers like what is not there.
async fn gateway_tells_no_merchant_of_another(gateway: &Gateway, other: &str, read: &str) {
    let client = client();
    let story = |id: &str| (Method::GET, format!("{}/v1/notifications/{id}", gateway.api()));
    let foreign = ask(&client, story("n1"), Some(other), "").await.expect("an answer");
    let unknown = ask(&client, story("n2"), Some(other), "").await.expect("an answer");
    let as_if = String::from_utf8_lossy(&foreign.body).replace("n1", "n2");
    assert_eq!((foreign.status, as_if.as_bytes()), (unknown.status, &unknown.body[..]));
    assert_eq!(ask(&client, story("n1"), Some(read), "").await.expect("an answer").status, 200);
}

/// What is changed is noted by the name of the token, and who is turned away leaves no trace there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_names_the_token() {
    let operator = new_token(&["--role", "operate", "--name", "night-shift"]);
    let reader = new_token(&["--role", "read", "--name", "support"]);
    let mut gateway = Gateway::with_api(Store::Embedded, &format!("{}{}", operator.lines, reader.lines), "");
    gateway.merchant("shop", "http://127.0.0.1:9/", "");
    gateway.start();
    gateway.ready().await;
    let client = client();
    let asked = async |method: Method, path: &str, made: &Made, body: &str| {
        let url = format!("{}{path}", gateway.api());
        ask(&client, (method, url), Some(&bearer(&made.token)), body.to_owned()).await.expect("an answer")
    };
    let pause = "/v1/merchants/shop/pause";
    assert_eq!(asked(Method::POST, pause, &reader, r#"{"reason": "no"}"#).await.status, 403);
    let paused = asked(Method::POST, pause, &operator, r#"{"reason": "yes"}"#).await;
    assert_eq!(paused.status, 200);
    assert_eq!(json(&paused)["paused"]["by"], "night-shift");
    let audit = json(&asked(Method::GET, "/v1/audit", &reader, "").await);
    let entries = audit["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 1, "{audit}");
    let (by, what) = (&entries[0]["by"], &entries[0]["action"]);
    assert_eq!((by, what, &entries[0]["reason"]), (&json!("night-shift"), &json!("pause"), &json!("yes")));
    assert!(gateway.stop().success());
}

/// The commands have their token from the environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_show_their_token() {
    let made = new_token(&["--role", "read", "--name", "support"]);
    let mut gateway = Gateway::with_api(Store::Embedded, &made.lines, "");
    gateway.start();
    gateway.ready().await;
    let list = |token: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command.args(["plugin", "list", "--api", &gateway.api()]).env_remove("PAYNOTIFY_TOKEN");
        command.envs(token.map(|token| ("PAYNOTIFY_TOKEN", token))).output().expect("run")
    };
    let denied = list(None);
    assert_eq!(denied.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&denied.stderr).contains("PAYNOTIFY_TOKEN"), "{denied:?}");
    let told = list(Some(&made.token));
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_that_asks_too_often_waits_and_nobody_else() {
    let (shop, other) = (
        new_token(&["--role", "merchant", "--merchant", "shop"]),
        new_token(&["--role", "merchant", "--merchant", "other"]),
    );
    let lines = format!("merchant_requests_per_second = 1\n{}{}", shop.lines, other.lines);
    let mut gateway = Gateway::with_api(Store::Embedded, &lines, "");
    gateway.start();
    gateway.ready().await;
    let client = client();
    let url = format!("{}/v1/notifications/n1", gateway.api());
    let asked = async |token: &Made| {
        ask(&client, (Method::GET, url.clone()), Some(&bearer(&token.token)), "").await.expect("an answer")
    };
    let deadline = std::time::Instant::now() + SOON;
    let refused = loop {
        let reply = asked(&shop).await;
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.status, 404);
        assert!(std::time::Instant::now() < deadline, "never refused");
    };
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(json(&refused)["status"], json!(429));
    assert_eq!(asked(&other).await.status, 404);
    assert!(gateway.stop().success());
}
