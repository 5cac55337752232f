//! What `paynotify plugin new` writes builds and passes as it is, in every language.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn paynotify(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(words).current_dir(folder).output().expect("run")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn a_project_builds_and_passes(language: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let made = paynotify(folder.path(), &["plugin", "new", "my-shop", "--lang", language]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let project = folder.path().join("my-shop");
    if let Some(reason) = xtask::examples::build_project(language, &project).expect("it builds") {
        println!("{reason}");
        return;
    }
    let passes = paynotify(&project, &["plugin", "cases", "my-shop.wasm"]);
    assert_eq!(passes.status.code(), Some(0), "{}", text(&passes));
}

/// The smallest in one language: others take longer to be compiled, and the command does not know what is inside.
#[test]
fn a_new_project_is_tried_and_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = || paynotify(folder.path(), &["plugin", "new", "my-shop", "--lang", "c"]);
    let made = new();
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let again = new();
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("my-shop is there already"), "{}", text(&again));
    let project = folder.path().join("my-shop");
    if let Some(reason) = xtask::examples::build_project("c", &project).expect("it builds") {
        println!("{reason}");
        return;
    }
    let shown = paynotify(&project, &["plugin", "run", "my-shop.wasm", "--record", "record.json"]);
    assert!(text(&shown).contains("\nmy-shop-signature: "), "{}", text(&shown));
    assert!(
        text(&shown).contains(r#"{"id":"n-1001","order":"order-1001","amount":12950,"#),
        "{}",
        text(&shown)
    );
    let case = project.join("my-shop.cases/payment.json");
    let other = fs::read_to_string(&case).expect("read").replace("my-shop-time", "my-shop-date");
    fs::write(&case, other).expect("written");
    let fails = paynotify(&project, &["plugin", "cases", "my-shop.wasm"]);
    assert_eq!(fails.status.code(), Some(1), "{}", text(&fails));
}

#[test]
fn a_new_project_in_javascript_builds_and_passes() {
    a_project_builds_and_passes("js");
}

#[test]
fn a_new_project_in_rust_builds_and_passes() {
    a_project_builds_and_passes("rust");
}

#[test]
fn a_new_project_in_c_builds_and_passes() {
    a_project_builds_and_passes("c");
}

#[test]
fn a_new_project_in_python_builds_and_passes() {
    a_project_builds_and_passes("python");
}

#[test]
fn a_new_project_in_go_builds_and_passes() {
    a_project_builds_and_passes("go");
}
