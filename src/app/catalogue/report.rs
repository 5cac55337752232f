//! What the API shows of the catalogue.

use std::collections::BTreeMap;

use super::Catalogue;
use super::entry::{Format, takes};
use crate::api::{PluginRow, Refused, Report};

impl Catalogue {
    /// What runs, and what was refused.
    pub(in crate::app) fn report(&self) -> Report {
        let mut merchants: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for good in self.entries.values().filter_map(|entry| entry.good.as_ref()) {
            if takes(&good.config, &good.config.plugin) {
                merchants.entry(&good.config.plugin).or_default().push(good.config.id.to_string());
            }
        }
        let row = |(name, format): (&String, &Format)| PluginRow {
            name: name.clone(),
            version: format.plugin.description().version.clone(),
            hash: format.plugin.hash().to_owned(),
            file: self.file_of(format),
            since: format.since,
            before: format.before.last().cloned(),
            set_aside: format.set_aside.clone(),
            merchants: merchants.remove(name.as_str()).unwrap_or_default(),
            refused: self.refused(name, format),
        };
        Report {
            plugins: self.formats.iter().map(row).collect(),
            refused: self.refusals.iter().map(|(_, refusal)| refusal.refused.clone()).collect(),
        }
    }

    fn file_of(&self, format: &Format) -> Option<String> {
        let file = format.file.as_ref()?;
        let is_whole = |hash: &str| hash == format.plugin.hash();
        self.files.get(file)?.hash.as_deref().is_some_and(is_whole).then(|| file.display().to_string())
    }

    fn refused(&self, name: &str, format: &Format) -> Option<Refused> {
        let of_it = self.refusals.iter().filter(|(path, refusal)| match &refusal.format {
            Some(other) => other == name,
            None => format.file.as_ref() == Some(path),
        });
        of_it.map(|(_, refusal)| refusal.refused.clone()).max_by_key(|refused| refused.at)
    }
}
