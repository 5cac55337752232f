//! What is denied is counted: by routes, of which there are few, and never by what somebody asked for.

use std::collections::BTreeMap;

use http::{Method, header};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, Store};
use crate::{ask, bearer, client, new_token};

/// The counts by method, route and status, as an operator sees them.
async fn counts(gateway: &Gateway, token: &str) -> BTreeMap<(String, String, String), u64> {
    let asked = (Method::GET, format!("{}/metrics", gateway.api()));
    let reply = ask(&client(), asked, Some(&bearer(token)), "").await.expect("an answer");
    assert!(
        reply.headers[header::CONTENT_TYPE]
            .to_str()
            .expect("text")
            .starts_with("application/openmetrics-text")
    );
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    let row = |line: &str| {
        let (labels, count) = line.strip_prefix("paynotify_api_requests_total{")?.split_once("} ")?;
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        Some(((label("method")?, label("route")?, label("status")?), count.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_by_what_was_answered() {
    let (read, ingest) = (new_token(&["--role", "read"]), new_token(&["--role", "ingest"]));
    let lines = format!("requests_per_second = 20\n{}{}", read.lines, ingest.lines);
    let mut gateway = Gateway::with_api(Store::Embedded, &lines, "");
    gateway.start();
    gateway.ready().await;
    let client = client();
    let get = async |path: &str, authorization: Option<&str>| {
        let asked = (Method::GET, format!("{}{path}", gateway.api()));
        ask(&client, asked, authorization, "").await.expect("an answer").status.as_u16()
    };
    assert_eq!(get("/v1/plugins", Some(&bearer(&read.token))).await, 200);
    assert_eq!(get("/v1/plugins", None).await, 401);
    assert_eq!(get("/v1/plugins", Some(&bearer(&ingest.token))).await, 403);
    for number in 0..3 {
        assert_eq!(
            get(&format!("/v1/notifications/of-many-{number}"), Some(&bearer(&read.token))).await,
            404
        );
        assert_eq!(get(&format!("/secret-{number}"), None).await, 404);
    }
    assert_eq!(get("/v1/plugins/none/rollback", None).await, 405);
    until("somebody asks too often", async || get("/v1/plugins", Some(&bearer(&ingest.token))).await == 429)
        .await;
    let counts = counts(&gateway, &read.token).await;
    let of = |method: &str, route: &str, status: &str| {
        counts.get(&(method.to_owned(), route.to_owned(), status.to_owned())).copied()
    };
    assert_eq!(of("GET", "/v1/plugins", "200"), Some(1), "{counts:?}");
    assert_eq!(of("GET", "/v1/plugins", "401"), Some(1));
    assert!(of("GET", "/v1/plugins", "403").is_some_and(|count| count >= 1));
    assert_eq!(of("GET", "/v1/plugins", "429"), Some(1));
    assert_eq!(of("GET", "/v1/notifications/{id}", "404"), Some(3));
    assert_eq!((of("-", "none", "404"), of("-", "none", "405")), (Some(3), Some(1)));
    assert!(counts.keys().all(|(_, route, _)| !route.contains("secret") && !route.contains("of-many")));
}
