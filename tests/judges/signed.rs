//! Formats that sign the whole body, in a header.

use serde_json::json;

use super::judge::{Judge, altered, next_second};
use super::support::merchant::Answer;
use super::{OLD_WHSEC, RICH, WHSEC, key, record, test_key, test_key_file, told};

/// The key of the published vector `sw-v1a-a`.
const WHSK: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const WHPK: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_webhooks_v1_and_v1a_with_an_old_key_beside_the_new_one() {
    let keys = [
        key("signing", "hmac-sha256", &format!("name = \"new\"\nsecret = \"{WHSEC}\"\nencoding = \"whsec\"")),
        key(
            "signing",
            "hmac-sha256",
            &format!("name = \"old\"\nsecret = \"{OLD_WHSEC}\"\nencoding = \"whsec\""),
        ),
        key("signing", "ed25519", &format!("name = \"public\"\nsecret = \"{WHSK}\"")),
    ];
    let requests = told("standard-webhooks", &keys.concat(), &record(), Answer::Status(204)).await;
    let mut symmetric = Judge::start("standardwebhooks", json!({"secret": WHSEC}));
    let mut asymmetric = Judge::start("standardwebhooks-v1a", json!({"public_key": WHPK}));
    for request in &requests {
        let body = symmetric.accepts(request);
        assert_eq!(body["data"]["subject"], RICH);
        assert_eq!(body["data"]["amount"]["minor"], 12_950);
        symmetric
            .ask_with(request, &json!({"secret": OLD_WHSEC}))
            .expect("the old key is known to receivers");
        assert_eq!(asymmetric.accepts(request), body);
    }
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    let request = &requests[1];
    let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    symmetric.refuses_with(&json!({"secret": other}), request);
    asymmetric
        .refuses_with(&json!({"public_key": "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}), request);
    let signatures: Vec<&str> = request.header("webhook-signature").split(' ').collect();
    let altered: Vec<String> = signatures.iter().map(|signature| altered(signature)).collect();
    assert_eq!(altered.len(), 3);
    for judge in [&mut symmetric, &mut asymmetric] {
        judge.refuses_any_other_body(request);
        judge.refuses("other signatures", &request.with_header("webhook-signature", &altered.join(" ")));
        let timestamp = next_second(request.header("webhook-timestamp"));
        judge.refuses("another timestamp", &request.with_header("webhook-timestamp", &timestamp));
        judge.refuses("another id", &request.with_header("webhook-id", "n-judged-2"));
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            judge.refuses(name, &request.without_header(name));
        }
        judge.refuses("ten minutes", &request.later(600.0));
        judge.refuses("ten minutes", &request.later(-600.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_with_an_old_secret_beside_the_new_one() {
    let secret = |name: &str, text: &str| {
        key("signing", "hmac-sha256", &format!("name = \"{name}\"\nsecret = \"{text}\"\nencoding = \"raw\""))
    };
    let keys = secret("new", WHSEC) + &secret("old", OLD_WHSEC);
    let requests = told("stripe", &keys, &record(), Answer::Status(200)).await;
    let mut judge = Judge::start("stripe", json!({"secret": WHSEC}));
    for request in &requests {
        let event = judge.accepts(request);
        assert_eq!((&event["type"], &event["object"]), (&json!("payment_intent.succeeded"), &json!("event")));
        let object = &event["data"]["object"];
        assert_eq!((&object["amount"], &object["currency"]), (&json!(12_950), &json!("cny")));
        assert_eq!(object["metadata"]["passthrough"], RICH);
        judge.ask_with(request, &json!({"secret": OLD_WHSEC})).expect("the old secret is known to receivers");
    }
    assert_eq!(requests[0].json()["id"], requests[1].json()["id"]);
    let request = &requests[1];
    judge.refuses_with(&json!({"secret": "whsec_other"}), request);
    judge.refuses_any_other_body(request);
    judge.refuses("no signature", &request.without_header("stripe-signature"));
    let header = request.header("stripe-signature");
    let parts: Vec<&str> = header.split(',').collect();
    let [time, new, old] = parts[..] else { panic!("{header}") };
    let seconds = time.strip_prefix("t=").expect("the time is first");
    let later = format!("t={},{new},{old}", next_second(seconds));
    judge.refuses("another timestamp", &request.with_header("stripe-signature", &later));
    let other = format!("{time},{},{}", altered(new), altered(old));
    judge.refuses("other signatures", &request.with_header("stripe-signature", &other));
    judge.refuses("ten minutes", &request.later(600.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paddle() {
    const SECRET: &str = "pdl_ntfset_01jd0000000000000000000000_abcdefghijklmnopqrstuvwxyz";
    let keys = key("signing", "hmac-sha256", &format!("secret = \"{SECRET}\"\nencoding = \"raw\""));
    let requests = told("paddle", &keys, &record(), Answer::Status(200)).await;
    let mut judge = Judge::start("paddle-python-sdk", json!({"secret": SECRET}));
    for request in &requests {
        let event = judge.accepts(request);
        assert_eq!(event["event_type"], "transaction.completed");
        assert_eq!(event["data"]["custom_data"]["passthrough"], RICH);
    }
    assert_eq!(requests[0].json()["event_id"], requests[1].json()["event_id"]);
    let request = &requests[1];
    judge.refuses_with(&json!({"secret": "pdl_ntfset_other"}), request);
    judge.refuses_any_other_body(request);
    judge.refuses("no signature", &request.without_header("paddle-signature"));
    let header = request.header("paddle-signature");
    let (time, signature) = header.split_once(';').expect("two parts");
    let seconds = time.strip_prefix("ts=").expect("the time is first");
    let later = format!("ts={};{signature}", next_second(seconds));
    judge.refuses("another timestamp", &request.with_header("paddle-signature", &later));
    judge.refuses("another signature", &request.with_header("paddle-signature", &altered(header)));
    // Its tolerance is five seconds.
    judge.refuses("ten seconds", &request.later(10.0));
    judge.refuses("ten seconds", &request.later(-10.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_v3_with_a_certificate() {
    let certificate = format!("certificate = \"{}\"", test_key_file("rsa-2048.certificate.pem"));
    let known = json!({"certificate": test_key("rsa-2048.certificate.pem")});
    let other = json!({"certificate": test_key("rsa-2048-other.certificate.pem")});
    wechat_v3(&certificate, known, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_v3_with_a_public_key() {
    const ID: &str = "PUB_KEY_ID_0114232134912410000000000000";
    let known = json!({"public_key": test_key("rsa-2048.public.pem"), "public_key_id": ID});
    // Not of this kind, so that nothing is right.
    let other = json!({"certificate": test_key("rsa-2048-other.certificate.pem")});
    wechat_v3(&format!("id = \"{ID}\""), known, other).await;
}

async fn wechat_v3(signing: &str, known: serde_json::Value, other: serde_json::Value) {
    let settings = "[settings]\nappid = \"wxd678efh567hg6787\"\nmchid = \"1230000109\"\n";
    let rsa = format!("secret = \"{}\"\n{signing}", test_key_file("rsa-2048.pkcs8.pem"));
    let keys = key("signing", "rsa-pkcs1v15-sha256", &rsa)
        + &key("api-v3-key", "aes-256-gcm", &format!("secret = \"{API_V3_KEY}\""));
    let requests = told("wechat-v3", &format!("{settings}{keys}"), &record(), Answer::Status(204)).await;
    let with = |mut keys: serde_json::Value, api_v3_key: &str| {
        keys["apiv3_key"] = json!(api_v3_key);
        keys["mch_id"] = json!("1230000109");
        keys["app_id"] = json!("wxd678efh567hg6787");
        keys["any_private_key"] = json!(test_key("rsa-2048-other.pkcs8.pem"));
        keys
    };
    let mut judge = Judge::start("wechatpayv3", with(known.clone(), API_V3_KEY));
    for request in &requests {
        let got = judge.accepts(request);
        assert_eq!((&got["event_type"], &got["id"]), (&json!("TRANSACTION.SUCCESS"), &json!("n-judged-1")));
        let plain = json!({
            "mchid": "1230000109",
            "appid": "wxd678efh567hg6787",
            "out_trade_no": "order-1001",
            "transaction_id": "2026112222001468450512505578",
            "trade_type": "NATIVE",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "CMC",
            "attach": RICH,
            "success_time": "2026-11-23T01:30:01+08:00",
            "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
            "amount": {"total": 12_950, "payer_total": 12_000, "currency": "CNY", "payer_currency": "CNY"},
        });
        assert_eq!(got["resource"], plain);
    }
    let request = &requests[1];
    judge.refuses_with(&with(other, API_V3_KEY), request);
    judge.refuses_with(&with(known, "00000000000000000000000000000000"), request);
    judge.refuses_any_other_body(request);
    let signature = altered(request.header("wechatpay-signature"));
    judge.refuses("another signature", &request.with_header("wechatpay-signature", &signature));
    let timestamp = next_second(request.header("wechatpay-timestamp"));
    judge.refuses("another timestamp", &request.with_header("wechatpay-timestamp", &timestamp));
    judge.refuses("another nonce", &request.with_header("wechatpay-nonce", "0123456789ABCDEF"));
    judge.refuses("a certificate that it does not know", &request.with_header("wechatpay-serial", "ABCDEF"));
    for name in ["timestamp", "nonce", "signature", "signature-type"] {
        judge.refuses(name, &request.without_header(&format!("wechatpay-{name}")));
    }
}
