//! Set-up for people and for CI: everything that is done around the product, and nothing that the product does.
//!
//! `cargo xtask …` is the binary. The integration tests use the library: [`guests::built`] hands them a plugin that is
//! never stale, [`examples::built`] one in another language, [`rabbitmq::Node`] a real broker of their own, [`postgres::Server`]
//! a real database, [`judges::ready`] the vendors' SDKs, [`promtool::ensure_there`] the program that checks rules for Prometheus,
//! [`browser::Driver`] a browser.
//!
//! Rule: each step says in one line what it does, asks nothing, can be run twice, and fails with one clear sentence.

pub mod bench;
pub mod browser;
pub mod check;
pub mod demo;
pub mod examples;
pub mod fuzzer;
pub mod guests;
pub mod judges;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod promtool;
pub mod rabbitmq;
pub mod systemd;
pub mod test;
pub mod torture;
pub mod workspace;

mod apt;
mod keeper;
mod licences;
mod packages;
mod python;
mod stamp;
mod unpack;
