//! Saying what is done, and running other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// One line about what is being done. It goes to the error stream, so that a command's own output stays clean.
pub fn say(line: impl AsRef<str>) {
    eprintln!("xtask: {}", line.as_ref());
}

/// Cargo, in the workspace's folder: the one that runs this program, if one does.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace::root());
    command
}

/// Runs it with the output passed through. The error names the program and how it ended: what was wrong it has
/// printed itself.
pub fn run(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started"))?;
    if !status.success() {
        bail!("{name} failed ({status}); its own message is above");
    }
    Ok(())
}

/// Runs it and returns what it wrote to its output. The error holds the last lines of what it wrote to its error stream.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}): {}",
            output.status,
            last_lines(&String::from_utf8_lossy(&output.stderr), 3)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote something that is not text"))
}

/// The program and its first argument, which is the subcommand of most.
fn name(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy();
    let first = command.get_args().next().map(|argument| argument.to_string_lossy());
    first.map_or_else(|| format!("`{program}`"), |first| format!("`{program} {first}`"))
}

/// The last lines of what a server has written into that file, as one, for an error.
pub(crate) fn last_lines_of(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&text), 8)
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].join(" / ")
}
