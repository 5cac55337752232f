//! `cargo xtask bench`: the gateway measured against the bare pipe.

use anyhow::{Result, bail};

/// Measures, and prints a table.
pub fn run() -> Result<()> {
    bail!("comes with the gateway")
}
