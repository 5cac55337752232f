//! A newcomer: `docs/tutorial.sh` runs `docs/tutorial.md` as it stands there, with what is built already.

use std::fs;
use std::process::{Command, Stdio};

use xtask::examples::{Built, built};

use super::{both, root};

/// An address that nobody has just now.
fn free() -> String {
    let [port] = xtask::ports::free().expect("a port");
    format!("127.0.0.1:{port}")
}

#[test]
fn the_tutorial_works_block_by_block() {
    let plugin = match built("rust").expect("`cargo xtask examples` has been run") {
        Built::Component(file) => file,
        Built::Skipped(reason) => {
            println!("{reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (tools, work) = (folder.path().join("built"), folder.path().join("work"));
    for path in [&tools, &work] {
        fs::create_dir(path).expect("a folder");
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_paynotify"));
    let merchant = program.with_file_name("examples").join("stub_merchant");
    assert!(
        merchant.is_file(),
        "`cargo build --workspace --examples` comes before (`cargo xtask test` does it)"
    );
    for (file, name) in [(program, "paynotify"), (&merchant, "stub_merchant")] {
        std::os::unix::fs::symlink(file, tools.join(name)).expect("linked");
    }
    fs::copy(plugin, tools.join("acme.wasm")).expect("copied");
    let mut script = Command::new("sh");
    script.arg(root().join("docs/tutorial.sh")).arg(&work).stdin(Stdio::null());
    script.env("TUTORIAL_BUILT", &tools).env("TUTORIAL_API", free()).env("TUTORIAL_MERCHANT", free());
    let output = script.env_remove("PAYNOTIFY_TOKEN").output().expect("run");
    let said = both(&output);
    assert!(output.status.success(), "{said}");
    for part in [
        "5 of 5 cases are as recorded",
        "gateway/paynotify.toml: fine, with 1 merchants",
        r#"{"notification_id":"n-1001"}"#,
        "for the 2. time, and refuses",
        "confirmed after 3 attempts",
        "tutorial: everything works",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// What the script does not know is not passed over: a page with another kind of block is an error, and one that fails ends it.
#[test]
fn a_block_that_fails_fails_the_tutorial() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("tutorial.sh");
    fs::copy(root().join("docs/tutorial.sh"), &script).expect("copied");
    let run = |page: &str| {
        fs::write(folder.path().join("tutorial.md"), page).expect("written");
        let mut command = Command::new("sh");
        command.arg(&script).arg(folder.path()).env("TUTORIAL_BUILT", folder.path());
        command.stdin(Stdio::null()).output().expect("run")
    };
    assert!(
        run("```sh\necho one\n```\n\n```toml a.toml\nx = 1\n```\n\n```sh\ngrep x a.toml\n```\n")
            .status
            .success()
    );
    assert!(!run("```sh\nfalse\n```\n\n```sh\ntrue\n```\n").status.success());
    assert!(!run("```python\npass\n```\n").status.success());
}
