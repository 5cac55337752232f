//! What an audit says: findings, and how they are put into words.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A notification can be lost, or never reach its merchant. The gateway does not start.
    Breaks,
    /// Nothing is lost by it alone, but one more fault may do harm.
    Weakens,
    /// Good to know.
    Note,
}

impl Severity {
    /// Each of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Breaks, Self::Weakens, Self::Note];

    /// Its name in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::Weakens => "weakens",
            Self::Note => "note",
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// RabbitMQ's version.
    Version,
    /// A feature flag.
    FeatureFlag,
    /// An exchange or queue that is not there.
    Missing,
    /// A queue's type.
    QueueType,
    /// What a queue was declared with.
    Argument,
    /// What a policy or an operator policy lays over it.
    Policy,
    /// The way from an exchange to a queue.
    Binding,
    /// On how many nodes a queue is kept.
    Members,
    /// A node that is out of memory, disk space, or touch.
    Alarm,
    /// A rung that does not give back in time.
    Rung,
    /// Something that could not be looked at.
    Unaudited,
}

impl Check {
    /// Each of them.
    pub const ALL: [Self; 11] = [
        Self::Version,
        Self::FeatureFlag,
        Self::Missing,
        Self::QueueType,
        Self::Argument,
        Self::Policy,
        Self::Binding,
        Self::Members,
        Self::Alarm,
        Self::Rung,
        Self::Unaudited,
    ];

    /// Its name in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::FeatureFlag => "feature_flag",
            Self::Missing => "missing",
            Self::QueueType => "queue_type",
            Self::Argument => "argument",
            Self::Policy => "policy",
            Self::Binding => "binding",
            Self::Members => "members",
            Self::Alarm => "alarm",
            Self::Rung => "rung",
            Self::Unaudited => "unaudited",
        }
    }
}

/// Something that is not as it should be. [`fmt::Display`] makes one line of it, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub check: Check,
    /// The queues, exchange, or node.
    pub object: String,
    /// What is wrong, and what follows from it.
    pub problem: String,
    /// What to change.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; to mend it: {}", self.object, self.problem, self.remedy)
    }
}

/// Makes one finding of those that differ in their object only: a policy over thirty queues is one mistake. The worst
/// come first.
pub(super) fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut groups: Vec<(Finding, Vec<String>)> = Vec::new();
    for finding in findings {
        let same = |group: &&mut (Finding, Vec<String>)| {
            let first = &group.0;
            (first.severity, first.check) == (finding.severity, finding.check)
                && (&first.problem, &first.remedy) == (&finding.problem, &finding.remedy)
        };
        match groups.iter_mut().find(same) {
            Some((_, objects)) => objects.push(finding.object),
            None => {
                let objects = vec![finding.object.clone()];
                groups.push((finding, objects));
            }
        }
    }
    let joined = |(finding, objects): (Finding, Vec<String>)| Finding { object: listed(&objects), ..finding };
    let mut findings: Vec<Finding> = groups.into_iter().map(joined).collect();
    findings.sort();
    findings
}

/// The first few names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.get(SHOWN..) {
        Some(rest) if !rest.is_empty() => {
            format!("{} and {} more", names[..SHOWN].join(", "), rest.len())
        }
        Some(_) | None => names.join(", "),
    }
}
