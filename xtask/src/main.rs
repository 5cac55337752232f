//! `cargo xtask …`: set-up for people and for CI. Each command is a module of the library.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use xtask::guests;
use xtask::process::say;
use xtask::rabbitmq::Version;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and shows paynotify", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins into <target>/plugins/<name>.wasm, if anything they are made of has changed
    Plugins {
        /// Compile this way and no other
        #[arg(long, value_parser = PossibleValuesParser::new(guests::WAYS.iter().map(|way| way.name)))]
        way: Option<String>,
    },
    /// Build the examples in other languages into <target>/examples/plugins/<language>.wasm, with tools that are fetched
    Examples {
        /// Only those in these languages
        languages: Vec<String>,
    },
    /// What the examples' build scripts use of `wasm-tools`
    #[command(hide = true)]
    WasmTools {
        #[command(subcommand)]
        command: WasmTools,
    },
    /// Install the vendors' SDKs for Python that judge in the tests what is sent, if they are not there
    Judges,
    /// Build everything, install what the tests need, and run all tests on real brokers
    Test {
        /// The RabbitMQ to run the tests on; `installed`, unless PAYNOTIFY_RABBITMQ says otherwise
        #[arg(long, value_enum)]
        rabbitmq: Option<Version>,
        /// What follows `--` goes to `cargo nextest run` (or `cargo test`)
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Check formatting, lints, documentation and licences
    Check,
    /// Show the main job: a result, a merchant that refuses twice, and the climb up the ladder
    Demo {
        /// End after the first notification is confirmed
        #[arg(long)]
        once: bool,
    },
    /// Measure what the gateway costs, how late it is, and what merchants can do to each other: half an hour
    Bench {
        /// Write everything that was measured as one JSON document
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Only these: pipe, languages, embedded, calls, lateness, neighbours, growth, drain
        #[arg(long, value_name = "NAME", num_args = 1..)]
        only: Vec<String>,
        /// So many rounds of everything, rather than 5 of most
        #[arg(long, value_name = "NUMBER")]
        rounds: Option<u16>,
        /// Tiny numbers and a build for development: shows that the bench works, and measures nothing
        #[arg(long)]
        quick: bool,
        /// Write BENCHMARKS.md, and quote it in README.md
        #[arg(long, conflicts_with_all = ["only", "rounds", "quick"])]
        write: bool,
    },
    /// Kill, cut and block everything, again and again, and count what became of each notification: half an hour
    Torture {
        /// Repeats the plan of an earlier run
        #[arg(long)]
        seed: Option<u64>,
        /// How long the scenario `mixed` lasts
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Only this scenario
        #[arg(long)]
        scenario: Option<String>,
        /// The RabbitMQ to break; `installed`, unless PAYNOTIFY_RABBITMQ says otherwise
        #[arg(long, value_enum)]
        rabbitmq: Option<Version>,
        /// Write RELIABILITY.md for one scenario, too
        #[arg(long)]
        write: bool,
    },
}

#[derive(Subcommand)]
enum WasmTools {
    /// Components of core modules
    #[command(subcommand)]
    Component(xtask::examples::Component),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            say(format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Plugins { way } => guests::build_all(way.as_deref()).map(|_| ExitCode::SUCCESS),
        Task::Examples { languages } => xtask::examples::build_all(&languages).map(|()| ExitCode::SUCCESS),
        Task::WasmTools { command: WasmTools::Component(command) } => {
            xtask::examples::wasm_tools(&command).map(|()| ExitCode::SUCCESS)
        }
        Task::Judges => xtask::judges::ensure_installed().map(|_| ExitCode::SUCCESS),
        Task::Test { rabbitmq, arguments } => xtask::test::run(&arguments, rabbitmq),
        Task::Check => xtask::check::run().map(|()| ExitCode::SUCCESS),
        Task::Demo { once } => xtask::demo::run(once).map(|()| ExitCode::SUCCESS),
        Task::Bench { json, only, rounds, quick, write } => {
            let choice = xtask::bench::Choice { json, only, rounds, quick, write };
            xtask::bench::run(&choice).map(|()| ExitCode::SUCCESS)
        }
        Task::Torture { seed, minutes, scenario, rabbitmq, write } => {
            let choice = xtask::torture::Choice { seed, minutes, scenario, version: rabbitmq, write };
            xtask::torture::run(&choice).map(|()| ExitCode::SUCCESS)
        }
    }
}
