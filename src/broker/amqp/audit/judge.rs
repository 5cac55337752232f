//! From facts to findings: pure, and the only place that says what keeps the guarantee and what does not.
//!
//! What overrides what is RabbitMQ's affair and differs by key: for `overflow` a policy beats the queue's argument; for
//! lengths, lives and limits the smaller of the two counts; for dead-letter exchange, key and strategy the argument
//! wins where there is one (sources of 3.10 to 4.x, `rabbit_quorum_queue`).

use serde_json::Value;

use super::facts::{Binding, Details, Expected, ExpectedQueue, Facts, Marker, Role, Unknown};
use super::finding::{Check, Finding, Severity, merged};
use super::management::FEATURE_FLAGS;
use crate::broker::amqp::topology::DELIVERY_LIMIT;

/// The first version that dead-letters at least once.
const OLDEST: (u32, u32) = (3, 10);
/// From this major version on nobody has tried it.
const UNKNOWN_MAJOR: u32 = 5;
/// The first version in which what the flag stands for is always there.
const FLAG_IS_GONE: (u32, u32) = (4, 0);
/// The feature flag that at-least-once dead-lettering hangs on in 3.x.
const FLAG: &str = "stream_queue";
/// In a cluster that has so many nodes, a queue is kept on so many.
const MEMBERS: usize = 3;

/// Holds what is against what should be.
pub(in crate::broker::amqp) fn judge(expected: &Expected, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    version(facts, &mut findings);
    nodes(facts, &mut findings);
    unknown(facts, &mut findings);
    for queue in &expected.queues {
        match facts.queues.get(&queue.name) {
            None => findings.push(missing(queue)),
            Some(found) => {
                if let Some(details) = &found.details {
                    declared(queue, details, &mut findings);
                    policies(expected, queue, details, &mut findings);
                    members(facts, queue, details, &mut findings);
                }
            }
        }
        if let Some(bindings) = &facts.bindings {
            let absent = queue.bindings.iter().filter(|binding| !bindings.contains(binding));
            findings.extend(absent.map(|binding| unbound(queue, binding)));
        }
    }
    for (exchange, policy) in &facts.alternates {
        findings.push(alternate(expected, exchange, policy));
    }
    marker(expected, facts, &mut findings);
    for (_, name) in expected.unused_rungs(facts) {
        findings.push(Finding {
            severity: Severity::Note,
            check: Check::Rung,
            object: name,
            problem:
                "it belongs to no ladder of this configuration; what is in it still comes back by itself"
                    .to_owned(),
            remedy: "nothing; or `paynotify topology drain --unused --delete-empty`, when no gateway uses it"
                .to_owned(),
        });
    }
    merged(findings)
}

