//! `paynotify config`: what is wrong with a configuration, and what there is to configure.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Failure;
use crate::app::{self, Prepared};
use crate::config::{Config, DEFAULT, Problem};

pub(super) async fn check(file: &Path) -> Result<(), Failure> {
    let (_, prepared) = looked_at(file).await?;
    if !prepared.refused.is_empty() {
        return Err(Failure::Wrong(prepared.refused));
    }
    println!("{}: fine, with {} merchants", file.display(), prepared.merchants());
    Ok(())
}

pub(super) fn print_default() -> Result<(), Failure> {
    print!("{DEFAULT}");
    Ok(())
}

/// A configuration in which nothing is wrong, for a gateway. `loaded` is called before the plugins are looked at.
pub(super) async fn prepared(
    file: &Path,
    loaded: impl FnOnce(&Config),
) -> Result<(Config, Prepared), Failure> {
    let config = Config::load(file).map_err(wrong)?;
    loaded(&config);
    with_plugins(config).await
}

/// The same for a command beside the gateway.
pub(super) async fn looked_at(file: &Path) -> Result<(Config, Prepared), Failure> {
    let mut config = Config::load(file).map_err(wrong)?;
    leave_nothing_behind(&mut config);
    with_plugins(config).await
}

/// Has plugins be compiled without being kept, unless the folder of the data is there and one's own. What root left in it, who
/// looks at what another user runs, would keep that user's gateway from starting.
pub(in crate::cli) fn leave_nothing_behind(config: &mut Config) {
    let own = rustix::process::geteuid().as_raw();
    if !std::fs::metadata(&config.data).is_ok_and(|folder| folder.uid() == own) {
        config.plugin.cache_folder = None;
    }
}

async fn with_plugins(mut config: Config) -> Result<(Config, Prepared), Failure> {
    let prepared = app::prepare(&mut config).await.map_err(wrong)?;
    Ok((config, prepared))
}

fn wrong(problems: Vec<Problem>) -> Failure {
    Failure::Wrong(problems.iter().map(Problem::to_string).collect())
}
