//! `GET /v1/live` on a gateway as it runs: attempts as they happen, to those who may know, and to a bounded number of them.

#![allow(missing_docs)]

mod support;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use paynotify::domain::Request;
use paynotify::http::{Client, Opened, Reach, Settings, TlsRoots};
use serde_json::{Value, json};

use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, in_turn};

/// One that listens: the frames of its stream, comments and events alike, as they come.
struct Ear {
    opened: Opened,
    text: String,
    /// Only held for its connection.
    _client: Client,
}

impl Ear {
    async fn open(gateway: &Gateway, query: &str) -> Self {
        let client =
            Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
        let uri = format!("{}/v1/live{query}", gateway.api()).parse().expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let request = Request { method: Method::GET, uri, headers, body: Bytes::new() };
        let opened = client.open(request).await.expect("an answer");
        Self { opened, text: String::new(), _client: client }
    }

    /// The next frame; `None` at the stream's end.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(frame);
            }
            let piece = self.opened.next(SOON).await.expect("it goes on")?;
            self.text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }

    /// The next event: its name and data.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let frame = self.frame().await?;
            let Some((name, data)) = frame.split_once('\n') else { continue };
            let name = name.strip_prefix("event: ").expect("its name first").to_owned();
            let data = data.strip_prefix("data: ").expect("then its data");
            return Some((name, serde_json::from_str(data).expect("JSON")));
        }
    }
}

/// What a listener is told is what the log has of the attempt; another merchant's listener is not told; both end with the gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_hear_each_attempt_as_the_log_has_it() {
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/?token=secret"), "ladder = [\"100ms\"]");
    gateway.start();
    gateway.ready().await;
    let mut all = Ear::open(&gateway, "").await;
    let mut shop = Ear::open(&gateway, "?merchant=shop").await;
    let mut other = Ear::open(&gateway, "?merchant=other").await;
    for ear in [&all, &shop, &other] {
        assert_eq!(ear.opened.status, StatusCode::OK);
    }
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    let mut told = Vec::new();
    for next in ["retry", "confirmed"] {
        let (name, event) = all.event().await.expect("an event");
        assert_eq!(name, "attempt");
        assert_eq!((&event["notification"], &event["next"]), (&json!("n1"), &json!(next)));
        assert_eq!(shop.event().await, Some((name, event.clone())));
        assert!(!event.to_string().contains("secret"), "{event}");
        told.push(event);
    }
    assert_eq!(told[0]["url"], merchant.url("/").trim_end_matches('?'));
    let logged: Vec<Value> =
        gateway.log_lines().into_iter().filter(|line| line["message"] == "attempt").collect();
    assert_eq!(logged.len(), told.len());
    let document: Value = serde_json::from_str(include_str!("../src/api/openapi.json")).expect("JSON");
    let documented = &document["components"]["schemas"]["LiveEvent"];
    for (logged, mut told) in logged.into_iter().zip(told) {
        let event = told.as_object_mut().expect("an object");
        assert!(event.keys().eq(documented["properties"].as_object().expect("properties").keys()));
        assert!(event.remove("at").is_some_and(|at| at.is_string()));
        for (key, value) in event {
            assert_eq!(logged.get(key).unwrap_or(&Value::Null), value, "{key}");
        }
    }
    // A heartbeat, while nothing happens.
    assert_eq!(all.frame().await.as_deref(), Some(":"));
    assert!(gateway.stop().success());
    assert_eq!((all.event().await, shop.event().await, other.event().await), (None, None, None));
}

/// The bound, and what is refused. A place is free again once a listener has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_are_bounded_and_their_questions_checked() {
    let mut gateway = Gateway::with_api(Store::Embedded, "live_listeners = 1", "");
    gateway.start();
    gateway.ready().await;
    let first = Ear::open(&gateway, "").await;
    assert_eq!(first.opened.status, StatusCode::OK);
    let (status, problem) = gateway.ask(Method::GET, "/v1/live", "").await;
    assert_eq!(status, 503);
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("api.live_listeners")),
        "{problem}"
    );
    for (query, field) in [
        ("?merchant=not%20one", "merchant"),
        ("?merchant=", "merchant"),
        ("?merchant=a&merchant=a", "merchant"),
        ("?order=1", "order"),
    ] {
        let (status, problem) = gateway.ask(Method::GET, &format!("/v1/live{query}"), "").await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
    }
    drop(first);
    support::amqp::until("the place is free again", async || {
        Ear::open(&gateway, "").await.opened.status == StatusCode::OK
    })
    .await;
    assert!(gateway.stop().success());
}
