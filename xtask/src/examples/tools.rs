//! The tools of other languages: compilers and the like from the registries of their packages, in pinned versions whose
//! hashes are checked, in the cache. Nothing is installed into the machine.
//!
//! What is pinned is the project's own affair: each example brings the file that says which tools build it, which is
//! also what a stranger installs from.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::{output, run, say};
use crate::{guests, python, workspace};

/// The oldest Node.js that npm's packages here run on.
const OLDEST_NODE: u32 = 18;
/// Written last.
const DONE: &str = "done";

/// What a build script is run with.
pub(super) struct Tools {
    /// Found before all others.
    programs: Vec<PathBuf>,
    environment: Vec<(&'static str, OsString)>,
    toolchain: Option<guests::Toolchain>,
}

impl Tools {
    /// Runs the project's build script.
    pub(super) fn build(&self, project: &Path) -> Result<()> {
        let mut script = Command::new("sh");
        script.arg("build.sh").current_dir(project);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.programs.iter().cloned().chain(std::env::split_paths(&path));
        script.env("PATH", std::env::join_paths(folders).context("PATH cannot be extended")?);
        script.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(toolchain) = &self.toolchain {
            toolchain.apply(&mut script);
        }
        run(&mut script)
    }
}

/// What the project's `package-lock.json` names.
pub(super) fn node(project: &Path) -> Result<Tools> {
    let version = output(Command::new("node").arg("--version"));
    let version = version.context("Node.js is not there; it is in Debian's packages `nodejs` and `npm`")?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_NODE) {
        bail!("Node.js is {}, and {OLDEST_NODE} or newer is needed", version.trim());
    }
    let pins = [project.join("package.json"), project.join("package-lock.json")];
    let folder = installed("node", &pins, |folder| {
        for file in &pins {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        output(&mut npm).map(drop)
    })?;
    Ok(Tools { programs: vec![folder.join("node_modules/.bin")], environment: Vec::new(), toolchain: None })
}

/// What the project's `requirements.txt` names, wheels only, so that nothing is run while they are installed.
pub(super) fn python(project: &Path) -> Result<Tools> {
    let pins = [project.join("requirements.txt")];
    let folder = installed("python", &pins, |folder| {
        output(Command::new(python::python()?).args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]);
        pip.args(["--require-hashes", "--no-compile", "--only-binary", ":all:", "--requirement"])
            .arg(&pins[0]);
        output(&mut pip).map(drop)
    })?;
    // What the compilers keep from build to build goes where the compilers are.
    let kept = folder.with_extension("kept");
    let mut wasm_tools = this_program()?.into_os_string();
    wasm_tools.push(" wasm-tools");
    let environment = vec![
        ("WASM_TOOLS", wasm_tools),
        ("ZIG_GLOBAL_CACHE_DIR", kept.join("zig").into_os_string()),
        ("ZIG_LOCAL_CACHE_DIR", kept.join("zig").into_os_string()),
        ("GOCACHE", kept.join("go").into_os_string()),
        ("GOTOOLCHAIN", "local".into()),
        ("GOFLAGS", "-mod=mod -trimpath".into()),
    ];
    Ok(Tools { programs: vec![folder.join("bin")], environment, toolchain: None })
}

/// `cargo xtask`, for build scripts to call. A test that runs one is another program, so a copy is kept for it.
fn this_program() -> Result<PathBuf> {
    let (running, kept) = (std::env::current_exe()?, super::folder().join("xtask"));
    if running.file_name() == kept.file_name() && running != kept {
        let partial = kept.with_extension("new");
        let copied = fs::copy(&running, &partial).and_then(|_| fs::rename(&partial, &kept));
        copied.with_context(|| format!("{} cannot be written", kept.display()))?;
    }
    Ok(kept)
}

/// Rust's own, the way the shipped plugins are compiled.
pub(super) fn cargo(_: &Path) -> Result<Tools> {
    let target = workspace::target_dir().join("guests").join("example");
    let environment = vec![("CARGO_TARGET_DIR", target.into_os_string())];
    Ok(Tools { programs: Vec::new(), environment, toolchain: Some(guests::choose(None)?) })
}

/// The folder in the cache that is filled by what these files pin. Unlike other folders of the cache it is not renamed
/// when it is complete, for a virtual environment knows where it is: it counts once its last step is done.
fn installed(kind: &str, pins: &[PathBuf], fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mut digest = Sha256::new();
    for file in pins {
        digest.update(fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?);
    }
    let key: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let cache = workspace::cache_dir()?.join("tools");
    let folder = cache.join(format!("{kind}-{key}"));
    let _lock = workspace::lock(&cache, ".lock")?;
    if folder.join(DONE).is_file() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    say(format!(
        "examples: installing what {} names",
        pins.last().map_or_else(String::new, |file| file.display().to_string())
    ));
    fill(&folder)?;
    fs::write(folder.join(DONE), "").with_context(|| format!("{} cannot be written", folder.display()))?;
    Ok(folder)
}
