//! The gateway's program, built.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::{cargo, run, say};
use crate::workspace;

/// How the gateway is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run: for measuring.
    Release,
}

/// Builds the program `paynotify` and returns its path.
pub fn build(profile: Profile) -> Result<PathBuf> {
    // Cargo's profile `dev` puts what it makes into a folder of another name.
    let (name, folder) = match profile {
        Profile::Dev => ("dev", "debug"),
        Profile::Release => ("release", "release"),
    };
    say(format!("gateway: building the program (profile {name})"));
    run(cargo().args(["build", "--package", "paynotify", "--bin", "paynotify", "--profile", name]))?;
    Ok(workspace::target_dir().join(folder).join("paynotify"))
}
