//! Every version of a plugin that was in use, kept by its content's hash: what made an attempt can make it again.
//!
//! One folder, one file for each version: `<hash>.wasm`, where the hash is [`Plugin::hash`]. The rule: a
//! file that bears such a name is whole (written beside, synced, then renamed), and what is read is held against its
//! name before anybody gets it. Only the gateway's user may enter the folder: what lies in it is run.
//!
//! Calls block while they use the disk: from asynchronous code, on a thread for that. Deliberately absent: any
//! knowledge of which version is the right one.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::call::Plugin;
use super::load::content_hash;

/// How many digits name a version.
const DIGITS: usize = 16;

/// The ending of a version's file, and of one that is not whole yet.
const ENDING: &str = "wasm";
const UNFINISHED: &str = "unfinished";

/// A store that has been under way for so long was cut off.
const LONGEST_STORE: Duration = Duration::from_secs(60 * 60);

/// The folder of the versions that are kept.
#[derive(Clone, Debug)]
pub struct Versions {
    folder: PathBuf,
    most: usize,
}

/// One version that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its content's hash: 16 hexadecimal digits.
    pub hash: String,
    /// When it was last stored: when a gateway last loaded it.
    pub stored_at: SystemTime,
    /// Its length in bytes.
    pub length: u64,
}

