//! What is not in effect, and why: told once when it is found, and shown for as long as it is so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::Refused;
use crate::clock;

/// A file that is not in effect.
pub(super) struct Refusal {
    /// The format that its plugin is for, where that is known.
    pub(super) format: Option<String>,
    pub(super) refused: Refused,
}

/// All of them, by file.
#[derive(Default)]
pub(super) struct Refusals {
    now: BTreeMap<PathBuf, Refusal>,
    before: BTreeMap<PathBuf, Refusal>,
    folders: BTreeMap<PathBuf, String>,
}

impl Refusals {
    /// Begins to say anew what is not in effect.
    pub(super) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
        for (folder, reason) in self.folders.clone() {
            self.add(&folder, None, None, &reason);
        }
    }

    /// One file, and why. Of several reasons the first counts.
    pub(super) fn add(&mut self, file: &Path, hash: Option<&str>, format: Option<&str>, reason: &str) {
        let same = self.before.get(file).map(|before| &before.refused);
        let same = same.filter(|before| before.hash.as_deref() == hash && before.reason == reason);
        let refused = Refused {
            file: file.display().to_string(),
            hash: hash.map(str::to_owned),
            reason: reason.to_owned(),
            at: same.map_or_else(clock::now, |before| before.at),
        };
        let refusal = Refusal { format: format.map(str::to_owned), refused };
        self.now.entry(file.to_owned()).or_insert(refusal);
    }

    /// All has been said. What is new is logged, if anybody is to be told so.
    pub(super) fn end(&mut self, tell: bool) {
        for (path, Refusal { refused, .. }) in self.now.iter().filter(|_| tell) {
            if self.before.get(path).is_none_or(|before| before.refused != *refused) {
                let Refused { file, hash, reason, .. } = refused;
                tracing::error!(file, hash, reason, "refused: what was good before stays in effect");
            }
        }
        self.before.clear();
    }

    /// Says that a folder cannot be looked at, or that it can; with the next beginning. Whether that is news.
    pub(super) fn of_folder(&mut self, folder: &Path, reason: Option<String>) -> bool {
        match reason {
            Some(reason) => self.folders.insert(folder.to_owned(), reason.clone()) != Some(reason),
            None => self.folders.remove(folder).is_some(),
        }
    }

    /// Each file with its refusal.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Refusal)> {
        self.now.iter()
    }
}
