//! `cargo xtask bench`: the gateway measured against the bare pipe, by `benches/throughput.rs`.

use anyhow::Result;

use crate::guests;
use crate::process::{cargo, run as run_to_its_end, say};
use crate::rabbitmq::Version;

/// Measures, and prints a table.
pub fn run() -> Result<()> {
    guests::build_all(None)?;
    Version::chosen()?.ensure_there()?;
    say("bench: building with optimisation, which takes minutes the first time");
    run_to_its_end(cargo().args(["bench", "--package", "paynotify", "--bench", "throughput"]))
}
