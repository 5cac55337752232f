//! Prometheus' own tool, and what the alert rules in `examples/monitoring` make of what a gateway exports.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

/// What the tool says to this, with that on its standard input: whether it is content, and all that it wrote.
pub fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let program = xtask::promtool::ensure_there().expect("promtool");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    // It may end before it has read all.
    drop(child.stdin.take().expect("its input").write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The same, which must be content.
pub fn content(arguments: &[&str], input: &str) {
    let (content, said) = promtool(arguments, input);
    assert!(content, "promtool {arguments:?}: {said}");
}

/// The folder with rules and dashboard.
pub fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring")
}

/// All alert rules: name and text.
pub fn alerts() -> Vec<(String, String)> {
    let text = fs::read_to_string(monitoring().join("alerts.yml")).expect("the rules");
    let rules = text.split("- alert: ").skip(1);
    let named = |rule: &str| (rule.lines().next().unwrap_or_default().to_owned(), rule.to_owned());
    rules.map(named).collect()
}

/// The names of all metrics in a text, as the table has them.
pub fn metrics_in(text: &str) -> BTreeSet<String> {
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !of_name(letter)).filter(|word| word.starts_with("paynotify_"));
    let family = |word: &str| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        part.unwrap_or(word).to_owned()
    };
    words.map(family).collect()
}

/// Holds the text to both parsers of Prometheus' that can be had here: the one for OpenMetrics, and the linter, which reads the older
/// form. The two differ in what the family of a counter is called.
pub fn hold_to_the_format(text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("metrics"), folder.path().join("blocks"));
    let mut dated = String::new();
    let mut older = String::new();
    for line in text.lines() {
        // The importer asks each sample for its time.
        let time = if line.starts_with('#') { "" } else { " 1700000000" };
        writeln!(dated, "{line}{time}").expect("written");
        older.push_str(&in_the_older_form(text, line));
    }
    fs::write(&input, dated).expect("written");
    let [input, output] = [&input, &output].map(|path| path.to_str().expect("text"));
    content(&["tsdb", "create-blocks-from", "openmetrics", input, output], "");
    let (content, said) = promtool(&["check", "metrics"], &older);
    assert!(content && said.trim().is_empty(), "{said}");
}

fn in_the_older_form(text: &str, line: &str) -> String {
    let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
    let name = described.and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let counter = !name.is_empty() && text.contains(&format!("# TYPE {name} counter\n"));
    let line = if counter { line.replacen(name, &format!("{name}_total"), 1) } else { line.to_owned() };
    line + "\n"
}

/// The names of the alerts that fire after a gateway exported first one text for five minutes, and then another for an hour and
/// more: those that fire soon after the change, and those that fire an hour later.
pub fn firing(before: &str, after: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut series = vec![json!({"series": "up{job=\"paynotify\",instance=\"here\"}", "values": "1x90"})];
    // How full this machine's disk is has nothing to do with the gateway.
    for (name, bytes) in [("free", "600e9"), ("size", "1000e9")] {
        let name = format!("paynotify_disk_{name}_bytes{{instance=\"here\"}}");
        series.push(json!({"series": name, "values": format!("{bytes}x90")}));
    }
    for (name, value) in samples(after).filter(|(name, _)| !name.starts_with("paynotify_disk_")) {
        let first = samples(before).find(|(other, _)| *other == name).map(|(_, value)| value);
        let first = first.map_or_else(|| "_x5".to_owned(), |value| format!("{value}x5"));
        series.push(json!({"series": of_this_gateway(name), "values": format!("{first} {value}x84")}));
    }
    let at = |minute: u32| -> BTreeSet<String> {
        let none =
            |name: &String| json!({"eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": []});
        let expected: Vec<_> = alerts().iter().map(|(name, _)| none(name)).collect();
        let test = json!({"interval": "1m", "input_series": series.clone(), "alert_rule_test": expected});
        let rules = monitoring().join("alerts.yml");
        let file = json!({"rule_files": [rules], "evaluation_interval": "1m", "tests": [test]});
        let mut written = tempfile::NamedTempFile::new().expect("a file");
        // JSON is YAML, too.
        written.write_all(file.to_string().as_bytes()).expect("written");
        let (content, said) = promtool(&["test", "rules", written.path().to_str().expect("text")], "");
        // Each alert that fires against the expectation is told with its name.
        let name = |line: &str| Some(line.trim().strip_prefix("alertname: ")?.split(',').next()?.to_owned());
        let firing: BTreeSet<String> = said.lines().filter_map(name).collect();
        assert_eq!(content, firing.is_empty(), "{said}");
        firing
    };
    (at(12), at(85))
}

/// All samples of an exported text: series and value.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '))
}

/// The series with the label that Prometheus gives it.
fn of_this_gateway(series: &str) -> String {
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{instance=\"here\",{labels}"),
        None => format!("{series}{{instance=\"here\"}}"),
    }
}
