//! Folders in the cache that are there whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::output;
use crate::workspace;

/// The folder of this name in the cache, filled by `fill` if it is not there yet.
///
/// It is filled under another name and renamed when complete, so an interruption leaves nothing that looks whole, and
/// one that is there needs no lock. One process fills at a time.
pub(crate) fn cached(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = workspace::cache_dir()?;
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _lock = workspace::lock(&cache, ".lock")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = cache.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("{} cannot be removed", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("{} cannot be made", partial.display()))?;
    fill(&partial)?;
    fs::rename(&partial, &folder).with_context(|| format!("{} cannot be renamed", partial.display()))?;
    Ok(folder)
}

/// Unpacks a Debian package, and of it only what the pattern (tar's wildcards) names; then deletes the package.
pub(crate) fn unpack(package: &Path, pattern: &str, into: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("`dpkg-deb` cannot be started")?;
    let archive = reader.stdout.take().context("`dpkg-deb` has no output")?;
    let status = Command::new("tar")
        .args(["--extract", "--no-same-owner", "--wildcards", "--directory"])
        .arg(into)
        .arg(pattern)
        .stdin(archive)
        .status()
        .context("`tar` cannot be started")?;
    let read = reader.wait()?;
    if !status.success() || !read.success() {
        bail!("{} cannot be unpacked (`dpkg-deb` {read}, `tar` {status})", package.display());
    }
    fs::remove_file(package).with_context(|| format!("{} cannot be removed", package.display()))
}

/// The only folder in `parent` for which `fits` holds by its name.
pub(crate) fn folder_in(parent: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(parent).with_context(|| format!("{} cannot be read", parent.display()))?;
    let mut folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let found = folders.find(|path| path.file_name().is_some_and(|name| fits(&name.to_string_lossy())));
    found.with_context(|| format!("{} has no such folder as expected", parent.display()))
}

/// Whether a program starts and tells its version: an unpacked one may lack a library of the machine's.
pub(crate) fn tells_version(command: &mut Command) -> Result<String> {
    Ok(output(command.arg("-V"))?.trim().to_owned())
}
