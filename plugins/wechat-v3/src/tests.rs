//! Records in, exact requests out; replies in, verdicts out; and records of every sort.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;
use paynotify_plugin::arbitrary;
use paynotify_plugin::real_crypto::RealCrypto;
use paynotify_plugin::sign::Crypto;
use paynotify_plugin::testing::{
    FakeCrypto, NOW, assert_judged, assert_schema_agrees, attempt, cny, endpoint, notification, response,
};
use paynotify_plugin::{
    Attempt, Channel, CryptoError, Endpoint, KeyBinding, KeyInfo, Money, Part, Payer, PaymentStatus,
    check_settings, format, judge,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const URL: &str = "https://shop.test/notify";
const SETTINGS: &str = r#"{"appid":"wx-app","mchid":"1900000109"}"#;
const HEEDING: &str = r#"{"appid":"wx-app","mchid":"1900000109","heed_code":true}"#;

fn shop(settings: &str) -> Endpoint {
    endpoint(URL, settings, &[SIGNING, API_V3_KEY])
}

fn paid() -> Notification {
    Notification { completed_at: Some(NOW), ..notification() }
}

/// A payment with all that the format can tell.
fn full() -> Notification {
    Notification {
        status: Some(PaymentStatus::Finished),
        amount: Some(cny(i64::MAX)),
        payer_amount: Some(cny(90)),
        payer: Some(Payer {
            id: None,
            openid: Some("o-1".to_owned()),
            logon_masked: None,
            name_masked: None,
        }),
        channel: Some(Channel {
            code: "wechat".to_owned(),
            trade_type: Some("JSAPI".to_owned()),
            bank_type: None,
            funding: None,
            channel_transaction_id: None,
        }),
        passthrough: Some(" \"a\\b\"\r\n😀".to_owned()),
        extra: vec![
            ("device_id".to_owned(), "\"013467007045764\"".to_owned()),
            ("promotion_detail".to_owned(), "[ {\"coupon_id\": \"109519\", \"amount\": 10} ]".to_owned()),
        ],
        ..paid()
    }
}

/// Shows what is signed, and seals by turning every byte's bits over, so that a test can open it.
struct Openable;

impl Crypto for Openable {
    fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        FakeCrypto.sign(key, algorithm, message)
    }

    fn seal(
        &self,
        key: &str,
        nonce: &[u8],
        additional: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        FakeCrypto.seal(key, nonce, additional, b"")?;
        Ok(plaintext.iter().map(|byte| !byte).collect())
    }

    fn describe(&self, _: &str) -> Result<KeyInfo, CryptoError> {
        Ok(KeyInfo { id: "7132D72A".to_owned(), certificate_pem: None, public_key: None })
    }
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let field = request.headers.iter().find(|header| header.name == name).expect("there");
    std::str::from_utf8(&field.value).expect("text")
}

/// The sealed resource, opened.
fn opened(request: &HttpRequest) -> String {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let sealed = decoded(body["resource"]["ciphertext"].as_str().expect("a text"));
    String::from_utf8(sealed.iter().map(|byte| !byte).collect()).expect("UTF-8")
}

fn resource(notification: &Notification, settings: &str) -> Result<String, PluginError> {
    let request = format::<WechatV3>(notification, &shop(settings), &attempt(), &Openable)?;
    arbitrary::assert_sendable(&request, URL);
    Ok(opened(&request))
}

