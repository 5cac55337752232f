//! `cargo xtask test`: everything that the tests need, and then all tests.

use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

use crate::process::{cargo, run as must_succeed, say};
use crate::rabbitmq::{Node, SHARED_URL_VARIABLE, ensure_installed};
use crate::{guests, workspace};

/// Builds, installs what is missing, starts a broker for all tests and runs them with these further arguments.
///
/// The code is the test runner's own, so that a failure of the tests can be told from a failure to run them. Given
/// arguments select tests, so documentation tests are left out then.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    guests::build_all(None)?;
    ensure_installed()?;
    say("tests: building");
    must_succeed(cargo().args(["build", "--workspace", "--tests", "--locked"]))?;
    say("tests: starting a RabbitMQ node for all of them");
    let mut node = Node::start()?;
    let outcome = run_tests(arguments, &node.amqp_url());
    say("tests: stopping the RabbitMQ node");
    node.stop()?;
    outcome
}

fn run_tests(arguments: &[String], amqp_url: &str) -> Result<ExitCode> {
    let has_nextest =
        cargo().args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    let mut tests = cargo();
    if has_nextest {
        say("tests: running with cargo-nextest");
        tests.args(["nextest", "run", "--workspace", "--locked"]).args(arguments);
    } else {
        say("tests: running with cargo (cargo-nextest is not installed)");
        tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(arguments);
    }
    let status = wait(tests.env(SHARED_URL_VARIABLE, amqp_url))?;
    // Plain `cargo test` has run the documentation's tests already.
    if !status.success() || !has_nextest || !arguments.is_empty() {
        return Ok(code(status));
    }
    say("tests: running the documentation's examples");
    let mut examples = cargo();
    examples.args(["test", "--workspace", "--doc", "--locked"]);
    Ok(code(wait(examples.env(SHARED_URL_VARIABLE, amqp_url))?))
}

fn wait(command: &mut Command) -> Result<ExitStatus> {
    command.current_dir(workspace::root()).status().context("cargo cannot be started")
}

fn code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        // Ended by a signal.
        None => ExitCode::FAILURE,
    }
}
