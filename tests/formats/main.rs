//! The formats, through the gateway's own host: every case of how a reply is judged, records and replies that nobody
//! would send, and what is signed held against verifiers that share no code with the plugins.
//!
//! The folder has the vendors' published vectors as well (`vectors.json`), which `tests/crypto` and the plugins' own tests
//! use, and keys for tests.

#![allow(missing_docs)]

mod all;
mod authorization;
mod compensation;
mod hostile;
mod replies;
#[path = "../support/mod.rs"]
mod support;
mod verify;
