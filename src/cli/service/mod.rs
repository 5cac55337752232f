//! `paynotify service`: the gateway as a service of systemd's.
//!
//! Rule: files alone. What is written is told file by file, and what only root's own commands can do (the user, enabling, starting) is
//! told as commands, so that nothing happens to a machine that nobody has read. Everything can be done twice. What an operator has
//! written is never replaced: the configuration stays, and changes of the unit belong into a drop-in.
//!
//! Deliberately absent: questions, other service managers, packages.

mod files;
mod pieces;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};

use super::Failure;
use super::client::print;
use files::{Done, Root};
use pieces::{CONFIGURATION, ENABLED, FOLDERS, Prefix, STATE, UNIT};

#[derive(Debug, Subcommand)]
pub(super) enum ServiceVerb {
    /// Puts program, unit, user, folders and a configuration into their places, and says what is next. Can be run again, to upgrade.
    Install(Install),
    /// Takes program, unit and user's entry away again. Configuration and data stay.
    Uninstall(Uninstall),
    /// Prints the unit as it would be installed.
    Print(Print),
}

#[derive(Debug, Args)]
pub(super) struct Install {
    #[command(flatten)]
    place: Place,
    /// The configuration to begin with, instead of the small one that comes along. One that is installed already stays.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Print {
    /// The program is in `bin` of this folder.
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
}

#[derive(Debug, Args)]
struct Place {
    /// The program is in `bin` of this folder.
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// The system's root, if it is not `/`: an image, a package, a try.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Place {
    /// Where to write; refused for the running system's own root, unless it is root who asks.
    fn root(&self) -> anyhow::Result<Root> {
        let is_root = rustix::process::geteuid().is_root();
        if self.root.is_none() && !self.dry_run && !is_root {
            bail!(
                "only root may change the system's folders: run it with sudo, or name another root with --root DIR"
            );
        }
        Ok(Root::new(self.root.as_deref().unwrap_or(Path::new("/")), self.dry_run))
    }
}

pub(super) fn main(verb: &ServiceVerb) -> Result<(), Failure> {
    match verb {
        ServiceVerb::Install(arguments) => install(arguments),
        ServiceVerb::Uninstall(arguments) => uninstall(arguments),
        ServiceVerb::Print(arguments) => Ok(print(&prefix(&arguments.prefix)?.unit())?),
    }
}

fn install(arguments: &Install) -> Result<(), Failure> {
    let (root, prefix) = (arguments.place.root()?, prefix(&arguments.place.prefix)?);
    let configuration = match &arguments.config {
        None => pieces::INITIAL.to_owned(),
        Some(file) => given(file)?,
    };
    let mut told = Told::default();
    for (folder, mode) in FOLDERS {
        told.add(root.folder(Path::new(folder), mode)?, Path::new(folder));
    }
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let program = prefix.program();
    told.add(root.program(&own, &program)?, &program);
    for piece in prefix.pieces() {
        told.add(root.file(Path::new(piece.path), &piece.text, 0o644)?, Path::new(piece.path));
    }
    let config = Path::new(CONFIGURATION);
    told.add(root.new_file(config, &configuration, 0o640)?, config);
    if arguments.config.is_some() && told.last() == Some(Done::Kept) {
        told.note("the configuration that is there was kept; --config is for a first installation");
    }
    print(&told.with(&next(&prefix, root.is_system())))?;
    Ok(())
}

/// A configuration of the operator's, if the service can run with it: the rest `config check` and `run` say.
fn given(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let wrong = |problem: String| Failure::Wrong(vec![format!("{shown}: {problem}")]);
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    match table.get("data").and_then(toml::Value::as_str) {
        Some(data) if Path::new(data).starts_with(STATE) => Ok(text),
        Some(_) | None => {
            Err(wrong(format!("`data` must be \"{STATE}\": the service may write nowhere else")))
        }
    }
}

fn next(prefix: &Prefix, is_system: bool) -> String {
    let there = if is_system { "Next" } else { "Next, on the system whose root that is" };
    format!(
        "{there}:\n  systemd-sysusers paynotify.conf\n  systemd-tmpfiles --create paynotify.conf\n  systemctl daemon-reload\n  \
         systemctl enable paynotify\n  systemctl restart paynotify\n  {} status\nA merchant is a plugin in /etc/paynotify/plugins and a \
         file in /etc/paynotify/merchants; both are dropped in while it runs.\n",
        prefix.program().display()
    )
}

fn uninstall(arguments: &Uninstall) -> Result<(), Failure> {
    let (root, prefix) = (arguments.place.root()?, prefix(&arguments.place.prefix)?);
    if root.has(Path::new(ENABLED)) {
        return Err(
            anyhow!("the service is enabled: `systemctl disable --now paynotify` comes before").into()
        );
    }
    let mut told = Told::default();
    // The unit last: as long as it is there, whatever is missing can be taken away by another try.
    let files = prefix.pieces().map(|piece| PathBuf::from(piece.path));
    let (units, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| path == Path::new(UNIT));
    let programs = [prefix.program(), files::previous(&prefix.program())];
    for path in others.into_iter().chain(programs).chain(units) {
        told.add(root.remove(&path)?, &path);
    }
    print(&told.with(
        "Configuration, data and user are left. For the rest of it, with every notification that was ever taken:\n  \
         systemctl daemon-reload\n  rm -r /etc/paynotify /var/lib/paynotify\n  userdel paynotify\n",
    ))?;
    Ok(())
}

fn prefix(folder: &Path) -> Result<Prefix, Failure> {
    Prefix::new(folder).map_err(|problem| Failure::Wrong(vec![format!("paynotify: --prefix: {problem}")]))
}

/// What was done, file by file.
#[derive(Default)]
struct Told {
    lines: String,
    last: Option<Done>,
}

impl Told {
    fn add(&mut self, done: Done, path: &Path) {
        self.lines.push_str(&format!("{:<9} {}\n", done.word(), path.display()));
        self.last = Some(done);
    }

    fn note(&mut self, text: &str) {
        self.lines.push_str(&format!("          {text}\n"));
    }

    fn last(&self) -> Option<Done> {
        self.last
    }

    fn with(self, end: &str) -> String {
        format!("{}\n{end}", self.lines)
    }
}
