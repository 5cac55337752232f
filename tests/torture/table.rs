//! The table at the end, for people and as Markdown.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::report::Report;

/// A line of the table.
pub type Row = [String; 18];

const HEADINGS: [&str; 18] = [
    "scenario",
    "faults",
    "accepted",
    "confirmed",
    "exhausted",
    "stopped",
    "waiting",
    "destroyed",
    "put back",
    "lost",
    "duplicates (bound)",
    "second events",
    "early / late",
    "unexplained",
    "recovery p50 / max",
    "took",
    "seed",
    "played on",
];
/// The columns that are added up.
const FAULTS: usize = 1;
const ACCEPTED: usize = 2;
const LOST: usize = 9;
const UNEXPLAINED: usize = 13;

/// A report as a line of the table.
pub fn row(report: &Report, seed: u64) -> Row {
    let number = |number: usize| number.to_string();
    let recovery = match (middle(&report.recoveries), report.recoveries.last()) {
        (Some(middle), Some(most)) => format!("{:.2} s / {:.2} s", middle.as_secs_f64(), most.as_secs_f64()),
        _ => "–".to_owned(),
    };
    [
        report.scenario.clone(),
        number(report.faults),
        number(report.accepted),
        number(report.confirmed),
        number(report.exhausted),
        number(report.stopped),
        number(report.waiting),
        number(report.destroyed),
        number(report.put_back),
        number(report.lost),
        format!("{} ({})", report.duplicates, report.bound),
        number(report.second_events),
        format!("{} / {}", report.early, report.late),
        number(report.unexplained.len()),
        recovery,
        format!("{:.0} s", report.took.as_secs_f64()),
        seed.to_string(),
        output("date", &["-u", "+%Y-%m-%d"]),
    ]
}

fn middle(sorted: &[Duration]) -> Option<Duration> {
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The table as Markdown, which people can read as it is.
pub fn markdown(lines: &[Row]) -> String {
    let rows: Vec<Row> = std::iter::once(HEADINGS.map(str::to_owned)).chain(lines.iter().cloned()).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let right = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "|{}{right}", "-".repeat(width + 1));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Puts a line into the file that the README's section on reliability quotes, in place of the scenario's last one.
pub fn enter(file: &Path, new: Row, order: &[&str], minutes: u64, rabbitmq: &str) -> std::io::Result<()> {
    let mut rows = std::fs::read_to_string(file).map(|text| rows(&text)).unwrap_or_default();
    rows.retain(|row| row[0] != new[0]);
    rows.push(new);
    rows.sort_by_key(|row| order.iter().position(|name| *name == row[0]));
    std::fs::write(file, document(&rows, minutes, rabbitmq))
}

/// The lines of a table that was written here.
fn rows(text: &str) -> Vec<Row> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells.filter_map(|cells| Row::try_from(cells).ok()).filter(|row| row[0] != HEADINGS[0]).collect()
}

fn document(rows: &[Row], minutes: u64, rabbitmq: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let sum = |column: usize| rows.iter().filter_map(|row| row[column].parse::<usize>().ok()).sum::<usize>();
    format!(
        "# Reliability, measured\n\n\
         Written by `cargo xtask torture --minutes {minutes}`, scenario by scenario: \
         paynotify {version}, RabbitMQ {rabbitmq}, {system}, {cores} cores. \
         `cargo xtask torture --seed SEED --scenario SCENARIO` repeats a line's plan.\n\n\
         **{faults} faults, {accepted} accepted notifications: {lost} lost, {unexplained} unexplained.**\n\n{table}\n{legend}",
        version = env!("CARGO_PKG_VERSION"),
        system = output("uname", &["-sr"]).split('-').next().unwrap_or_default(),
        faults = sum(FAULTS),
        accepted = sum(ACCEPTED),
        lost = sum(LOST),
        unexplained = sum(UNEXPLAINED),
        table = markdown(rows),
        legend = LEGEND,
    )
}

const LEGEND: &str = "\
- **accepted**: the producer has a publisher confirm or a 202; one published or posted twice under one id counts once.\n\
- **lost**: accepted, not ended and in no queue. **waiting**: still in a queue when the scenario's time was over.\n  \
  **destroyed**: lay in a queue that the scenario deleted, as an operator could, and no gateway had ever seen it.\n  \
  **put back**: lay there, too, and was published again, because the journal knew of it.\n\
- **duplicates**: requests at merchants beyond the attempts that are booked. Each must have a fault between it and its\n  \
  repetition, and all of them may be no more than the *bound*: what was in flight at the faults.\n\
- **early**: before the rung's delay had passed. **late**: more than a second after it without a fault near.\n\
- **unexplained**: whatever merchants, journal, outcome events and queues do not agree about.\n\
- **recovery**: from the moment that a plain connection can publish with a confirm again (or the gateway's process\n  \
  listens again) to the first delivery afterwards.\n";

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}

#[test]
fn a_line_replaces_the_scenarios_last_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("table.md");
    let report =
        |scenario: &str, accepted| Report { scenario: scenario.to_owned(), accepted, ..Report::default() };
    for (scenario, accepted) in [("b", 1), ("a", 20), ("b", 300)] {
        enter(&file, row(&report(scenario, accepted), 7), &["a", "b"], 10, "3").expect("written");
    }
    let text = std::fs::read_to_string(&file).expect("readable");
    assert!(text.contains("0 faults, 320 accepted notifications: 0 lost"), "{text}");
    let names: Vec<_> = rows(&text).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn the_readme_quotes_the_table() {
    let read =
        |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name);
    let (table, readme) = (read("RELIABILITY.md"), read("README.md"));
    let sum = table.lines().find(|line| line.starts_with("**")).expect("the sum");
    assert!(readme.lines().any(|line| line == sum), "the README does not say: {sum}");
    let played: Vec<_> = rows(&table).into_iter().map(|row| row[0].clone()).collect();
    let all: Vec<_> = super::scenarios::ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(played, all, "each scenario has a line");
}
