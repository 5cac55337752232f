//! `cargo xtask demo`: the main job, shown.

use anyhow::{Result, bail};

/// Shows it; with `once` it ends after the first confirmation.
pub fn run(once: bool) -> Result<()> {
    let _ = once;
    bail!("comes with the gateway")
}
