//! `paynotify plugin check`: the report of the conformance kit, for people and for machines.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;

use super::super::Failure;
use crate::domain::Notification;
use crate::kit::case;
use crate::kit::check::{self, Figure, Options, Report, State, Wrong};

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The plugin.
    file: PathBuf,
    /// Settings that it must take, as a JSON object. Can be given several times. Without it, the examples of the plugin's schema, or `{}`.
    #[arg(long = "settings", value_name = "S.json")]
    settings: Vec<PathBuf>,
    /// A record that the plugin can tell, for formats that need fields of their own.
    #[arg(long, value_name = "R.json")]
    record: Option<PathBuf>,
    /// Prints JSON, for machines: there, each thing that is wrong has the case with which it can be seen again.
    #[arg(long)]
    json: bool,
}

pub(super) async fn check(arguments: &Check) -> Result<(), Failure> {
    let report = check::check(&arguments.file, &options(arguments)?).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", for_people(&report));
    }
    if report.passed {
        return Ok(());
    }
    Err(Failure::Failed(anyhow!("{} does not pass", arguments.file.display())))
}

fn options(arguments: &Check) -> anyhow::Result<Options> {
    let mut options = Options::default();
    for file in &arguments.settings {
        let settings =
            case::read_json(file).with_context(|| format!("{} is no JSON object", file.display()))?;
        options.settings.push((format!("`{}`", file.display()), settings));
    }
    if let Some(file) = &arguments.record {
        let record = Notification::parse(Bytes::from(super::read(file)?));
        options.record = Some(record.with_context(|| format!("{} is no record", file.display()))?);
    }
    Ok(options)
}

fn for_people(report: &Report) -> String {
    let mut text = match &report.plugin {
        Some(about) => format!("{} {} ({}): {}\n", about.name, about.version, about.hash, about.summary),
        None => format!("{}\n", report.file),
    };
    for check in &report.checks {
        let word = match check.state {
            State::Ok => "ok",
            State::Failed => "FAIL",
            State::Skipped => "-",
        };
        text.push_str(&format!("{word:<5} {:<12} {}\n", check.name, check.text));
        for Figure { name, value, bound } in &check.figures {
            let bound = bound.map(|bound| format!(" of {bound}")).unwrap_or_default();
            text.push_str(&format!("      {:<12} {name}: {value}{bound}\n", ""));
        }
        for note in &check.notes {
            text.push_str(&format!("      {:<12} {note}\n", ""));
        }
        for Wrong { what, change, .. } in &check.wrong {
            text.push_str(&format!("      {:<12} {what}\n      {:<12} -> {change}\n", "", ""));
        }
    }
    text
}
