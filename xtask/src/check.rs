//! `cargo xtask check`: what can be said of the code without running it.

use anyhow::{Context, Result};

use crate::licences;
use crate::process::{cargo, run as must_succeed, say};

/// Formatting, lints, documentation, licences. The first that is not in order is the error.
pub fn run() -> Result<()> {
    say("check: formatting");
    must_succeed(cargo().args(["fmt", "--all", "--check"])).context("`cargo fmt` would change something")?;
    say("check: licences and banned crates");
    licences::check()?;
    say("check: lints");
    // Which lints there are is the workspace's affair (Cargo.toml); here they become errors.
    must_succeed(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    say("check: documentation");
    let mut doc = cargo();
    doc.args(["doc", "--no-deps", "--workspace", "--document-private-items", "--locked"]);
    // Private items are documented here, so a link to one is not dead.
    must_succeed(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))?;
    say("check: all in order");
    Ok(())
}
