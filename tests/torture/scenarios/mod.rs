//! The scenarios: a file for each family. Each is a function that starts a rig, breaks things and finishes.

mod broker;
mod cluster;
mod embedded;
mod gateways;
mod journal;
mod mixed;
mod network;
mod queues;

use std::pin::Pin;

pub use gateways::sabotaged;

use super::report::Report;
use super::rig::Run;

/// A scenario at work.
pub type Playing = Pin<Box<dyn Future<Output = Report> + Send>>;

/// A scenario by its name.
pub struct Scenario {
    pub name: &'static str,
    pub play: fn(Run) -> Playing,
}

/// All of them, in the order in which they are played.
pub const ALL: &[Scenario] = &[
    Scenario { name: "gateway-kills", play: |run| Box::pin(gateways::kills(run)) },
    Scenario { name: "two-gateways", play: |run| Box::pin(gateways::kills_of_two(run)) },
    Scenario { name: "three-gateways", play: |run| Box::pin(gateways::kills_of_three(run)) },
    Scenario { name: "drains", play: |run| Box::pin(gateways::drains(run)) },
    Scenario { name: "postgres", play: |run| Box::pin(journal::on_postgres(run)) },
    Scenario { name: "broker-kills", play: |run| Box::pin(broker::kills(run)) },
    Scenario { name: "alarms", play: |run| Box::pin(broker::alarms(run)) },
    Scenario { name: "closings", play: |run| Box::pin(broker::closings(run)) },
    Scenario { name: "deletions", play: |run| Box::pin(queues::deletions(run)) },
    Scenario { name: "embedded-kills", play: |run| Box::pin(embedded::kills(run)) },
    Scenario { name: "embedded-torn-file", play: |run| Box::pin(embedded::torn_file(run)) },
    Scenario { name: "embedded-full-disk", play: |run| Box::pin(embedded::full_disk(run)) },
    Scenario { name: "cluster-leader-kills", play: |run| Box::pin(cluster::leader_kills(run)) },
    Scenario { name: "cluster-freezes", play: |run| Box::pin(cluster::freezes(run)) },
    Scenario { name: "cluster-partitions", play: |run| Box::pin(cluster::partitions(run)) },
    Scenario { name: "cluster-rolling-restart", play: |run| Box::pin(cluster::rolling_restart(run)) },
    Scenario { name: "cluster-mixed", play: |run| Box::pin(cluster::mixed(run)) },
    Scenario { name: "network", play: |run| Box::pin(network::troubles(run)) },
    Scenario { name: "network-two-ways", play: |run| Box::pin(network::two_ways(run)) },
    // Last: it takes as long as it is told to.
    Scenario { name: "mixed", play: |run| Box::pin(mixed::mixed(run)) },
];

/// The scenario of that name.
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
