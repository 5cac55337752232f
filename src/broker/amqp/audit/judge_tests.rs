//! Facts in, findings out: a table.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::facts::{Node, Queue};
use super::*;

const WORK: &str = "p.work";
const RUNG: &str = "p.rung.3000";
const POISON: &str = "p.poison";

fn binding(exchange: &str, queue: &str, key: &str) -> Binding {
    Binding { exchange: exchange.to_owned(), queue: queue.to_owned(), routing_key: key.to_owned() }
}

fn expected() -> Expected {
    let queue = |name: &str, role, more: &[(&'static str, Value)], bindings: &[(&str, &str)]| {
        let mut arguments = vec![("x-queue-type", json!("quorum")), ("x-overflow", json!("reject-publish"))];
        arguments.extend_from_slice(more);
        let bindings = bindings.iter().map(|(exchange, key)| binding(exchange, name, key)).collect();
        ExpectedQueue { name: name.to_owned(), role, arguments, bindings }
    };
    let strategy = ("x-dead-letter-strategy", json!("at-least-once"));
    Expected {
        vhost: "/".to_owned(),
        prefix: "p".to_owned(),
        exchanges: ["p.in", "p.delay", "p.return", "p.dead"].map(str::to_owned).to_vec(),
        queues: vec![
            queue(POISON, Role::Poison, &[], &[("p.dead", "#")]),
            queue(
                WORK,
                Role::Work,
                std::slice::from_ref(&strategy),
                &[("p.return", "*.*.work"), ("p.in", "#")],
            ),
            queue(
                RUNG,
                Role::Rung(3_000),
                &[strategy, ("x-message-ttl", json!(3_000))],
                &[("p.delay", "rung.3000.#")],
            ),
        ],
    }
}

/// Three nodes, and everything as it should be.
fn good() -> Facts {
    let names = ["a", "b", "c"].map(str::to_owned);
    let node = |name: &String| Node { name: name.clone(), is_running: true, ..Node::default() };
    let queue = |queue: &ExpectedQueue| {
        let details = Details {
            kind: "quorum".to_owned(),
            arguments: queue
                .arguments
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            members: names.to_vec(),
            online: names.to_vec(),
            ..Details::default()
        };
        (queue.name.clone(), Queue { ready: 0, details: Some(details) })
    };
    Facts {
        version: Some("3.10.8".to_owned()),
        feature_flags: Some(BTreeMap::from([("stream_queue".to_owned(), true)])),
        nodes: Some(names.iter().map(node).collect()),
        queues: expected().queues.iter().map(queue).collect(),
        bindings: Some(expected().queues.iter().flat_map(|queue| queue.bindings.clone()).collect()),
        ..Facts::default()
    }
}

fn details<'a>(facts: &'a mut Facts, queue: &str) -> &'a mut Details {
    facts.queues.get_mut(queue).and_then(|queue| queue.details.as_mut()).expect("there")
}

fn lay(facts: &mut Facts, queue: &str, key: &str, value: Value) {
    let details = details(facts, queue);
    details.policy = Some("all".to_owned());
    details.effective.insert(key.to_owned(), value);
}

/// What is found when the good facts are changed so: severity, check and object of each.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<(Severity, Check, String)> {
    let mut facts = good();
    change(&mut facts);
    let findings = judge(&expected(), &facts);
    findings.into_iter().map(|finding| (finding.severity, finding.check, finding.object)).collect()
}

#[track_caller]
fn check(severity: Severity, check: Check, object: &str, change: impl FnOnce(&mut Facts)) {
    assert_eq!(found(change), [(severity, check, object.to_owned())]);
}

use Severity::{Breaks, Note, Weakens};

#[test]
fn what_is_good_is_found_good() {
    assert_eq!(found(|_| {}), []);
    // Nothing that is not known is found wrong.
    assert_eq!(judge(&expected(), &Facts { queues: good().queues, ..Facts::default() }), []);
}

