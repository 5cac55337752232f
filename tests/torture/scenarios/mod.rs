//! The scenarios: a file for each family. Each is a function that starts a rig, breaks things and finishes.

mod gateways;

use std::pin::Pin;

pub use gateways::sabotaged;

use super::checker::Report;
use super::rig::Run;

/// A scenario at work.
pub type Playing = Pin<Box<dyn Future<Output = Report> + Send>>;

/// A scenario by its name.
pub struct Scenario {
    pub name: &'static str,
    /// It takes as long as it is told to: it runs only when it is asked for, or last.
    pub lasts: bool,
    pub play: fn(Run) -> Playing,
}

/// All of them, in the order in which they are played.
pub const ALL: &[Scenario] = &[
    Scenario { name: "gateway-kills", lasts: false, play: |run| Box::pin(gateways::kills(run)) },
];

/// The scenario of that name.
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
