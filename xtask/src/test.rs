//! test
#![allow(missing_docs)]
pub fn run(_: &[String]) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("todo")
}
