//! Where things are: the sources, what is built, and what is kept between builds.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of the workspace: the one that holds `Cargo.lock`.
///
/// Cargo names the package's folder to whatever it runs. That is asked first, because the folder that this crate was
/// compiled in may be another checkout's where several share one target folder.
pub fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or(&package).to_owned()
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, or `target` in the workspace.
///
/// A `build.target-dir` in a configuration file of cargo's is not looked at.
pub fn target_dir() -> PathBuf {
    // A relative folder is taken from the workspace: cargo runs a test in its package's folder, not in the caller's.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// What is downloaded once and kept, outside the target folder so that `cargo clean` leaves it:
/// `PAYNOTIFY_CACHE`, or `paynotify` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("PAYNOTIFY_CACHE") {
        return Ok(folder.into());
    }
    if let Some(folder) = env::var_os("XDG_CACHE_HOME") {
        return Ok(Path::new(&folder).join("paynotify"));
    }
    let home =
        env::home_dir().context("there is no home folder for the cache: set PAYNOTIFY_CACHE to a folder")?;
    Ok(home.join(".cache/paynotify"))
}

/// Waits until no other process holds the lock file of this name in the folder, and holds it until dropped.
/// The folder is made if need be. A process that dies leaves no lock behind.
pub fn lock(folder: &Path, name: &str) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join(name);
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}
