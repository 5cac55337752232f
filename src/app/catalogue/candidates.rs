//! Which file of each format may take the place of what runs, and which files are in each other's way. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::entry::Format;
use crate::app::load::Found;
use crate::plugin::{LoadError, LoadProblem, Plugin};

/// The files, sorted out.
pub(super) struct Sorted {
    /// For each format the one file that may take the place of what runs.
    pub(super) candidates: Vec<(String, PathBuf)>,
    /// The files that another one of the same format is in the way of, each with the sentence that says so.
    pub(super) refused: Vec<(PathBuf, String)>,
}

/// Sorts out which file is which format's.
pub(super) fn sort_out(files: &BTreeMap<PathBuf, Found>, formats: &BTreeMap<String, Format>) -> Sorted {
    let mut by_format: BTreeMap<&str, Vec<(&PathBuf, &Plugin)>> = BTreeMap::new();
    for (path, found) in files {
        if let Ok(plugin) = &found.plugin {
            by_format.entry(&plugin.description().name).or_default().push((path, plugin));
        }
    }
    let (mut candidates, mut refused) = (Vec::new(), Vec::new());
    for (name, mut files) in by_format {
        let running = formats.get(name);
        let runs = |plugin: &Plugin| running.is_some_and(|format| format.plugin.hash() == plugin.hash());
        files.retain(|(_, plugin)| {
            !running.is_some_and(|format| format.set_aside.iter().any(|hash| hash == plugin.hash()))
        });
        let hash = |at: usize| files.get(at).map(|(_, plugin)| plugin.hash());
        let owner = files
            .iter()
            .position(|(_, plugin)| runs(plugin))
            .or_else(|| {
                let last = running?.file.as_ref()?;
                files.iter().position(|(path, _)| *path == last)
            })
            .or_else(|| (0..files.len()).all(|at| hash(at) == hash(0)).then_some(0));
        for (at, (path, plugin)) in files.iter().enumerate() {
            let rival = owner.unwrap_or(usize::from(at == 0));
            let Some((other, _)) = files.get(rival) else { continue };
            if owner == Some(at) && !runs(plugin) {
                candidates.push((name.to_owned(), (*path).clone()));
            } else if hash(rival) != Some(plugin.hash()) {
                let other = other.display().to_string();
                let problem = LoadProblem::Duplicate { name: name.to_owned(), other };
                let error = LoadError { file: path.display().to_string(), problem };
                refused.push(((*path).clone(), error.to_string()));
            }
        }
    }
    Sorted { candidates, refused }
}
