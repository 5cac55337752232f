//! `cargo xtask torture`: breaks everything again and again, for as long as it takes, and counts what became of it.
//!
//! The suite itself is `tests/torture`; its short form runs with all other tests.

use anyhow::Result;

use crate::process::{cargo, run as must_succeed, say};
use crate::rabbitmq::{VERSION_VARIABLE, Version};
use crate::{guests, workspace};

/// What is run.
#[derive(Debug)]
pub struct Choice {
    /// The plan follows from it. Without one, each run has another.
    pub seed: Option<u64>,
    /// How long the scenario `mixed` lasts.
    pub minutes: u64,
    /// Only this scenario.
    pub scenario: Option<String>,
    /// The RabbitMQ that it runs on; the one that the environment chooses, if none is named.
    pub version: Option<Version>,
    /// The table goes into `RELIABILITY.md`, though it is of one scenario only.
    pub write: bool,
}

/// Runs all scenarios, or one; the table of all is written to `RELIABILITY.md`.
pub fn run(choice: &Choice) -> Result<()> {
    let version = choice.version.map_or_else(Version::chosen, Ok)?;
    guests::build_all(None)?;
    version.ensure_there()?;
    say("torture: building");
    must_succeed(cargo().args(["build", "--workspace", "--tests", "--locked"]))?;
    let seed = choice.seed.unwrap_or_else(seed_of_now);
    say(format!("torture: seed {seed}"));
    let mut tests = cargo();
    // One by one and with all they say, which is what is asked for here; a test runner's time-outs are not.
    tests.args(["test", "--workspace", "--locked", "--test", "torture", "--"]);
    tests.args(["--ignored", "--exact", "long_form", "--nocapture"]);
    tests.env(VERSION_VARIABLE, version.name());
    tests.env("PAYNOTIFY_TORTURE_SEED", seed.to_string());
    tests.env("PAYNOTIFY_TORTURE_MINUTES", choice.minutes.to_string());
    tests.env("PAYNOTIFY_TORTURE_SCENARIO", choice.scenario.as_deref().unwrap_or_default());
    if choice.scenario.is_none() || choice.write {
        tests.env("PAYNOTIFY_TORTURE_WRITE", workspace::root().join("RELIABILITY.md"));
    }
    must_succeed(&mut tests)
}

fn seed_of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
