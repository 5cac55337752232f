//! What the audit shows of RabbitMQ in metrics. Labels are few and known: severities, checks, and our own queues.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::finding::{Check, Finding, Severity};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    severity: &'static str,
    check: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// The handles.
#[derive(Clone, Debug)]
pub(in crate::broker::amqp) struct Metrics {
    findings: Family<FindingLabels, Gauge>,
    audits: Family<ResultLabels, Counter>,
    ready: Family<QueueLabels, Gauge>,
    overdue: Family<QueueLabels, Gauge<f64, AtomicU64>>,
}

impl Metrics {
    /// Puts them into the registry.
    pub(in crate::broker::amqp) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            findings: Family::default(),
            audits: Family::default(),
            ready: Family::default(),
            overdue: Family::default(),
        };
        let broker = registry.sub_registry_with_prefix("broker");
        broker.register(
            "audit_findings",
            "What the last audit of RabbitMQ found, by severity and check",
            metrics.findings.clone(),
        );
        broker.register("audits", "Audits of RabbitMQ, by how they ended", metrics.audits.clone());
        broker.register(
            "messages_ready",
            "Messages that lie in a queue and are with no consumer, at the last audit",
            metrics.ready.clone(),
        );
        broker.register(
            "rung_overdue_seconds",
            "How long the oldest message of a rung is over its delay, as far as a probe tells",
            metrics.overdue.clone(),
        );
        // From the first scrape on, a zero is a zero and not an absence.
        metrics.show_findings(&[]);
        for result in ["done", "failed"] {
            drop(metrics.audits.get_or_create(&ResultLabels { result }));
        }
        metrics
    }

    /// An audit has ended.
    pub(super) fn audited(&self, done: bool) {
        let result = if done { "done" } else { "failed" };
        self.audits.get_or_create(&ResultLabels { result }).inc();
    }

    pub(super) fn show_findings(&self, findings: &[Finding]) {
        for severity in Severity::ALL {
            for check in Check::ALL {
                let same = |finding: &&Finding| (finding.severity, finding.check) == (severity, check);
                let count = findings.iter().filter(same).count();
                let labels = FindingLabels { severity: severity.name(), check: check.name() };
                self.findings.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    pub(super) fn show_ready(&self, queue: &str, messages: u64) {
        let labels = QueueLabels { queue: queue.to_owned() };
        self.ready.get_or_create(&labels).set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    pub(super) fn show_overdue(&self, queue: &str, overdue: Duration) {
        self.overdue.get_or_create(&QueueLabels { queue: queue.to_owned() }).set(overdue.as_secs_f64());
    }
}
