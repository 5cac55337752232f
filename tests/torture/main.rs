//! Nothing is lost: shown by breaking everything, again and again, and counting afterwards.
//!
//! Real brokers, real gateway processes, a producer that knows what was accepted, merchants that know what they were
//! told, and a checker that holds both against the journal, the outcome events and the queues. `scenarios` has what is
//! broken; a seed gives each run's plan (`plan`), and `rig` is what a scenario works with.
//!
//! The short form of each scenario is a test of its own. `cargo xtask torture` runs the long form, [`long_form`].

#![allow(missing_docs, unreachable_pub, dead_code)]

mod checker;
mod checker_tests;
mod disk;
mod evidence;
mod faults;
mod gateways;
mod matching;
mod merchants;
mod plan;
mod producer;
mod rabbit;
mod record;
mod recovery;
mod report;
mod rig;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::path::Path;

use rig::{Form, Run};
use scenarios::{ALL, by_name};

/// The seed of the short forms, unless the variable gives another.
const SEED: u64 = 20_261_122;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is no number")),
        Err(_) => default,
    }
}

fn run(form: Form) -> Run {
    Run {
        seed: number("PAYNOTIFY_TORTURE_SEED", SEED),
        form,
        minutes: number("PAYNOTIFY_TORTURE_MINUTES", 10),
    }
}

/// Plays the short form and demands that nothing is lost and nothing unexplained.
async fn short(name: &str) {
    let scenario = by_name(name).expect("a scenario of that name");
    let run = run(Form::Short);
    let report = (scenario.play)(run).await;
    println!("{}", table::markdown(&[table::row(&report, run.seed)]));
    let repeat =
        format!("PAYNOTIFY_TORTURE_SEED={} cargo nextest run --workspace --test torture {name}", run.seed);
    assert_eq!(report.lost, 0, "lost; to repeat it: {repeat}");
    assert!(
        report.unexplained.is_empty(),
        "{} unexplained; to repeat it: {repeat}",
        report.unexplained.len()
    );
    let left_out = report.scenario.ends_with("(left out)");
    assert!(left_out || report.accepted > 100, "hardly anything was sent");
}

/// The short form of each, as a test of its own. Those with `own_node` in their name start nodes of RabbitMQ's.
macro_rules! short_forms {
    ($($test:ident: $scenario:literal,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            short($scenario).await;
        })*
    };
}

short_forms! {
    own_node_gateway_kills: "gateway-kills",
    own_node_three_gateways: "three-gateways",
    own_node_drains: "drains",
    own_node_postgres: "postgres",
    own_node_broker_kills: "broker-kills",
    own_node_alarms: "alarms",
    own_node_closings: "closings",
    own_node_deletions: "deletions",
    own_node_cluster_leader_kills: "cluster-leader-kills",
    own_node_network: "network",
    embedded_kills: "embedded-kills",
    embedded_torn_file: "embedded-torn-file",
    embedded_full_disk: "embedded-full-disk",
}

/// A gateway that acknowledges before the confirm loses something when it is killed, and the checker says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_node_the_checker_catches_a_loss() {
    let report = scenarios::sabotaged(run(Form::Short)).await;
    println!("{}", table::markdown(&[table::row(&report, SEED)]));
    assert!(report.lost > 0, "a loss was not seen");
    assert!(report.unexplained.iter().any(|story| story.contains("LOST")), "a loss has no story");
}

fn rabbitmq_version() -> String {
    let node = xtask::rabbitmq::Node::start().expect("a node");
    node.ctl(&["version"]).unwrap_or_default().trim().to_owned()
}

/// All scenarios in full, or the one that `PAYNOTIFY_TORTURE_SCENARIO` names, and the table. `cargo xtask torture`
/// runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: cargo xtask torture"]
async fn long_form() {
    let only = std::env::var("PAYNOTIFY_TORTURE_SCENARIO").ok().filter(|name| !name.is_empty());
    let chosen: Vec<_> = match &only {
        Some(name) => vec![by_name(name).unwrap_or_else(|| panic!("there is no scenario `{name}`"))],
        None => ALL.iter().collect(),
    };
    let run = run(Form::Long);
    let order: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
    let file = std::env::var_os("PAYNOTIFY_TORTURE_WRITE").filter(|file| !file.is_empty());
    let rabbitmq = if file.is_some() { tokio::task::block_in_place(rabbitmq_version) } else { String::new() };
    let (mut rows, mut reports) = (Vec::new(), Vec::new());
    for scenario in chosen {
        // One that fails halfway must not hide what the others find.
        let played = tokio::spawn((scenario.play)(run)).await;
        let report = played.unwrap_or_else(|failure| report::Report {
            scenario: scenario.name.to_owned(),
            unexplained: vec![format!("it could not be played to its end: {failure}")],
            ..report::Report::default()
        });
        let row = table::row(&report, run.seed);
        println!("{}", table::markdown(std::slice::from_ref(&row)));
        // At once: a run that is ended halfway has measured what it has.
        if let Some(file) = &file {
            table::enter(Path::new(file), row.clone(), &order, run.minutes, &rabbitmq).expect("written");
        }
        rows.push(row);
        reports.push(report);
    }
    println!("\n{}", table::markdown(&rows));
    let wrong: Vec<_> = reports
        .iter()
        .filter(|report| report.lost > 0 || !report.unexplained.is_empty())
        .map(|report| report.scenario.as_str())
        .collect();
    assert!(
        wrong.is_empty(),
        "seed {}: to repeat it: {}",
        run.seed,
        wrong
            .iter()
            .map(|name| format!("cargo xtask torture --seed {} --scenario {name}", run.seed))
            .collect::<Vec<_>>()
            .join(" ; ")
    );
}
