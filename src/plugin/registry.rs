//! The plugins of a folder, by the names of their formats.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::call::Plugin;
use super::host::Host;
use super::load::{LoadError, LoadProblem};

/// All plugins that were found, by the formats' names.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<String, Plugin>);

impl Registry {
    /// Loads every `.wasm` of the folder, in the order of the files' names. A file that is refused does not keep the
    /// others from loading; of two files for one format neither is taken, because nobody could say which is meant.
    pub async fn load_folder(host: &Host, folder: &Path) -> (Self, Vec<LoadError>) {
        let (mut loaded, mut errors) = (Vec::new(), Vec::new());
        match wasm_files(folder) {
            Ok(files) => {
                for file in files {
                    match host.load(&file).await {
                        Ok(plugin) => loaded.push(plugin),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => {
                let file = folder.display().to_string();
                errors.push(LoadError { file, problem: LoadProblem::Unreadable(error) });
            }
        }
        let registry = Self::of(loaded, &mut errors);
        (registry, errors)
    }

    fn of(loaded: Vec<Plugin>, errors: &mut Vec<LoadError>) -> Self {
        let mut plugins = BTreeMap::new();
        for plugin in &loaded {
            let name = &plugin.description().name;
            let same = |other: &&Plugin| other.description().name == *name && other.file() != plugin.file();
            match loaded.iter().find(same) {
                None => {
                    plugins.insert(name.clone(), plugin.clone());
                }
                Some(other) => errors.push(LoadError {
                    file: plugin.file().to_owned(),
                    problem: LoadProblem::Duplicate { name: name.clone(), other: other.file().to_owned() },
                }),
            }
        }
        Self(plugins)
    }

    /// The plugin of the format.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Plugin> {
        self.0.get(name).cloned()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.0.values()
    }
}

/// Files only, hidden ones left out: editors and copies under way leave such.
fn wasm_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
