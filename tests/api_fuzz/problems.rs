//! Whatever refuses a request, a handler, a door or the framework, the answer is a problem (RFC 9457).

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use serde_json::{Value, json};

use super::support::gateway::{Gateway, Store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_a_problem() {
    let mut gateway = Gateway::with_api(Store::Embedded, "longest_body_bytes = 1000", "");
    gateway.start();
    gateway.ready().await;
    let client = Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
    let long = "x".repeat(1_001);
    for (method, path, body, status) in [
        ("GET", "/nowhere", "", 404),
        ("GET", "/v1/notifications/none", "", 404),
        ("GET", "/v1/notifications/%FF", "", 404),
        ("POST", "/v1/plugins/%FF/rollback", "", 400),
        ("POST", "/v1/plugins/plain/rollback", long.as_str(), 413),
        ("POST", "/v1/notifications", long.as_str(), 413),
        ("POST", "/v1/notifications", "[]", 422),
        ("POST", "/v1/replays", "{}", 422),
        ("GET", "/v1/notifications?colour=red", "", 400),
        ("DELETE", "/v1/plugins", "", 405),
        ("PUT", "/v1/notifications", "", 405),
    ] {
        let asked = format!("{method} {path}");
        let method: Method = method.parse().expect("a method");
        let uri = format!("{}{path}", gateway.api()).parse().expect("a URL");
        let body = Bytes::from(body.to_owned());
        let request = Request { method, uri, headers: HeaderMap::new(), body };
        let reply = client.send(request).await.expect("an answer");
        let problem: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(reply.status, status, "{asked}: {problem}");
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json", "{asked}");
        assert_eq!(problem["status"], json!(status), "{asked}");
        assert!(["title", "detail"].iter().all(|name| problem[name].is_string()), "{asked}: {problem}");
        assert_eq!(reply.headers.contains_key(header::ALLOW), status == 405, "{asked}");
    }
    assert!(gateway.stop().success());
}
