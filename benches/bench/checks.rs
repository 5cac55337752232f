//! The bench's own tests. It is run without `--bench` by `cargo test` and by the test runner, which first asks for their
//! names; one of them runs every point with tiny numbers and looks at what comes out.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::support::context::Context;
use crate::support::figures::{Percentiles, Spread, percentile, ratios};
use crate::support::publish;

/// What cargo and test runners say to a test binary.
#[derive(clap::Args)]
pub(crate) struct Runner {
    /// Said by cargo: measure.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(hide = true)]
    names: Vec<String>,
}

const SPREAD: &str = "a_spread_is_of_all_rounds";
const PERCENTILES: &str = "percentiles_are_of_sorted_times";
const REPLACED: &str = "a_headline_replaces_the_last_one";
const QUOTED: &str = "the_readme_quotes_the_table";
/// It starts a RabbitMQ node; the test runner's groups know such tests by their names.
const QUICK: &str = "every_point_can_be_measured_own_node";
const ALL: [&str; 5] = [SPREAD, PERCENTILES, REPLACED, QUOTED, QUICK];

/// Runs those that are asked for, or lists them. None of them is one that is ignored.
pub(crate) async fn run(arguments: &Runner) -> Result<ExitCode> {
    let _ = (arguments.exact, arguments.nocapture, &arguments.format);
    let chosen = ALL.iter().filter(|name| {
        !arguments.ignored
            && (arguments.names.is_empty()
                || arguments.names.iter().any(|wanted| name.contains(wanted.as_str())))
    });
    for name in chosen {
        if arguments.list {
            println!("{name}: test");
        } else {
            check(name).await.with_context(|| format!("{name} failed"))?;
            eprintln!("test {name} ... ok");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(name: &str) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match name {
        SPREAD => a_spread_is_of_all_rounds(),
        PERCENTILES => percentiles_are_of_sorted_times(),
        REPLACED => publish::a_headline_replaces_the_last_one(),
        QUOTED => publish::readme_quotes_the_table(root),
        _ => every_point_can_be_measured().await,
    }
}

fn a_spread_is_of_all_rounds() -> Result<()> {
    let spread = Spread::of(&[3.0, 9.0, 1.0]).context("of three")?;
    ensure!(spread == Spread { least: 1.0, median: 3.0, most: 9.0 }, "{spread:?}");
    ensure!(Spread::of(&[]).is_none(), "of none");
    ensure!(ratios(&[4.0, 9.0], &[2.0, 3.0]) == [2.0, 3.0], "round by round");
    Ok(())
}

fn percentiles_are_of_sorted_times() -> Result<()> {
    let mut times: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
    let mut percentiles = Percentiles::default();
    percentiles.add(&mut times);
    let found = [&percentiles.p50, &percentiles.p99, &percentiles.most].map(|values| values.clone());
    ensure!(found == [vec![501.0], vec![991.0], vec![1_000.0]], "{found:?}");
    ensure!(percentile(&[7.0], 99) >= 7.0 && percentile(&[], 99) <= 0.0, "of one and of none");
    Ok(())
}

/// Every point says something, every figure is a number, and nothing of such a run can be taken for a measurement.
async fn every_point_can_be_measured() -> Result<()> {
    let report = crate::measure(&Context::start(true, None)?, &[]).await?;
    let document = report.json();
    println!("{}", report.markdown());
    ensure!(document["schema"] == "paynotify-bench/1" && document["quick"] == true, "{document}");
    for (object, keys) in [
        ("machine", &["processor", "cores", "memory_gigabytes", "kernel"][..]),
        ("versions", &["paynotify", "rustc", "rabbitmq", "erlang", "sqlite"]),
    ] {
        let missing = keys.iter().find(|key| document[object][**key].is_null());
        ensure!(missing.is_none(), "{object} has no {missing:?}");
    }
    let points = document["points"].as_array().context("points")?;
    let numbers: Vec<_> = points.iter().filter_map(|point| point["number"].as_u64()).collect();
    ensure!(numbers == (1..=8).collect::<Vec<_>>(), "{numbers:?}");
    for point in points {
        let rows = point["rows"].as_array().context("rows")?;
        ensure!(!rows.is_empty(), "nothing was measured: {point}");
        for row in rows {
            let is_number = |key: &str| row[key].as_f64().is_some_and(f64::is_finite);
            ensure!(["median", "least", "most"].into_iter().all(is_number), "{row}");
            ensure!(row["values"].as_array().is_some_and(|values| !values.is_empty()), "{row}");
        }
        let mut keys: Vec<_> = rows.iter().map(|row| row["key"].as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        ensure!(keys.len() == rows.len(), "a key twice in {}", point["name"]);
    }
    ensure!(document["headline"].is_string(), "a figure of the headline is missing");
    ensure!(!report.is_whole() && report.markdown().contains("These numbers mean nothing"), "it says so");
    Ok(())
}
