//! What a check found, for people and for machines.

use std::path::Path;

use serde::Serialize;

use crate::plugin::Plugin;

/// A plugin's report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file that was checked.
    pub file: String,
    /// Whether nothing failed, and everything was looked at.
    pub passed: bool,
    /// What it says of itself; absent where it could not.
    pub plugin: Option<About>,
    /// The checks, in their order.
    pub checks: Vec<Check>,
}

/// What a plugin is.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// The format's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The hash of its file, as attempts name it.
    pub hash: String,
    /// One line.
    pub summary: String,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// In a line, for people.
    pub text: String,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is wrong; no more than the first few of one kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<Wrong>,
    /// What was measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// Something is.
    Failed,
    /// It could not be looked at, because another check failed.
    Skipped,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// What.
    pub what: String,
    /// What to change.
    pub change: String,
    /// What the plugin was given: a record or a reply, as `plugin run` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<serde_json::Value>,
}

/// Something that was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What, with its unit at the end.
    pub name: &'static str,
    /// How much.
    pub value: u64,
    /// How much a gateway allows, where it bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<u64>,
}

impl Report {
    pub(super) fn new(file: &Path, plugin: Option<About>) -> Self {
        Self { file: file.display().to_string(), passed: true, plugin, checks: Vec::new() }
    }

    pub(super) fn push(&mut self, name: &'static str, outcome: Outcome) {
        let Outcome { state, text, notes, wrong, figures } = outcome;
        self.passed &= state == State::Ok;
        self.checks.push(Check { name, state, text, notes, wrong, figures });
    }
}

impl About {
    pub(super) fn of(plugin: &Plugin) -> Self {
        let description = plugin.description();
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            hash: plugin.hash().to_owned(),
            summary: description.summary.clone(),
        }
    }
}

/// A check without its name.
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) text: String,
    pub(super) notes: Vec<String>,
    pub(super) wrong: Vec<Wrong>,
    pub(super) figures: Vec<Figure>,
}

impl Outcome {
    /// Nothing is wrong so far.
    pub(super) fn passed(text: impl Into<String>) -> Self {
        Self {
            state: State::Ok,
            text: text.into(),
            notes: Vec::new(),
            wrong: Vec::new(),
            figures: Vec::new(),
        }
    }

    pub(super) fn skipped(why: &str) -> Self {
        Self { state: State::Skipped, ..Self::passed(format!("not looked at: {why}")) }
    }

    pub(super) fn wrong(&mut self, what: &str, change: impl Into<String>) {
        self.push(what.to_owned(), change.into(), None);
    }

    /// The same, with what the plugin was given.
    pub(super) fn wrong_for(&mut self, what: String, change: String, given: serde_json::Value) {
        self.push(what, change, Some(given));
    }

    fn push(&mut self, what: String, change: String, given: Option<serde_json::Value>) {
        self.state = State::Failed;
        self.wrong.push(Wrong { what, change, given });
    }

    /// Whether so much is wrong that more of it would tell nothing new. A plugin that loops takes a second for each.
    pub(super) fn is_enough(&self) -> bool {
        const ENOUGH: usize = 5;
        self.wrong.len() >= ENOUGH
    }
}
