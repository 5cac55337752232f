//! Packages of Python's, in a folder of their own.
//!
//! They are installed from pinned versions whose hashes are checked, into `<all>/<key>`. The key is made of the pins, so that other
//! pins are another folder, and a folder counts once its last step is done. Where packages come from is pip's own
//! configuration's affair.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::packages::Root;
use crate::process::{output, say};
use crate::workspace;

/// Written last.
const DONE: &str = "done";

/// One such folder.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    all: PathBuf,
    folder: PathBuf,
}

impl Environment {
    /// The one with what these files pin, beside others of its kind in `all`. Nothing is installed by that.
    pub(crate) fn of(all: PathBuf, pins: &[&str]) -> Result<Self> {
        let mut digest = Sha256::new();
        for pins in pins {
            let path = workspace::root().join(pins);
            digest.update(fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?);
        }
        let key: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = all.join(key);
        Ok(Self { all, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program that is installed there, such as `python`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Whether all of it was installed.
    pub(crate) fn is_done(&self) -> bool {
        self.folder.join(DONE).is_file()
    }

    /// Has it installed if it is not there, or does not `work` (an import, to Python). Two that run at once wait for each other.
    pub(crate) fn ensure(
        &self,
        works: &str,
        announce: impl FnOnce(),
        install: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let _lock = workspace::lock(&self.all, ".lock")?;
        // A machine whose Python was exchanged for a newer one no longer finds what lies there.
        if self.is_done() && output(Command::new(self.program("python")).args(["-c", works])).is_ok() {
            return Ok(());
        }
        announce();
        // What an interrupted installation left. Those of other pins may be in use by another checkout.
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("{} cannot be removed", self.folder.display()))?;
        }
        output(Command::new(python()?).args(["-m", "venv"]).arg(&self.folder))?;
        install(self)?;
        let done = self.folder.join(DONE);
        fs::write(&done, "").with_context(|| format!("{} cannot be written", done.display()))
    }

    /// pip, to install what a file pins. Not compiled: of tens of thousands of files a few hundred are ever read.
    pub(crate) fn pip(&self, arguments: &[&str], pins: &str) -> Command {
        let mut pip = Command::new(self.program("python"));
        pip.args(["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]);
        pip.args(["--require-hashes", "--no-compile"]).args(arguments);
        pip.arg("--requirement").arg(workspace::root().join(pins));
        pip
    }
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
    say("python: none with venv is there; installing the system's packages");
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
