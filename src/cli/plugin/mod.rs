//! `paynotify plugin`: the plugins of a running gateway.

mod running;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum PluginVerb {
    /// Shows which versions of which plugins a gateway runs, and which files it has refused.
    List(running::List),
    /// Has a gateway go back to the version of a plugin that ran before, until another file is dropped in.
    Rollback(running::Rollback),
}

/// Carries out one of them.
pub(super) async fn main(verb: &PluginVerb) -> Result<(), Failure> {
    match verb {
        PluginVerb::List(list) => running::list(list).await,
        PluginVerb::Rollback(rollback) => running::roll_back(rollback).await,
    }
}
