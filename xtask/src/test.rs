//! `cargo xtask test`: everything that the tests need, and then all tests.

use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

use crate::process::{cargo, run as must_succeed, say};
use crate::rabbitmq::{Node, SHARED_URL_VARIABLE, Size, VERSION_VARIABLE, Version};
use crate::{browser, examples, fuzzer, guests, judges, postgres, promtool, systemd, workspace};

/// Builds, fetches what is missing, starts a broker and a database for all tests and runs them with these further arguments. Without
/// a version it is the one that the environment chooses.
///
/// The code is the test runner's own, so that a failure of the tests can be told from a failure to run them. Given
/// arguments select tests, so documentation tests are left out then.
pub fn run(arguments: &[String], version: Option<Version>) -> Result<ExitCode> {
    let version = version.map_or_else(Version::chosen, Ok)?;
    guests::build_all(None)?;
    version.ensure_there()?;
    postgres::ensure_installed()?;
    judges::ensure_installed()?;
    fuzzer::ensure_installed()?;
    if let Err(reason) = systemd::ensure_there() {
        say(format!("tests: systemd's tools will not look at the unit: {reason:#}"));
    }
    promtool::ensure_there()?;
    browser::ensure_installed()?;
    browser::axe()?;
    examples::build_all(&[])?;
    say("tests: building");
    must_succeed(cargo().args(["build", "--workspace", "--tests", "--examples", "--locked"]))?;
    say(format!("tests: starting a RabbitMQ node ({}) for all of them", version.name()));
    let mut node = Node::start_version(version, Size::Small)?;
    say("tests: starting a PostgreSQL server for all of them");
    let mut database = postgres::Server::start(postgres::Durability::None)?;
    let environment = [
        (SHARED_URL_VARIABLE, node.amqp_url()),
        (VERSION_VARIABLE, version.name()),
        (postgres::SHARED_URL_VARIABLE, database.base_url()),
    ];
    let outcome = run_tests(arguments, &environment);
    say("tests: stopping the RabbitMQ node and the PostgreSQL server");
    node.stop()?;
    database.stop()?;
    outcome
}

fn run_tests(arguments: &[String], environment: &[(&str, String)]) -> Result<ExitCode> {
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
    let status = wait(tests.envs(environment.iter().cloned()))?;
    // Plain `cargo test` has run the documentation's tests already.
    if !status.success() || !has_nextest || !arguments.is_empty() {
        return Ok(code(status));
    }
    say("tests: running the documentation's examples");
    let mut examples = cargo();
    examples.args(["test", "--workspace", "--doc", "--locked"]);
    Ok(code(wait(examples.envs(environment.iter().cloned()))?))
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
