//! What is known of RabbitMQ at one moment, and what should be so: plain data, between those who ask ([`management`],
//! `session`) and the one who judges (`judge`).
//!
//! The rule: what could not be asked is `None`, never a guess; nobody draws a finding from what is not known.
//!
//! [`management`]: super::management

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What RabbitMQ is like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::broker::amqp) struct Facts {
    /// Such as `3.10.8`.
    pub(in crate::broker::amqp) version: Option<String>,
    /// The feature flags, and whether each is enabled.
    pub(in crate::broker::amqp) feature_flags: Option<BTreeMap<String, bool>>,
    /// The nodes of the cluster.
    pub(in crate::broker::amqp) nodes: Option<Vec<Node>>,
    /// The expected queues that are there, and with the management API every other of our prefix.
    pub(in crate::broker::amqp) queues: BTreeMap<String, Queue>,
    /// Every binding of our exchanges to queues.
    pub(in crate::broker::amqp) bindings: Option<BTreeSet<Binding>>,
    /// The exchanges that a policy gives an alternate exchange, with the name of that policy.
    pub(in crate::broker::amqp) alternates: BTreeMap<String, String>,
    /// What the marker queue does, where it was asked.
    pub(in crate::broker::amqp) marker: Option<Marker>,
    /// What could not be asked, and why.
    pub(in crate::broker::amqp) unknown: Vec<Unknown>,
}

/// Something that could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broker::amqp) enum Unknown {
    /// No management API is configured.
    NoManagement,
    /// A queue of that name does not answer, while RabbitMQ does.
    Silent(String),
    /// It is configured and did not answer: what was asked, and what came of it.
    Unanswered {
        /// Such as `/api/nodes`.
        what: String,
        /// For people.
        why: String,
    },
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::broker::amqp) struct Node {
    pub(in crate::broker::amqp) name: String,
    pub(in crate::broker::amqp) is_running: bool,
    pub(in crate::broker::amqp) memory_alarm: bool,
    pub(in crate::broker::amqp) disk_alarm: bool,
    /// The nodes that it does not hear of any more.
    pub(in crate::broker::amqp) partitions: usize,
}

/// A queue that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::broker::amqp) struct Queue {
    /// The messages that wait in it and are with no consumer.
    pub(in crate::broker::amqp) ready: u64,
    /// What only the management API tells.
    pub(in crate::broker::amqp) details: Option<Details>,
}

/// What the management API tells of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::broker::amqp) struct Details {
    /// `quorum`, `classic` or `stream`.
    pub(in crate::broker::amqp) kind: String,
    /// All messages in it, also those that a consumer or the dead-lettering holds; counted every few seconds.
    pub(in crate::broker::amqp) messages: u64,
    /// What it was declared with.
    pub(in crate::broker::amqp) arguments: Map<String, Value>,
    /// The policy that applies.
    pub(in crate::broker::amqp) policy: Option<String>,
    /// The operator policy that applies.
    pub(in crate::broker::amqp) operator_policy: Option<String>,
    /// What the two lay over it, together.
    pub(in crate::broker::amqp) effective: Map<String, Value>,
    /// The nodes that keep it.
    pub(in crate::broker::amqp) members: Vec<String>,
    /// Those of them that are in touch.
    pub(in crate::broker::amqp) online: Vec<String>,
}

/// The way from an exchange to a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::broker::amqp) struct Binding {
    pub(in crate::broker::amqp) exchange: String,
    pub(in crate::broker::amqp) queue: String,
    pub(in crate::broker::amqp) routing_key: String,
}

/// What a queue does that is declared to hold one message and to refuse more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::amqp) enum Marker {
    /// It refuses: nothing overrides its `x-overflow`.
    Refuses,
    /// It takes one message after the other, and so drops what it has.
    Drops,
    /// It has lost what was in it at the last audit.
    Forgot,
}

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::amqp) enum Role {
    /// The one that gateways compete for.
    Work,
    /// Somebody else's messages.
    Source,
    /// A wait, in milliseconds.
    Rung(u64),
    /// Where unreadable and abandoned messages end.
    Poison,
}

/// A queue as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::broker::amqp) struct ExpectedQueue {
    pub(in crate::broker::amqp) name: String,
    pub(in crate::broker::amqp) role: Role,
    pub(in crate::broker::amqp) arguments: Vec<(&'static str, Value)>,
    pub(in crate::broker::amqp) bindings: Vec<Binding>,
}

/// Everything as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::broker::amqp) struct Expected {
    pub(in crate::broker::amqp) vhost: String,
    pub(in crate::broker::amqp) prefix: String,
    pub(in crate::broker::amqp) exchanges: Vec<String>,
    pub(in crate::broker::amqp) queues: Vec<ExpectedQueue>,
}

impl Expected {
    /// The delay of a queue that is a rung under our prefix, be it expected or not.
    pub(in crate::broker::amqp) fn rung(&self, queue: &str) -> Option<u64> {
        queue.strip_prefix(&self.prefix)?.strip_prefix(".rung.")?.parse().ok()
    }

    /// The rungs that are there and belong to no ladder any more, by their delay.
    pub(in crate::broker::amqp) fn unused_rungs(&self, facts: &Facts) -> Vec<(u64, String)> {
        let expected = |name: &str| self.queues.iter().any(|queue| queue.name == name);
        let mut unused: Vec<_> = facts
            .queues
            .keys()
            .filter(|name| !expected(name))
            .filter_map(|name| Some((self.rung(name)?, name.clone())))
            .collect();
        unused.sort();
        unused
    }
}
