//! Many notifications are begun anew with one request.

use http::Method;
use serde_json::{Value, json};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, Received, StubMerchant};
use crate::{attempts, audit, get};

/// Each order is refused until all of them have been, and then confirmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exhausted_is_begun_anew_at_the_rate_that_was_asked_for() {
    let mut seen = 0;
    let script = move |_: &Received| {
        seen += 1;
        if seen <= 8 { Answer::Refuse } else { Answer::Confirm }
    };
    let merchant = StubMerchant::start(script).await;
    let mut gateway = Gateway::new(Store::Embedded, "[delivery]\nreplay_most = 4\nreplay_per_second = 20");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]");
    gateway.start();
    gateway.ready().await;
    for number in 0..4 {
        gateway.send(&record(&format!("n{number}"), "shop", &format!("o{number}"))).await;
    }
    for number in 0..4 {
        gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
    }
    let ask = async |more: Value| {
        let mut body = json!({"outcome": "exhausted", "reason": "the shop was down"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        gateway.ask(Method::POST, "/v1/replays", body.to_string()).await
    };
    let (status, dry) = ask(json!({})).await;
    assert_eq!(status, 200, "{dry}");
    assert_eq!((&dry["matches"], &dry["most"]), (&json!(4), &json!(4)));
    let mut first: Vec<_> = dry["first"].as_array().expect("ids").clone();
    first.sort_by_key(Value::to_string);
    assert_eq!(json!(first), json!(["n0", "n1", "n2", "n3"]));
    assert_eq!(merchant.requests().len(), 8, "a dry run told a merchant");
    for (more, field) in [
        (json!({"outcome": null}), json!("merchant")),
        (json!({"per_second": 21}), json!("per_second")),
        (json!({"per_second": 0}), json!("per_second")),
        (json!({"color": "red"}), json!("color")),
        (json!({"reason": ""}), json!("reason")),
    ] {
        let (status, problem) = ask(more.clone()).await;
        assert_eq!((status, &problem["field"]), (422, &field), "{more}: {problem}");
    }
    let (status, begun) = ask(json!({"dry_run": false, "per_second": 5})).await;
    assert_eq!((status, &begun["matches"]), (202, &json!(4)), "{begun}");
    let path = format!("/v1/replays/{}", begun["replays_id"].as_str().expect("an id"));
    until("it is done", async || get(&gateway, &path).await["state"] == "done").await;
    let done = get(&gateway, &path).await;
    assert_eq!(
        (&done["matches"], &done["done"], &done["failed"]),
        (&json!(4), &json!(4), &json!(0)),
        "{done}"
    );
    let mut begun_at = Vec::new();
    for number in 0..4 {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!(
            (&story["outcome"], attempts(&story)),
            (&json!("confirmed"), vec![(0, 1), (0, 2), (1, 1)])
        );
        assert_eq!(story["replays"][0]["reason"], "the shop was down");
        begun_at.push(story["replays"][0]["at"].as_str().expect("a moment").parse().expect("a moment"));
    }
    begun_at.sort();
    let (first, last): (paynotify::domain::Moment, _) = (begun_at[0], begun_at[3]);
    assert!(last.since(first).as_millis() >= 590, "faster than five in a second: {begun_at:?}");
    let audit = audit(&gateway).await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!((audit[0][1].as_str(), audit[0][3].as_str()), ("replay_range", "the shop was down"));
    assert!(audit[0][2].starts_with("4 by {"), "{audit:?}");
    // One more than may be begun at once.
    gateway.send(&record("n4", "shop", "o4")).await;
    gateway.wait_for_state("n4", "ended", SOON).await;
    let (status, problem) = ask(json!({"outcome": null, "merchant": "shop", "dry_run": false})).await;
    assert_eq!((status, &problem["title"]), (422, &json!("too many")), "{problem}");
    assert_eq!(gateway.ask(Method::GET, "/v1/replays/none", "").await.0, 404);
    assert!(gateway.stop().success(), "{}", gateway.log());
    assert_eq!(merchant.requests().len(), 13, "a request too many");
}
