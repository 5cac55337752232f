//! `GET /v1/notifications/{id}/attempts/{number}`: what was sent and answered, without secrets.

use serde_json::{Value, json};

use crate::{Kind, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_shown_without_secrets_on_sqlite() {
    records(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_shown_without_secrets_on_postgres() {
    records(Kind::Postgres).await;
}

fn header<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    let headers = of["headers"].as_array().expect("a list");
    headers.iter().find(|header| header["name"] == name).map(|header| header["value"].as_str().expect("text"))
}

async fn records(kind: Kind) {
    let mut place = Place::start(kind).await;
    place.fill().await;
    let plain = place.found("/v1/notifications/n1/attempts/1").await;
    assert_eq!((&plain["notification_id"], &plain["merchant_id"]), (&"n1".into(), &"shop".into()));
    assert_eq!((&plain["number"], &plain["attempt"]["result"]), (&json!(1), &"confirmed".into()));
    let record = &plain["record"];
    assert!(record["request"]["url"].as_str().is_some_and(|url| url.ends_with("/confirm?***")), "{record}");
    assert_eq!((&record["reply"]["status"], &record["reply"]["body"]), (&json!(200), &"success".into()));
    assert_eq!((&record["reply"]["body_bytes"], &record["reply"]["body_cut"]), (&json!(7), &json!(false)));
    assert_eq!(record["verdict"]["kind"], "confirmed");
    assert_eq!((&record["plugin"]["name"], &record["fault"]), (&"plain".into(), &Value::Null));

    let refused = place.found("/v1/notifications/n5/attempts/1").await;
    let (request, reply) = (&refused["record"]["request"], &refused["record"]["reply"]);
    let sent =
        [request["url"].as_str().unwrap_or_default(), request["body"].as_str().unwrap_or_default()].concat();
    assert!(sent.contains("***"), "the signature is not shown: {request}");
    assert_eq!((reply["status"].as_u64(), header(reply, "set-cookie")), (Some(500), Some("***")));
    assert_eq!(header(reply, "location"), Some("https://shop.example/next?***"));
    assert_eq!(header(reply, "x-trace"), Some("t-1"));
    let body: Value = serde_json::from_str(reply["body"].as_str().expect("text")).expect("it is JSON still");
    assert_eq!(
        body,
        json!({
            "error": "signed: a=1&b=2 with ***",
            "request": {"authorization": "***", "payer": {"name": "***"}},
            "contact": "***",
            "remark": "****0123",
            "code": "FAIL-17",
        })
    );
    assert_eq!(refused["record"]["verdict"]["kind"], "retry");

    let again = place.found("/v1/notifications/n4/attempts/2").await;
    assert_eq!((&again["number"], &again["attempt"]["number"]), (&json!(2), &json!(2)));
    for path in [
        "n1/attempts/2",
        "n1/attempts/0",
        "n6/attempts/1",
        "none/attempts/1",
        "a.b/attempts/1",
        "n1/attempts/x",
        "n1/attempts/-1",
    ] {
        assert_eq!(place.get("read", &format!("/v1/notifications/{path}")).await.0, 404, "{path}");
    }
    // The story is as silent: `get` looks for the secrets.
    for id in ["n1", "n4", "n5", "n6"] {
        place.found(&format!("/v1/notifications/{id}")).await;
    }
    assert!(place.gateway.stop().success());
}
