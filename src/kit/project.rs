//! A new plugin's project: complete, and it builds and passes its cases as it is.
//!
//! What is written is the example of its language (`examples/plugin-*`), whose format is named `acme`, with that name
//! replaced by the new one. The files lie in the program, so that nothing has to be fetched; which ones is listed in
//! [`files`], and a test holds the list to the folders. A project in Rust brings the SDK's source along,
//! because the SDK is in no registry.

mod files;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the examples' format is called.
const EXAMPLE: &str = "acme";

/// A language that a project can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust, with the SDK.
    Rust,
    /// JavaScript, on QuickJS.
    Js,
    /// Python, on CPython.
    Python,
    /// C.
    C,
    /// Go.
    Go,
}

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A name that no format can have.
    #[error("`{0}` cannot be a format's name: 1 to 64 characters of a-z 0-9 -, the first of them no -")]
    Name(String),
    /// Something is there already.
    #[error("{0} is there already and not empty: choose another folder with --into")]
    Taken(PathBuf),
    /// The system does not let us.
    #[error("{0} cannot be written: {1}")]
    Unwritable(PathBuf, io::Error),
}

/// Writes the project into the folder, which is made if need be.
///
/// # Errors
/// The name is none, or the folder is taken or cannot be written. What was written until then stays.
pub fn write(name: &str, language: Language, folder: &Path) -> Result<(), ProjectError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) || name.starts_with('-') {
        return Err(ProjectError::Name(name.to_owned()));
    }
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |error| ProjectError::Unwritable(path, error)
    };
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(ProjectError::Taken(folder.to_owned())),
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(folder)(error)),
    }
    for (path, content) in project(name, language) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        DirBuilder::new().recursive(true).create(parent).map_err(unwritable(parent))?;
        let is_script = path.extension().is_some_and(|extension| extension == "sh");
        let mode = if is_script { 0o777 } else { 0o666 };
        // Never over a file that somebody else writes at the same time.
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(&content)).map_err(unwritable(&path))?;
    }
    Ok(())
}

/// The project's files: their paths in its folder, and what is in them.
fn project(name: &str, language: Language) -> Vec<(String, Vec<u8>)> {
    let named = |(path, content): &(&str, &[u8])| {
        let content = match std::str::from_utf8(content) {
            Ok(text) => text.replace(EXAMPLE, name).into_bytes(),
            Err(_) => content.to_vec(),
        };
        (path.replace(EXAMPLE, name), content)
    };
    files::COMMON.iter().chain(files::of(language)).map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;

    /// All files below a folder, by their paths in it; links are not followed, and what building leaves does not count.
    fn files_in(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let left = ["target", "node_modules", "__pycache__"].contains(&name.as_str());
            let kind = entry.file_type().expect("a kind");
            if left || name.starts_with('.') || name.ends_with(".wasm") || kind.is_symlink() {
                continue;
            }
            if kind.is_dir() {
                files_in(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).expect("below").display().to_string());
            }
        }
    }

    /// What is in the examples' folders is what is written. The links there lead to what all of them share.
    #[test]
    fn nothing_of_an_example_is_left_out() {
        for language in Language::value_variants() {
            let word = language.to_possible_value().expect("a value").get_name().to_owned();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/plugin-{word}"));
            let mut kept = BTreeSet::new();
            files_in(&folder, &folder, &mut kept);
            let sdk = "vendor/paynotify-plugin/src/";
            let written = files::of(*language).iter().map(|(path, _)| (*path).to_owned());
            let written: BTreeSet<_> = written.filter(|path| !path.starts_with(sdk)).collect();
            assert_eq!(written, kept, "{word}");
        }
    }

    #[test]
    fn the_name_is_put_in_everywhere() {
        for language in Language::value_variants() {
            let files = project("my-shop", *language);
            assert!(files.iter().any(|(path, _)| path == "my-shop.cases/payment.json"));
            for (path, content) in files {
                let text = String::from_utf8_lossy(&content);
                assert!(!path.contains(EXAMPLE) && !text.contains(EXAMPLE), "{path} names the example");
            }
        }
    }

    #[test]
    fn a_name_or_folder_that_does_not_do_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for wrong in ["", "-a", "A", "a_b", "../a", &"a".repeat(65)] {
            let refused = write(wrong, Language::Js, &folder.path().join("new"));
            assert!(matches!(refused, Err(ProjectError::Name(_))), "{wrong}");
        }
        assert!(!folder.path().join("new").exists());
        write("a", Language::Js, folder.path()).expect("an empty folder will do");
        assert!(matches!(write("b", Language::C, folder.path()), Err(ProjectError::Taken(_))));
        let file = folder.path().join("build.sh");
        assert!(matches!(write("b", Language::C, &file), Err(ProjectError::Unwritable(..))));
    }
}
