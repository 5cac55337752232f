//! systemd's own tools, which look at the unit that `paynotify service install` writes.
//!
//! They need no running systemd. Where the machine has none, Debian's package is unpacked into the cache, with the libraries that it
//! needs, and never installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{PrivateApt, machine_archive};
use crate::process::{output, say};
use crate::unpack::{cached, unpack};
use crate::workspace;

/// Fetches them, if the machine has none.
///
/// # Errors
/// The machine is not a Debian one, or its mirror cannot be reached.
pub fn ensure_there() -> Result<()> {
    tool("systemd-analyze").map(drop)
}

/// One of them, such as `systemd-analyze`.
///
/// # Errors
/// It cannot be had.
pub fn tool(name: &str) -> Result<Command> {
    if output(Command::new(name).arg("--version")).is_ok() {
        return Ok(Command::new(name));
    }
    let folder = cached("systemd", fetch).context("systemd's tools cannot be fetched")?;
    let programs = ["usr/bin", "bin"].map(|place| folder.join(place).join(name));
    let Some(program) = programs.iter().find(|program| program.is_file()) else {
        bail!("Debian's package systemd has no {name}");
    };
    let mut libraries = Vec::new();
    for place in ["usr/lib", "lib"] {
        for entry in fs::read_dir(folder.join(place)).into_iter().flatten().flatten() {
            // The architecture's, and in it systemd's own.
            if entry.file_name().to_string_lossy().contains("-linux-") {
                libraries.extend([entry.path(), entry.path().join("systemd")]);
            }
        }
        libraries.push(folder.join(place).join("systemd"));
    }
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).context("the cache's path has a colon")?);
    Ok(command)
}

fn fetch(into: &Path) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release cannot be read")?;
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.context("/etc/os-release names no Debian release")?.trim_matches('"');
    say("systemd: fetching Debian's package for its tools; nothing is installed");
    let lists = workspace::cache_dir()?.join("apt-systemd");
    let apt = PrivateApt::update(&lists, &machine_archive("")?, suite)?;
    let packages = into.join("packages");
    for package in apt.download_with_dependencies(&["systemd"], &packages)? {
        // The machine's own C library goes with its loader.
        let is_libc = package.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libc6_"));
        if !is_libc {
            unpack(&package, "./*", into)?;
        }
    }
    fs::remove_dir_all(&packages).with_context(|| format!("{} cannot be removed", packages.display()))
}
