//! Formats that sign a part of what they send, or nothing: Adyen's item, and CloudEvents.

use serde_json::{Value, json};

use super::judge::{Judge, altered};
use super::support::merchant::Answer;
use super::{RICH, key, record, told};

const TOKEN: &str = "a-token-that-both-sides-know";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adyen() {
    const HMAC_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    const ITEM: &str = "/notificationItems/0/NotificationRequestItem";
    let settings = "[settings]\nmerchant_account = \"Shop:\\\\:é\"\n";
    let hmac = format!("secret = \"{HMAC_KEY}\"\nencoding = \"hex\"");
    let file = format!("{settings}{}", key("signing", "hmac-sha256", &hmac));
    let mut capture = record();
    capture["kind"] = json!("capture");
    capture["original_payment_id"] = json!("7914073381342284");
    let accepted = Answer::Reply(200, Vec::new(), b"[accepted]".to_vec());
    let mut judge = Judge::start("adyen", json!({"hmac_key": HMAC_KEY}));
    for (record, code) in [(record(), "AUTHORISATION"), (capture, "CAPTURE")] {
        let requests = told("adyen", &file, &record, accepted.clone()).await;
        for request in &requests {
            let got = judge.accepts(request);
            let item = got.pointer(ITEM).expect("an item");
            assert_eq!((&item["eventCode"], &item["success"]), (&json!(code), &json!("true")));
            assert_eq!(item["additionalData"]["metadata.passthrough"], RICH);
            assert_eq!(item["amount"], json!({"value": 12_950, "currency": "CNY"}));
        }
        assert_eq!(requests[0].body, requests[1].body, "the format has no clock");
        let request = &requests[1];
        judge.refuses_with(&json!({"hmac_key": HMAC_KEY.replace("44", "45")}), request);
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut body = request.json();
            change(body.pointer_mut(ITEM).expect("an item"));
            request.with_body(body.to_string())
        };
        let texts = ["pspReference", "merchantAccountCode", "merchantReference", "eventCode", "success"];
        for name in texts.into_iter().chain((code == "CAPTURE").then_some("originalReference")) {
            let longer =
                |item: &mut Value| item[name] = json!(format!("{}0", item[name].as_str().expect(name)));
            judge.refuses(name, &changed(&longer));
            judge.refuses(name, &changed(&|item| item[name] = json!("")));
        }
        judge.refuses("another value", &changed(&|item| item["amount"]["value"] = json!(12_951)));
        judge.refuses("another currency", &changed(&|item| item["amount"]["currency"] = json!("CNH")));
        let signature = |item: &mut Value| {
            let own = item["additionalData"]["hmacSignature"].as_str().map(altered);
            item["additionalData"]["hmacSignature"] = json!(own.expect("text"));
        };
        judge.refuses("another signature", &changed(&signature));
        let none = |item: &mut Value| item["additionalData"]["hmacSignature"] = json!("");
        judge.refuses("an empty signature", &changed(&none));
        let gone = |item: &mut Value| drop(item.as_object_mut().expect("an item").remove("additionalData"));
        judge.refuses("no additional data", &changed(&gone));
    }
}

/// What the SDK makes of an event, whichever way it came.
fn expected() -> Value {
    json!({
        "specversion": "1.0",
        "id": "n-judged-1",
        "source": "/shops/shop",
        "type": "com.example.payment.succeeded",
        "subject": "订单 \"1001\" 100%",
        "time": "2026-11-22T17:30:01+00:00",
        "datacontenttype": "application/json",
    })
}

async fn cloudevents(mode: &str) -> (Judge, super::Captured) {
    let settings = format!(
        "authorization = \"Bearer {TOKEN}\"\n[settings]\nsource = \"/shops/shop\"\ntype_prefix = \"com.example.\"\n\
         mode = \"{mode}\"\n"
    );
    let mut record = record();
    record["merchant_order_id"] = json!("订单 \"1001\" 100%");
    let [first, second] = told("cloudevents", &settings, &record, Answer::Status(204)).await;
    let mut judge = Judge::start("cloudevents", json!({"token": TOKEN}));
    for request in [&first, &second] {
        let event = judge.accepts(request);
        assert_eq!(event["attributes"], expected());
        assert_eq!(event["data"]["subject"], RICH);
        assert_eq!(event["data"]["passthrough"], RICH);
    }
    judge.refuses_with(&json!({"token": "another"}), &second);
    judge.refuses("another token", &second.with_header("authorization", "Bearer another"));
    judge.refuses("no token", &second.without_header("authorization"));
    (judge, second)
}

/// The format has no signature: what can be refused is an event that is none. A missing `ce-id` this SDK makes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloudevents_in_binary_mode() {
    let (mut judge, request) = cloudevents("binary").await;
    for name in ["ce-source", "ce-type"] {
        judge.refuses(name, &request.without_header(name));
    }
    judge.refuses("another version", &request.with_header("ce-specversion", "2.0"));
    judge.refuses("no moment", &request.with_header("ce-time", "yesterday"));
    judge.refuses("no UTF-8", &request.with_body([&request.body[..], &[0xFF]].concat()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloudevents_in_structured_mode() {
    let (mut judge, request) = cloudevents("structured").await;
    for name in ["source", "type"] {
        let mut event = request.json();
        event.as_object_mut().expect("an event").remove(name).expect(name);
        judge.refuses(name, &request.with_body(event.to_string()));
    }
    let mut event = request.json();
    event["specversion"] = json!("2.0");
    judge.refuses("another version", &request.with_body(event.to_string()));
    judge.refuses("half a body", &request.with_body(&request.body[..request.body.len() / 2]));
}
