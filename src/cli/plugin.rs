//! `paynotify plugin`: for those who write plugins, and those who look after them.

use clap::Subcommand;

use super::{Failure, replay};

#[derive(Debug, Subcommand)]
pub(super) enum PluginVerb {
    /// Makes an attempt again from its record, and shows what differs; sends nothing. Exit code 1 if anything does.
    Replay(replay::Replay),
}

pub(super) async fn main(verb: &PluginVerb) -> Result<(), Failure> {
    match verb {
        PluginVerb::Replay(arguments) => replay::replay(arguments).await,
    }
}
