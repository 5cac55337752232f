//! The plugins: every cdylib under `plugins/`, built into a component `<target>/plugins/<name>.wasm`.
//!
//! Rule: a component is never stale. Beside each lies a stamp with a digest over all that went into it (`stamp`);
//! building looks at it first and does nothing when nothing changed, and [`built`] hands out only what is fresh.
//! How wasm is compiled on a machine that was not prepared for it is [`ways`]' affair.

mod ways;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output, run, say};
use crate::{stamp, workspace};

pub use ways::WAYS;
pub(crate) use ways::{Toolchain, choose};

/// The target that guests are compiled for: no WASI, hence nothing that a guest could reach.
const TARGET: &str = "wasm32-unknown-unknown";
/// Cargo's profile for guests, in the workspace's `Cargo.toml`.
const PROFILE: &str = "guest";

/// Builds every plugin that is not fresh, and removes components whose plugin is gone. Returns the components' paths.
///
/// With `way`, a name of [`WAYS`], that one is used, and all is built anew if it was built another way. Otherwise the
/// first that can work is. Two that run at once wait for each other.
pub fn build_all(way: Option<&str>) -> Result<Vec<PathBuf>> {
    let folder = components_dir();
    let _lock = workspace::lock(&folder, ".lock")?;
    let names = names()?;
    remove_orphans(&folder, &names)?;
    let inputs = stamp::digest_of_inputs(&workspace::root())?;
    let stale: Vec<&String> = names.iter().filter(|name| !is_fresh(&folder, name, &inputs, way)).collect();
    if stale.is_empty() {
        say(format!("plugins: all {} are fresh", names.len()));
    } else {
        let toolchain = ways::choose(way)?;
        say(format!("plugins: building {} of {}", stale.len(), names.len()));
        let start = Instant::now();
        // All of them in one go, fresh or not: cargo knows what is left to do.
        let made = compile(&names, &toolchain)?;
        for name in &names {
            publish(&made, &folder, name, &toolchain, &inputs)?;
        }
        say(format!("plugins: built in {:.1} s, in {}", start.elapsed().as_secs_f32(), folder.display()));
    }
    Ok(names.iter().map(|name| component(&folder, name)).collect())
}

/// The path of a plugin's component, for tests. An error if it is missing or older than anything it was made of.
pub fn built(name: &str) -> Result<PathBuf> {
    let folder = components_dir();
    let inputs = stamp::digest_of_inputs(&workspace::root())?;
    if !is_fresh(&folder, name, &inputs, None) {
        bail!(
            "plugins are stale or missing: run `cargo xtask plugins` (looked for {})",
            component(&folder, name).display()
        );
    }
    Ok(component(&folder, name))
}

/// Where components are.
pub fn components_dir() -> PathBuf {
    workspace::target_dir().join("plugins")
}

fn component(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

fn is_fresh(folder: &Path, name: &str, inputs: &str, way: Option<&str>) -> bool {
    let stamp = stamp::fresh(&component(folder, name), inputs);
    stamp.is_some_and(|stamp| way.is_none_or(|way| stamp.is_of_way(way)))
}

/// The names of the packages under `plugins/` that make a cdylib, as cargo sees them.
fn names() -> Result<Vec<String>> {
    let text = output(cargo().args(["metadata", "--no-deps", "--locked", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("cargo's metadata cannot be read")?;
    let plugins = workspace::root().join("plugins");
    let members = metadata["packages"].as_array().context("cargo's metadata names no packages")?;
    let is_guest = |package: &&serde_json::Value| {
        let in_plugins =
            package["manifest_path"].as_str().is_some_and(|path| Path::new(path).starts_with(&plugins));
        let kinds =
            package["targets"].as_array().into_iter().flatten().flat_map(|target| target["kind"].as_array());
        in_plugins && kinds.flatten().any(|kind| kind == "cdylib")
    };
    let mut names: Vec<String> = members
        .iter()
        .filter(is_guest)
        .filter_map(|package| package["name"].as_str())
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

/// Removes what an earlier checkout built and this one does not have. Files without a stamp are not ours.
fn remove_orphans(folder: &Path, names: &[String]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_stamp = path.extension().is_some_and(|extension| extension == "stamp");
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if is_stamp && !names.contains(&name) {
            let component = component(folder, &name);
            if component.exists() {
                fs::remove_file(&component)
                    .with_context(|| format!("{} cannot be removed", component.display()))?;
            }
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

/// Has cargo compile and link the components, and returns the folder they are in.
///
/// Guests have a target folder of their own, inside the workspace's: it goes where that goes (a CI cache, `cargo
/// clean`), and building guests does not wait for, or spoil, a build of the gateway. It is not shared by checkouts:
/// cargo tells the age of a workspace's files by their dates, which mean nothing across checkouts.
fn compile(names: &[String], toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = workspace::target_dir().join("guests");
    let mut command = cargo();
    command
        .args(["build", "--locked", "--profile", PROFILE, "--target", TARGET, "--target-dir"])
        .arg(&folder);
    command.args(names.iter().flat_map(|name| ["-p", name]));
    // Flags meant for the gateway must not change a guest: a plugin is the same file wherever it is built.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    toolchain.apply(&mut command);
    run(&mut command)?;
    Ok(folder.join(TARGET).join(PROFILE))
}

fn publish(made: &Path, folder: &Path, name: &str, toolchain: &Toolchain, inputs: &str) -> Result<()> {
    let source = made.join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = fs::read(&source).with_context(|| format!("cargo made no {}", source.display()))?;
    if !is_component(&bytes) {
        bail!("{} is not a component; is `wasm-component-ld` the linker?", source.display());
    }
    stamp::publish(&component(folder, name), &bytes, &toolchain.identity, inputs)
}

/// The first eight bytes of a component: the magic number, and version 13 of layer 1.
pub(crate) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}
