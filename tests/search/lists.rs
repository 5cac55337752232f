//! `GET /v1/notifications`: conditions, pages, and what is refused.

use serde_json::Value;

use crate::{Kind, Place, ids};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_has_those_for_which_all_conditions_hold_on_sqlite() {
    conditions(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_has_those_for_which_all_conditions_hold_on_postgres() {
    conditions(Kind::Postgres).await;
}

async fn conditions(kind: Kind) {
    let mut place = Place::start(kind).await;
    assert_eq!(
        place.found("/v1/notifications").await,
        serde_json::json!({"notifications": [], "next": null})
    );
    place.fill().await;
    let all = place.found("/v1/notifications").await;
    assert_eq!(ids(&all), ["n6", "n5", "n4", "n3", "n2", "n1"]);
    assert_eq!(all["next"], Value::Null);
    rows_say_what_they_are(&all);
    for (conditions, expected) in [
        ("merchant=shop", vec!["n3", "n2", "n1"]),
        ("merchant=none", vec![]),
        ("order=o1", vec!["n4", "n2", "n1"]),
        ("order=o%2F2+%C3%BC", vec!["n3"]),
        ("order=o1%27+OR+1%3D1--", vec![]),
        ("order=o1&merchant=other", vec!["n4"]),
        ("state=ended", vec!["n4", "n3", "n2", "n1"]),
        ("state=waiting", vec!["n5"]),
        ("state=held", vec!["n6"]),
        ("state=received", vec![]),
        ("state=accepted", vec![]),
        ("outcome=confirmed", vec!["n3", "n2", "n1"]),
        ("outcome=exhausted", vec!["n4"]),
        ("outcome=stopped", vec![]),
        ("outcome=abandoned", vec![]),
        ("undelivered=true", vec!["n6", "n5", "n4"]),
        ("undelivered=false&merchant=other", vec!["n4"]),
        ("undelivered=true&merchant=shop", vec![]),
        ("undelivered=true&state=ended", vec!["n4"]),
        ("undelivered=true&outcome=confirmed", vec![]),
        ("undelivered=true&order=o1", vec!["n4"]),
        ("since=2020-01-01T00:00:00Z&until=2999-01-01T08:00:00%2B08:00&state=held", vec!["n6"]),
        ("until=2020-01-01T00:00:00Z", vec![]),
        ("since=2999-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(
            ids(&place.found(&format!("/v1/notifications?{conditions}")).await),
            expected,
            "{conditions}"
        );
        assert_eq!(pages(&place, conditions, 1).await, expected, "{conditions}, one by one");
    }
    by_time(&place, &all).await;
    cursors(&place).await;
    wrong_parameters(&place).await;
    assert!(place.gateway.stop().success());
}

fn rows_say_what_they_are(all: &Value) {
    let rows = all["notifications"].as_array().expect("a list");
    let row = |id: &str| rows.iter().find(|row| row["notification_id"] == id).expect("it is there");
    for (id, merchant, order, state, attempts) in [
        ("n1", "shop", "o1", "ended", 1),
        ("n4", "other", "o1", "ended", 2),
        ("n5", "signed", "o5", "waiting", 1),
        ("n6", "nobody", "o6", "held", 0),
    ] {
        let row = row(id);
        assert_eq!(row["merchant_id"], merchant, "{row}");
        assert_eq!(row["merchant_order_id"], order, "{row}");
        assert_eq!(row["state"], state, "{row}");
        assert_eq!(row["attempts_made"], attempts, "{row}");
        assert!(row["first_seen"].is_string() && row["updated_at"].is_string(), "{row}");
    }
    assert_eq!(row("n1")["outcome"], "confirmed");
}

/// `since` is when it begins, and `until` is when it is over.
async fn by_time(place: &Place, all: &Value) {
    let rows = all["notifications"].as_array().expect("a list");
    let seen = |row: &Value| row["first_seen"].as_str().expect("a moment").to_owned();
    for row in rows {
        let moment = seen(row);
        let part = |holds: &dyn Fn(&str) -> bool| -> Vec<String> {
            let rows = rows.iter().filter(|row| holds(&seen(row)));
            rows.map(|row| row["notification_id"].as_str().expect("an id").to_owned()).collect()
        };
        let found = ids(&place.found(&format!("/v1/notifications?since={moment}")).await);
        assert_eq!(found, part(&|other| other >= moment.as_str()));
        let found = ids(&place.found(&format!("/v1/notifications?until={moment}")).await);
        assert_eq!(found, part(&|other| other < moment.as_str()));
    }
}

/// The whole list, page by page.
async fn pages(place: &Place, conditions: &str, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = place.found(&format!("/v1/notifications?{conditions}&limit={limit}{cursor}")).await;
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        assert_eq!(ids(&page).len(), limit, "a page that is not the last is full");
    }
}

async fn cursors(place: &Place) {
    for limit in 1..=6 {
        assert_eq!(pages(place, "", limit).await, ["n6", "n5", "n4", "n3", "n2", "n1"], "{limit} at a time");
    }
    let first = place.found("/v1/notifications?limit=2").await;
    let cursor = first["next"].as_str().expect("there is more");
    let other_limit = place.found(&format!("/v1/notifications?limit=3&cursor={cursor}")).await;
    assert_eq!(ids(&other_limit), ["n4", "n3", "n2"]);
    for other in ["merchant=shop", "undelivered=true", "since=2020-01-01T00:00:00Z", "order=o1"] {
        refused(place, &format!("{other}&cursor={cursor}"), "cursor").await;
    }
}

async fn refused(place: &Place, query: &str, field: &str) {
    let (status, problem) = place.get("read", &format!("/v1/notifications?{query}")).await;
    assert_eq!((status, &problem["field"]), (400, &field.into()), "{query}: {problem}");
    assert_eq!(problem["status"], 400);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(field)), "{problem}");
}

async fn wrong_parameters(place: &Place) {
    for (query, field) in [
        ("merchants=shop", "merchants"),
        ("%3Cscript%3E=1", "<script>"),
        ("", "limit"),
        ("merchant=shop&merchant=other", "merchant"),
        ("merchant=a.b", "merchant"),
        ("merchant=", "merchant"),
        ("state=gone", "state"),
        ("state=Ended", "state"),
        ("outcome=lost", "outcome"),
        ("undelivered=yes", "undelivered"),
        ("undelivered", "undelivered"),
        ("since=yesterday", "since"),
        ("until=2026-01-31", "until"),
        ("since=2026-01-31T08:00:00+08:00", "since"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cursor"),
    ] {
        // An empty query is none that is wrong.
        if !query.is_empty() {
            refused(place, query, field).await;
        }
    }
    let nobody = place.get("", "/v1/notifications?nonsense=1").await;
    assert_eq!(nobody.0, 401, "whoever is not let in is not told what there is: {nobody:?}");
}
