//! PostgreSQL from the system's packages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::packages;
use crate::process::say;

const PACKAGE: &str = "postgresql";
/// Below it there is a folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Installs PostgreSQL if it is not there. The system's own service is neither started nor left to start at boot.
///
/// Needs a Debian machine, and to be root or to have `sudo` that asks no password.
pub fn ensure_installed() -> Result<()> {
    if programs().is_ok() && !packages::was_interrupted() {
        return Ok(());
    }
    say("postgres: not installed; installing it from the system's packages (its service stays off)");
    packages::install_without_service(PACKAGE).with_context(|| {
        format!("PostgreSQL cannot be installed; `apt-get install {PACKAGE}` as root would do")
    })?;
    programs().map(drop)
}

/// The folder with the programs of the newest version that is installed.
pub(super) fn programs() -> Result<PathBuf> {
    let folders = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = folders.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file());
    let newest = paths.filter(|path| version(path).is_some()).max_by_key(version);
    let newest = newest.context("PostgreSQL is not installed; `cargo xtask test` installs it")?;
    Ok(newest.join("bin"))
}
