//! What the catalogue holds: a format's plugin that runs, and a merchant's file with the merchant that was made of it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{self, Problem};
use crate::delivery::Merchant;
use crate::domain::Moment;
use crate::plugin::Plugin;

/// A format's plugin that runs.
pub(super) struct Format {
    pub(super) plugin: Plugin,
    /// The file that has, or last had, this content.
    pub(super) file: Option<PathBuf>,
    pub(super) since: Moment,
    /// Hashes of the versions that ran before, the last one last.
    pub(super) before: Vec<String>,
    /// Hashes of files that a rollback has left aside.
    pub(super) set_aside: Vec<String>,
}

/// A merchant's file.
#[derive(Default)]
pub(super) struct Entry {
    /// What is in effect.
    pub(super) good: Option<Good>,
    /// What the file says, if that is not in effect.
    pub(super) wanted: Option<Arc<config::Merchant>>,
    /// Why what the file says is not in effect.
    pub(super) problem: Option<Problem>,
}

/// A merchant in effect, and the file that it was made of.
#[derive(Clone)]
pub(super) struct Good {
    pub(super) config: Arc<config::Merchant>,
    pub(super) merchant: Arc<Merchant>,
}

impl Entry {
    /// The forms of the file that take this format as it comes, the newest first.
    pub(super) fn forms(&self, format: &str) -> impl Iterator<Item = &Arc<config::Merchant>> {
        let forms = self.wanted.iter().chain(self.good.iter().map(|good| &good.config));
        forms.filter(move |form| takes(form, format))
    }

    /// Whether the newest form of the file wants this plugin beside the merchant's own.
    pub(super) fn wants_beside(&self, format: &str) -> bool {
        let shadow = self.wanted.as_ref().and_then(|form| form.shadow.as_ref());
        shadow.is_some_and(|shadow| shadow.plugin == format)
    }

    pub(super) fn before(&self) -> Option<&Merchant> {
        self.good.as_ref().map(|good| good.merchant.as_ref())
    }
}

/// Whether the merchant is served by whichever version of the format runs.
pub(super) fn takes(merchant: &config::Merchant, format: &str) -> bool {
    merchant.plugin == format && merchant.plugin_hash.is_none()
}

/// Whether the merchant is served by whichever version of the format runs, as it is now.
pub(super) fn is_on(entry: &Entry, format: &str) -> bool {
    entry.good.as_ref().is_some_and(|good| takes(&good.config, format))
}

/// Whether the plugin runs beside the merchant's own.
pub(super) fn is_shadow(entry: &Entry, format: &str) -> bool {
    let shadow = entry.good.as_ref().and_then(|good| good.config.shadow.as_ref());
    shadow.is_some_and(|shadow| shadow.plugin == format)
}
