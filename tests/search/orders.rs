//! `GET /v1/orders/{merchant_order_id}`: a merchant asks what became of its order, and of no other's.

use crate::{Kind, Place, ids};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_is_told_of_its_own_orders_alone_on_sqlite() {
    own_orders(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_is_told_of_its_own_orders_alone_on_postgres() {
    own_orders(Kind::Postgres).await;
}

async fn own_orders(kind: Kind) {
    let mut place = Place::start(kind).await;
    place.fill().await;
    let (status, own) = place.get("shop", "/v1/orders/o1").await;
    assert_eq!((status, ids(&own)), (200, vec!["n2".to_owned(), "n1".to_owned()]), "{own}");
    assert_eq!((&own["merchant_id"], &own["merchant_order_id"]), (&"shop".into(), &"o1".into()));
    let says = own["notifications"][0]["says"].as_str().expect("a sentence");
    assert!(says.starts_with("It was confirmed at 2") && says.ends_with("with 1 attempt."), "{says}");
    assert_eq!(place.get("shop", "/v1/orders/o1?merchant=shop").await.1, own);
    assert_eq!(place.found("/v1/orders/o1?merchant=shop").await, own);
    let (_, others) = place.get("other", "/v1/orders/o1").await;
    assert_eq!(ids(&others), ["n4"], "the same number is another order of another merchant");
    let says = others["notifications"][0]["says"].as_str().expect("a sentence");
    assert!(says.starts_with("It was never confirmed: the last of 2 attempts"), "{says}");
    assert_eq!(ids(&place.get("shop", "/v1/orders/o%2F2%20%C3%BC").await.1), ["n3"]);
    let waiting = place.found("/v1/orders/o5?merchant=signed").await;
    let says = waiting["notifications"][0]["says"].as_str().expect("a sentence");
    assert!(says.starts_with("It is not confirmed yet, after 1 attempt; the next one is due at 2"), "{says}");
    let held = place.found("/v1/orders/o6?merchant=nobody").await;
    let says = held["notifications"][0]["says"].as_str().expect("a sentence");
    assert!(says.starts_with("It is held back, without an attempt"), "{says}");
    let page = place.get("shop", "/v1/orders/o1?limit=1").await.1;
    assert_eq!(ids(&page), ["n2"]);
    let next = page["next"].as_str().expect("there is more");
    let page = place.get("shop", &format!("/v1/orders/o1?limit=1&cursor={next}")).await.1;
    assert_eq!((ids(&page), page["next"].is_null()), (vec!["n1".to_owned()], true));
    what_is_not_ones_own_is_not_there(&place).await;
    assert!(place.gateway.stop().success());
}

async fn what_is_not_ones_own_is_not_there(place: &Place) {
    let asked = async |token: &str, path: &str| place.get(token, path).await;
    let as_if = |(status, body): (u16, serde_json::Value), from: &str, to: &str| {
        (status, body.to_string().replace(from, to))
    };
    let unknown = asked("other", "/v1/orders/none").await;
    assert_eq!(unknown.0, 404);
    let unknown = (404, unknown.1.to_string());
    // Another merchant's order, by its number, and by saying whose it is.
    for path in
        ["/v1/orders/o5", "/v1/orders/o6", "/v1/orders/o5?merchant=signed", "/v1/orders/o1?merchant=shop"]
    {
        let order = &path["/v1/orders/".len()..][..2];
        assert_eq!(as_if(asked("other", path).await, order, "none"), unknown, "{path}");
    }
    assert_eq!(as_if(asked("read", "/v1/orders/o5?merchant=shop").await, "o5", "none"), unknown);
    let story = as_if(asked("other", "/v1/notifications/n1").await, "n1", "nx");
    assert_eq!(story, as_if(asked("other", "/v1/notifications/nx").await, "", ""));
    for path in ["/v1/notifications", "/v1/notifications?merchant=shop", "/v1/notifications/n1/attempts/1"] {
        assert_eq!(asked("shop", path).await.0, 403, "{path} is not for merchants");
    }
    assert_eq!(asked("ingest", "/v1/orders/o1?merchant=shop").await.0, 403);
    for token in ["", "nobody"] {
        assert_eq!(asked(token, "/v1/orders/o1?merchant=shop").await.0, 401);
    }
    let (status, problem) = asked("read", "/v1/orders/o1").await;
    assert_eq!((status, &problem["field"]), (400, &"merchant".into()), "{problem}");
    for (path, field) in [("o1?order=o2", "order"), ("o1?merchant=a.b", "merchant"), ("o1?limit=x", "limit")]
    {
        let (status, problem) = asked("shop", &format!("/v1/orders/{path}")).await;
        assert_eq!((status, &problem["field"]), (400, &field.into()), "{problem}");
    }
    assert_eq!(asked("shop", "/v1/orders/%FF").await.0, 404);
}