#[test]
fn the_request_is_exact() {
    let request = format::<WechatV3>(&paid(), &shop(SETTINGS), &attempt(), &FakeCrypto).expect("formats");
    let resource = r#"{"mchid":"1900000109","appid":"wx-app","out_trade_no":"order-1","transaction_id":"pay-1","trade_state":"SUCCESS","trade_state_desc":"支付成功","success_time":"2018-11-09T15:36:17+08:00","amount":{"total":1,"payer_total":1,"currency":"CNY","payer_currency":"CNY"}}"#;
    let sealed = STANDARD.encode(format!("seal(api-v3-key-key, ABCDEFGHIJKL, transaction, {resource})"));
    let body = format!(
        r#"{{"id":"n-1","create_time":"2018-11-09T15:36:17+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"{sealed}","associated_data":"transaction","nonce":"ABCDEFGHIJKL"}}}}"#
    );
    assert_eq!(String::from_utf8(request.body.clone()).expect("UTF-8"), body);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    let nonce = "0C0D0E0F101112131415161718191A1B";
    let signed = format!("rsa-pkcs1v15-sha256(signing-key, 1541748977\n{nonce}\n{body}\n)");
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| (header.name.as_str(), String::from_utf8_lossy(&header.value)))
        .collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/json".into()),
            ("Wechatpay-Timestamp", "1541748977".into()),
            ("Wechatpay-Nonce", nonce.into()),
            ("Wechatpay-Signature", STANDARD.encode(signed).into()),
            ("Wechatpay-Serial", "SIGNING-KEY".into()),
            ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048".into()),
            ("Request-ID", "n-1-1".into()),
        ]
    );
}

