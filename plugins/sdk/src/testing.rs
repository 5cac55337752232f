//! Records, replies and keys for a plugin's own tests, which run natively (feature `testing`, for `dev-dependencies`).
//!
//! [`FakeCrypto`] signs nothing: its "signature" is the text that was to be signed, so that a test shows it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::sign::Crypto;
use crate::{
    Algorithm, Attempt, CryptoError, Endpoint, Header, HttpResponse, KeyBinding, KeyInfo, Money,
    Notification, Part, PaymentStatus, Plugin, Settings, Verdict, judge, settings,
};

/// 2018-11-09T07:36:17.999Z: 15:36:17 in Beijing.
pub const NOW: i64 = 1_541_748_977_999;

/// A payment of 0.01 CNY that succeeded, with the fields that nearly every format needs: `payment_id` "pay-1",
/// `merchant_order_id` "order-1", `amount`. All else is absent: `Notification { subject: …, ..notification() }`.
#[must_use]
pub fn notification() -> Notification {
    Notification {
        id: "n-1".to_owned(),
        merchant_id: "shop".to_owned(),
        endpoint_id: None,
        kind: "payment".to_owned(),
        status: Some(PaymentStatus::Succeeded),
        payment_id: Some("pay-1".to_owned()),
        original_payment_id: None,
        merchant_order_id: Some("order-1".to_owned()),
        amount: Some(cny(1)),
        payer_amount: None,
        net_amount: None,
        settle_amount: None,
        refunded_amount: None,
        fee: None,
        created_at: None,
        completed_at: None,
        closed_at: None,
        subject: None,
        description: None,
        payer: None,
        channel: None,
        failure: None,
        passthrough: None,
        livemode: true,
        extra: Vec::new(),
        raw_json: "{}".to_owned(),
    }
}

/// So many fen.
#[must_use]
pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

/// The first attempt, at [`NOW`], with entropy 0, 1, 2, … 31.
#[must_use]
pub fn attempt() -> Attempt {
    Attempt { number: 1, now: NOW, entropy: (0..32).collect() }
}

/// An endpoint with one key, called `<role>-key`, for each of the roles.
#[must_use]
pub fn endpoint(url: &str, settings_json: &str, roles: &[&str]) -> Endpoint {
    let binding = |role: &&str| KeyBinding { role: (*role).to_owned(), name: format!("{role}-key") };
    Endpoint {
        url: url.to_owned(),
        settings_json: settings_json.to_owned(),
        keys: roles.iter().map(binding).collect(),
    }
}

/// A whole reply without headers.
#[must_use]
pub fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, headers: Vec::new(), body: body.as_bytes().to_vec(), truncated: false }
}

/// A reply with a header, its name in lower case.
#[must_use]
pub fn response_with_header(status: u16, name: &str, value: &str, body: &str) -> HttpResponse {
    let header = Header { name: name.to_owned(), value: value.as_bytes().to_vec() };
    HttpResponse { headers: vec![header], ..response(status, body) }
}

/// The fields of a query or a form, decoded as a receiver does it, once: `+` is a blank.
///
/// # Panics
///
/// When it is not well-formed.
#[must_use]
pub fn decoded_form(form: impl AsRef<[u8]>) -> Vec<(String, String)> {
    let form = std::str::from_utf8(form.as_ref()).expect("a form is ASCII");
    let pair = |field: &str| {
        let (name, value) = field.split_once('=').expect("a name and a value");
        (decoded(name), decoded(value))
    };
    form.split('&').map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("another digit")];
                let digits = std::str::from_utf8(&digits).expect("digits are ASCII");
                u8::from_str_radix(digits, 16).expect("digits are hexadecimal")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("text is UTF-8")
}

/// Has every key, and shows what was to be signed or sealed: `<algorithm>(<key>, <text>)`, where the secret stands as
/// `{secret}` or `{secret-sha256-hex}`, and `seal(<key>, <nonce>, <additional data>, <plaintext>)`. The algorithms are
/// written as the contract writes them. A key's id is its name in capitals.
#[derive(Clone, Copy, Debug)]
pub struct FakeCrypto;

