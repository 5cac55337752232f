//! A way onto a server, and what is written about it: the service, the container, the tutorial, the operator's guide, the security notes.
//!
//! The rule: a document names no command, key, file or test that is not there, and what it has people type is typed here.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod beside;
mod container;
mod guide;
mod guided;
mod rabbitmq;
mod security;
mod service;
mod tutorial;

use std::path::Path;
use std::process::{Command, Output};

/// The repository's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn paynotify(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

/// A file of the repository's.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All that it printed.
fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
