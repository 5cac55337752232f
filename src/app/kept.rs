//! What outlasts a restart: the versions of plugins that ran, and the note that says which one runs.
//!
//! The versions are in `<data>/plugins/`, by their hash, each with its signature if it had one. The note is
//! `<data>/plugins.json`, written beside and renamed, so that it is always one that was whole. Losing either loses no
//! notification: what lies in the plugins' folder runs then.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::Moment;
use crate::plugin::{Host, Plugin, Signers, Versions};

/// How many versions before the one that runs are remembered for each format.
pub(super) const MOST_BEFORE: usize = 8;

/// What is noted of a format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The hash of the version that runs.
    pub(super) running: String,
    /// The file that has, or last had, this content.
    #[serde(default)]
    pub(super) file: Option<PathBuf>,
    /// Since when.
    pub(super) since: Moment,
    /// The hashes of the versions before it, the last one last.
    pub(super) before: Vec<String>,
    /// The hashes of files that a rollback has left aside.
    pub(super) set_aside: Vec<String>,
}

/// All that is noted, by the formats' names.
pub(super) type Notes = BTreeMap<String, Noted>;

/// The folder and the note.
#[derive(Clone)]
pub(super) struct Kept {
    versions: Versions,
    note: PathBuf,
}

impl Kept {
    pub(super) fn new(versions: Versions, data: &Path) -> Self {
        Self { versions, note: data.join("plugins.json") }
    }

    /// The note; empty if there is none that can be read. Blocks.
    pub(super) fn notes(&self) -> Notes {
        let read =
            std::fs::read(&self.note).map(|text| serde_json::from_slice(&text).map_err(io::Error::from));
        match read {
            Ok(Ok(notes)) => notes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Notes::new(),
            Ok(Err(error)) | Err(error) => {
                let file = self.note.display();
                tracing::warn!(%file, %error, "cannot be read: what lies in the plugins' folder runs, rolled back or not");
                Notes::new()
            }
        }
    }

    /// Writes the note. Blocks.
    pub(super) fn note(&self, notes: &Notes) -> io::Result<()> {
        let beside = self.note.with_extension("json.unfinished");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(notes)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.note)?;
        self.note.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// Keeps the content of a plugin's file, with the signature beside it. Blocks.
    pub(super) fn keep(&self, file: &Path, content: &[u8]) -> Result<(), String> {
        let kept = self.versions.store(content).map_err(|error| error.to_string())?;
        let path = self.versions.path(&kept).map_err(|error| error.to_string())?;
        match std::fs::copy(Signers::file_beside(file), Signers::file_beside(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether a version is kept. Blocks.
    pub(super) fn has(&self, hash: &str) -> bool {
        self.versions.path(hash).is_ok_and(|path| path.exists())
    }

    /// The hashes that are kept and begin so. Blocks.
    pub(super) fn that_begin_with(&self, prefix: &str) -> Vec<String> {
        let versions = self.versions.list().unwrap_or_default();
        versions.into_iter().map(|version| version.hash).filter(|hash| hash.starts_with(prefix)).collect()
    }

    /// Forgets the oldest of those that are not in use. Blocks.
    pub(super) fn prune(&self, in_use: &HashSet<String>) {
        match self.versions.prune(in_use) {
            Ok(removed) => {
                for path in removed.iter().filter_map(|hash| self.versions.path(hash).ok()) {
                    drop(std::fs::remove_file(Signers::file_beside(&path)));
                }
            }
            Err(error) => tracing::warn!(%error, "old versions of plugins stay"),
        }
    }

    /// Loads a version that is kept. Its signature counts as it did in the plugins' folder.
    ///
    /// # Errors
    /// Why it cannot be had, for people.
    pub(super) async fn load(&self, host: &Host, hash: &str) -> Result<Plugin, String> {
        let (versions, wanted) = (self.versions.clone(), hash.to_owned());
        let read = move || Ok((versions.path(&wanted)?, versions.read(&wanted)?));
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        let (path, content) = read.map_err(|error: crate::plugin::VersionError| error.to_string())?;
        let loaded = async {
            let content = host.check_signature(&path, content).await?;
            host.load_bytes(&path.display().to_string(), content).await
        };
        loaded.await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_comes_back_and_a_damaged_one_is_none() {
        let data = tempfile::tempdir().expect("a folder");
        let kept = Kept::new(Versions::new(data.path().join("plugins"), 1), data.path());
        assert_eq!(kept.notes(), Notes::new());
        let noted = Noted {
            running: "b".into(),
            file: Some("b.wasm".into()),
            since: Moment::EPOCH,
            before: vec!["a".into()],
            set_aside: vec!["c".into()],
        };
        let notes = Notes::from([("plain".to_owned(), noted)]);
        kept.note(&notes).expect("written");
        assert_eq!(kept.notes(), notes);
        std::fs::write(data.path().join("plugins.json"), b"{").expect("written");
        assert_eq!(kept.notes(), Notes::new());
        kept.note(&notes).expect("written anew");
        assert_eq!(kept.notes(), notes);
    }
}
