//! `paynotify config`: what is wrong with a configuration, and what there is to configure.

use std::path::Path;

use super::Failure;
use crate::app::{self, Prepared};
use crate::config::{Config, DEFAULT, Problem};

pub(super) async fn check(file: &Path) -> Result<(), Failure> {
    let (_, prepared) = prepared(file, |_| {}).await?;
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

/// A configuration in which nothing is wrong. `loaded` is called before the plugins are looked at.
pub(super) async fn prepared(
    file: &Path,
    loaded: impl FnOnce(&Config),
) -> Result<(Config, Prepared), Failure> {
    let mut config = Config::load(file).map_err(wrong)?;
    loaded(&config);
    let prepared = app::prepare(&mut config).await.map_err(wrong)?;
    Ok((config, prepared))
}

fn wrong(problems: Vec<Problem>) -> Failure {
    Failure::Wrong(problems.iter().map(Problem::to_string).collect())
}
