//! Installing the system's packages, on a Debian machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{output, run};

/// Installs a package that brings a service of its name. The service is neither started nor left to start at boot.
pub(crate) fn install_without_service(package: &str) -> Result<()> {
    let root = Root::of_machine()?;
    output(&mut root.apt_get(&["update"])).context("apt-get update")?;
    let policy = Policy::forbid_services(&root)?;
    let installed = output(&mut root.apt_get(&["install", "--yes", "--no-install-recommends", package]));
    policy.remove(&root)?;
    installed.context("apt-get install")?;
    // The folder is there where systemd runs.
    if Path::new("/run/systemd/system").is_dir() {
        run(root.command("systemctl").args(["disable", "--quiet", "--now", package]))?;
    }
    Ok(())
}

/// An earlier installation was interrupted, and forbids the machine's services since then: it is to be done again.
pub(crate) fn was_interrupted() -> bool {
    fs::read_to_string(POLICY).is_ok_and(|text| text == POLICY_TEXT)
}

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

/// Debian asks this program whether an installed service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// 101 is "no". The comment tells our own, should we be interrupted, from somebody else's.
const POLICY_TEXT: &str =
    "#!/bin/sh\n# paynotify: no service starts while a server for the tests is installed\nexit 101\n";

/// Whether the policy is ours, and so to be removed. A machine that has one (containers do) keeps it.
enum Policy {
    Ours,
    Theirs,
}

impl Policy {
    fn forbid_services(root: &Root) -> Result<Self> {
        match fs::read_to_string(POLICY) {
            Ok(text) if text == POLICY_TEXT => return Ok(Self::Ours),
            Ok(_) => return Ok(Self::Theirs),
            Err(_) => {}
        }
        let draft = std::env::temp_dir().join(format!("paynotify-policy-{}", std::process::id()));
        fs::write(&draft, POLICY_TEXT)
            .and_then(|()| fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("{} cannot be written", draft.display()))?;
        let placed = run(root.command("cp").arg("--preserve=mode").arg(&draft).arg(POLICY));
        fs::remove_file(&draft).with_context(|| format!("{} cannot be removed", draft.display()))?;
        placed.map(|()| Self::Ours)
    }

    fn remove(&self, root: &Root) -> Result<()> {
        match self {
            Self::Ours => run(root.command("rm").arg(POLICY)),
            Self::Theirs => Ok(()),
        }
    }
}
