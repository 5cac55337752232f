//! A guest's memory after a call, with keys of every kind at hand: what was signed is in it, and no key.
//!
//! The memory is read from outside, as the operating system shows it: a guest could not give away more than that.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::super::bindings::exports::paynotify::merchant::plugin::HttpRequest;
use super::super::host::Host;
use super::super::lines::Lines;
use super::super::sandbox::{self, Surroundings};
use super::super::{Encoding, Key, KeyAlgorithm, KeyText, Secret, Settings};
use super::*;
use traces::Traces;

#[path = "../../tests/support/traces.rs"]
#[allow(unreachable_pub)]
mod traces;

/// What stands in the record and nowhere else.
const MARK: &str = "a-subject-that-stands-nowhere-else";

struct Case {
    plugin: &'static str,
    settings: &'static str,
    /// Role, algorithm, and the secret as a merchant's file has it.
    keys: Vec<(&'static str, KeyAlgorithm, String)>,
}

fn test_key(name: &str) -> String {
    let path = format!("{}/tests/formats/keys/test-{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).expect(&path)
}

fn cases() -> Vec<Case> {
    let rsa = || test_key("rsa-2048.pkcs8.pem");
    let text = |text: &str| text.to_owned();
    let case = |plugin, settings, keys| Case { plugin, settings, keys };
    let (whsec, whsk) = (
        text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        text("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="),
    );
    let wechat = r#"{"appid": "wx1", "mch_id": "1", "sign_type": "HMAC-SHA256"}"#;
    vec![
        case("alipay", r#"{"app_id": "2019"}"#, vec![("signing", KeyAlgorithm::RsaPkcs1v15Sha256, rsa())]),
        case(
            "wechat-v2",
            r#"{"appid": "wx1", "mch_id": "1"}"#,
            vec![("api-key", KeyAlgorithm::Md5OrHmacSha256, text("192006250b4c09247ec02edce69f6a2d"))],
        ),
        case(
            "wechat-v2",
            wechat,
            vec![("api-key", KeyAlgorithm::Md5OrHmacSha256, text("192006250b4c09247ec02edce69f6a2d"))],
        ),
        case(
            "wechat-v3",
            r#"{"appid": "wx1", "mchid": "1"}"#,
            vec![
                ("signing", KeyAlgorithm::RsaPkcs1v15Sha256, rsa()),
                ("api-v3-key", KeyAlgorithm::Aes256Gcm, text("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb")),
            ],
        ),
        case(
            "standard-webhooks",
            "{}",
            vec![("signing", KeyAlgorithm::HmacSha256, whsec), ("signing", KeyAlgorithm::Ed25519, whsk)],
        ),
        case(
            "adyen",
            r#"{"merchant_account": "Shop"}"#,
            vec![(
                "signing",
                KeyAlgorithm::HmacSha256,
                text("44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"),
            )],
        ),
        case(
            "cloudevents",
            r#"{"source": "/shop", "token_algorithm": "RS256"}"#,
            vec![("token", KeyAlgorithm::RsaPkcs1v15Sha256, rsa())],
        ),
        case(
            "epay",
            r#"{"pid": "1001"}"#,
            vec![("signing", KeyAlgorithm::Md5, text("3c6e0b8a9c15224a8228b9a98ca1531d"))],
        ),
    ]
}

#[tokio::test]
async fn no_key_is_in_a_guests_memory_after_a_call() {
    let few = Settings { concurrent_calls: 2, calls_per_plugin: 1, ..Settings::default() };
    let host = Host::new(few).expect("plugins can be run");
    for case in cases() {
        let file = xtask::guests::built(case.plugin).expect("built");
        let plugin = host.load(&file).await.expect("a plugin");
        let (memory, request) = memory_after_format(&plugin, &case).await;
        let shown = |text: &[u8]| memory.windows(text.len()).any(|window| window == text);
        assert!(shown(MARK.as_bytes()), "{}: this is not the guest's memory", case.plugin);
        // A request that was signed in its URL has no body.
        let sent = if request.body.is_empty() { request.url.as_bytes() } else { &request.body };
        assert!(shown(sent), "{}: this is not the memory after the call", case.plugin);
        let mut traces = Traces::default();
        for (role, _, secret) in &case.keys {
            traces = traces.of(role, secret);
        }
        let found = traces.found_in(&memory);
        assert!(found.is_empty(), "in the memory of {}: {found:#?}", case.plugin);
    }
}

/// The same look finds what a guest was given.
#[tokio::test]
async fn a_secret_in_the_settings_would_be_seen() {
    let host = Host::new(Settings::default()).expect("plugins can be run");
    let plugin = host.load(&xtask::guests::built("alipay").expect("built")).await.expect("a plugin");
    let secret = "0123456789abcdef0123456789abcdef";
    let settings = r#"{"app_id": "0123456789abcdef0123456789abcdef"}"#;
    let case = Case { settings, ..cases().remove(0) };
    let (memory, _) = memory_after_format(&plugin, &case).await;
    assert!(Traces::default().of("app_id", secret).found_in(&memory).contains(&"app_id, as it is"));
}

#[test]
fn secrets_are_seen_in_every_form() {
    let rsa = test_key("rsa-2048.pkcs8.pem");
    let traces = Traces::default().of("rsa", &rsa).of("hex", "00112233445566778899aabbccddeeff");
    // A line of the file, written into a log as JSON.
    let line = rsa.lines().nth(3).expect("many lines");
    assert_eq!(traces.found_in(format!("{{\"key\":\"\\n{line}\\n").as_bytes()), ["rsa, as it is"]);
    let seed: Vec<u8> = hex::decode("00112233445566778899aabbccddeeff").expect("hexadecimal");
    let base64 =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [b"key=", &seed[..]].concat());
    assert_eq!(traces.found_in(base64.as_bytes()), ["hex, decoded, in Base64"]);
    let backwards: Vec<u8> = seed.into_iter().rev().collect();
    assert_eq!(traces.found_in(&backwards), ["hex, decoded, backwards"]);
    assert!(
        traces.found_in(test_key("rsa-2048.public.pem").as_bytes()).is_empty(),
        "the public half is no secret"
    );
    // The prime factor of the key, as `openssl rsa -text` shows it.
    let der = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        test_key("rsa-2048.pkcs1.b64").trim(),
    );
    let numbers = traces.found_in(&der.expect("Base64")).len();
    assert!(numbers >= 6, "d, p, q and three more: {numbers}");
}

/// Makes the call as [`Callee::call`] does, but looks at the memory before it is given back.
async fn memory_after_format(plugin: &Plugin, case: &Case) -> (Vec<u8>, HttpRequest) {
    let callee = &plugin.0.callee;
    let settings = &callee.host.settings;
    let lines = Lines::new(Arc::clone(&callee.name), String::new(), settings);
    let endpoint = endpoint(case);
    let attempt = AttemptContext { number: AttemptNumber::FIRST, now: Moment::EPOCH, entropy: [7; 32] };
    let (now, entropy, keys) = (attempt.now, attempt.entropy, endpoint.keys.clone());
    let surroundings = Surroundings { now, entropy, keys, recorded: None, lines, running: Arc::default() };
    let mut store = sandbox::store(&callee.host.engine, settings, surroundings);
    let instance = callee.pre.instantiate_async(&mut store).await.expect("an instance");
    let (notification, endpoint, attempt) = (
        convert::notification(&record()),
        convert::endpoint(&(&endpoint).into()),
        convert::attempt(&attempt),
    );
    let request = instance
        .paynotify_merchant_plugin()
        .call_format(&mut store, &notification, &endpoint, &attempt)
        .await
        .expect("no trap")
        .expect("a request");
    let memory = memory_of_guests();
    drop(store);
    (memory, request)
}

fn endpoint(case: &Case) -> Endpoint {
    let is_hex = |secret: &str| secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = |(index, (role, algorithm, secret)): (usize, &(&str, KeyAlgorithm, String))| {
        let encoding = match secret {
            _ if secret.starts_with("whsec_") => Some(Encoding::Whsec),
            _ if is_hex(secret) => Some(Encoding::Hex),
            _ => None,
        };
        Key::decode(KeyText {
            role: (*role).to_owned(),
            name: format!("key-{index}"),
            algorithm: *algorithm,
            encoding,
            secret: Secret::new(secret.clone()),
            id: None,
            certificate: None,
        })
        .expect("a key")
    };
    Endpoint {
        url: "https://shop.example/notify".to_owned(),
        origins: vec!["https://shop.example".parse().expect("an origin")],
        settings_json: case.settings.to_owned(),
        keys: Keys::new(case.keys.iter().enumerate().map(key).collect()),
    }
}

fn record() -> Notification {
    let text = format!(
        r#"{{"schema": "payment-result/1", "notification_id": "n1", "merchant_id": "m1", "kind": "payment",
        "status": "succeeded", "payment_id": "P1", "merchant_order_id": "O1", "subject": "{MARK}",
        "amount": {{"minor": 1, "currency": "CNY"}}, "created_at": "2026-11-22T08:00:00Z",
        "completed_at": "2026-11-22T08:00:01Z", "channel": {{"code": "alipay"}}}}"#
    );
    Notification::parse(Bytes::from(text)).expect("a record")
}

