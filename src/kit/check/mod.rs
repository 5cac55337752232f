//! The conformance kit: whether a plugin keeps the contract, with figures, in a report that its author can act on.
//!
//! Each part asks one question and says what to change where the answer is no. What one part needs of another that failed
//! is not asked: a plugin that cannot write an ordinary request need not be told so a hundred times.
//!
//! | check | what holds if it passes |
//! |---|---|
//! | `contract` | the file is a component that exports the contract's interface |
//! | `imports` | it asks for nothing but the contract and WASI, which is empty |
//! | `describe` | it says what it is, always the same; its schema is one of an object, as far as it is looked at |
//! | `settings` | it takes its settings, and refuses what its own schema refuses, without a trap |
//! | `request` | it writes a request for an ordinary record, with a key for each role that it asks for |
//! | `determinism` | the same attempt gives the same bytes, at any time, on any host, in any instance |
//! | `records` | whatever a record holds: a request that keeps the rules, or `unusable-record` |
//! | `replies` | whatever a merchant answers: a verdict, which is no confirmation for a server's failure |
//! | `bounds` | what its calls took at most stays below what a gateway allows |
//! | `cost` | nothing: what a call costs, a fresh instance included |
//!
//! Deliberately absent: a judgement about the format itself, which recorded cases are for ([`super::cases`]).

mod advice;
mod describe;
mod determinism;
mod figures;
mod odd_records;
mod odd_replies;
mod records;
mod replies;
mod report;
mod settings;
mod shops;
mod subject;

use std::path::Path;
use std::time::Instant;

use crate::domain::Notification;
use crate::plugin::{Host, HostError, LoadError, LoadProblem, Plugin, Settings};

use odd_records::ordinary;
use report::Outcome;
use shops::Shop;
use subject::Subject;

pub use report::{About, Check, Figure, Report, State, Wrong};

/// What a plugin is checked with.
#[derive(Debug, Default)]
pub struct Options {
    /// The settings of merchants that it must take: a name for people, and the object. None: the examples of its schema, or
    /// else `{}`.
    pub settings: Vec<(String, serde_json::Map<String, serde_json::Value>)>,
    /// A record that it can tell; one with all fields, unless given.
    pub record: Option<Notification>,
}

/// Checks the plugin of this file under the default bounds.
///
/// # Errors
/// Plugins cannot be run on this machine. What is wrong with the plugin is in the report.
pub async fn check(file: &Path, options: &Options) -> Result<Report, HostError> {
    let host = Host::new(Settings::default())?;
    let start = Instant::now();
    let plugin = match host.load(file).await {
        Ok(plugin) => plugin,
        Err(error) => return Ok(refused(file, &error)),
    };
    let loaded_in = start.elapsed();
    let mut report = Report::new(file, Some(About::of(&plugin)));
    report.push("contract", Outcome::passed(plugin.contract()));
    report.push("imports", describe::imports(&plugin));
    report.push("describe", describe::description(&plugin, &host, file).await);
    let (outcome, accepted) = settings::check(&plugin, &options.settings).await;
    report.push("settings", outcome);
    let notification = match &options.record {
        Some(record) => record.clone(),
        None => ordinary(),
    };
    let subject = Subject::new(plugin.clone());
    let (outcome, shops) = shops::check(&subject, &notification, &accepted).await;
    report.push("request", outcome);
    if shops.is_empty() {
        for name in ["determinism", "records", "replies", "bounds", "cost"] {
            report.push(name, Outcome::skipped("there is no request to begin with"));
        }
    } else {
        behaviour(&mut report, file, &subject, &notification, &shops).await?;
        report.push("bounds", figures::bounds(&subject));
        report.push("cost", figures::cost(&subject, &notification, &shops, file, loaded_in).await);
    }
    host.close().await;
    Ok(report)
}

async fn behaviour(
    report: &mut Report,
    file: &Path,
    subject: &Subject,
    notification: &Notification,
    shops: &[Shop],
) -> Result<(), HostError> {
    report.push("determinism", determinism::check(subject, file, notification, shops).await?);
    report.push("records", records::check(subject, notification, shops).await);
    report.push("replies", replies::check(subject, notification, shops).await);
    Ok(())
}

/// The report on a file that is not even loaded: the check that it failed, and no other.
fn refused(file: &Path, error: &LoadError) -> Report {
    let order = ["contract", "imports", "describe", "settings", "request"];
    let later = ["determinism", "records", "replies", "bounds", "cost"];
    let failed = match &error.problem {
        LoadProblem::Import(_) => "imports",
        LoadProblem::Describe(_) | LoadProblem::Description(_) => "describe",
        LoadProblem::Unreadable(_)
        | LoadProblem::TooLong { .. }
        | LoadProblem::Precompiled
        | LoadProblem::CoreModule
        | LoadProblem::NotWebAssembly
        | LoadProblem::Signature(_)
        | LoadProblem::Invalid(_)
        | LoadProblem::Export
        | LoadProblem::Contract(_)
        | LoadProblem::Duplicate { .. } => "contract",
    };
    let mut report = Report::new(file, None);
    for name in order.into_iter().chain(later) {
        let outcome = if name == failed {
            let mut outcome = Outcome::passed("a gateway refuses the file");
            outcome.wrong(&format!("the file {}", error.problem), advice::on_file(&error.problem));
            outcome
        } else {
            Outcome::skipped("the file is refused")
        };
        report.push(name, outcome);
    }
    report
}

/// Whether two loads of the plugin say the same of themselves.
fn same_description(one: &Plugin, other: &Plugin) -> bool {
    one.description() == other.description()
}