#[test]
fn versions_and_the_feature_flag() {
    let version = |text: &'static str| move |facts: &mut Facts| facts.version = Some(text.to_owned());
    check(Breaks, Check::Version, "RabbitMQ 3.9.29", version("3.9.29"));
    check(Note, Check::Version, "RabbitMQ 5.0.0-beta.1", version("5.0.0-beta.1"));
    for good in ["3.10.0", "3.13.7", "4.0.5", "4.1.0-rc.1", "nonsense"] {
        assert_eq!(found(version(good)), [], "{good}");
    }
    let off =
        |facts: &mut Facts| facts.feature_flags = Some(BTreeMap::from([("stream_queue".to_owned(), false)]));
    check(Breaks, Check::FeatureFlag, "feature flag stream_queue", off);
    check(Breaks, Check::FeatureFlag, "feature flag stream_queue", |facts| {
        facts.feature_flags = Some(BTreeMap::new());
    });
    assert_eq!(
        found(|facts| {
            off(facts);
            facts.version = Some("4.0.5".to_owned());
        }),
        []
    );
}

#[test]
fn policies() {
    for (queue, key, value, severity) in [
        (RUNG, "overflow", json!("drop-head"), Some(Breaks)),
        (WORK, "overflow", json!("drop-head"), Some(Breaks)),
        (WORK, "overflow", json!("reject-publish"), None),
        (POISON, "overflow", json!("drop-head"), Some(Weakens)),
        (RUNG, "expires", json!(60_000), Some(Breaks)),
        (WORK, "expires", json!(60_000), Some(Breaks)),
        (POISON, "expires", json!(60_000), Some(Breaks)),
        (WORK, "message-ttl", json!(60_000), Some(Breaks)),
        (POISON, "message-ttl", json!(60_000), Some(Breaks)),
        (RUNG, "message-ttl", json!(2_999), Some(Weakens)),
        (RUNG, "message-ttl", json!(3_000), None),
        (WORK, "delivery-limit", json!(20), Some(Weakens)),
        (WORK, "delivery-limit", json!(100), None),
        (WORK, "delivery-limit", json!(-1), None),
        (POISON, "delivery-limit", json!(20), Some(Weakens)),
        (RUNG, "delivery-limit", json!(20), None),
        (RUNG, "dead-letter-routing-key", json!("elsewhere"), Some(Breaks)),
        (WORK, "dead-letter-routing-key", json!("elsewhere"), None),
        (RUNG, "dead-letter-exchange", json!("elsewhere"), None),
        (POISON, "dead-letter-exchange", json!("elsewhere"), Some(Weakens)),
        (RUNG, "max-length", json!(1_000), Some(Weakens)),
        (WORK, "max-length", json!(1_000), Some(Weakens)),
        (WORK, "max-length-bytes", json!(1_000), Some(Weakens)),
        (WORK, "queue-leader-locator", json!("balanced"), None),
        (WORK, "something-new", json!(true), Some(Note)),
    ] {
        let wanted: Vec<_> =
            severity.map(|severity| (severity, Check::Policy, queue.to_owned())).into_iter().collect();
        assert_eq!(found(|facts| lay(facts, queue, key, value.clone())), wanted, "{queue} {key} {value}");
    }
    // Bounded, the poison queue does lose something.
    let bounded = found(|facts| {
        lay(facts, POISON, "overflow", json!("drop-head"));
        lay(facts, POISON, "max-length", json!(10));
    });
    assert!(bounded.iter().any(|(severity, ..)| *severity == Breaks), "{bounded:?}");
}

#[test]
fn one_policy_is_one_finding_and_says_how_to_clear_it() {
    let mut facts = good();
    for queue in [WORK, RUNG] {
        lay(&mut facts, queue, "overflow", json!("drop-head"));
    }
    let findings = judge(&expected(), &facts);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.object, "p.work, p.rung.3000");
    assert!(finding.problem.contains("policy all sets overflow = drop-head"), "{finding}");
    assert!(finding.remedy.contains("rabbitmqctl clear_policy -p / all"), "{finding}");
    let operator = judge(&expected(), &{
        let mut facts = good();
        lay(&mut facts, RUNG, "expires", json!(1));
        let details = details(&mut facts, RUNG);
        details.operator_policy = details.policy.take();
        facts
    });
    assert!(operator[0].remedy.contains("clear_operator_policy -p / all"), "{operator:?}");
}

