//! Signatures, where the configuration asks for them.

use std::io::Cursor;

use minisign::KeyPair;
use serde_json::json;

use crate::folder::*;
use crate::support::gateway::Gateway;
use crate::support::merchant::{Answer, StubMerchant, always};

fn sign(key: &KeyPair, content: &[u8]) -> String {
    minisign::sign(None, &key.sk, Cursor::new(content), None, None).expect("signed").into_string()
}

fn signed(gateway: &Gateway, key: &KeyPair, content: &[u8]) {
    drop_in(gateway, "plugins/plain.wasm.minisig", sign(key, content));
    drop_in(gateway, "plugins/plain.wasm", content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_a_signer_has_signed_runs() {
    let (ours, theirs) = (
        KeyPair::generate_unencrypted_keypair().expect("keys"),
        KeyPair::generate_unencrypted_keypair().expect("keys"),
    );
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway_with(&format!("signers = [\"{}\"]", ours.pk.to_base64()), "");
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    let (status, said) = gateway.run_to_its_end();
    assert_eq!(status.code(), Some(2), "its only plugin is not signed");
    assert!(said.contains("has no signature beside it"), "{said}");
    signed(&gateway, &ours, &plain());
    gateway.start();
    gateway.ready().await;
    let first = format!("plain@{}", hash(&plain()));
    assert_eq!(served_by(&gateway, "n1", "shop").await, first);

    let next = variant(&plain(), 1);
    for (key, of, reason) in
        [(&ours, &plain(), "is signed, but not as it is"), (&theirs, &next, "and by any key")]
    {
        drop_in(&gateway, "plugins/plain.wasm.minisig", sign(key, of));
        drop_in(&gateway, "plugins/plain.wasm", &next);
        until_refused(&gateway, "plain.wasm", reason).await;
    }
    drop_in(&gateway, "plugins/plain.wasm.minisig", "nonsense");
    until_refused(&gateway, "plain.wasm", "cannot be read as one of minisign's").await;
    std::fs::remove_file(gateway.folder().join("plugins/plain.wasm.minisig")).expect("removed");
    until_refused(&gateway, "plain.wasm", "has no signature beside it").await;
    assert_eq!(served_by(&gateway, "n2", "shop").await, first);
    // The signature alone is a change, too.
    drop_in(&gateway, "plugins/plain.wasm.minisig", sign(&ours, &next));
    let report = until_runs(&gateway, "plain", &next).await;
    assert_eq!(report["refused"], json!([]));
    // What is kept has its signature with it.
    let (status, answer) = gateway.ask(http::Method::POST, "/v1/plugins/plain/rollback", "").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(served_by(&gateway, "n3", "shop").await, first);
    assert!(gateway.stop().success());
    gateway.start();
    gateway.ready().await;
    assert_eq!(served_by(&gateway, "n4", "shop").await, first);
}

#[test]
fn a_signer_that_is_no_key_is_named() {
    let gateway = gateway_with("signers = [\"RWQ\"]", "");
    let (status, said) = gateway.run_to_its_end();
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("`plugin.signers`: entry 1 is no public key of minisign's"), "{said}");
}
