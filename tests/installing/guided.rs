//! The guide's way onto a server, typed as it stands there, below another root.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::guide::blocks;
use super::service::tool;
use super::{both, root, text};

/// What is typed where it has one type the address of RabbitMQ.
const ADDRESS: &str = "amqp://paynotify:a-password@127.0.0.1:5672/%2f\n";

/// A line for this root. None is for what needs a running systemd, a gateway or a package; `systemd-` ones are run by themselves.
fn here(line: &str, system: &Path) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_paynotify");
    if ["systemctl ", "systemd-", "apt-get ", "paynotify status"].iter().any(|word| line.starts_with(word)) {
        return None;
    }
    let line = line.split("  #").next().unwrap_or_default().trim_end();
    let line = match line.strip_prefix("target/release/paynotify service ") {
        Some(rest) => format!("{program} service {rest} --root {}", system.display()),
        None => line.replace("runuser -u paynotify -- paynotify", program),
    };
    let plain = xtask::guests::built("plain").expect("the plugin is built").display().to_string();
    // The group is in the root's own list.
    let line = line.replace("target/plugins/plain.wasm", &plain).replace(" --group paynotify", "");
    Some(line.replace(" /etc/paynotify", &format!(" {}/etc/paynotify", system.display())))
}

/// systemd's own, if they can be had: they make the folders the gateway's.
fn by_systemd(line: &str, system: &Path) {
    let mut words = line.split("  #").next().unwrap_or_default().split_whitespace();
    let Some(mut command) = tool(words.next().expect("a program"), system) else { return };
    let done = command.args(words).output().expect("run");
    assert!(done.status.success(), "{line}: {}", both(&done));
}

fn typed(line: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-ec", line]).current_dir(root()).stdin(Stdio::piped());
    let mut shell = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh");
    let mut keyboard = shell.stdin.take().expect("piped");
    // Most commands ask nothing, and may have ended by now.
    drop(keyboard.write_all(ADDRESS.as_bytes()));
    drop(keyboard);
    let done = shell.wait_with_output().expect("waited for");
    assert!(done.status.success(), "{line}: {}", both(&done));
    both(&done)
}

#[test]
fn what_the_guide_has_one_type_installs_a_gateway_with_a_merchant() {
    let guide = text("docs/operating.md");
    let section = guide.split("\n## Onto a server\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let section = section.expect("it is there");
    let system = tempfile::tempdir().expect("a folder");
    let is_root = rustix::process::geteuid().is_root();
    fs::create_dir_all(system.path().join("var/lib")).expect("made");
    let mut said = String::new();
    // The first builds what is built here already.
    for block in &blocks(section, "sh")[1..] {
        for line in block.lines() {
            match here(line, system.path()) {
                Some(line) => said.push_str(&typed(&line)),
                None if is_root && line.starts_with("systemd-") => by_systemd(line, system.path()),
                None => {}
            }
        }
    }
    let at = |path: &str| system.path().join(path);
    assert!(said.contains("paynotify.toml: fine, with 1 merchants"), "{said}");
    for file in ["secrets/amqp-url", "plugins/plain.wasm", "merchants/shop.toml"] {
        let file = at("etc/paynotify").join(file);
        let (found, folder) = (file.metadata().expect("there"), file.parent().expect("one").metadata());
        assert_eq!(found.mode() & 0o777, 0o640, "{}", file.display());
        assert_eq!(found.gid(), folder.expect("there").gid(), "{}", file.display());
    }
    assert!(!at("var/lib/paynotify").exists(), "the data's folder is systemd's to make");

    // And now with RabbitMQ, as the guide has it written.
    let config = at("etc/paynotify/paynotify.toml");
    let toml = blocks(section, "toml").into_iter().find(|block| block.contains("amqp-url")).expect("there");
    let written = fs::read_to_string(&config).expect("read");
    let (before, after) = written.split_once("[broker]\n").expect("a table");
    let (_, after) = after.split_once("[log]\n").expect("the next table");
    fs::write(&config, format!("{before}{toml}\n[log]\n{after}")).expect("written");
    let program = env!("CARGO_BIN_EXE_paynotify");
    let said = typed(&format!("{program} config check --config {}", config.display()));
    assert!(said.contains("fine, with 1 merchants"), "{said}");
}
