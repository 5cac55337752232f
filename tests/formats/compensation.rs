//! Compensation: a payment channel is asked for an order until its answer is final, and the payment centre is told that
//! answer.

use serde_json::json;

use super::all::file;
use super::support::gateway::{Gateway, record};
use super::support::merchant::{Answer, StubMerchant, in_turn};
use super::support::rabbit::Rabbit;
use super::verify::alipay_query;

fn answer(status: &str) -> Answer {
    let text = json!({"alipay_trade_query_response": {"code": "10000", "msg": "Success", "out_trade_no": "o1", "trade_status": status}});
    Answer::Reply(200, vec![("content-type", "application/json".to_owned())], text.to_string().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_payment_centre_is_told_the_channels_final_status() {
    let mut rabbit = Rabbit::start().await;
    let trouble = Answer::Status(502);
    let channel =
        StubMerchant::start(in_turn([answer("WAIT_BUYER_PAY"), trouble, answer("TRADE_CLOSED")])).await;
    let mut gateway = Gateway::new(rabbit.store(), "");
    let plugin = xtask::guests::built("alipay-query").expect("`cargo xtask plugins` has been run");
    std::fs::copy(plugin, gateway.folder().join("plugins/alipay-query.wasm")).expect("copied");
    std::fs::write(gateway.folder().join("merchants/key.pem"), file("keys/test-rsa-2048.pkcs8.pem"))
        .expect("written");
    let text = format!(
        "url = \"{}\"\nplugin = \"alipay-query\"\nladder = [\"300ms\", \"300ms\"]\n[settings]\napp_id = \"2021\"\n\
         [[keys]]\nrole = \"signing\"\nalgorithm = \"rsa-pkcs1v15-sha256\"\nsecret = \"file:key.pem\"\n",
        channel.url("/gateway.do")
    );
    std::fs::write(gateway.folder().join("merchants/alipay.toml"), text).expect("written");
    gateway.start();
    gateway.ready().await;
    rabbit.outside.collect_outcomes().await;
    rabbit.send(&record("q1", "alipay", "o1")).await;
    let (routing_key, event) = rabbit.next_event().await;
    assert_eq!(routing_key, "confirmed.alipay");
    assert_eq!((&event["detail"], &event["attempts"]), (&json!("TRADE_CLOSED"), &json!(3)));
    assert!(gateway.stop().success());
    let requests = channel.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        let (_, query) = request.path_and_query.split_once('?').unwrap_or_default();
        alipay_query(query.as_bytes(), &request.body).expect("signed");
    }
}