#[test]
fn types_arguments_and_what_is_missing() {
    check(Breaks, Check::QueueType, RUNG, |facts| details(facts, RUNG).kind = "classic".to_owned());
    check(Breaks, Check::Argument, RUNG, |facts| {
        details(facts, RUNG).arguments.remove("x-dead-letter-strategy");
    });
    check(Breaks, Check::Argument, RUNG, |facts| {
        details(facts, RUNG).arguments.insert("x-message-ttl".to_owned(), json!(30_000));
    });
    check(Breaks, Check::Argument, WORK, |facts| {
        details(facts, WORK).arguments.insert("x-expires".to_owned(), json!(1));
    });
    for queue in [WORK, RUNG, POISON] {
        check(Breaks, Check::Missing, queue, |facts| {
            facts.queues.remove(queue);
        });
    }
}

#[test]
fn ways_that_lead_nowhere() {
    let without = |exchange: &'static str, queue: &'static str, key: &'static str| {
        move |facts: &mut Facts| {
            let bindings = facts.bindings.as_mut().expect("known");
            assert!(bindings.remove(&binding(exchange, queue, key)));
        }
    };
    check(Breaks, Check::Binding, WORK, without("p.return", WORK, "*.*.work"));
    check(Breaks, Check::Binding, WORK, without("p.in", WORK, "#"));
    check(Breaks, Check::Binding, POISON, without("p.dead", POISON, "#"));
    check(Breaks, Check::Binding, RUNG, without("p.delay", RUNG, "rung.3000.#"));
    check(Breaks, Check::Policy, "p.delay", |facts| {
        facts.alternates.insert("p.delay".to_owned(), "alternate".to_owned());
    });
}

#[test]
fn members_and_alarms() {
    check(Weakens, Check::Members, RUNG, |facts| {
        let details = details(facts, RUNG);
        details.members.truncate(1);
        details.online.truncate(1);
    });
    check(Weakens, Check::Members, RUNG, |facts| details(facts, RUNG).online.truncate(2));
    check(Weakens, Check::Members, RUNG, |facts| details(facts, RUNG).online.truncate(1));
    check(Note, Check::Members, "node a", |facts| {
        facts.nodes.as_mut().expect("known").truncate(1);
    });
    let node =
        |change: fn(&mut Node)| move |facts: &mut Facts| change(&mut facts.nodes.as_mut().expect("known")[1]);
    check(Weakens, Check::Alarm, "node b", node(|node| node.memory_alarm = true));
    check(Weakens, Check::Alarm, "node b", node(|node| node.disk_alarm = true));
    check(Weakens, Check::Alarm, "node b", node(|node| node.is_running = false));
    check(Weakens, Check::Alarm, "node b", node(|node| node.partitions = 1));
}

#[test]
fn what_could_not_be_asked_is_said_and_behaviour_counts() {
    let api = "the management API";
    check(Note, Check::Unaudited, api, |facts| facts.unknown.push(Unknown::NoManagement));
    let silent = "p.rung.audit";
    check(Weakens, Check::Unaudited, silent, |facts| facts.unknown.push(Unknown::Silent(silent.to_owned())));
    check(Weakens, Check::Unaudited, api, |facts| {
        facts.unknown.push(Unknown::Unanswered { what: "nodes".to_owned(), why: "401".to_owned() });
    });
    let prefix = "queues of the prefix p";
    check(Breaks, Check::Policy, prefix, |facts| facts.marker = Some(Marker::Drops));
    check(Weakens, Check::Policy, prefix, |facts| facts.marker = Some(Marker::Forgot));
    assert_eq!(found(|facts| facts.marker = Some(Marker::Refuses)), []);
}

#[test]
fn a_rung_of_no_ladder_is_noted() {
    check(Note, Check::Rung, "p.rung.7000", |facts| {
        facts.queues.insert("p.rung.7000".to_owned(), Queue::default());
        facts.queues.insert("p.rung.audit".to_owned(), Queue::default());
        facts.queues.insert("p.probe".to_owned(), Queue::default());
    });
}
