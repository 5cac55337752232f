//! The merchants, the ladder and the holds, as they are shown.

use http::Method;
use serde_json::{Value, json};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};
use crate::{get, order};

/// Everything that is shown, with the moments replaced by what they stand for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_shown_where_it_waits() {
    let refusing = StubMerchant::start(always(Answer::Refuse)).await;
    let mut gateway = Gateway::new(Store::Embedded, "[delivery]\nladder = [\"1h\", \"2h\"]");
    gateway.merchant("shop", &refusing.url("/notify?key=s3cret"), "");
    gateway.merchant("other", &refusing.url("/"), "ladder = [\"30m\"]");
    gateway.start();
    gateway.ready().await;
    for (id, merchant) in [("n1", "shop"), ("n2", "shop"), ("n3", "other"), ("n4", "nobody")] {
        gateway.send(&record(id, merchant, id)).await;
    }
    for id in ["n1", "n2", "n3"] {
        gateway.wait_for_state(id, "waiting", SOON).await;
    }
    let held = gateway.wait_for_state("n4", "held", SOON).await;
    let shown = async || {
        let mut ladder = get(&gateway, "/v1/ladder").await;
        for rung in ladder["rungs"].as_array_mut().expect("rungs") {
            for name in ["next_due", "oldest"] {
                if rung[name].is_string() {
                    rung[name] = json!("a moment");
                }
            }
        }
        ladder["counted_at"].take();
        ladder
    };
    let rung = |delay_ms: u64, waiting: u64| {
        let moment = if waiting > 0 { json!("a moment") } else { Value::Null };
        json!({"delay_ms": delay_ms, "waiting": waiting, "next_due": moment, "oldest": moment})
    };
    let expected = json!({
        "counted_at": null,
        "work_queue": {"waiting": 0, "next_due": null, "oldest": null},
        "slow_lane": {"merchants": 0, "waiting": 0},
        "rungs": [rung(1_800_000, 1), rung(3_600_000, 2), rung(7_200_000, 0)],
        "held": [{"cause": "unknown_merchant", "count": 1, "oldest": held["since"]}],
        "ended_24h": {"stopped": 0, "exhausted": 0, "abandoned": 0},
        "poison": {"messages": 0},
    });
    until("what is counted is up to date", async || shown().await["rungs"] == expected["rungs"]).await;
    assert_eq!(shown().await, expected);
    let holds = get(&gateway, "/v1/holds").await;
    let hold =
        json!({"cause": "unknown_merchant", "merchant_id": "nobody", "count": 1, "since": held["since"]});
    assert_eq!(holds, json!({"holds": [hold], "next": null}));

    let mut merchants = get(&gateway, "/v1/merchants").await;
    let hash = merchants["merchants"][0]["plugin"]["hash"].take();
    assert_eq!(hash.as_str().map(str::len), Some(16));
    merchants["merchants"][1]["plugin"]["hash"].take();
    let version = get(&gateway, "/v1/plugins").await["plugins"][0]["version"].clone();
    let merchant = |id: &str, path: &str, ladder: &[u64], waiting: u64| {
        json!({
            "merchant_id": id, "plugin": {"name": "plain", "version": version, "hash": null},
            "url": refusing.url(path), "lane": "main", "paused": null, "endpoint": "up", "in_flight": 0,
            "ladder_ms": ladder, "waiting": waiting, "held": 0,
        })
    };
    let rows =
        [merchant("other", "/", &[1_800_000], 1), merchant("shop", "/notify", &[3_600_000, 7_200_000], 2)];
    assert_eq!(merchants, json!({"merchants": rows, "total": 2, "next": null}));
    merchants_are_found_by_their_ids_and_by_how_it_stands(&gateway).await;
    let first = get(&gateway, "/v1/merchants?limit=1").await;
    assert_eq!(first["merchants"][0]["merchant_id"], "other");
    let next = first["next"].as_str().expect("there is another");
    let second = get(&gateway, &format!("/v1/merchants?limit=1&cursor={next}")).await;
    assert_eq!((&second["merchants"][0]["merchant_id"], &second["next"]), (&json!("shop"), &Value::Null));
    let (status, problem) = gateway.ask(Method::GET, "/v1/merchants?page=2", "").await;
    assert_eq!((status, &problem["field"]), (400, &json!("page")));
    assert_eq!(gateway.ask(Method::GET, "/v1/merchants/nobody", "").await.0, 404);
    assert!(gateway.stop().success());
    assert_eq!(refusing.requests().len(), 3, "a request too many");
}

async fn merchants_are_found_by_their_ids_and_by_how_it_stands(gateway: &Gateway) {
    let ids = async |query: &str| {
        let answer = get(gateway, &format!("/v1/merchants?{query}")).await;
        let rows = answer["merchants"].as_array().expect("merchants").iter();
        let ids: Vec<_> = rows.map(|row| row["merchant_id"].as_str().expect("an id").to_owned()).collect();
        (ids, answer["total"].as_u64().expect("a total"))
    };
    let found = |ids: &[&str], total: u64| (ids.iter().map(|id| (*id).to_owned()).collect(), total);
    assert_eq!(ids("like=HO").await, found(&["shop"], 1));
    assert_eq!(ids("like=h&limit=1").await, found(&["other"], 2));
    assert_eq!(ids("like=nobody").await, found(&[], 0));
    assert_eq!(ids("is=paused").await, found(&[], 0));
    let paused = order(gateway, "/v1/merchants/shop/pause", "to see it").await;
    assert_eq!(paused.0, 200, "{}", paused.1);
    assert_eq!(ids("is=paused").await, found(&["shop"], 1));
    assert_eq!(ids("is=paused&like=other").await, found(&[], 0));
    assert_eq!(ids("is=down").await, found(&[], 0));
    assert_eq!(order(gateway, "/v1/merchants/shop/resume", "seen").await.0, 200);
    let (status, problem) = gateway.ask(Method::GET, "/v1/merchants?is=up", "").await;
    assert_eq!((status, &problem["field"]), (400, &json!("is")));
}
