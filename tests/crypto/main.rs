//! Merchants' keys, and what guests can do with them: every algorithm against published vectors, every wrong key, and
//! who may reach which key.

#![allow(missing_docs)]

mod config;
mod guest;
mod keys;
mod neighbours;
#[path = "../support/mod.rs"]
mod support;
mod vectors;

use std::path::{Path, PathBuf};

use paynotify::plugin::{Key, KeyAlgorithm, KeyProblem, KeyText, Secret};

/// A key as a merchant's file would give it, for the role `signing`.
fn text(name: &str, algorithm: KeyAlgorithm, secret: &str) -> KeyText {
    KeyText {
        role: "signing".to_owned(),
        name: name.to_owned(),
        algorithm,
        encoding: None,
        secret: Secret::new(secret.to_owned()),
        id: None,
        certificate: None,
    }
}

fn key(text: KeyText) -> Key {
    Key::decode(text).expect("a key")
}

fn problem(text: KeyText) -> KeyProblem {
    Key::decode(text).expect_err("no key")
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

/// A file of `tests/formats`.
fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect(name)
}

/// A file of `tests/formats/keys`.
fn test_key(name: &str) -> String {
    file(&format!("keys/test-{name}"))
}
