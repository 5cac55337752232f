//! Independent judges: what the gateway really sends is accepted by the SDKs that merchants use, and a tampered copy is
//! refused by each. `tests/formats/judges/README.md` says which they are.

#![allow(missing_docs)]

mod forms;
mod judge;
mod signed;
#[path = "../support/mod.rs"]
mod support;
mod unsigned;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use judge::Captured;
use support::gateway::{Gateway, SOON, Store};
use support::merchant::{Answer, StubMerchant, in_turn};

/// Keys that are Standard Webhooks' and Stripe's, as merchants' files have them.
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A text with all that is a sign somewhere.
const RICH: &str = "语雀空间 500人 & a=b+c 100% %41 \"q\" 'q' <x/> ]]> \\ é 😀";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

/// A file of `tests/formats/keys`.
fn test_key(name: &str) -> String {
    let path = path("keys").join(format!("test-{name}"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How a merchant's file names a file of `tests/formats/keys`.
fn test_key_file(name: &str) -> String {
    format!("file:{}", path("keys").join(format!("test-{name}")).display())
}

/// A payment with all the fields that formats tell of.
fn record() -> Value {
    json!({
        "schema": "payment-result/1",
        "notification_id": "n-judged-1",
        "merchant_id": "shop",
        "kind": "payment",
        "status": "succeeded",
        "payment_id": "2026112222001468450512505578",
        "merchant_order_id": "order-1001",
        "amount": {"minor": 12_950, "currency": "CNY"},
        "payer_amount": {"minor": 12_000, "currency": "CNY"},
        "created_at": "2026-11-22T08:00:00Z",
        "completed_at": "2026-11-22T17:30:01Z",
        "subject": RICH,
        "description": format!("{RICH}, of which more is said here"),
        "payer": {"id": "2088102534368455", "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "logon_masked": "xud***@126.com"},
        "channel": {"code": "alipay", "trade_type": "NATIVE", "bank_type": "CMC"},
        "passthrough": RICH,
    })
}

/// Has the real plugin in a real gateway tell a merchant of the record: refused once, then confirmed by `reply`, which
/// must be the end. The two requests, as they came.
async fn told(plugin: &str, merchant_file: &str, record: &Value, reply: Answer) -> [Captured; 2] {
    let merchant = StubMerchant::start(in_turn([Answer::Status(500), reply])).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    let component = xtask::guests::built(plugin).expect("the plugin is built");
    fs::copy(component, gateway.folder().join(format!("plugins/{plugin}.wasm"))).expect("copied");
    let head =
        format!("url = \"{}\"\nplugin = \"{plugin}\"\nladder = [\"300ms\"]\n", merchant.url("/notify"));
    fs::write(gateway.folder().join("merchants/shop.toml"), head + merchant_file).expect("written");
    gateway.start();
    gateway.ready().await;
    gateway.send(record).await;
    let id = record["notification_id"].as_str().expect("an id");
    let story = gateway.wait_for_state(id, "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(2)), "{story}");
    gateway.stop();
    let requests = merchant.requests();
    let [first, second] = &requests[..] else { panic!("{requests:#?}") };
    [first.into(), second.into()]
}

/// A key of a merchant's file.
fn key(role: &str, algorithm: &str, rest: &str) -> String {
    format!("[[keys]]\nrole = \"{role}\"\nalgorithm = \"{algorithm}\"\n{rest}\n")
}