/// All linear memories there are in this process: what can be written to in front of address space that is kept free
/// for it to grow into, gibibytes of it. Nothing else here has such a thing behind it.
fn memory_of_guests() -> Vec<u8> {
    const KEPT_FREE: u64 = 1 << 30;
    let mut maps = String::new();
    let read = File::open("/proc/self/maps").and_then(|mut file| file.read_to_string(&mut maps));
    read.expect("Linux shows the memory");
    let process = File::open("/proc/self/mem").expect("a process may read its memory");
    let mut memory = Vec::new();
    // Pieces that can be written to, each right behind the one before.
    let mut run: Vec<(u64, u64)> = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (begin, end) = words.next().and_then(|range| range.split_once('-')).expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let (begin, end) = (number(begin), number(end));
        if run.last().is_some_and(|last| last.1 != begin) {
            run.clear();
        }
        match words.next() {
            Some("rw-p") => run.push((begin, end)),
            Some("---p") if end - begin >= KEPT_FREE => {
                for (begin, end) in run.drain(..) {
                    let mut part = vec![0; usize::try_from(end - begin).expect("64 bits")];
                    process.read_exact_at(&mut part, begin).expect("it is there");
                    memory.extend(part);
                }
            }
            Some(_) | None => run.clear(),
        }
    }
    assert!(!memory.is_empty(), "there is no memory of a guest: {maps}");
    memory
}
