//! Which of the files in the two folders have changed, and for how long they have stayed as they are now. Pure.
//!
//! The rule: the comparison of stamps decides, not anybody's message that something has happened. A change counts when it
//! has lasted for the time that is called `settle`; so does a file's absence, because many programs replace a file by
//! removing it first. What changes together is handed out together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{Seen, Stamp};

/// What settled changes wait for others that have not: so many times `settle`. Then they wait no more, because somebody
/// may be writing to a file for ever.
const LONGEST_WAIT: u32 = 4;

/// The files as they were last taken notice of, and the changes that are not settled yet.
pub(super) struct Watched {
    taken: Seen,
    changes: BTreeMap<PathBuf, Change>,
}

struct Change {
    /// `None`: the file is gone.
    stamp: Option<Stamp>,
    /// When it began to differ from what was taken.
    began: Instant,
    /// When it was first seen as it is.
    since: Instant,
}

impl Watched {
    pub(super) fn new(taken: Seen) -> Self {
        Self { taken, changes: BTreeMap::new() }
    }

    /// Notes what a look has seen.
    pub(super) fn look(&mut self, seen: Seen, now: Instant) {
        // As it nearly always is: what follows takes its time where there are ten thousand merchants.
        if self.changes.is_empty() && seen == self.taken {
            return;
        }
        let paths: BTreeSet<PathBuf> =
            self.taken.keys().chain(seen.keys()).chain(self.changes.keys()).cloned().collect();
        for path in paths {
            let stamp = seen.get(&path).cloned();
            if self.taken.get(&path) == stamp.as_ref() {
                self.changes.remove(&path);
                continue;
            }
            let change = self.changes.entry(path).or_insert(Change { stamp: None, began: now, since: now });
            if change.stamp != stamp {
                (change.stamp, change.since) = (stamp, now);
            }
        }
    }

    /// The settled changes among those that `may` be taken, each with whether the file is there. None while others are
    /// about to settle.
    pub(super) fn take(
        &mut self,
        now: Instant,
        settle: Duration,
        may: impl Fn(&Path) -> bool,
    ) -> Vec<(PathBuf, bool)> {
        let settled = |change: &Change| now.duration_since(change.since) >= settle;
        let eligible: Vec<_> = self.changes.iter().filter(|(path, _)| may(path)).collect();
        let waited =
            eligible.iter().any(|(_, change)| now.duration_since(change.began) >= settle * LONGEST_WAIT);
        if !waited && !eligible.iter().all(|(_, change)| settled(change)) {
            return Vec::new();
        }
        let paths: Vec<PathBuf> = eligible
            .into_iter()
            .filter(|(_, change)| settled(change))
            .map(|(path, _)| path.clone())
            .collect();
        let taken = paths.into_iter().map(|path| {
            let stamp = self.changes.remove(&path).and_then(|change| change.stamp);
            let is_there = stamp.is_some();
            match stamp {
                Some(stamp) => self.taken.insert(path.clone(), stamp),
                None => self.taken.remove(&path),
            };
            (path, is_there)
        });
        taken.collect()
    }

    /// What was taken, of one folder: what stands for it while it cannot be looked at.
    pub(super) fn of_folder<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (PathBuf, Stamp)> + 'a {
        let inside = move |(path, _): &(&PathBuf, &Stamp)| path.parent() == Some(folder);
        self.taken.iter().filter(inside).map(|(path, stamp)| (path.clone(), stamp.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(1);

    struct Folder {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: Instant,
        watched: Watched,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().to_owned();
            Self { _folder: folder, path, start: Instant::now(), watched: Watched::new(Seen::new()) }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path.join(name), text).expect("written");
        }

        fn remove(&self, name: &str) {
            std::fs::remove_file(self.path.join(name)).expect("removed");
        }

        /// What is handed out after a look at that moment.
        fn look(&mut self, milliseconds: u64) -> Vec<(String, bool)> {
            let now = self.start + Duration::from_millis(milliseconds);
            self.watched.look(crate::config::merchant_files(&self.path).expect("read"), now);
            let taken = self.watched.take(now, SETTLE, |_| true);
            let name = |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
            taken.into_iter().map(|(path, is_there)| (name(path), is_there)).collect()
        }
    }

    fn is(name: &str, there: bool) -> (String, bool) {
        (name.to_owned(), there)
    }

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let mut folder = Folder::new();
        folder.write("a.toml", "1");
        assert_eq!(folder.look(0), []);
        folder.write("a.toml", "12");
        assert_eq!(folder.look(900), [], "it is still being written");
        assert_eq!(folder.look(1_800), []);
        assert_eq!(folder.look(1_900), [is("a.toml", true)]);
        assert_eq!(folder.look(9_000), [], "once");
        folder.remove("a.toml");
        assert_eq!(folder.look(10_000), []);
        folder.write("a.toml", "123");
        assert_eq!(folder.look(10_500), [], "it was replaced");
        assert_eq!(folder.look(11_500), [is("a.toml", true)]);
        folder.remove("a.toml");
        assert_eq!(folder.look(12_000), []);
        assert_eq!(folder.look(13_000), [is("a.toml", false)]);
        assert_eq!(folder.look(20_000), []);
    }

    #[test]
    fn what_changes_together_is_handed_out_together_but_not_for_ever() {
        let mut folder = Folder::new();
        folder.write("a.toml", "1");
        assert_eq!(folder.look(0), []);
        folder.write("b.toml", "1");
        assert_eq!(folder.look(800), []);
        assert_eq!(folder.look(1_500), [], "a waits for b");
        assert_eq!(folder.look(1_800), [is("a.toml", true), is("b.toml", true)]);
        folder.write("a.toml", "12");
        assert_eq!(folder.look(2_000), []);
        for step in 1..20_usize {
            folder.write("c.toml", &format!("{step:>step$}"));
            assert_eq!(folder.look(2_000 + step as u64 * 200), [], "{step}");
        }
        folder.write("c.toml", "another");
        assert_eq!(folder.look(6_000), [is("a.toml", true)]);
    }
}