impl Crypto for FakeCrypto {
    fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        let mut shown = format!("{}({key}, ", name_of(algorithm)).into_bytes();
        for part in message {
            match part {
                Part::Bytes(bytes) => shown.extend_from_slice(bytes),
                Part::Secret => shown.extend_from_slice(b"{secret}"),
                Part::SecretSha256Hex => shown.extend_from_slice(b"{secret-sha256-hex}"),
            }
        }
        shown.push(b')');
        Ok(shown)
    }

    fn seal(
        &self,
        key: &str,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if nonce.len() != 12 {
            return Err(CryptoError::BadInput);
        }
        let pieces = [
            b"seal(".as_slice(),
            key.as_bytes(),
            b", ",
            nonce,
            b", ",
            additional_data,
            b", ",
            plaintext,
            b")",
        ];
        Ok(pieces.concat())
    }

    fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError> {
        Ok(KeyInfo { id: key.to_uppercase(), certificate_pem: None, public_key: None })
    }
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha256 => "hmac-sha256",
        Algorithm::Md5 => "md5",
        Algorithm::Sha256 => "sha256",
        Algorithm::RsaPkcs1v15Sha256 => "rsa-pkcs1v15-sha256",
        Algorithm::Ed25519 => "ed25519",
    }
}

/// Holds a format's settings and their schema to each other. `example` is a JSON object with every setting there is.
///
/// # Panics
///
/// When the schema is no closed object, lists other settings than the example, describes one not at all, or when the
/// struct takes the example without a required setting, or not without another.
pub fn assert_schema_agrees<S: Settings>(example: &str) {
    let schema: Value = serde_json::from_str(S::SCHEMA).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["additionalProperties"], false);
    let example: serde_json::Map<String, Value> = serde_json::from_str(example).expect("an object");
    let properties = schema["properties"].as_object().expect("the schema has properties");
    let names: Vec<&String> = example.keys().collect();
    assert_eq!(
        properties.keys().collect::<Vec<_>>(),
        names,
        "the schema and the example name the same settings"
    );
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let taken = |settings: &serde_json::Map<String, Value>| {
        settings::read::<S>("tested", &Value::Object(settings.clone()).to_string()).map(drop)
    };
    assert_eq!(taken(&example), Ok(()), "the struct takes the example");
    for name in names {
        assert!(properties[name]["description"].is_string(), "{name} has no description");
        let mut without = example.clone();
        without.remove(name);
        assert_eq!(taken(&without).is_err(), required.contains(&name.as_str()), "{name}: required or not");
    }
    let mut with_another = example.clone();
    with_another.insert("no_such_setting".to_owned(), Value::Null);
    assert!(taken(&with_another).is_err(), "the struct takes an unknown setting");
}

/// Has a format judge its replies out of a table, such as the project's `tests/formats/judge.json`: JSON text with `cases`, an
/// array of objects with `format`, `status`, `body`, perhaps `headers`, and `verdict`, one of `confirmed`, `retry`, `retry_after` and `stop`. A wait that the reply's `Retry-After` asks for is
/// added by the gateway, so that a format's part in `retry_after` is a retry that names no wait of its own.
///
/// # Panics
///
/// When a verdict is another than the table's, or the table cannot be read or has none of the format's.
pub fn assert_judged<P: Plugin>(settings_json: &str, cases: &str) {
    #[derive(Debug, Deserialize)]
    struct Case {
        format: String,
        status: u16,
        body: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        verdict: String,
    }
    #[derive(Deserialize)]
    struct Table {
        cases: Vec<Case>,
    }
    let Table { mut cases } = serde_json::from_str(cases).expect("a table of replies");
    cases.retain(|case| case.format == P::describe().name);
    assert!(!cases.is_empty());
    let endpoint = endpoint("https://shop.test/notify", settings_json, &[]);
    for case in cases {
        let field = |(name, value): (&String, &String)| Header {
            name: name.to_ascii_lowercase(),
            value: value.as_bytes().to_vec(),
        };
        let headers = case.headers.iter().map(field).collect();
        let response = HttpResponse { headers, ..response(case.status, &case.body) };
        let verdict = judge::<P>(&notification(), &endpoint, &response).expect("judged");
        let word = match &verdict {
            Verdict::Confirmed(_) => "confirmed",
            Verdict::Retry(advice) => {
                assert_eq!(advice.after_seconds, None, "{case:?}");
                "retry"
            }
            Verdict::Stop(_) => "stop",
        };
        assert_eq!(word, case.verdict.trim_end_matches("_after"), "{case:?}: {verdict:?}");
    }
}
