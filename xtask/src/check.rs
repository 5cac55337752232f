//! check
#![allow(missing_docs)]
pub fn run() -> anyhow::Result<()> {
    anyhow::bail!("todo")
}
