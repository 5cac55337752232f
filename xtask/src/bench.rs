//! `cargo xtask bench`: builds what `benches/bench` needs, and runs it.

use std::path::{PathBuf, absolute};

use anyhow::Result;

use crate::process::{cargo, run as run_to_its_end, say};
use crate::rabbitmq::Version;
use crate::{examples, guests, workspace};

/// What is measured, and where it goes.
#[derive(Debug)]
pub struct Choice {
    /// Everything as one JSON document, in this file.
    pub json: Option<PathBuf>,
    /// Only the points of these names; all, if there are none.
    pub only: Vec<String>,
    /// So many rounds of everything.
    pub rounds: Option<u16>,
    /// Tiny numbers and a build for development: shows that the bench works.
    pub quick: bool,
    /// `BENCHMARKS.md` is written, and quoted in the README.
    pub write: bool,
}

/// Measures, and prints the table.
///
/// # Errors
/// Something cannot be built or measured; the error says what.
pub fn run(choice: &Choice) -> Result<()> {
    guests::build_all(None)?;
    examples::build_all(&[])?;
    Version::chosen()?.ensure_there()?;
    let mut bench = cargo();
    bench.arg("bench");
    if choice.quick {
        bench.args(["--profile", "dev"]);
    } else {
        say("bench: building with optimisation, which takes minutes the first time");
    }
    // The whole workspace, so that what is built has the features that every other build has, and
    // is not built a second time.
    bench.args(["--workspace", "--locked", "--bench", "bench", "--"]);
    if choice.quick {
        bench.arg("--quick");
    }
    if let Some(file) = &choice.json {
        // It runs in another folder.
        bench.arg("--json").arg(absolute(file)?);
    }
    if let Some(rounds) = choice.rounds {
        bench.arg("--rounds").arg(rounds.to_string());
    }
    if choice.write {
        bench.arg("--write").arg(workspace::root());
    }
    if !choice.only.is_empty() {
        bench.arg("--only").args(&choice.only);
    }
    run_to_its_end(&mut bench)
}