#[test]
fn everything_that_the_format_can_tell_is_told() {
    let settings =
        r#"{"appid":"wx-app","mchid":"1","bank_type":"OTHERS","trade_type":"APP","associated_data":""}"#;
    let told: Value = serde_json::from_str(&resource(&full(), settings).expect("formats")).expect("JSON");
    let expected = serde_json::json!({
        "mchid": "1", "appid": "wx-app", "out_trade_no": "order-1", "transaction_id": "pay-1", "trade_type": "JSAPI",
        "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": " \"a\\b\"\r\n😀",
        "success_time": "2018-11-09T15:36:17+08:00", "payer": {"openid": "o-1"},
        "amount": {"total": i64::MAX, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY"},
        "scene_info": {"device_id": "013467007045764"},
        "promotion_detail": [{"coupon_id": "109519", "amount": 10}],
    });
    assert_eq!(told, expected);
}

#[test]
fn each_attempt_is_signed_and_sealed_anew_under_one_id() {
    let of = |number, now, entropy| {
        let attempt = Attempt { number, now, entropy: vec![entropy; 32] };
        let request = format::<WechatV3>(&paid(), &shop(SETTINGS), &attempt, &Openable).expect("formats");
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let same = (body["id"].clone(), body["create_time"].clone(), opened(&request));
        let names = ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Request-ID"];
        (same, names.map(|name| header(&request, name).to_owned()), body["resource"]["nonce"].clone())
    };
    let (first, second) = (of(1, 1_000, 1), of(2, 2_000, 2));
    assert_eq!(first, of(1, 1_000, 1));
    assert_eq!(first.0, second.0);
    assert!(first.1.iter().zip(&second.1).all(|(first, second)| first != second));
    assert_ne!(first.2, second.2);
    let starved = Attempt { number: 1, now: 0, entropy: vec![0; 11] };
    assert!(matches!(
        format::<WechatV3>(&paid(), &shop(SETTINGS), &starved, &Openable),
        Err(PluginError::Other(_))
    ));
}

#[test]
fn the_newest_key_of_each_role_is_used() {
    let binding = |role: &str, name: &str| KeyBinding { role: role.to_owned(), name: name.to_owned() };
    let keys = vec![
        binding(API_V3_KEY, "seal-new"),
        binding(SIGNING, "sign-new"),
        binding(SIGNING, "sign-old"),
        binding(API_V3_KEY, "seal-old"),
    ];
    let rotating = Endpoint { keys, ..shop(SETTINGS) };
    let request = format::<WechatV3>(&paid(), &rotating, &attempt(), &FakeCrypto).expect("formats");
    assert_eq!(header(&request, "Wechatpay-Serial"), "SIGN-NEW");
    assert!(decoded(header(&request, "Wechatpay-Signature")).starts_with(b"rsa-pkcs1v15-sha256(sign-new, "));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert!(
        decoded(body["resource"]["ciphertext"].as_str().expect("a text")).starts_with(b"seal(seal-new, ")
    );
    for missing in [SIGNING, API_V3_KEY] {
        let roles = [SIGNING, API_V3_KEY].into_iter().filter(|role| *role != missing).collect::<Vec<_>>();
        let error = format::<WechatV3>(&paid(), &endpoint(URL, SETTINGS, &roles), &attempt(), &FakeCrypto);
        let text = format!("{missing}: the merchant's file gives no key to this role");
        assert_eq!(error, Err(PluginError::UnusableKey(text)));
    }
}

fn vector(id: &str) -> Value {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/formats/vectors.json")).expect("vectors");
    vectors.into_iter().find(|vector| vector["id"] == id).expect("the vector")
}

/// The official Java SDK's test of its cipher. The other two sealing vectors have a nonce of 16 bytes, which the vendor's
/// notifications never have and the contract refuses.
#[test]
fn the_official_sealing_is_reproduced() {
    let vector = vector("wechat-v3-gcm-a");
    let text = |name: &str| vector[name].as_str().expect("a text");
    let sealed = RealCrypto::new()
        .raw("k", text("apiv3_key"))
        .seal("k", text("nonce").as_bytes(), text("associated_data").as_bytes(), text("plaintext").as_bytes())
        .expect("seals");
    assert_eq!(STANDARD.encode(sealed), text("expected_ciphertext_b64"));
    let other = vector_of_16_byte_nonce();
    assert_eq!(
        RealCrypto::new().hex("k", &"00".repeat(32)).seal("k", other.as_bytes(), b"", b""),
        Err(CryptoError::BadInput)
    );
}

fn vector_of_16_byte_nonce() -> String {
    vector("wechat-v3-gcm-b(16-byte iv)")["nonce"].as_str().expect("a text").to_owned()
}

/// The modulus of the key in `tests/formats/wechat_go_platform_certificate.pem`; its exponent is 65537.
const MODULUS: &str = "D9509377DD5F9D49FBDD7CBD0CBBEDFD5EB64D5C514C412CB5575E45A67707795E3B4A65744F34EA65CEE11C1D1D76A0\
    1D0E2F19E64DD32AA6FBEAC3B062BE537007EE47A3C83DA95EC84D3FD0AAE58C1BA6D88B1AD8DCAAEC381CDC494143A6\
    0DE25FDAF83A6F29ACF51522A62AB84B36C92AA245954A5BB883C3A52A56CF5D0F626C8235E0C65142BAE44E61D81F37\
    E2EC65D7334B6100AB91D0736FCA14C7061E3F96B60CDC668CBE65B0930BEC31ABE739EC7AF9E8A864704E6F5FC4219F\
    CBCC2EB3B8702B3E9C96DDD686699D6BB50075BD5CD3C8444055516C5D78011EF7C5B9DDF0DD286C25893C26F3302B64\
    69279FE05744120117262C34540253F3";

/// The official Go SDK's test of a whole notification: the signature is over exactly the text that is signed here.
#[test]
fn the_official_notification_verifies_over_the_same_text() {
    let vector = vector("wechat-v3-full-notify-go");
    let text = |name: &str| vector["headers"][name].as_str().expect("a text");
    let timestamp = text("Wechatpay-Timestamp").parse().expect("a number");
    let body = vector["body"].as_str().expect("a text");
    let signature = decoded(text("Wechatpay-Signature"));
    let signed = request::signed_text(timestamp, text("Wechatpay-Nonce"), body);
    assert!(verifies(MODULUS, &signature, &signed));
    assert!(!verifies(MODULUS, &signature, &signed.replace("payscore", "payscorf")));
    assert!(!verifies(MODULUS, &signature, signed.trim_end()));
    // The envelope has the members of ours, in the same order.
    let ours = format::<WechatV3>(&paid(), &shop(SETTINGS), &attempt(), &FakeCrypto).expect("formats");
    let ours = String::from_utf8(ours.body).expect("UTF-8");
    let order = |text: &str| {
        let names = [
            "id",
            "create_time",
            "resource_type",
            "event_type",
            "summary",
            "resource",
            "original_type",
            "algorithm",
            "ciphertext",
            "associated_data",
            "nonce",
        ];
        names.map(|name| text.find(&format!("\"{name}\":")).expect("there"))
    };
    assert!(order(body).is_sorted() && order(&ours).is_sorted());
}

/// RSASSA-PKCS1-v1_5 with SHA-256 and the exponent 65537 (RFC 8017, section 8.2.2).
fn verifies(modulus_hex: &str, signature: &[u8], text: &str) -> bool {
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
        0x04, 0x20,
    ];
    let modulus = BigUint::parse_bytes(modulus_hex.as_bytes(), 16).expect("hexadecimal");
    let encoded =
        BigUint::from_bytes_be(signature).modpow(&BigUint::from(65_537_u32), &modulus).to_bytes_be();
    let digest = Sha256::digest(text.as_bytes());
    // The first byte is zero and so is not part of the number.
    let filling = vec![0xFF; modulus_hex.len() / 2 - 3 - DIGEST_INFO.len() - digest.len()];
    encoded == [&[1], filling.as_slice(), &[0], &DIGEST_INFO, &digest[..]].concat()
}

