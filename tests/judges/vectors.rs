//! The judges themselves: each accepts what its vendor has published (`tests/formats/vectors.json`), with the clock of that
//! time.

use std::fs;

use serde_json::{Value, json};

use super::judge::{Captured, Judge};
use super::{path, test_key};

fn vector(id: &str) -> Value {
    let text = fs::read_to_string(path("vectors.json")).expect("vectors");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    all.into_iter().find(|vector| vector["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn request(at: &Value, headers: &[(&str, &Value)], body: impl Into<Vec<u8>>) -> Captured {
    let at = at.as_str().map_or(0.0, |seconds| seconds.parse().expect("seconds"));
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), text(value).to_owned())).collect();
    Captured { at, headers, body: body.into() }
}

#[test]
fn standard_webhooks_and_v1a() {
    for (id, judge, secret) in
        [("sw-v1-a", "standardwebhooks", "secret"), ("sw-v1a-a", "standardwebhooks-v1a", "public_key")]
    {
        let vector = vector(id);
        let at = &vector["webhook_timestamp"];
        let headers = [
            ("webhook-id", &vector["webhook_id"]),
            ("webhook-timestamp", at),
            ("webhook-signature", &vector["expected"]),
        ];
        let mut judge = Judge::start(judge, json!({secret: vector[secret]}));
        judge.accepts(&request(at, &headers, text(&vector["body"])));
    }
}

#[test]
fn stripe() {
    let vector = vector("stripe-a");
    let body = fs::read(path(text(&vector["body_file"]))).expect("a body");
    let request = request(&vector["timestamp"], &[("stripe-signature", &vector["expected_header"])], body);
    Judge::start("stripe", json!({"secret": vector["secret"]})).accepts(&request);
}

#[test]
fn paddle() {
    let vector = vector("paddle-a");
    let headers = [("paddle-signature", &vector["expected_header"])];
    let request = request(&vector["ts"], &headers, text(&vector["body"]));
    Judge::start("paddle-python-sdk", json!({"secret": vector["secret"]})).accepts(&request);
}

#[test]
fn adyen() {
    let vectors = ["adyen-a", "adyen-backslash", "adyen-forwardslash"].map(vector);
    for vector in vectors {
        let body = match vector["item_file"].as_str() {
            Some(file) => fs::read_to_string(path(file)).expect("a body"),
            None => {
                let mut item = vector["item"].clone();
                item["additionalData"] = json!({"hmacSignature": vector["expected"]});
                json!({"notificationItems": [{"NotificationRequestItem": item}]}).to_string()
            }
        };
        let mut judge = Judge::start("adyen", json!({"hmac_key": vector["hmac_key_hex"]}));
        judge.accepts(&request(&Value::Null, &[], body));
    }
}

#[test]
fn alipay() {
    let vector = vector("alipay-real-trade-notify");
    let fields = vector["params"].as_object().expect("fields");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields.iter().map(|(name, value)| (name, text(value))));
    let request = request(&Value::Null, &[], form.finish());
    let public_key = text(&vector["alipay_public_key_der_b64"]);
    Judge::start("alipay-sdk-python", json!({"public_key": public_key})).accepts(&request);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{public_key}\n-----END PUBLIC KEY-----");
    let any = test_key("rsa-2048-other.pkcs8.pem");
    let keys = json!({"app_id": fields["app_id"], "public_key": pem, "any_private_key": any});
    Judge::start("python-alipay-sdk", keys).accepts(&request);
}

#[test]
fn wechat_v2() {
    let vector = vector("wechat-v2-official");
    let elements = vector["params"].as_object().expect("elements");
    let elements: String =
        elements.iter().map(|(name, value)| format!("<{name}>{}</{name}>", text(value))).collect();
    let body = format!("<xml>{elements}<sign>{}</sign></xml>", text(&vector["expected_md5"]));
    let keys = json!({"api_key": vector["key"], "app_id": "wxd930ea5d5a258f4f", "mch_id": "10000100"});
    Judge::start("wechatpy", keys).accepts(&request(&Value::Null, &[], body));
}

/// The vector's key has 16 bytes, and the SDK decrypts with AES-128 then.
#[test]
fn wechat_v3() {
    let vector = vector("wechat-v3-full-notify-go");
    let headers = vector["headers"].as_object().expect("headers");
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let signature_type = json!("WECHATPAY2-SHA256-RSA2048");
    headers.push(("Wechatpay-Signature-Type", &signature_type));
    let keys = json!({
        "certificate": fs::read_to_string(path(text(&vector["cert_file"]))).expect("a certificate"),
        "apiv3_key": vector["apiv3_key"],
        "mch_id": "1",
        "app_id": "1",
        "any_private_key": test_key("rsa-2048-other.pkcs8.pem"),
    });
    let request = request(&vector["headers"]["Wechatpay-Timestamp"], &headers, text(&vector["body"]));
    let got = Judge::start("wechatpayv3", keys).accepts(&request);
    let plain: Value = serde_json::from_str(text(&vector["plaintext"])).expect("JSON");
    assert_eq!(got["resource"], plain);
}
