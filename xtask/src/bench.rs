//! `cargo xtask bench`: the gateway measured against the bare pipe, by `benches/throughput.rs`, and plugins by their
//! languages, by `benches/languages.rs`.

use anyhow::Result;

use crate::process::{cargo, run as run_to_its_end, say};
use crate::rabbitmq::Version;
use crate::{examples, guests};

/// Measures, and prints the tables.
pub fn run() -> Result<()> {
    guests::build_all(None)?;
    examples::build_all(&[])?;
    Version::chosen()?.ensure_there()?;
    say("bench: building with optimisation, which takes minutes the first time");
    let bench = |name| run_to_its_end(cargo().args(["bench", "--package", "paynotify", "--bench", name]));
    bench("languages")?;
    bench("throughput")
}
