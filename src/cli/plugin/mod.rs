//! `paynotify plugin`: for those who write plugins, and those who look after them.

mod cases;
mod check;
mod new;
mod replay;
mod run;
mod running;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

pub(super) use running::{List, list};

use super::Failure;
use crate::plugin::{Host, Plugin, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum PluginVerb {
    /// Writes a project to begin with: a small format, recorded cases for it, and a script that builds it.
    New(new::New),
    /// Has a plugin format one record and shows the request as it would be sent; with a reply, its verdict on that.
    Run(run::Run),
    /// Holds a plugin against recorded cases. Exit code 1 if anything differs.
    Cases(cases::Cases),
    /// Checks that a plugin keeps the contract, whatever it is given, and measures it. Exit code 1 if it does not.
    Check(check::Check),
    /// Makes an attempt again from its record, and shows what differs; sends nothing. Exit code 1 if anything does.
    Replay(replay::Replay),
    /// Shows which versions of which plugins a gateway runs, and which files it has refused.
    List(running::List),
    /// Has a gateway go back to the version of a plugin that ran before, until another file is dropped in.
    Rollback(running::Rollback),
}

/// Carries out one of them.
pub(super) async fn main(verb: &PluginVerb) -> Result<(), Failure> {
    match verb {
        PluginVerb::New(arguments) => new::new(arguments),
        PluginVerb::Run(run) => run::run(run).await,
        PluginVerb::Cases(cases) => cases::cases(cases).await,
        PluginVerb::Check(check) => check::check(check).await,
        PluginVerb::Replay(replay) => replay::replay(replay).await,
        PluginVerb::List(list) => running::list(list).await,
        PluginVerb::Rollback(rollback) => running::roll_back(rollback).await,
    }
}

/// The plugin, on a host with the bounds of a gateway in which nothing is configured.
async fn load(file: &Path) -> anyhow::Result<Plugin> {
    let host = Host::new(Settings::default())?;
    Ok(host.load(file).await?)
}

/// The text of a file.
fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}
