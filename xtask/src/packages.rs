//! Installing the system's packages, on a Debian machine.

use std::process::Command;

use anyhow::Result;

use crate::process::output;

/// How programs are run as root: directly by root, through `sudo` that asks no password by anybody else.
pub(crate) struct Root {
    is_root: bool,
}

impl Root {
    /// Finds out who runs this.
    pub(crate) fn of_machine() -> Result<Self> {
        Ok(Self { is_root: output(Command::new("id").arg("-u"))?.trim() == "0" })
    }

    /// The program, as root.
    pub(crate) fn command(&self, program: &str) -> Command {
        if self.is_root {
            return Command::new(program);
        }
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", program]);
        command
    }

    /// `apt-get`, which asks nothing. Another apt that happens to run is waited for.
    pub(crate) fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("env");
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]);
        command.args(["-o", "Dpkg::Use-Pty=0"]).args(arguments);
        command
    }
}
