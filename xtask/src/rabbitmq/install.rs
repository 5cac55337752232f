//! RabbitMQ from the system's packages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::packages::Root;
use crate::process::{output, run, say};

const PACKAGE: &str = "rabbitmq-server";
/// The server, as the package installs it.
pub(super) const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Installs RabbitMQ if it is not there. The system's own service is neither started nor left to start at boot.
///
/// Needs a Debian machine, and to be root or to have `sudo` that asks no password.
pub(super) fn ensure_installed() -> Result<()> {
    if Path::new(PROGRAM).is_file() && !Policy::is_left_over() {
        return Ok(());
    }
    say("rabbitmq: not installed; installing it from the system's packages (its service stays off)");
    install().with_context(|| {
        format!("RabbitMQ cannot be installed; `apt-get install {PACKAGE}` as root would do")
    })?;
    if !Path::new(PROGRAM).is_file() {
        bail!("the package {PACKAGE} is installed, but there is no {PROGRAM}");
    }
    Ok(())
}

fn install() -> Result<()> {
    let root = Root::of_machine()?;
    output(&mut root.apt_get(&["update"])).context("apt-get update")?;
    let policy = Policy::forbid_services(&root)?;
    let installed = output(&mut root.apt_get(&["install", "--yes", "--no-install-recommends", PACKAGE]));
    policy.remove(&root)?;
    installed.context("apt-get install")?;
    // The folder is there where systemd runs.
    if Path::new("/run/systemd/system").is_dir() {
        run(root.command("systemctl").args(["disable", "--quiet", "--now", PACKAGE]))?;
    }
    Ok(())
}

/// Debian asks this program whether an installed service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// 101 is "no". The comment tells our own, should we be interrupted, from somebody else's.
const POLICY_TEXT: &str = "#!/bin/sh\n# paynotify: no service starts while RabbitMQ is installed\nexit 101\n";

/// Whether the policy is ours, and so to be removed. A machine that has one (containers do) keeps it.
enum Policy {
    Ours,
    Theirs,
}

impl Policy {
    /// An earlier installation was interrupted, and forbids the machine's services since then.
    fn is_left_over() -> bool {
        fs::read_to_string(POLICY).is_ok_and(|text| text == POLICY_TEXT)
    }

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
