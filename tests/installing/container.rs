//! `packaging/Containerfile`, as far as it can be looked at without building it: what it names is there.

use super::guide::is_command;
use super::{root, text};

/// The instructions, each with its words.
fn instructions(file: &str) -> Vec<(String, String)> {
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(' '));
    split.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

/// The command of an instruction in its exec form.
fn exec(rest: &str) -> Vec<String> {
    serde_json::from_str(&rest[rest.find('[').expect("the exec form")..]).expect("a list")
}

#[test]
fn the_container_names_only_what_is_there() {
    let file = text("packaging/Containerfile");
    let instructions = instructions(&file);
    let all = |word: &str| -> Vec<&str> {
        let found = instructions.iter().filter(|(instruction, _)| instruction == word);
        found.map(|(_, rest)| rest.as_str()).collect()
    };
    for image in all("FROM") {
        let name = image.split(' ').next().unwrap_or_default();
        assert!(!name.contains('/'), "{image}: no registry is named here");
    }
    assert!(file.contains("FROM rust:1.95-"), "the compiler is the one of rust-version");
    assert!(text("Cargo.toml").contains("rust-version = \"1.95\""));
    for copy in all("COPY") {
        match copy.strip_prefix("--from=build /source/") {
            // What `cargo build` and `cargo xtask plugins` make.
            Some(made) => {
                let (from, _) = made.split_once(' ').expect("two paths");
                assert!(["target/release/paynotify", "target/plugins/*.wasm"].contains(&from), "{copy}");
            }
            None => {
                let (from, _) = copy.split_once(' ').expect("two paths");
                assert!(root().join(from).exists(), "{copy}");
            }
        }
    }
    // One of the last stage's users runs it, and that is not root.
    assert_eq!(all("USER"), ["10001:10001"]);
    let (entry, arguments) = (exec(all("ENTRYPOINT")[0]), exec(all("CMD")[0]));
    assert_eq!(entry, ["paynotify"]);
    is_command(&[entry, arguments.clone()].concat(), false).expect("it runs");
    is_command(&exec(all("HEALTHCHECK")[0]), false).expect("it is asked");
    // It runs with the configuration that is put there, whose data is in the volume.
    let config = arguments.last().expect("a file");
    assert!(all("COPY").iter().any(|copy| copy.ends_with(config.as_str())), "{config}");
    assert!(text("packaging/paynotify.toml").contains(&format!("data = \"{}\"", all("VOLUME")[0])));
    for run in all("RUN").into_iter().filter(|run| run.starts_with("cargo xtask")) {
        let task = run.trim_start_matches("cargo xtask ");
        assert!(text("xtask/src/main.rs").to_lowercase().contains(&format!("    {task} {{")), "{run}");
    }
    assert!(text(".dockerignore").lines().any(|line| line == "target"));
}
