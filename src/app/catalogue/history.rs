//! Versions over time: what ran before the last stop, what is noted of what runs, and the way back.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::Catalogue;
use super::entry::{Entry, Format};
use crate::api::RollbackError;
use crate::app::kept::{Kept, MOST_BEFORE, Noted, Notes};
use crate::domain::MerchantId;
use crate::plugin::Plugin;

impl Catalogue {
    /// Takes up what ran before the last stop, where files do not say the same: the version that runs is the one that is
    /// noted, until `settle` finds a better one.
    pub(in crate::app) async fn recall(&mut self) {
        let notes = self.kept.notes();
        for (name, noted) in notes {
            let file = self.files.values().filter_map(|found| found.plugin.as_ref().ok());
            let in_file = file.into_iter().find(|plugin| plugin.hash() == noted.running).cloned();
            let is_needed = self
                .entries
                .values()
                .any(|entry| entry.forms(&name).next().is_some() || entry.wants_beside(&name));
            let plugin = match in_file {
                Some(plugin) => Some(plugin),
                None if is_needed => self.load_kept(&name, &noted.running).await,
                None => None,
            };
            if let Some(plugin) = plugin.filter(|plugin| plugin.description().name == name) {
                let Noted { file, since, before, set_aside, .. } = noted;
                self.formats.insert(name, Format { plugin, file, since, before, set_aside });
            }
        }
    }

    async fn load_kept(&self, name: &str, hash: &str) -> Option<Plugin> {
        let loaded = self.kept.load(&self.host, hash).await;
        loaded.map_err(|error| tracing::warn!(plugin = name, hash, error, "what ran last is not there")).ok()
    }

    /// What is to be noted of what runs.
    pub(in crate::app) fn notes(&self) -> Notes {
        let noted = |format: &Format| Noted {
            running: format.plugin.hash().to_owned(),
            file: format.file.clone(),
            since: format.since,
            before: format.before.clone(),
            set_aside: format.set_aside.clone(),
        };
        self.formats.iter().map(|(name, format)| (name.clone(), noted(format))).collect()
    }

    /// The hashes of every version that runs, may be gone back to, or is pinned.
    pub(in crate::app) fn hashes_in_use(&self) -> HashSet<String> {
        let running = self
            .formats
            .values()
            .flat_map(|format| format.before.iter().map(String::as_str).chain([format.plugin.hash()]));
        let served = self.entries.values().filter_map(Entry::before).flat_map(|before| {
            let shadow = before.shadow.as_ref().map(|shadow| shadow.plugin().hash());
            shadow.into_iter().chain([before.plugin.hash()])
        });
        running.chain(served).map(str::to_owned).collect()
    }

    /// Puts a version in the place of the one that runs, though no file asks for it; files of the format as they are now are
    /// left aside.
    async fn go_back(&mut self, name: &str, plugin: Plugin) -> Result<Vec<MerchantId>, String> {
        let served = self.vote(name, &plugin).await?;
        let hash = plugin.hash().to_owned();
        let others = self.files.values().filter_map(|found| found.plugin.as_ref().ok());
        let others = others.filter(|other| other.description().name == name && other.hash() != hash);
        let mut set_aside: Vec<_> = others.map(|other| other.hash().to_owned()).collect();
        let Some(old) = self.formats.get(name) else { return Ok(Vec::new()) };
        let (mut before, was) = (old.before.clone(), old.plugin.hash().to_owned());
        match before.iter().rposition(|earlier| *earlier == hash) {
            Some(at) => before.truncate(at),
            None => remember(&mut before, was),
        }
        set_aside.extend(old.set_aside.iter().filter(|other| **other != hash).cloned());
        set_aside.sort();
        set_aside.dedup();
        self.install(name, plugin, served);
        if let Some(format) = self.formats.get_mut(name) {
            (format.before, format.set_aside) = (before, set_aside);
        }
        Ok(self.settle().await)
    }

    /// Goes back to the version before the one that runs, or to one whose hash begins so.
    ///
    /// # Errors
    /// There is no such version, or it does not fit.
    pub(in crate::app) async fn roll_back(
        &mut self,
        name: &str,
        to: Option<String>,
    ) -> Result<Vec<MerchantId>, RollbackError> {
        let unknown = |text: String| RollbackError::Unknown(text);
        let Some(format) = self.formats.get(name) else {
            return Err(unknown(format!("no plugin `{name}` runs here")));
        };
        let hash = match to {
            None => format.before.last().cloned().ok_or_else(|| {
                unknown(format!(
                    "no version of `{name}` ran before the one that runs: name one with its hash"
                ))
            })?,
            Some(prefix) => self.find(name, prefix).await.map_err(unknown)?,
        };
        if self.formats.get(name).is_some_and(|format| format.plugin.hash() == hash) {
            return Err(RollbackError::Refused(format!("version {hash} of `{name}` runs already")));
        }
        let plugin = match self.version(name, &hash) {
            Some(plugin) => plugin.clone(),
            None => self.kept.load(&self.host, &hash).await.map_err(unknown)?,
        };
        if plugin.description().name != name {
            let other = &plugin.description().name;
            return Err(unknown(format!("version {hash} is not of `{name}` but of `{other}`")));
        }
        self.go_back(name, plugin).await.map_err(RollbackError::Refused)
    }

    /// The one version that is there or kept and begins so.
    async fn find(&self, name: &str, prefix: String) -> Result<String, String> {
        const SHORTEST: usize = 4;
        let digits = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || prefix.len() < SHORTEST {
            return Err(format!(
                "`{prefix}` is no beginning of a hash: at least {SHORTEST} hexadecimal digits"
            ));
        }
        let prefix = prefix.get(..16).unwrap_or(&prefix).to_ascii_lowercase();
        let (kept, wanted) = (self.kept.clone(), prefix.clone());
        let kept = tokio::task::spawn_blocking(move || kept.that_begin_with(&wanted)).await;
        let mut found: BTreeSet<String> = kept.map_err(|error| error.to_string())?.into_iter().collect();
        found.extend(self.version(name, &prefix).map(|plugin| plugin.hash().to_owned()));
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(hash), None) => Ok(hash),
            (None, _) => Err(format!("no version whose hash begins with {prefix} is there or kept")),
            (Some(one), Some(other)) => Err(format!("{prefix} may be {one} or {other}: give more digits")),
        }
    }

    /// What is kept over a stop.
    pub(in crate::app) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The files whose versions should be kept, with their hashes.
    pub(in crate::app) fn versions_in_files(&self) -> Vec<(PathBuf, String)> {
        let good = self.files.iter().filter(|(_, found)| found.plugin.is_ok());
        good.filter_map(|(path, found)| Some((path.clone(), found.hash.clone()?))).collect()
    }
}

/// Puts one more among the versions that ran before, of which only so many are remembered.
pub(super) fn remember(before: &mut Vec<String>, hash: String) {
    before.push(hash);
    let surplus = before.len().saturating_sub(MOST_BEFORE);
    before.drain(..surplus);
}
