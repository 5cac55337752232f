//! The vendors' SDKs for Python, which judge in the tests what the gateway sends: `tests/formats/judges`.
//!
//! They are installed from pinned versions whose hashes are checked, into `<target>/judges/<key>`. The key is made of the
//! pins, so that other pins are another folder, and a folder counts once its last step is done. Where packages come from
//! is pip's own configuration's affair.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::packages::Root;
use crate::process::{output, say};
use crate::workspace;

/// What is installed: wheels only, so that nothing is run while it is.
const PINS: &str = "tests/formats/judges/requirements.txt";
/// What is published as source only, and cannot lie beside the others.
const ALONE: &str = "tests/formats/judges/python-alipay-sdk.txt";
/// Written last.
const DONE: &str = "done";

/// The SDKs, installed.
#[derive(Clone, Debug)]
pub struct Judges {
    folder: PathBuf,
}

impl Judges {
    /// The interpreter that finds them.
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Where `python-alipay-sdk` lies, whose package has the name of another.
    pub fn python_alipay_sdk(&self) -> PathBuf {
        self.folder.join("python-alipay-sdk")
    }

    fn is_done(&self) -> bool {
        self.folder.join(DONE).is_file()
    }
}

/// Installs them, if those of just these pins are not there. Two that run at once wait for each other.
///
/// # Errors
/// There is no Python and the machine cannot install one, or a package cannot be had.
pub fn ensure_installed() -> Result<Judges> {
    let judges = Judges { folder: folder()? };
    let all = all();
    let _lock = workspace::lock(&all, ".lock")?;
    // A machine whose Python was exchanged for a newer one no longer finds what lies there.
    if judges.is_done() && output(Command::new(judges.python()).args(["-c", "import cryptography"])).is_ok() {
        return Ok(judges);
    }
    say("judges: installing the vendors' SDKs for Python (50 MB, a minute or two)");
    remove_others(&all)?;
    install(&judges).with_context(|| {
        format!("the vendors' SDKs cannot be installed from {PINS}; Python 3.10 or newer with venv and pip is needed")
    })?;
    say(format!("judges: installed in {}", judges.folder.display()));
    Ok(judges)
}

/// The SDKs, for tests. An error if they are not installed.
pub fn ready() -> Result<Judges> {
    let judges = Judges { folder: folder()? };
    if !judges.is_done() {
        bail!(
            "the vendors' SDKs are not installed: run `cargo xtask judges` (looked in {})",
            judges.folder.display()
        );
    }
    Ok(judges)
}

/// Where they all are.
fn all() -> PathBuf {
    workspace::target_dir().join("judges")
}

fn folder() -> Result<PathBuf> {
    let mut digest = Sha256::new();
    for pins in [PINS, ALONE] {
        let path = workspace::root().join(pins);
        digest.update(fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?);
    }
    let key: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(all().join(key))
}

/// What earlier pins left behind, and what an interrupted installation did.
fn remove_others(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all).with_context(|| format!("{} cannot be read", all.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

fn install(judges: &Judges) -> Result<()> {
    output(Command::new(python()?).args(["-m", "venv"]).arg(&judges.folder))?;
    // Not compiled: of some forty thousand files a few hundred are ever read.
    let pip = |arguments: &[&str], pins: &str| {
        let mut pip = Command::new(judges.python());
        pip.args(["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]);
        pip.args(["--require-hashes", "--no-compile"]).args(arguments);
        pip.arg("--requirement").arg(workspace::root().join(pins));
        pip
    };
    output(&mut pip(&["--only-binary", ":all:"], PINS)).context(PINS)?;
    // The first step has installed what builds this one, and what it depends on.
    let mut alone = pip(&["--no-deps", "--no-build-isolation", "--use-pep517"], ALONE);
    output(alone.arg("--target").arg(judges.python_alipay_sdk())).context(ALONE)?;
    let done = judges.folder.join(DONE);
    fs::write(&done, "").with_context(|| format!("{} cannot be written", done.display()))
}

/// A Python that can make a virtual environment with pip in it: the system's own if it can, else the one in the path.
/// Where there is none, the system's is installed.
pub(crate) fn python() -> Result<&'static str> {
    const SYSTEM: &str = "/usr/bin/python3";
    const ABLE: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    let is_able = |python: &&str| output(Command::new(python).args(["-c", ABLE])).is_ok();
    if let Some(python) = [SYSTEM, "python3"].into_iter().find(is_able) {
        return Ok(python);
    }
    say("judges: no Python with venv; installing the system's packages");
    let root = Root::of_machine()?;
    output(&mut root.apt_get(&["update"])).context("apt-get update")?;
    let install = ["install", "--yes", "--no-install-recommends", "python3", "python3-venv"];
    output(&mut root.apt_get(&install)).context("apt-get install")?;
    if !is_able(&SYSTEM) {
        bail!(
            "python3 and python3-venv are installed, but {SYSTEM} cannot make a virtual environment of Python 3.10 or newer"
        );
    }
    Ok(SYSTEM)
}