#[test]
fn what_cannot_be_told_is_named() {
    let field = |notification: Notification| match resource(&notification, SETTINGS) {
        Err(PluginError::UnusableRecord(text)) => text.split(": ").next().unwrap_or_default().to_owned(),
        other => panic!("not unusable: {other:?}"),
    };
    let some = |text: &str| Some(text.to_owned());
    let extra =
        |name: &str, json: &str| Notification { extra: vec![(name.to_owned(), json.to_owned())], ..paid() };
    let yen = Money { minor: 1, currency: "JPY".to_owned(), exponent: 0 };
    for (expected, notification) in [
        ("kind", Notification { kind: "refund".to_owned(), ..paid() }),
        ("status", Notification { status: None, ..paid() }),
        ("status", Notification { status: Some(PaymentStatus::Failed), ..paid() }),
        ("payment-id", Notification { payment_id: some(""), ..paid() }),
        ("payment-id", Notification { payment_id: some(&"7".repeat(33)), ..paid() }),
        ("merchant-order-id", Notification { merchant_order_id: None, ..paid() }),
        ("completed-at", Notification { completed_at: None, ..paid() }),
        ("completed-at", Notification { completed_at: Some(i64::MAX), ..paid() }),
        ("completed-at", Notification { completed_at: Some(-99_999_999_999_999), ..paid() }),
        ("amount", Notification { amount: None, ..paid() }),
        ("amount", Notification { amount: Some(cny(-1)), ..paid() }),
        ("payer-amount", Notification { payer_amount: Some(yen), ..paid() }),
        ("passthrough", Notification { passthrough: Some("支".repeat(129)), ..paid() }),
        ("extra.device_id", extra("device_id", "7")),
        ("extra.promotion_detail", extra("promotion_detail", "{}")),
        ("extra.promotion_detail", extra("promotion_detail", "[")),
    ] {
        assert_eq!(field(notification), expected);
    }
}

#[test]
fn a_key_whose_id_is_no_header_is_refused() {
    struct Odd;
    impl Crypto for Odd {
        fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
            FakeCrypto.sign(key, algorithm, message)
        }
        fn seal(
            &self,
            key: &str,
            nonce: &[u8],
            additional: &[u8],
            plain: &[u8],
        ) -> Result<Vec<u8>, CryptoError> {
            FakeCrypto.seal(key, nonce, additional, plain)
        }
        fn describe(&self, _: &str) -> Result<KeyInfo, CryptoError> {
            Ok(KeyInfo { id: "a\r\nb".to_owned(), certificate_pem: None, public_key: None })
        }
    }
    let error = format::<WechatV3>(&paid(), &shop(SETTINGS), &attempt(), &Odd).expect_err("refused");
    assert!(matches!(error, PluginError::UnusableKey(text) if text.starts_with("signing: its id")));
}

#[test]
fn every_reply_of_the_table_is_judged_so() {
    assert_judged::<WechatV3>(SETTINGS, include_str!("../../../tests/formats/judge.json"));
    assert_judged::<WechatV3>(HEEDING, include_str!("../../../tests/formats/judge.json"));
}

