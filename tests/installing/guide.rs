//! `docs/operating.md` names no key, command, place or alert that is not there.

use std::collections::BTreeSet;

use clap::Parser;
use clap::error::ErrorKind;
use paynotify::cli::Command;

use super::{root, text};

const GUIDE: &str = "docs/operating.md";

/// What stands in the page's fences of this kind, without the fences.
pub(super) fn blocks<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, block) in page.split("\n```").enumerate() {
        // Every second piece is a block; the first line is its kind.
        if at % 2 == 1 && block.lines().next() == Some(kind) {
            found.push(block.split_once('\n').map_or("", |(_, rest)| rest));
        }
    }
    found
}

/// What stands between backticks, outside of fences.
fn spans(page: &str) -> Vec<&str> {
    let outside = page.split("\n```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The words of a shell's line: quotes hold together, `#` ends it.
pub(super) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Whether the program has such a command. In a sentence what is needed may be left out; in a block it is all there.
pub(super) fn is_command(words: &[String], in_a_sentence: bool) -> Result<(), String> {
    match Command::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            let kind = error.kind();
            let is_help = matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let is_short = matches!(kind, ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand);
            if is_help || (in_a_sentence && is_short) { Ok(()) } else { Err(format!("{words:?}: {error}")) }
        }
    }
}

/// A command of ours, without whose name it is given in and where the program is.
pub(super) fn of_the_program(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("sudo ").trim_start_matches("runuser -u paynotify -- ");
    let line = line.trim_start_matches("./").trim_start_matches("target/release/");
    line.starts_with("paynotify ").then_some(line)
}

/// Keys are written as `[section] key`.
#[test]
fn every_key_of_the_guide_exists() {
    let guide = text(GUIDE);
    let mut named = 0;
    for span in spans(&guide) {
        let Some((section, key)) = span.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
            continue;
        };
        if (section, key) == ("section", "key") {
            continue;
        }
        let mut inside = false;
        let exists = paynotify::config::DEFAULT.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            if line.starts_with('[') {
                inside = line == format!("[{section}]");
            }
            inside && line.split_once(" =").is_some_and(|(found, _)| found == key)
        });
        assert!(exists, "`{span}` is no key of the configuration");
        named += 1;
    }
    assert!(named > 15, "only {named} keys are named");
}

#[test]
fn every_command_of_the_guide_exists() {
    for page in [GUIDE, "SECURITY.md", "docs/tutorial.md", "packaging/paynotify.toml"] {
        let page_text = text(page);
        for block in blocks(&page_text, "sh") {
            for line in block.lines() {
                if let Some(line) = of_the_program(line) {
                    let command = line.split(" | ").next().unwrap_or_default();
                    is_command(&words(command), false).unwrap_or_else(|wrong| panic!("{page}: {wrong}"));
                }
            }
        }
        for span in spans(&page_text).into_iter().filter_map(of_the_program) {
            is_command(&words(span), true).unwrap_or_else(|wrong| panic!("{page}: {wrong}"));
        }
    }
    assert!(is_command(&words("paynotify dance --now"), true).is_err());
    assert!(is_command(&words("paynotify replay n-1001"), false).is_err(), "a reason is needed");
}

/// A heading's anchor, as the usual readers make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_place_that_the_guide_leads_to_exists() {
    for (page, folder) in
        [(GUIDE, "docs"), ("docs/tutorial.md", "docs"), ("SECURITY.md", "."), ("README.md", ".")]
    {
        let page_text = text(page);
        for link in page_text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { root().join(page) } else { root().join(folder).join(file) };
            assert!(path.exists(), "{page} leads to {link}");
            if !place.is_empty() {
                let there = std::fs::read_to_string(&path).expect("a page");
                let headings = there.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(anchors.any(|anchor| anchor == place), "{page} leads to {link}");
            }
        }
    }
}

/// At three in the morning what is to be typed comes first, and it is there, with what it is called by.
#[test]
fn every_alerts_section_begins_with_its_first_command() {
    let guide = text(GUIDE);
    for section in alerts(&guide).split("\n### ").skip(1) {
        let (name, rest) = section.split_once('\n').expect("more than a name");
        let block =
            rest.strip_prefix("\n```sh\n").unwrap_or_else(|| panic!("{name} begins with something else"));
        let first = block.lines().next().expect("a command");
        let programs = ["paynotify ", "systemctl ", "journalctl ", "df "];
        assert!(programs.iter().any(|program| first.starts_with(program)), "{name}: {first}");
        assert!(
            rest.split("\n```\n").nth(1).is_some_and(|told| told.trim().len() > 80),
            "{name} says nothing"
        );
    }
}

/// The tables' versions: one step each.
#[test]
fn the_guide_knows_the_tables_versions() {
    let steps = |folder: &str| {
        let files = std::fs::read_dir(root().join(folder)).expect("a folder");
        let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("schema") && name.ends_with(".sql")).count()
    };
    let [sqlite, postgres, broker] =
        ["src/journal/sqlite", "src/journal/postgres", "src/broker/embedded"].map(steps);
    let told = format!("journal on SQLite {sqlite}, on PostgreSQL {postgres}; embedded broker {broker}.");
    assert!(text(GUIDE).contains(&told), "the guide does not say: {told}");
}

fn alerts(guide: &str) -> &str {
    guide.split("\n## Alerts\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("alerts")
}

/// Each alert has its section, where its `runbook_url` leads, and each section its alert.
#[test]
fn every_alert_has_its_section() {
    let guide = text(GUIDE);
    let told: BTreeSet<_> = alerts(&guide).lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(told.len() > 9, "{told:?}");
    let rules = root().join("examples/monitoring/alerts.yml");
    let rules = std::fs::read_to_string(rules).expect("read");
    let names = rules.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("alert: "));
    let alerts: BTreeSet<_> = names.map(str::trim).collect();
    assert_eq!(alerts, told);
}