/// Why a version cannot be kept or had. Names the file, says what to do.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// There is no such version.
    #[error(
        "no version `{hash}` of a plugin is kept in {folder}: it was pruned, or another gateway loaded it"
    )]
    Unknown {
        /// What was asked for.
        hash: String,
        /// Where.
        folder: PathBuf,
    },
    /// A text that names no version.
    #[error("`{0}` names no version of a plugin: a version is {DIGITS} lower-case hexadecimal digits")]
    NoHash(String),
    /// The content is not what the name says.
    #[error("{0} is not what its name says: its content has another hash; remove it")]
    Damaged(PathBuf),
    /// The file is not any more what was loaded from it.
    #[error("{0} has changed since it was loaded, so that the version in use is not kept")]
    Changed(PathBuf),
    /// Others may write where versions are kept.
    #[error("{0} can be written to by others, and what lies in it is run: chmod 700 it")]
    Open(PathBuf),
    /// The file cannot be used.
    #[error("{file}: {error}")]
    Io {
        /// Which.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Versions {
    /// How many versions are kept unless it is configured otherwise.
    pub const MOST: usize = 64;

    /// The versions in that folder, of which `most` are kept besides those in use. Touches nothing yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, most: usize) -> Self {
        Self { folder: folder.into(), most }
    }

    /// Keeps this content; gives its hash. A version that is there already becomes the newest.
    ///
    /// # Errors
    /// The folder cannot be made, entered or written to, or is not private.
    pub fn store(&self, content: &[u8]) -> Result<String, VersionError> {
        let hash = content_hash(content);
        self.create_folder()?;
        let path = self.path(&hash)?;
        match self.read(&hash) {
            Ok(_) => touch(&path)?,
            // A damaged one is written anew: its name says what must be in it.
            Err(VersionError::Unknown { .. } | VersionError::Damaged(_)) => self.write(&path, content)?,
            Err(error) => return Err(error),
        }
        Ok(hash)
    }

    /// Keeps the files of these plugins, which are in use, and [prunes](Self::prune) the others. What is there already, as
    /// long as the plugin's file, is not read again: damage shows when somebody wants it.
    ///
    /// # Errors
    /// What could not be kept; the others are. A file that is not any more what was loaded is not kept.
    pub fn keep(&self, plugins: &[Plugin]) -> Vec<VersionError> {
        let mut errors = Vec::new();
        for plugin in plugins {
            errors.extend(self.keep_file(Path::new(plugin.file()), plugin.hash()).err());
        }
        let in_use = plugins.iter().map(|plugin| plugin.hash().to_owned()).collect();
        errors.extend(self.prune(&in_use).err());
        errors
    }

    fn keep_file(&self, file: &Path, hash: &str) -> Result<(), VersionError> {
        let wrong = |error| VersionError::Io { file: file.to_owned(), error };
        let path = self.path(hash)?;
        let length = file.metadata().map_err(wrong)?.len();
        if path.metadata().is_ok_and(|kept| kept.len() == length) {
            return touch(&path);
        }
        let content = std::fs::read(file).map_err(wrong)?;
        if content_hash(&content) != hash {
            return Err(VersionError::Changed(file.to_owned()));
        }
        self.store(&content).map(drop)
    }

    /// Where a version is, if it is kept.
    ///
    /// # Errors
    /// The text is no hash: it never becomes a part of a path.
    pub fn path(&self, hash: &str) -> Result<PathBuf, VersionError> {
        if !is_hash(hash) {
            return Err(VersionError::NoHash(hash.chars().take(80).collect()));
        }
        Ok(self.folder.join(format!("{hash}.{ENDING}")))
    }

    /// A version's content.
    ///
    /// # Errors
    /// It is not kept, cannot be read, or is not what its name says.
    pub fn read(&self, hash: &str) -> Result<Vec<u8>, VersionError> {
        let path = self.path(hash)?;
        let mut content = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut content)) {
            Ok(_) if content_hash(&content) == hash => Ok(content),
            Ok(_) => Err(VersionError::Damaged(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(VersionError::Unknown { hash: hash.to_owned(), folder: self.folder.clone() })
            }
            Err(error) => Err(VersionError::Io { file: path, error }),
        }
    }

    /// All that are kept, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read; one that is not there is empty.
    pub fn list(&self) -> Result<Vec<Version>, VersionError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.wrong(error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| self.wrong(error))?.path();
            // What goes away meanwhile is not there.
            if let (Some(hash), Ok(metadata)) = (hash_of(&path), path.metadata()) {
                let stored_at = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                versions.push(Version { hash, stored_at, length: metadata.len() });
            }
        }
        versions.sort_by(|one, other| (other.stored_at, &one.hash).cmp(&(one.stored_at, &other.hash)));
        Ok(versions)
    }

    /// Removes the oldest beyond the bound, but none that is in use; gives those that it removed. Leftovers of a store that
    /// was cut off go as well.
    ///
    /// # Errors
    /// The folder cannot be read, or a file cannot be removed.
    pub fn prune(&self, in_use: &HashSet<String>) -> Result<Vec<String>, VersionError> {
        let spare: Vec<_> =
            self.list()?.into_iter().filter(|version| !in_use.contains(&version.hash)).collect();
        let mut removed = Vec::new();
        for version in spare.into_iter().skip(self.most) {
            remove(&self.path(&version.hash)?)?;
            removed.push(version.hash);
        }
        self.remove_leftovers();
        Ok(removed)
    }

    /// What a crash in the middle of a store left: in nobody's way, so it is no error if it stays.
    fn remove_leftovers(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| is_unfinished(path)) {
            let age = path.metadata().and_then(|metadata| metadata.modified()).ok();
            if age.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > LONGEST_STORE) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn create_folder(&self) -> Result<(), VersionError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder).map_err(|error| self.wrong(error))?;
        let mode = self.folder.metadata().map_err(|error| self.wrong(error))?.mode();
        if mode & 0o022 != 0 { Err(VersionError::Open(self.folder.clone())) } else { Ok(()) }
    }

    /// Beside, synced, renamed, and the folder synced: after a crash the file is whole or not there.
    fn write(&self, path: &Path, content: &[u8]) -> Result<(), VersionError> {
        // A name of this call's own; what a crash leaves is taken by nobody.
        let name = format!(".{:016x}.{UNFINISHED}", rand::random::<u64>());
        let beside = self.folder.join(name);
        let written = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(|error| {
            let _ = std::fs::remove_file(&beside);
            VersionError::Io { file: path.to_owned(), error }
        })
    }

    fn wrong(&self, error: io::Error) -> VersionError {
        VersionError::Io { file: self.folder.clone(), error }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hash_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    (path.extension()? == ENDING && is_hash(stem)).then(|| stem.to_owned())
}

fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == UNFINISHED)
}

