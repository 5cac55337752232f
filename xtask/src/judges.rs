//! The vendors' SDKs for Python, which judge in the tests what the gateway sends: `tests/formats/judges`.
//!
//! They lie in `<target>/judges`, as [`crate::python`] installs things.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{output, say};
use crate::python::Environment;
use crate::workspace;

/// What is installed: wheels only, so that nothing is run while it is.
const PINS: &str = "tests/formats/judges/requirements.txt";
/// What is published as source only, and cannot lie beside the others.
const ALONE: &str = "tests/formats/judges/python-alipay-sdk.txt";

/// The SDKs, installed.
#[derive(Clone, Debug)]
pub struct Judges(Environment);

impl Judges {
    /// The interpreter that finds them.
    pub fn python(&self) -> PathBuf {
        self.0.program("python")
    }

    /// Where `python-alipay-sdk` lies, whose package has the name of another.
    pub fn python_alipay_sdk(&self) -> PathBuf {
        self.0.folder().join("python-alipay-sdk")
    }

    fn of_these_pins() -> Result<Self> {
        Environment::of(workspace::target_dir().join("judges"), &[PINS, ALONE]).map(Self)
    }
}

/// Installs them, if those of just these pins are not there. Two that run at once wait for each other.
///
/// # Errors
/// There is no Python and the machine cannot install one, or a package cannot be had.
pub fn ensure_installed() -> Result<Judges> {
    let judges = Judges::of_these_pins()?;
    let announce = || say("judges: installing the vendors' SDKs for Python (50 MB, a minute or two)");
    judges.0.ensure("import cryptography", announce, |_| install(&judges)).with_context(|| {
        format!("the vendors' SDKs cannot be installed from {PINS}; Python 3.10 or newer with venv and pip is needed")
    })?;
    Ok(judges)
}

/// The SDKs, for tests. An error if they are not installed.
pub fn ready() -> Result<Judges> {
    let judges = Judges::of_these_pins()?;
    if !judges.0.is_done() {
        let folder = judges.0.folder().display();
        bail!("the vendors' SDKs are not installed: run `cargo xtask judges` (looked in {folder})");
    }
    Ok(judges)
}

fn install(judges: &Judges) -> Result<()> {
    output(&mut judges.0.pip(&["--only-binary", ":all:"], PINS)).context(PINS)?;
    // The first step has installed what builds this one, and what it depends on.
    let mut alone = judges.0.pip(&["--no-deps", "--no-build-isolation", "--use-pep517"], ALONE);
    output(alone.arg("--target").arg(judges.python_alipay_sdk())).context(ALONE)?;
    Ok(())
}
