//! Holds the code to the dependency rule of `src/lib.rs`: who may name whom.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of this crate.
const MAY_NAME: [(&str, &[&str]); 18] = [
    ("domain", &["domain"]),
    ("clock", &["domain"]),
    ("sqlite", &["sqlite"]),
    ("unblocked", &["unblocked"]),
    ("live", &["live", "domain"]),
    ("broker", &["broker", "domain", "clock", "sqlite"]),
    ("journal", &["journal", "domain", "clock", "sqlite"]),
    ("plugin", &["plugin", "domain", "clock"]),
    ("http", &["http", "domain", "clock", "unblocked"]),
    ("traces", &["traces", "domain", "clock"]),
    ("redact", &["redact"]),
    ("replay", &["replay", "plugin", "domain"]),
    (
        "delivery",
        &["delivery", "broker", "journal", "plugin", "http", "replay", "live", "traces", "domain", "clock"],
    ),
    ("api", &["api", "broker", "journal", "live", "redact", "replay", "domain", "clock", "unblocked"]),
    ("config", &["config", "api", "broker", "journal", "plugin", "http", "replay", "domain", "app"]),
    (
        "app",
        &[
            "app", "api", "clock", "broker", "config", "delivery", "domain", "http", "journal", "kit",
            "live", "plugin", "traces",
        ],
    ),
    ("kit", &["kit", "plugin", "domain"]),
    (
        "cli",
        &[
            "cli", "api", "app", "broker", "clock", "config", "http", "journal", "kit", "plugin", "replay",
            "domain",
        ],
    ),
];

/// What `domain` must not name at all: the outside world, the time and chance.
const NOT_IN_DOMAIN: [&str; 9] =
    ["tokio", "lapin", "hyper::", "wasmtime", "sqlx", "SystemTime", "Instant", "rand::", "std::fs"];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            files(&entry.expect("an entry").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

fn code_of(module: &str) -> Vec<(PathBuf, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let folder = source.join(module);
    files(&if folder.is_dir() { folder } else { source.join(format!("{module}.rs")) }, &mut found);
    assert!(!found.is_empty(), "{module} has no code");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path, code.join("\n"))
    };
    found.into_iter().map(read).collect()
}

/// The first words after `crate::`, also within `use crate::{…}`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let before = code[..index].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let rest = &code[index + "crate::".len()..];
        let group = rest.strip_prefix('{').map(|group| group.split_inclusive(';').next().unwrap_or(group));
        let word = |text: &str| {
            text.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
        };
        match group {
            None => named.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, letter) in group.char_indices() {
                    match letter {
                        '{' => depth += 1,
                        '}' | ',' if depth == 0 => {
                            named.push(word(&group[start..at]));
                            start = at + 1;
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if letter == '}' && depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    named.retain(|word: &String| !word.is_empty());
    named
}

#[test]
fn modules_name_only_what_they_may() {
    for (module, allowed) in MAY_NAME {
        for (path, code) in code_of(module) {
            for named in named_modules(&code) {
                let known = MAY_NAME.iter().any(|(module, _)| *module == named);
                assert!(
                    !known || allowed.contains(&named.as_str()),
                    "{} names crate::{named}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for (path, code) in code_of("domain") {
        for word in NOT_IN_DOMAIN {
            assert!(!code.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn only_the_journal_says_that_something_is_recorded() {
    for (module, _) in MAY_NAME {
        for (path, code) in code_of(module) {
            // A model in a test has a journal of its own.
            let model = path.ends_with("domain/standing_tests.rs");
            let may = module == "journal" || path.ends_with("domain/outcome.rs") || model;
            let shipped = code.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(may || !shipped.contains("after_commit"), "{} makes a Recorded", path.display());
        }
    }
}

#[test]
fn libraries_stay_behind_their_edge() {
    for (library, homes) in [
        ("lapin", &["broker"][..]),
        ("wasmtime", &["plugin"]),
        ("sqlx", &["broker", "journal", "sqlite"]),
        ("prost", &["traces"]),
        // The server's side of the same library.
        ("hyper_util", &["http", "api"]),
    ] {
        for (module, _) in MAY_NAME {
            for (path, code) in code_of(module) {
                let named = code.contains(&format!("{library}::"));
                assert!(!named || homes.contains(&module), "{} names {library}", path.display());
            }
        }
    }
}

#[test]
fn names_are_found_in_every_form() {
    let code = "use crate::a::{b, c};\nuse crate::{d, e::{f, g}, h};\nlet x = crate::i::j();\nmycrate::k";
    assert_eq!(named_modules(code), ["a", "d", "e", "h", "i"]);
}