fn touch(path: &Path) -> Result<(), VersionError> {
    let touched =
        OpenOptions::new().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    touched.map_err(|error| VersionError::Io { file: path.to_owned(), error })
}

fn remove(path: &Path) -> Result<(), VersionError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VersionError::Io { file: path.to_owned(), error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kept(most: usize) -> (tempfile::TempDir, Versions) {
        let folder = tempfile::tempdir().expect("a folder");
        let versions = Versions::new(folder.path().join("data/plugins"), most);
        (folder, versions)
    }

    fn age(versions: &Versions, hash: &str, seconds: u64) {
        let file = OpenOptions::new().write(true).open(versions.path(hash).expect("a hash")).expect("there");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("set");
    }

    #[test]
    fn a_version_comes_back_whole_and_privately() {
        let (_folder, versions) = kept(9);
        assert_eq!(versions.list().expect("an absent folder is empty"), []);
        let hash = versions.store(b"one").expect("stored");
        assert_eq!(hash, "7692c3ad3540bb80", "the beginning of the SHA-256");
        assert_eq!(versions.store(b"one").expect("again"), hash);
        assert_eq!(versions.read(&hash).expect("there"), b"one");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        let path = versions.path(&hash).expect("a hash");
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        assert!(matches!(versions.read("0000000000000000"), Err(VersionError::Unknown { .. })));
        for wrong in ["", "../../etc/passwd", "7692C3AD3540BB80", "7692c3ad3540bb80a", "7692c3ad3540bb8/"] {
            assert!(matches!(versions.read(wrong), Err(VersionError::NoHash(_))), "{wrong}");
        }
        let files = std::fs::read_dir(path.parent().expect("a folder")).expect("read").count();
        assert_eq!(files, 1, "nothing is left beside");
    }

    #[test]
    fn a_damaged_version_is_given_to_nobody_and_mended_by_the_next_store() {
        let (_folder, versions) = kept(9);
        let hash = versions.store(b"one").expect("stored");
        std::fs::write(versions.path(&hash).expect("a hash"), b"two").expect("written");
        assert!(matches!(versions.read(&hash), Err(VersionError::Damaged(_))));
        versions.store(b"one").expect("mended");
        assert_eq!(versions.read(&hash).expect("whole"), b"one");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let (_folder, versions) = kept(9);
        let hash = versions.store(b"one").expect("stored");
        let folder = versions.path(&hash).expect("a hash").parent().expect("a folder").to_owned();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o770)).expect("set");
        assert!(matches!(versions.store(b"two"), Err(VersionError::Open(_))));
    }

    #[test]
    fn the_oldest_go_and_none_that_is_in_use() {
        let (_folder, versions) = kept(2);
        let hashes: Vec<_> = (0..5_u8).map(|number| versions.store(&[number]).expect("stored")).collect();
        for (hash, seconds) in hashes.iter().zip([500, 400, 300, 200, 100]) {
            age(&versions, hash, seconds);
        }
        let listed = versions.list().expect("listed");
        assert!(listed.iter().map(|version| &version.hash).eq(hashes.iter().rev()), "the newest first");
        let in_use = HashSet::from([hashes[0].clone()]);
        let folder = versions.path(&hashes[0]).expect("a hash").parent().expect("a folder").to_owned();
        let (fresh, stale) = (folder.join(".1.unfinished"), folder.join(".2.unfinished"));
        File::create(&fresh).expect("made");
        let two_hours_ago = SystemTime::now() - 2 * LONGEST_STORE;
        File::create(&stale).and_then(|file| file.set_modified(two_hours_ago)).expect("made");
        // Stored again, it is the newest.
        versions.store(&[1]).expect("stored");
        assert_eq!(versions.prune(&in_use).expect("pruned"), [hashes[3].clone(), hashes[2].clone()]);
        let left: HashSet<_> =
            versions.list().expect("listed").into_iter().map(|version| version.hash).collect();
        assert_eq!(left, [0, 1, 4].map(|number| hashes[number].clone()).into());
        assert_eq!((fresh.exists(), stale.exists()), (true, false), "a store that is under way is let be");
    }
}
