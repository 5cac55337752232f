//! What the audits have come to: whether deliveries may be taken, and whether the gateway is as good as it promises.
//!
//! The first audit decides about the start. What breaks the guarantee later is shouted, once for each change, and makes
//! the gateway not ready; delivery goes on, because stopping would not bring anything back. Whoever starts with
//! `accept_weaker` has accepted what the first audit finds; what comes later counts all the same.

use std::collections::HashSet;
use std::sync::Mutex;

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::finding::{Finding, Severity};
use super::metrics::Metrics;

/// What the first audit has said about taking deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Admission {
    NotYet,
    Passed,
    /// Why not.
    Refused(String),
}

/// Shared by the audit, the supervisor and the broker.
pub(in crate::broker::amqp) struct Standing {
    admission: watch::Sender<Admission>,
    findings: Mutex<Findings>,
    pub(super) metrics: Metrics,
    accept_weaker: bool,
}

#[derive(Default)]
struct Findings {
    now: Vec<Finding>,
    accepted: HashSet<Finding>,
}

impl Standing {
    pub(in crate::broker::amqp) fn new(accept_weaker: bool, metrics: Metrics) -> Self {
        let admission = watch::Sender::new(Admission::NotYet);
        Self { admission, findings: Mutex::default(), metrics, accept_weaker }
    }

    /// Waits for the first audit; whether deliveries may be taken.
    pub(in crate::broker::amqp) async fn admits(&self) -> bool {
        let mut admission = self.admission.subscribe();
        let decided = admission.wait_for(|admission| *admission != Admission::NotYet).await;
        decided.is_ok_and(|admission| *admission == Admission::Passed)
    }

    /// Waits until the start is refused, and says why; for ever if it is not.
    pub(in crate::broker::amqp) async fn refusal(&self) -> String {
        let mut admission = self.admission.subscribe();
        loop {
            if let Admission::Refused(reason) = &*admission.borrow_and_update() {
                return reason.clone();
            }
            // The sender is in `self`: it cannot be gone.
            if admission.changed().await.is_err() {
                return "the audit is gone".to_owned();
            }
        }
    }

    /// Whether the guarantee is kept, as far as is known; if not, what breaks it.
    pub(in crate::broker::amqp) fn ready(&self) -> Result<(), String> {
        match &*self.admission.borrow() {
            Admission::NotYet => return Err("the first audit of RabbitMQ is under way".to_owned()),
            Admission::Refused(reason) => return Err(reason.clone()),
            Admission::Passed => {}
        }
        let Ok(findings) = self.findings.lock() else { return Ok(()) };
        let counts = |finding: &&Finding| {
            finding.severity == Severity::Breaks && !findings.accepted.contains(*finding)
        };
        let broken: Vec<String> = findings.now.iter().filter(counts).map(Finding::to_string).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }

    /// Whether the first audit is still to come.
    pub(super) fn is_first(&self) -> bool {
        *self.admission.borrow() == Admission::NotYet
    }

    /// Whether the start was refused.
    pub(super) fn is_refused(&self) -> bool {
        matches!(&*self.admission.borrow(), Admission::Refused(_))
    }

    /// Takes in everything that is found at the end of an audit, or in between.
    pub(super) fn note(&self, findings: Vec<Finding>) {
        self.metrics.show_findings(&findings);
        let broken: Vec<Finding> =
            findings.iter().filter(|finding| finding.severity == Severity::Breaks).cloned().collect();
        if let Ok(mut known) = self.findings.lock() {
            log_changes(&known.now, &findings);
            known.now = findings;
            if self.is_first() && self.accept_weaker {
                known.accepted = broken.iter().cloned().collect();
            }
        }
        if !self.is_first() {
            return;
        }
        self.admission.send_replace(match broken.as_slice() {
            [] => Admission::Passed,
            _ if self.accept_weaker => {
                warn!("RabbitMQ does not keep what paynotify promises; started all the same, as it was asked to");
                Admission::Passed
            }
            _ => {
                let lines: Vec<String> = broken.iter().map(Finding::to_string).collect();
                Admission::Refused(format!(
                    "RabbitMQ does not keep what paynotify promises: {}. (`--accept-weaker` starts all the same.)",
                    lines.join("; ")
                ))
            }
        });
    }
}

/// Once for each change, not once for each audit.
fn log_changes(before: &[Finding], now: &[Finding]) {
    for finding in now.iter().filter(|finding| !before.contains(finding)) {
        let Finding { severity, check, object, problem, remedy } = finding;
        let (severity, check) = (severity.name(), check.name());
        match finding.severity {
            Severity::Breaks => {
                error!(severity, check, object, problem, remedy, "RabbitMQ does not keep the guarantee");
            }
            Severity::Weakens => {
                warn!(severity, check, object, problem, remedy, "RabbitMQ is weaker than it should be")
            }
            Severity::Note => info!(severity, check, object, problem, remedy, "about RabbitMQ"),
        }
    }
    for finding in before.iter().filter(|finding| !now.contains(finding)) {
        let Finding { severity, check, object, problem, .. } = finding;
        let (severity, check) = (severity.name(), check.name());
        info!(severity, check, object, problem, "this is over");
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::broker::amqp::audit::finding::Check;

    fn standing(accept_weaker: bool) -> Standing {
        Standing::new(accept_weaker, Metrics::registered(&mut Registry::default()))
    }

    fn finding(severity: Severity, object: &str) -> Finding {
        let text = str::to_owned;
        Finding {
            severity,
            check: Check::Policy,
            object: text(object),
            problem: text("p"),
            remedy: text("do r"),
        }
    }

    #[tokio::test]
    async fn what_breaks_the_guarantee_stops_the_start_and_says_what_to_do() {
        let standing = standing(false);
        assert!(standing.ready().is_err());
        standing.note(vec![finding(Severity::Breaks, "q")]);
        assert!(!standing.admits().await);
        let reason = standing.refusal().await;
        assert!(reason.contains("do r") && reason.contains("--accept-weaker"), "{reason}");
        // It does not come right by itself: the gateway is on its way out.
        standing.note(Vec::new());
        assert!(!standing.admits().await && standing.ready().is_err());
    }

    #[tokio::test]
    async fn what_was_accepted_at_the_start_is_accepted_and_nothing_else() {
        let standing = standing(true);
        standing.note(vec![finding(Severity::Breaks, "q")]);
        assert!(standing.admits().await);
        assert_eq!(standing.ready(), Ok(()));
        standing.note(vec![finding(Severity::Breaks, "q"), finding(Severity::Breaks, "other")]);
        assert_eq!(standing.ready(), Err("other: p; to mend it: do r".to_owned()));
    }

    #[tokio::test]
    async fn what_weakens_stops_nothing_and_what_comes_later_makes_unready_while_it_lasts() {
        let standing = standing(false);
        standing.note(vec![finding(Severity::Weakens, "q"), finding(Severity::Note, "q")]);
        assert!(standing.admits().await);
        assert_eq!(standing.ready(), Ok(()));
        standing.note(vec![finding(Severity::Breaks, "q")]);
        assert!(standing.ready().is_err());
        assert!(standing.admits().await, "delivery goes on");
        standing.note(Vec::new());
        assert_eq!(standing.ready(), Ok(()));
    }
}
