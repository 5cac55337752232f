//! promtool, which comes with Prometheus and checks what is written for it: rules, their tests, expressions.
//!
//! It is taken from the package `prometheus` of the machine's own Debian and lies in the cache; nothing is installed, and no service
//! of the package's ever runs. The folder is there whole or not at all, so that two that ask at once wait for each other.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::apt::{PrivateApt, machine_archive, machine_suite};
use crate::process::say;
use crate::unpack::{cached, unpack};
use crate::workspace;

const PACKAGE: &str = "prometheus";

/// Fetches promtool if it is not there, and gives the program's path. A test may call it, too.
///
/// # Errors
/// The machine is not a Debian one, or its mirror cannot be reached.
pub fn ensure_there() -> Result<PathBuf> {
    let suite = machine_suite()?;
    let folder = cached(&format!("{PACKAGE}-{suite}"), |partial| {
        say(format!(
            "promtool: fetching {PACKAGE} from the machine's Debian mirror (25 MB); nothing is installed"
        ));
        let lists = workspace::cache_dir()?.join(format!("apt-{suite}"));
        let apt = PrivateApt::update(&lists, &machine_archive("")?, &suite)?;
        let versions = apt.versions(PACKAGE)?;
        let version = versions.first().with_context(|| format!("{suite} has no {PACKAGE}"))?;
        let packages = partial.join("packages");
        unpack(&apt.download(version, &packages)?, "./usr/bin/promtool", partial)?;
        fs::remove_dir_all(&packages).with_context(|| format!("{} cannot be removed", packages.display()))
    })
    .with_context(|| format!("promtool, of the package {PACKAGE}, cannot be fetched"))?;
    Ok(folder.join("usr/bin/promtool"))
}
