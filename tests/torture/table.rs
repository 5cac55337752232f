//! The table at the end, for people and as Markdown.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use super::report::Report;

const HEADINGS: [&str; 16] = [
    "scenario",
    "faults",
    "accepted",
    "confirmed",
    "exhausted",
    "stopped",
    "waiting",
    "destroyed",
    "lost",
    "duplicates (bound)",
    "at once",
    "second events",
    "early / late",
    "unexplained",
    "recovery p50 / max",
    "took",
];

fn cells(report: &Report) -> [String; 16] {
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
        number(report.lost),
        format!("{} ({})", report.duplicates, report.bound),
        number(report.at_once),
        number(report.second_events),
        format!("{} / {}", report.early, report.late),
        number(report.unexplained.len()),
        recovery,
        format!("{:.0} s", report.took.as_secs_f64()),
    ]
}

fn middle(sorted: &[Duration]) -> Option<Duration> {
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The table as Markdown, which people can read as it is.
pub fn markdown(reports: &[Report]) -> String {
    let rows: Vec<[String; 16]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(reports.iter().map(cells)).collect();
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

/// The file that the README's section on reliability quotes.
pub fn document(reports: &[Report], seed: u64, command: &str, rabbitmq: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let accepted: usize = reports.iter().map(|report| report.accepted).sum();
    let faults: usize = reports.iter().map(|report| report.faults).sum();
    let lost: usize = reports.iter().map(|report| report.lost).sum();
    let unexplained: usize = reports.iter().map(|report| report.unexplained.len()).sum();
    format!(
        "# Reliability, measured\n\n\
         Written by `{command}` (seed {seed}) on {date}: paynotify {version}, RabbitMQ {rabbitmq}, {system}, {cores} cores.\n\n\
         **{faults} faults, {accepted} accepted notifications: {lost} lost, {unexplained} unexplained.**\n\n{table}\n{legend}",
        date = output("date", &["-u", "+%Y-%m-%d"]),
        version = env!("CARGO_PKG_VERSION"),
        system = output("uname", &["-sr"]),
        table = markdown(reports),
        legend = LEGEND,
    )
}

const LEGEND: &str = "\
- **accepted**: the producer has a publisher confirm or a 202; one published or posted twice under one id counts once.\n\
- **lost**: accepted, not ended and in no queue. **waiting**: still in a queue when the scenario's time was over.\n  \
  **destroyed**: lay in a queue that the scenario deleted, as an operator could.\n\
- **duplicates**: requests at merchants beyond the attempts that are booked. Each must have a fault between it and its\n  \
  repetition, and all of them may be no more than the *bound*: what was in flight at the faults.\n\
- **at once**: a notification that was sent twice within one attempt's time, and taken up by two gateways at once:\n  \
  neither could know of the other's attempt.\n\
- **early**: before the rung's delay had passed. **late**: more than a second after it without a fault near.\n\
- **unexplained**: whatever merchants, journal, outcome events and queues do not agree about.\n\
- **recovery**: from the moment that a plain connection can publish with a confirm again (or the gateway's process\n  \
  listens again) to the first delivery afterwards.\n";

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