#[test]
fn the_body_is_heeded_only_on_demand() {
    let confirms = |settings, status, body: &str| {
        let verdict = judge::<WechatV3>(&paid(), &shop(settings), &response(status, body)).expect("judged");
        matches!(verdict, Verdict::Confirmed(_))
    };
    for (status, body, by_status, by_body) in [
        (200, r#"{"code":"FAIL","message":"x"}"#, true, false),
        (200, r#"{"code":"SUCCESS"}"#, true, true),
        (200, "ok", true, false),
        (204, "", true, true),
        (201, "", false, false),
        (202, r#"{"code":"SUCCESS"}"#, false, false),
        (302, "", false, false),
        (500, r#"{"code":"SUCCESS"}"#, false, false),
    ] {
        assert_eq!(confirms(SETTINGS, status, body), by_status, "{status} {body}");
        assert_eq!(confirms(HEEDING, status, body), by_body, "{status} {body}");
    }
}

#[test]
fn the_settings_are_checked() {
    assert_schema_agrees::<WechatV3Settings>(
        r#"{"appid":"wx","associated_data":"","bank_type":"OTHERS","currency":"HKD","heed_code":true,"mchid":"1","summary":"x","trade_type":"APP"}"#,
    );
    let error = |json| check_settings::<WechatV3>(json).expect_err("refused");
    for (json, beginning) in [
        (r#"{"appid":"wx"}"#, "mchid: missing, and the format `wechat-v3` cannot do without it"),
        (r#"{"appid":"wx","mchid":"1 "}"#, "mchid: has ' '"),
        (r#"{"appid":"wx","mchid":"1","currency":"¥"}"#, "currency: not an ISO 4217 code"),
        (r#"{"appid":"wx","mchid":"1","heed_code":1}"#, "heed_code: invalid type"),
        (r#"{"appid":"wx","mchid":"1","summary":" "}"#, "summary: empty"),
        (
            r#"{"appid":"wx","mchid":"1","associated_data":"1234567890123456"}"#,
            "associated_data: 16 characters",
        ),
    ] {
        assert!(error(json).starts_with(beginning), "{}", error(json));
    }
}

#[test]
fn the_ladder_is_the_vendors() {
    let description = WechatV3::describe();
    let [ladder] = description.ladders.as_slice() else { panic!("one ladder") };
    assert_eq!((ladder.name.as_str(), ladder.delays_seconds.len()), ("wechat", 15));
    assert_eq!(ladder.delays_seconds.iter().sum::<u32>(), 24 * 3_600 + 4 * 60);
}

proptest! {
    #[test]
    fn any_record_is_refused_by_field_or_told_and_signed(
        notification in prop_oneof![arbitrary::notification_of(&["payment"]), arbitrary::nearly(full())],
        attempt in arbitrary::attempt(),
    ) {
        match format::<WechatV3>(&notification, &shop(SETTINGS), &attempt, &Openable) {
            Err(PluginError::UnusableRecord(text)) => prop_assert!(text.contains(": ")),
            Err(other) => prop_assert!(false, "{other:?}"),
            Ok(request) => {
                arbitrary::assert_sendable(&request, URL);
                let told: Value = serde_json::from_str(&opened(&request)).expect("JSON");
                prop_assert_eq!(told["out_trade_no"].as_str(), notification.merchant_order_id.as_deref());
                prop_assert_eq!(told["transaction_id"].as_str(), notification.payment_id.as_deref());
                prop_assert_eq!(told["amount"]["total"].as_i64(), notification.amount.map(|amount| amount.minor));
                let attach = notification.passthrough.as_deref().filter(|text| !text.is_empty());
                prop_assert_eq!(told["attach"].as_str(), attach);
                let body = std::str::from_utf8(&request.body).expect("UTF-8");
                let (timestamp, nonce) = (header(&request, "Wechatpay-Timestamp"), header(&request, "Wechatpay-Nonce"));
                let signed = format!("rsa-pkcs1v15-sha256(signing-key, {timestamp}\n{nonce}\n{body}\n)");
                prop_assert_eq!(decoded(header(&request, "Wechatpay-Signature")), signed.into_bytes());
            }
        }
    }

    #[test]
    fn any_reply_is_judged(response in arbitrary::response(), heeds in any::<bool>()) {
        let endpoint = shop(if heeds { HEEDING } else { SETTINGS });
        let verdict = judge::<WechatV3>(&paid(), &endpoint, &response).expect("judged");
        if verdict == Verdict::Confirmed(None) {
            prop_assert!(matches!(response.status, 200 | 204));
        }
    }
}