fn breaks(check: Check, object: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Breaks,
        check,
        object: object.to_owned(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

fn weakens(check: Check, object: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { severity: Severity::Weakens, ..breaks(check, object, problem, remedy) }
}

fn note(check: Check, object: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { severity: Severity::Note, ..breaks(check, object, problem, remedy) }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn version(facts: &Facts, findings: &mut Vec<Finding>) {
    let numbers = facts.version.as_deref().and_then(numbers);
    if let (Some(version), Some(numbers)) = (&facts.version, numbers) {
        let object = format!("RabbitMQ {version}");
        if numbers < OLDEST {
            let problem = "is older than 3.10: it dead-letters at most once, so a message can be lost between a \
                           rung and the work queue";
            findings.push(breaks(Check::Version, &object, problem, "upgrade to RabbitMQ 3.10 or newer"));
        } else if numbers.0 >= UNKNOWN_MAJOR {
            let problem = "is newer than every version that paynotify was tried with (3.10 to 4.x)";
            findings.push(note(Check::Version, &object, problem, "run the project's tests against it"));
        }
    }
    let flag_counts = numbers.is_none_or(|numbers| numbers < FLAG_IS_GONE);
    if flag_counts && facts.feature_flags.as_ref().is_some_and(|flags| flags.get(FLAG) != Some(&true)) {
        let problem = "is not enabled: rungs then dead-letter at most once, so a message can be lost between a rung \
                       and the work queue";
        let remedy = format!("rabbitmqctl enable_feature_flag {FLAG}");
        findings.push(breaks(Check::FeatureFlag, &format!("feature flag {FLAG}"), problem, remedy));
    }
}

fn nodes(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(nodes) = &facts.nodes else { return };
    if nodes.len() == 1 {
        let problem = "is alone: when its disk is lost, everything that waits is lost";
        let remedy = "make a cluster of three nodes";
        findings.push(note(Check::Members, &format!("node {}", nodes[0].name), problem, remedy));
    }
    for node in nodes {
        let object = format!("node {}", node.name);
        let mut alarm =
            |problem: &str, remedy: &str| findings.push(weakens(Check::Alarm, &object, problem, remedy));
        if !node.is_running {
            alarm("does not run", "start it, or take it out with `rabbitmqctl forget_cluster_node`");
        }
        if node.memory_alarm {
            alarm("is out of memory: nothing can be published in the whole cluster", "give it memory");
        }
        if node.disk_alarm {
            alarm(
                "is out of disk space: nothing can be published in the whole cluster",
                "give it disk space",
            );
        }
        if node.partitions > 0 {
            alarm(
                "has lost touch with other nodes",
                "mend the network between them; look into RabbitMQ's log",
            );
        }
    }
}

fn unknown(facts: &Facts, findings: &mut Vec<Finding>) {
    for unknown in &facts.unknown {
        findings.push(match unknown {
            Unknown::NoManagement => note(
                Check::Unaudited,
                "the management API",
                "is not configured: policies, members, feature flags, bindings and alarms are not audited, beyond \
                 what RabbitMQ's behaviour tells",
                "rabbitmq-plugins enable rabbitmq_management, and set `broker.amqp.management_url`",
            ),
            Unknown::Silent(queue) => weakens(
                Check::Unaudited,
                queue,
                "does not answer, while other queues do: what lies in it is not delivered",
                "restart the node that leads it (rabbitmq-queues quorum_status); if nothing is in it, delete it, and a \
                 running gateway declares it again",
            ),
            // Who may only look on may not see them.
            Unknown::Unanswered { what, why } if what == FEATURE_FLAGS => note(
                Check::Unaudited,
                "the management API",
                format!("could not be asked for {what}: {why}"),
                "look once yourself whether `rabbitmqctl list_feature_flags` has `stream_queue` enabled, or give the \
                 user the tag `administrator`",
            ),
            Unknown::Unanswered { what, why } => weakens(
                Check::Unaudited,
                "the management API",
                format!("could not be asked for {what}: {why}"),
                "check `broker.amqp.management_url`, and that its user has the tag `monitoring` and may see the \
                 virtual host",
            ),
        });
    }
}

fn missing(queue: &ExpectedQueue) -> Finding {
    let problem = "is not there; if it was deleted, what was in it is lost";
    let remedy = "paynotify topology declare (a running gateway declares it again by itself); take the permission to \
                  delete it from whoever did";
    breaks(Check::Missing, &queue.name, problem, remedy)
}

fn declared(queue: &ExpectedQueue, details: &Details, findings: &mut Vec<Finding>) {
    let remedy = "choose another prefix, or drain and delete the queue, then `paynotify topology declare`";
    if details.kind != "quorum" {
        let problem = format!(
            "is a {} queue: only quorum queues dead-letter at least once and survive a node",
            details.kind
        );
        findings.push(breaks(Check::QueueType, &queue.name, problem, remedy));
        return;
    }
    for (name, value) in &queue.arguments {
        let found = details.arguments.get(*name);
        if found != Some(value) {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let problem = format!("was declared with {found} for {name}, which must be {value}");
            findings.push(breaks(Check::Argument, &queue.name, problem, remedy));
        }
    }
    for name in ["x-expires", "x-dead-letter-routing-key", "x-max-length", "x-max-length-bytes"] {
        if let Some(value) = details.arguments.get(name) {
            let problem = format!("was declared with {name} = {value}, which must not be there");
            findings.push(breaks(Check::Argument, &queue.name, problem, remedy));
        }
    }
}

fn policies(expected: &Expected, queue: &ExpectedQueue, details: &Details, findings: &mut Vec<Finding>) {
    let (vhost, prefix) = (&expected.vhost, &expected.prefix);
    let clear = |command: &str, name: &str| format!("rabbitmqctl {command} -p {vhost} {name}");
    let (who, command) = match (&details.policy, &details.operator_policy) {
        (Some(name), None) => (format!("policy {name}"), clear("clear_policy", name)),
        (None, Some(name)) => (format!("operator policy {name}"), clear("clear_operator_policy", name)),
        (Some(name), Some(operator)) => (
            format!("policy {name} with operator policy {operator}"),
            format!("{} or {}", clear("clear_policy", name), clear("clear_operator_policy", operator)),
        ),
        (None, None) => return,
    };
    for (key, value) in &details.effective {
        let Some((severity, what)) = policy_key(queue.role, key, value, details) else { continue };
        let problem = format!("{who} sets {key} = {}: {what}", plain(value));
        let remedy = format!(
            "{command}, or lay a policy without {key} of a higher priority over ^{}\\.",
            prefix.replace('.', "\\.")
        );
        findings.push(Finding { severity, ..breaks(Check::Policy, &queue.name, problem, remedy) });
    }
}

/// What one key of a policy does to a queue of that role; `None` if it does no harm.
fn policy_key(role: Role, key: &str, value: &Value, details: &Details) -> Option<(Severity, &'static str)> {
    use Severity::{Breaks, Note, Weakens};
    let number = value.as_i64();
    let bounded = ["max-length", "max-length-bytes"].iter().any(|key| details.effective.contains_key(*key));
    match (key, role) {
        ("overflow", _) if value == "reject-publish" => None,
        ("overflow", Role::Poison) if !bounded => Some((
            Weakens,
            "with a length bound as well, the oldest of the poisoned messages would be dropped",
        )),
        ("overflow", Role::Poison) => Some((Breaks, "the oldest of the poisoned messages are dropped")),
        ("overflow", _) => {
            Some((Breaks, "messages are dead-lettered at most once, and dropped when it is full"))
        }
        ("expires", _) => {
            Some((Breaks, "the queue is deleted, with what is in it, when nobody uses it for so long"))
        }
        ("message-ttl", Role::Rung(delay)) => {
            let shortens = number.is_some_and(|ttl| u64::try_from(ttl).is_ok_and(|ttl| ttl < delay));
            shortens.then_some((Weakens, "messages come back early and are parked again and again"))
        }
        ("message-ttl", Role::Work | Role::Source) => {
            Some((Breaks, "notifications that wait for so long go to the poison queue undelivered"))
        }
        ("message-ttl", Role::Poison) => Some((Breaks, "poisoned messages are deleted")),
        ("delivery-limit", Role::Work | Role::Source) => {
            let lowers = number.is_some_and(|limit| (0..i64::from(DELIVERY_LIMIT)).contains(&limit));
            lowers.then_some((
                Weakens,
                "notifications that are returned so often go to the poison queue undelivered",
            ))
        }
        ("delivery-limit", Role::Poison) => {
            let lowers = number.is_some_and(|limit| (0..i64::from(i32::MAX)).contains(&limit));
            lowers.then_some((Weakens, "poisoned messages that are looked at so often are deleted"))
        }
        // Nobody consumes from a rung.
        ("delivery-limit", Role::Rung(_)) => None,
        ("dead-letter-routing-key", Role::Rung(_)) => {
            Some((Breaks, "what expires does not find the work queue, and the rung stalls"))
        }
        ("dead-letter-routing-key", _) => None,
        // The queue's own argument wins.
        ("dead-letter-exchange" | "dead-letter-strategy", Role::Work | Role::Source | Role::Rung(_)) => None,
        ("dead-letter-exchange" | "dead-letter-strategy", Role::Poison) => {
            Some((Weakens, "poisoned messages can leave the queue for another"))
        }
        ("max-length" | "max-length-bytes", Role::Work) => {
            Some((Weakens, "when it is full, rungs stall and producers are refused"))
        }
        ("max-length" | "max-length-bytes", Role::Rung(_)) => {
            Some((Weakens, "when it is full, retries cannot be parked and deliveries wait for it"))
        }
        ("max-length" | "max-length-bytes", Role::Source) => {
            Some((Note, "when it is full, its producers are refused"))
        }
        ("max-length" | "max-length-bytes", Role::Poison) => {
            Some((Weakens, "when it is full, what should be put aside blocks what can be delivered"))
        }
        (
            "queue-leader-locator"
            | "queue-master-locator"
            | "initial-cluster-size"
            | "target-group-size"
            | "quorum-initial-group-size"
            | "max-in-memory-length"
            | "max-in-memory-bytes"
            | "queue-version"
            | "queue-mode"
            | "consumer-timeout",
            _,
        ) => None,
        _ => Some((Note, "paynotify does not know what that does to its queues")),
    }
}

/// Without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn members(facts: &Facts, queue: &ExpectedQueue, details: &Details, findings: &mut Vec<Finding>) {
    let (members, online) = (details.members.len(), details.online.len());
    if details.kind != "quorum" || members == 0 {
        return;
    }
    let Some(nodes) = facts.nodes.as_ref().map(Vec::len) else { return };
    if members < nodes.min(MEMBERS) {
        let problem =
            format!("is kept on {members} of {nodes} nodes: it does not survive the loss of a node");
        let remedy = "rabbitmq-queues grow NODE all, for each node that lacks it";
        findings.push(weakens(Check::Members, &queue.name, problem, remedy));
    }
    if online * 2 <= members {
        let problem =
            format!("has {online} of its {members} members online, which is no majority: it stands still");
        findings.push(weakens(Check::Members, &queue.name, problem, "start the nodes that are down"));
    } else if online < members {
        let problem = format!("has {online} of its {members} members online");
        findings.push(weakens(Check::Members, &queue.name, problem, "start the nodes that are down"));
    }
}

fn unbound(queue: &ExpectedQueue, binding: &Binding) -> Finding {
    let Binding { exchange, routing_key, .. } = binding;
    let follows = match queue.role {
        Role::Work | Role::Source => "messages cannot be routed there, and rungs stall",
        Role::Rung(_) => "retries cannot be parked there",
        Role::Poison => "what should be put aside has nowhere to go",
    };
    let problem = format!("is not bound to the exchange {exchange} with {routing_key}: {follows}");
    let remedy = "paynotify topology declare (a running gateway binds it again by itself)";
    breaks(Check::Binding, &queue.name, problem, remedy)
}

fn alternate(expected: &Expected, exchange: &str, policy: &str) -> Finding {
    let problem = format!(
        "policy {policy} gives it an alternate exchange: what finds no queue here is confirmed as if it had, and goes \
         elsewhere"
    );
    let remedy = format!("rabbitmqctl clear_policy -p {} {policy}", expected.vhost);
    breaks(Check::Policy, exchange, problem, remedy)
}

fn marker(expected: &Expected, facts: &Facts, findings: &mut Vec<Finding>) {
    let list = format!("rabbitmqctl list_policies -p {}, and clear the one", expected.vhost);
    match facts.marker {
        None | Some(Marker::Refuses) => {}
        Some(Marker::Drops) => findings.push(breaks(
            Check::Policy,
            &format!("queues of the prefix {}", expected.prefix),
            "a queue that is declared with x-overflow = reject-publish drops messages all the same: a policy must set \
             overflow = drop-head, so rungs dead-letter at most once",
            format!("{list} that sets overflow"),
        )),
        Some(Marker::Forgot) => findings.push(weakens(
            Check::Policy,
            &format!("queues of the prefix {}", expected.prefix),
            "a message that the last audit left behind is gone: somebody purged or deleted the queue, or a policy sets \
             message-ttl or expires",
            format!("{list} that sets it"),
        )),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
