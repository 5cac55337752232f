//! A plugin's file on its way in: read, signed if it must be, compiled, asked what it is, held against its recorded cases.
//!
//! Nothing here touches what runs: what comes out is a version that may take a place, or the reason why it may not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;

use super::kept::Kept;
use crate::kit::cases;
use crate::plugin::{self, Host, Plugin};

/// What a file turned out to be.
pub(super) struct Found {
    /// The hash of its content, if it could be read.
    pub(super) hash: Option<String>,
    /// The plugin in it, or why there is none, for people.
    pub(super) plugin: Result<Plugin, String>,
}

/// How many files are loaded side by side: enough that the disk and the processors are both at work.
const SIDE_BY_SIDE: usize = 4;

/// Loads files.
pub(super) struct Loader {
    pub(super) host: Host,
    /// What is loaded already, by its hash: the same content is not compiled again.
    pub(super) known: HashMap<String, Plugin>,
    /// Where what is good is kept. None: nothing is written.
    pub(super) keep: Option<Kept>,
}

impl Loader {
    /// Loads those that are there; `None` for those that are gone.
    pub(super) async fn load_all(&self, files: Vec<(PathBuf, bool)>) -> Vec<(PathBuf, Option<Found>)> {
        let load = |(file, is_there): (PathBuf, bool)| async move {
            let found = if is_there { Some(self.load(&file).await) } else { None };
            (file, found)
        };
        futures_util::stream::iter(files).map(load).buffered(SIDE_BY_SIDE).collect().await
    }

    async fn load(&self, file: &Path) -> Found {
        let mut hash = None;
        let plugin = self.look_into(file, &mut hash).await;
        Found { hash, plugin }
    }

    async fn look_into(&self, file: &Path, hash: &mut Option<String>) -> Result<Plugin, String> {
        let content = self.host.read(file).await.map_err(|error| error.to_string())?;
        let hash = hash.insert(plugin::content_hash(&content));
        let content = self.host.check_signature(file, content).await.map_err(|error| error.to_string())?;
        let to_keep = self.keep.as_ref().map(|kept| (kept.clone(), content.clone()));
        let plugin = match self.known.get(hash) {
            Some(plugin) => plugin.clone(),
            None => {
                let name = file.display().to_string();
                self.host.load_bytes(&name, content).await.map_err(|error| error.to_string())?
            }
        };
        recorded_cases(&plugin, file).await?;
        if let Some((kept, content)) = to_keep {
            keep(kept, file.to_owned(), content).await;
        }
        Ok(plugin)
    }
}

/// Keeps a version for later. Without it the plugin works all the same, and cannot be gone back to.
pub(super) async fn keep(kept: Kept, file: PathBuf, content: Vec<u8>) {
    let name = file.display().to_string();
    let result = tokio::task::spawn_blocking(move || kept.keep(&file, &content)).await;
    let result = result.unwrap_or_else(|error| Err(error.to_string()));
    if let Err(error) = result {
        tracing::warn!(file = name, error, "this version is not kept: it cannot be gone back to");
    }
}

/// Holds the plugin against the cases recorded for it, which lie beside its file in `NAME.cases/`. None lie there: then it is
/// held against nothing.
async fn recorded_cases(plugin: &Plugin, file: &Path) -> Result<(), String> {
    let folder = cases::beside(file);
    if !folder.is_dir() {
        return Ok(());
    }
    let outcomes = cases::run(plugin, &folder).await.map_err(|error| error.to_string())?;
    let mut failed = outcomes.iter().filter(|outcome| !outcome.passed());
    match failed.next() {
        None => Ok(()),
        Some(first) => {
            let (name, more) = (first.name(), failed.count());
            let folder = folder.display();
            Err(format!(
                "it does not do what was recorded in {folder}/{name} ({more} more differ): `paynotify plugin cases` shows what"
            ))
        }
    }
}
