//! The files of the two folders that are watched, and what tells that one of them has changed.
//!
//! The rule: length, time of the last change and inode, of the file and of what belongs to it. Nothing is opened, so that
//! a look at ten thousand files takes some milliseconds. Hidden files are left out: editors and copies under way leave such.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::plugin::Signers;

/// A folder's files, each with its stamp.
pub type Seen = BTreeMap<PathBuf, Stamp>;

/// What a file looked like from outside. Another stamp is another content; the same one is taken for the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Mark>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    name: PathBuf,
    length: u64,
    changed: (i64, i64),
    inode: u64,
}

/// The merchants' files of a folder: `ID.toml`.
///
/// # Errors
/// The folder cannot be read.
pub fn merchant_files(folder: &Path) -> io::Result<Seen> {
    files(folder, "toml", |_| Vec::new())
}

/// The plugins of a folder: `NAME.wasm`. To each belong its signature and the cases recorded for it, in `NAME.cases/`.
///
/// # Errors
/// The folder cannot be read.
pub fn plugin_files(folder: &Path) -> io::Result<Seen> {
    files(folder, "wasm", |file| {
        let mut beside = vec![Signers::file_beside(file)];
        let cases = std::fs::read_dir(file.with_extension("cases")).into_iter().flatten().flatten();
        beside.extend(cases.map(|entry| entry.path()));
        beside.sort();
        beside
    })
}

fn files(folder: &Path, ending: &str, beside: impl Fn(&Path) -> Vec<PathBuf>) -> io::Result<Seen> {
    let mut seen = Seen::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|extension| extension != ending) {
            continue;
        }
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.is_file()
        {
            let mut marks = vec![Mark::new(&path, &metadata)];
            // What is not there, or is none of our business, leaves no mark.
            let beside = beside(&path);
            marks.extend(
                beside.iter().filter_map(|file| Some(Mark::new(file, &std::fs::metadata(file).ok()?))),
            );
            seen.insert(path, Stamp(marks));
        }
    }
    Ok(seen)
}

impl Mark {
    fn new(path: &Path, metadata: &Metadata) -> Self {
        Self {
            name: path.to_owned(),
            length: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_what_belongs_to_it_have_one_stamp() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        let look = || plugin_files(folder.path()).expect("read");
        std::fs::create_dir_all(folder.path().join("dir.wasm")).expect("made");
        write(".hidden.wasm", "");
        write("a.toml", "");
        write("a.wasm", "1");
        let mut before = look();
        assert!(before.keys().eq([&folder.path().join("a.wasm")]));
        let mut changes = |what: &str| {
            let now = look();
            assert_ne!(now, before, "{what}");
            assert_eq!(look(), now, "a look changes nothing");
            before = now;
        };
        write("a.wasm", "12");
        changes("its length");
        write("new", "34");
        std::fs::rename(folder.path().join("new"), folder.path().join("a.wasm")).expect("renamed");
        changes("its inode");
        write("a.wasm.minisig", "");
        changes("its signature");
        std::fs::create_dir(folder.path().join("a.cases")).expect("made");
        write("a.cases/one.json", "{}");
        changes("a case");
        write("a.cases/one.json", "{ }");
        changes("what is in the case");
        std::fs::remove_file(folder.path().join("a.wasm")).expect("removed");
        changes("it is gone");
        assert!(plugin_files(&folder.path().join("none")).is_err());
    }
}
