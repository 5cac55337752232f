//! `BENCHMARKS.md`, and its headline in the README.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::report::Report;

/// The line of the README below which the headline stands.
const MARK: &str = "<!-- The headline of BENCHMARKS.md; `cargo xtask bench --write` puts it here. -->";

/// Writes both into the folder.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    let headline = report.headline().context("a figure is missing")?;
    fs::write(folder.join("BENCHMARKS.md"), report.markdown())?;
    let readme = folder.join("README.md");
    let text = quoted(&fs::read_to_string(&readme)?, &headline)?;
    Ok(fs::write(readme, text)?)
}

/// The README with the headline in place of the last one.
fn quoted(readme: &str, headline: &str) -> Result<String> {
    let (before, after) = readme.split_once(MARK).context("the README has no place for the headline")?;
    let after = after.trim_start_matches('\n');
    let rest = match after.split_once('\n') {
        Some((last, rest)) if last.starts_with("**") => rest,
        _ => after,
    };
    let rest = rest.trim_start_matches('\n');
    Ok(format!("{before}{MARK}\n\n{headline}\n\n{rest}"))
}

/// The table's headline stands in the README, and the README's is of the table.
///
/// # Errors
/// They differ, or one is there without the other.
pub(crate) fn readme_quotes_the_table(folder: &Path) -> Result<()> {
    let readme = fs::read_to_string(folder.join("README.md"))?;
    let (_, below) = readme.split_once(MARK).context("the README has no place for the headline")?;
    let quoted = below.lines().find(|line| !line.is_empty()).filter(|line| line.starts_with("**"));
    let table = fs::read_to_string(folder.join("BENCHMARKS.md")).unwrap_or_default();
    let headline = table.lines().find(|line| line.starts_with("**"));
    anyhow::ensure!(quoted == headline, "the README says {quoted:?}, and BENCHMARKS.md {headline:?}");
    Ok(())
}

/// A headline takes the last one's place, and nothing else changes.
pub(crate) fn a_headline_replaces_the_last_one() -> Result<()> {
    let readme = format!("# a\n\n{MARK}\n\nmore\n");
    let first = quoted(&readme, "**one**")?;
    anyhow::ensure!(first == format!("# a\n\n{MARK}\n\n**one**\n\nmore\n"), "{first}");
    let second = quoted(&first, "**two**")?;
    anyhow::ensure!(second == first.replace("one", "two"), "{second}");
    Ok(())
}
