//! What the gateway costs and how late it is, measured in one run: eight points, each in a module of [`points`].
//!
//! Rule: what is compared takes turns, round by round, over the same broker, the same sink and the same load; a figure is
//! the median of its rounds, and stands beside the least and the most of them. Nothing is measured inside the gateway:
//! it is the program itself, seen by its clients, by its merchants and by `/proc`.
//!
//! `cargo xtask bench` runs this with everything that it needs. Without `--bench`, which cargo adds, it is a test of itself
//! (see [`checks`]). Deliberately absent: bounds that fail. Whether a figure is what was wanted stands beside it, and
//! people judge it, because machines differ.

mod checks;
mod pipe;
mod points;
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use support::context::Context;
use support::report::Report;
use support::{process, publish};

#[derive(Parser)]
#[command(name = "bench", about = "Measures what the gateway costs and how late it is")]
struct Arguments {
    /// Write everything that was measured as one JSON document
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write BENCHMARKS.md, and quote it in README.md, in this folder
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Only these points
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = points::NAMES)]
    only: Vec<String>,
    /// Every point with tiny numbers: shows that the bench works, and measures nothing
    #[arg(long)]
    quick: bool,
    /// So many rounds of everything, rather than 5 of most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    #[command(flatten)]
    runner: checks::Runner,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    process::allow_many_files()?;
    if let Some(task) = pipe::Task::of_this_process()? {
        return task.run().await.map(|()| ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if !arguments.runner.bench {
        return checks::run(&arguments.runner).await;
    }
    let context = Context::start(arguments.quick, arguments.rounds.map(usize::from))?;
    let report = measure(&context, &arguments.only).await?;
    println!("{}", report.markdown());
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(folder) = &arguments.write {
        ensure!(
            report.is_whole(),
            "only a whole run of an optimised build, not a quick one, is written down"
        );
        publish::write(&report, folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the points of these names, or all.
async fn measure(context: &Context, only: &[String]) -> Result<Report> {
    let mut report = Report::begin(context).await?;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    for measurement in points::ALL {
        if measurement.names.iter().any(|name| wanted(name)) {
            let points = measurement.run(context, &wanted).await?;
            points.iter().for_each(|point| eprintln!("\n{}", point.markdown()));
            report.add(points);
        }
    }
    report.end();
    Ok(report)
}
