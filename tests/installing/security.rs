//! `SECURITY.md` names no test that is not there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{root, text};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests: functions with an attribute for it right above them.
fn tests() -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = Vec::new();
    for file in files {
        let mut is_test = false;
        for line in fs::read_to_string(&file).expect("read").lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if is_test && !line.starts_with('#') {
                let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                names.extend(name.map(str::to_owned));
                is_test = false;
            }
        }
    }
    names
}

#[test]
fn every_test_that_the_security_notes_name_exists() {
    let (notes, tests) = (text("SECURITY.md"), tests());
    let mut named = 0;
    for span in notes.split('`').skip(1).step_by(2) {
        let is_name =
            span.chars().all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter));
        // Keys of the configuration have fewer words.
        if is_name && span.matches('_').count() > 2 {
            assert!(tests.iter().any(|test| test == span), "there is no test {span}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} tests are named");
}
