//! The table of all metrics (docs/metrics.md), and what a gateway exports held against it.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the table, or what a gateway exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    pub kind: String,
    pub labels: BTreeSet<String>,
    pub help: String,
}

/// The table, by the names of the metrics as they are asked for: those of counters end in `_total`.
pub fn table() -> BTreeMap<String, Metric> {
    let rows = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `paynotify_"));
    let metrics: Vec<(String, Metric)> = rows.map(row).collect();
    let by_name: BTreeMap<String, Metric> = metrics.iter().cloned().collect();
    assert_eq!(by_name.len(), metrics.len(), "a metric has two rows");
    by_name
}

fn row(line: &str) -> (String, Metric) {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [name, kind, labels, help] = cells[..] else { panic!("not four cells: {line}") };
    // Each label is named first, and its bound after it.
    let labels =
        labels.split("; ").filter_map(|label| Some(label.strip_prefix('`')?.split_once('`')?.0.to_owned()));
    let metric = Metric { kind: kind.to_owned(), labels: labels.collect(), help: help.to_owned() };
    (name.trim_matches('`').to_owned(), metric)
}

/// What a gateway exports, by the same names. The labels are those of the samples, of which there may be none.
pub fn exported(text: &str) -> BTreeMap<String, Metric> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut all: BTreeMap<String, Metric> = BTreeMap::new();
    let words = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("a name");
        (name.to_owned(), rest.to_owned())
    };
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("# HELP ") {
            let (name, help) = words(line);
            all.entry(name).or_default().help = help;
        } else if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = words(line);
            all.entry(name).or_default().kind = kind;
        } else if !line.starts_with('#') {
            let sample = line.split(['{', ' ']).next().unwrap_or_default();
            let name = family(&all, sample).unwrap_or_else(|| panic!("a sample of nothing: {line}"));
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').expect("closed").0);
            let names = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
            all.entry(name).or_default().labels.extend(names.filter(|name| name != "le"));
        }
    }
    let asked_for = |(name, metric): (String, Metric)| {
        let name = if metric.kind == "counter" { format!("{name}_total") } else { name };
        (name, metric)
    };
    all.into_iter().map(asked_for).collect()
}

/// The family that a sample is of.
fn family(all: &BTreeMap<String, Metric>, sample: &str) -> Option<String> {
    ["", "_total", "_bucket", "_sum", "_count"].iter().find_map(|suffix| {
        let name = sample.strip_suffix(suffix)?;
        all.contains_key(name).then(|| name.to_owned())
    })
}

/// Fails unless the table has exactly what is exported. A metric that has samples must have exactly the labels of its row; one of
/// `silent` may have none.
pub fn hold_against_the_table(text: &str, silent: &[&str]) {
    let (table, mut exported) = (table(), exported(text));
    for name in silent {
        let labels = table.get(*name).expect("it is in the table").labels.clone();
        let metric = exported.get_mut(*name).unwrap_or_else(|| panic!("{name} is not exported"));
        if metric.labels.is_empty() {
            metric.labels = labels;
        }
    }
    for (name, metric) in &exported {
        assert_eq!(
            Some(metric),
            table.get(name),
            "{name}: what is exported (left) and what docs/metrics.md says"
        );
    }
    let missing: Vec<&String> = table.keys().filter(|name| !exported.contains_key(*name)).collect();
    assert!(missing.is_empty(), "in docs/metrics.md, and not exported: {missing:?}");
}
