//! `paynotify plugin cases`: recorded cases, and what differs.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::super::Failure;
use crate::kit::cases::{self, CaseResult, Difference, Outcome};

#[derive(Debug, Args)]
pub(in crate::cli) struct Cases {
    /// The plugin.
    file: PathBuf,
    /// The folder with the cases (`*.json`); `acme.cases` beside `acme.wasm`, unless given.
    folder: Option<PathBuf>,
    /// Rewrites what differs as it went now. Look at the difference in your version control.
    #[arg(long)]
    update: bool,
    /// Prints JSON, for machines.
    #[arg(long)]
    json: bool,
}

pub(super) async fn cases(arguments: &Cases) -> Result<(), Failure> {
    let plugin = super::load(&arguments.file).await?;
    let folder = arguments.folder.clone().unwrap_or_else(|| cases::beside(&arguments.file));
    let outcomes = cases::run(&plugin, &folder).await?;
    if outcomes.is_empty() {
        return Err(Failure::Failed(anyhow!("{} holds no case: no *.json", folder.display())));
    }
    let mut wrong = 0;
    for outcome in &outcomes {
        let updated = arguments.update && update(outcome)?;
        wrong += usize::from(!outcome.passed() && !updated);
        if !arguments.json {
            print!("{}", for_people(outcome, updated));
        }
    }
    let (all, passed) = (outcomes.len(), outcomes.len() - wrong);
    if arguments.json {
        let outcomes: Vec<_> = outcomes.iter().map(for_machines).collect();
        println!("{}", json!({"plugin": plugin.hash(), "cases": outcomes}));
    } else {
        println!("{passed} of {all} cases are as recorded");
    }
    if wrong == 0 { Ok(()) } else { Err(Failure::Failed(anyhow!("{wrong} of {all} cases went otherwise"))) }
}

/// Writes what went otherwise as it went now.
fn update(outcome: &Outcome) -> anyhow::Result<bool> {
    let CaseResult::Differs { seen, .. } = &outcome.result else { return Ok(false) };
    std::fs::write(&outcome.file, seen.to_text()?)
        .with_context(|| format!("{} cannot be written", outcome.file.display()))?;
    Ok(true)
}

fn for_people(outcome: &Outcome, updated: bool) -> String {
    let about = if outcome.about.is_empty() { String::new() } else { format!(": {}", outcome.about) };
    let head = |word: &str| format!("{word:<7}  {}{about}\n", outcome.name());
    match &outcome.result {
        CaseResult::Same => head("ok"),
        CaseResult::Differs { .. } if updated => head("updated"),
        CaseResult::Differs { differences, .. } => {
            head("FAIL") + &differences.iter().map(difference).collect::<String>()
        }
        CaseResult::Unreadable(error) => format!("{}         {error}\n", head("FAIL")),
    }
}

fn difference(difference: &Difference) -> String {
    let Difference { what, recorded, seen } = difference;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "(nothing)".to_owned());
    format!("         {what}\n         - {}\n         + {}\n", text(recorded), text(seen))
}

fn for_machines(outcome: &Outcome) -> Value {
    let (differences, error) = match &outcome.result {
        CaseResult::Same => (None, None),
        CaseResult::Differs { differences, .. } => (Some(differences), None),
        CaseResult::Unreadable(error) => (None, Some(error.to_string())),
    };
    json!({"case": outcome.name(), "passed": outcome.passed(), "differences": differences, "error": error})
}
