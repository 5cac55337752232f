//! RabbitMQ from the system's packages.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::process::say;

const PACKAGE: &str = "rabbitmq-server";
/// The server, as the package installs it.
pub(super) const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Installs RabbitMQ if it is not there. The system's own service is neither started nor left to start at boot.
///
/// Needs a Debian machine, and to be root or to have `sudo` that asks no password.
pub(super) fn ensure_installed() -> Result<()> {
    if Path::new(PROGRAM).is_file() && !packages::was_interrupted() {
        return Ok(());
    }
    say("rabbitmq: not installed; installing it from the system's packages (its service stays off)");
    packages::install_without_service(PACKAGE).with_context(|| {
        format!("RabbitMQ cannot be installed; `apt-get install {PACKAGE}` as root would do")
    })?;
    if !Path::new(PROGRAM).is_file() {
        bail!("the package {PACKAGE} is installed, but there is no {PROGRAM}");
    }
    Ok(())
}
