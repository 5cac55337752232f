//! Which RabbitMQ is run: the machine's package, or one of another Debian release that is never installed.
//!
//! A package of another release needs that release's libraries, shell and Erlang, and looks for its files below `/usr`.
//! So it is unpacked with all that it depends on into the cache, and each of its programs runs in a mount namespace of
//! its own, in which that folder lies over `/usr`. All else is the machine's: `/proc`, `/dev`, `/etc`, the temporary
//! folder, the network. Programs outside see nothing of it, and it ends with the program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::install;
use crate::apt::{PrivateApt, machine_archive};
use crate::process::{output, say};
use crate::unpack::{cached, unpack};
use crate::workspace;

/// The variable that says which RabbitMQ nodes are started: `installed`, `4` or `newest`.
pub const VERSION_VARIABLE: &str = "PAYNOTIFY_RABBITMQ";

/// Which RabbitMQ a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// The system's package: 3.10 on Debian 12
    Installed,
    /// Debian 13's, which is 4.0; unpacked, not installed
    #[value(name = "4")]
    Four,
    /// The one of Debian's next release, which was 4.3 in 2026; unpacked, not installed
    Newest,
}

impl Version {
    /// What the variable says, or the installed one.
    ///
    /// # Errors
    /// It says something else than the name of a version.
    pub fn chosen() -> Result<Self> {
        let word = std::env::var(VERSION_VARIABLE).unwrap_or_default();
        if word.is_empty() {
            return Ok(Self::Installed);
        }
        let names = || Self::value_variants().iter().map(|version| version.name()).collect::<Vec<_>>();
        let found = Self::value_variants().iter().copied().find(|version| version.name() == word);
        found.with_context(|| format!("{VERSION_VARIABLE} is {word:?}, which is none of {:?}", names()))
    }

    /// The word for it on the command line and in the variable.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Installs or unpacks it if it is not there.
    ///
    /// # Errors
    /// The machine is not a Debian one, its mirror cannot be reached or has no such package, or the machine forbids
    /// mount namespaces.
    pub fn ensure_there(self) -> Result<()> {
        match self.suite() {
            None => install::ensure_installed(),
            Some(_) => self.programs().map(drop),
        }
    }

    /// How its programs are run. One that is to be unpacked is unpacked; the installed one must be there.
    pub(super) fn programs(self) -> Result<Programs> {
        let Some(suite) = self.suite() else {
            if !Path::new(install::PROGRAM).is_file() {
                bail!("RabbitMQ is not installed: run the tests with `cargo xtask test`, which installs it");
            }
            return Ok(Programs { usr: None });
        };
        let folder = cached(&format!("rabbitmq-{suite}"), |partial| fetch(suite, partial))
            .with_context(|| format!("RabbitMQ of Debian {suite} cannot be fetched"))?;
        let programs = Programs { usr: Some(folder.join("usr")) };
        output(&mut programs.command("true")).context(
            "RabbitMQ that is not installed runs in a mount namespace of its own, which this machine forbids; \
             root may make one, and others where `sysctl kernel.unprivileged_userns_clone` is 1",
        )?;
        Ok(programs)
    }

    /// The Debian suite that it is taken from, if it is to be unpacked.
    fn suite(self) -> Option<&'static str> {
        match self {
            Self::Installed => None,
            Self::Four => Some("trixie"),
            Self::Newest => Some("testing"),
        }
    }
}

/// Unpacks the suite's RabbitMQ and all that it needs: about 65 MB are downloaded and 180 MB kept.
fn fetch(suite: &str, into: &Path) -> Result<()> {
    const PACKAGE: &str = "rabbitmq-server";
    // The shell and the programs that its scripts call.
    const ESSENTIAL: [&str; 5] = ["dash", "coreutils", "sed", "grep", "libc-bin"];
    say(format!("rabbitmq: asking the machine's Debian mirror for {suite}"));
    let lists = workspace::cache_dir()?.join(format!("apt-{suite}"));
    let apt = PrivateApt::update(&lists, &machine_archive("")?, suite)?;
    let versions = apt.versions(PACKAGE)?;
    let version = versions.first().with_context(|| format!("{suite} has no {PACKAGE}"))?;
    say(format!("rabbitmq: fetching {} and what it needs; nothing is installed", version.version));
    let packages = into.join("packages");
    let wanted: Vec<&str> = [PACKAGE].into_iter().chain(ESSENTIAL).collect();
    for package in apt.download_with_dependencies(&wanted, &packages)? {
        unpack(&package, "./usr/*", into)?;
    }
    fs::remove_dir_all(&packages).with_context(|| format!("{} cannot be removed", packages.display()))
}

/// How the programs of a RabbitMQ are run.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// What lies over `/usr` for them; `None` if they are the machine's.
    usr: Option<PathBuf>,
}

impl Programs {
    /// A command for this program, whose path is as if it were installed. The process that is started becomes the
    /// program, so that its id and the signals to it are the program's.
    pub(super) fn command(&self, program: &str) -> Command {
        const OVER_USR: &str = r#"mount --bind "$0" /usr && exec "$@""#;
        let Some(usr) = &self.usr else { return Command::new(program) };
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            // Whoever is not root can be it in a namespace of users, where it may do no more than they.
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", OVER_USR]).arg(usr).arg(program);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_a_name_of_its_own() {
        let names: Vec<String> = Version::value_variants().iter().map(|version| version.name()).collect();
        assert_eq!(names, ["installed", "4", "newest"]);
    }
}
