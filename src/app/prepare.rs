//! Before the gateway starts: the plugins are loaded, and every merchant is put together with its own.

use crate::config::{Config, Problem, plugin_files};
use crate::delivery::Merchants;

use super::catalogue::Catalogue;
use super::watch::Watched;

/// Everything that can be wrong has been looked for: the plugins are loaded and know their merchants.
pub struct Prepared {
    /// The plugins that were refused, and why: wrong only for merchants that need them, and of those there are none.
    pub refused: Vec<String>,
    pub(super) merchants: Merchants,
    pub(super) catalogue: Catalogue,
    pub(super) watched: Watched,
}

impl Prepared {
    /// How many merchants there are.
    #[must_use]
    pub fn merchants(&self) -> usize {
        self.merchants.all().len()
    }
}

/// Loads the plugins, and puts every merchant together with its own. Writes nothing but compiled plugins.
///
/// # Errors
/// Everything that is wrong, by file, line and key.
pub async fn prepare(config: &mut Config) -> Result<Prepared, Vec<Problem>> {
    let mut catalogue = Catalogue::new(config).map_err(|(key, error)| vec![config.wrong(key, error)])?;
    // Before they are read: what changes meanwhile is seen to have changed.
    let files = plugin_files(&config.plugins).unwrap_or_else(|error| {
        catalogue.looked_at(&config.plugins, Some(&error));
        Default::default()
    });
    let mut seen = config.merchants_seen.clone();
    seen.extend(files.clone());
    let files = files.into_keys().map(|file| (file, true)).collect();
    let loaded = catalogue.loader().load_all(files).await;
    catalogue.put_plugins(loaded);
    for merchant in config.merchants.drain(..) {
        catalogue.put_merchant(merchant.file.clone(), Some(Ok(merchant)));
    }
    catalogue.recall().await;
    catalogue.settle().await;
    let refused: Vec<_> = catalogue.refused_plugins().collect();
    let mut problems = catalogue.merchants_problems();
    if problems.is_empty() {
        let (merchants, watched) = (catalogue.merchants().clone(), Watched::new(seen));
        return Ok(Prepared { refused, merchants, catalogue, watched });
    }
    // A merchant without its plugin may be one whose plugin was refused: the reason belongs to the answer.
    problems.extend(refused.iter().map(|reason| config.wrong("plugins", reason)));
    Err(problems)
}
