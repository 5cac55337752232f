//! Schemathesis, which asks the API by its own OpenAPI document for whatever the document does not rule out, and a validator of
//! such documents: `tests/api_fuzz`.
//!
//! They lie in the cache's `fuzzer`, as [`crate::python`] installs things.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::{output, say};
use crate::python::Environment;
use crate::workspace;

/// What is installed: wheels only, so that nothing is run while it is.
const PINS: &str = "tests/api_fuzz/requirements.txt";

/// Both, installed.
#[derive(Clone, Debug)]
pub struct Fuzzer(Environment);

impl Fuzzer {
    /// The program `schemathesis`.
    pub fn schemathesis(&self) -> PathBuf {
        self.0.program("schemathesis")
    }

    /// The interpreter that finds the validator.
    pub fn python(&self) -> PathBuf {
        self.0.program("python")
    }
}

/// Installs them, if those of just these pins are not there. Two that run at once wait for each other, so a test may call it, too.
///
/// # Errors
/// There is no Python and the machine cannot install one, or a package cannot be had.
pub fn ensure_installed() -> Result<Fuzzer> {
    let environment = Environment::of(workspace::cache_dir()?.join("fuzzer"), &[PINS])?;
    let announce = || say("fuzzer: installing schemathesis (20 MB, half a minute)");
    let install = |environment: &Environment| {
        output(&mut environment.pip(&["--only-binary", ":all:"], PINS)).context(PINS).map(drop)
    };
    environment
        .ensure("import schemathesis, openapi_spec_validator", announce, install)
        .with_context(|| {
            format!("schemathesis cannot be installed from {PINS}; Python 3.11 or newer with venv and pip is needed")
        })?;
    Ok(Fuzzer(environment))
}
