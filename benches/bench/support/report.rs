//! What was measured: points of rows, as a table for people and as a document for machines.
//!
//! The document, `paynotify-bench/1`, is one object:
//!
//! - `schema`; `quick` (true: the numbers mean nothing); `optimised` (false: a build for development);
//! - `began` (RFC 3339), `took_seconds`;
//! - `machine`: `processor`, `cores`, `memory_gigabytes`, `kernel`; `versions`: `paynotify` (with its commit), `rustc`,
//!   `rabbitmq`, `erlang`, `sqlite`;
//! - `headline`: the sentence that the README quotes, or null when a point is missing;
//! - `points`: for each `number` (1 to 8), `name`, `about` (what was done, with all that is set), `took_seconds` (with what took turns with it), and `rows`:
//!   for each `key` (which stays the same from run to run), `figure`, `unit`, `median`, `least`, `most`, `values` (one of each
//!   round, in order), and `wanted`: null, or `at_most` or `at_least` with a number, and `met`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::context::Context;
use super::figures::Spread;
use super::machine::Machine;

/// The whole.
pub(crate) struct Report {
    machine: Machine,
    quick: bool,
    /// Whether there were as many rounds as usual.
    usual: bool,
    began: jiff::Timestamp,
    start: Instant,
    took_seconds: f64,
    points: Vec<Point>,
}

/// One of the eight.
pub(crate) struct Point {
    number: usize,
    name: &'static str,
    about: String,
    took_seconds: f64,
    rows: Vec<Row>,
}

/// A figure.
pub(crate) struct Row {
    key: String,
    figure: String,
    unit: &'static str,
    values: Vec<f64>,
    spread: Spread,
    wanted: Option<Wanted>,
}

/// What was hoped for.
#[derive(Clone, Copy)]
enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

impl Point {
    /// Without figures yet. `about` says what is done, for whoever reads them.
    pub(crate) fn new(number: usize, name: &'static str, about: impl Into<String>) -> Self {
        Self { number, name, about: about.into(), took_seconds: 0.0, rows: Vec::new() }
    }

    /// Adds a figure: a value of each round. Without any it is left out.
    pub(crate) fn row(
        &mut self,
        key: impl Into<String>,
        figure: impl Into<String>,
        unit: &'static str,
        values: &[f64],
    ) -> &mut Self {
        if let Some(spread) = Spread::of(values) {
            let (key, figure, values) = (key.into(), figure.into(), values.to_vec());
            self.rows.push(Row { key, figure, unit, values, spread, wanted: None });
        }
        self
    }

    /// The last figure should be no more than that.
    pub(crate) fn at_most(&mut self, bound: f64) {
        self.want(Wanted::AtMost(bound));
    }

    /// The last figure should be no less than that.
    pub(crate) fn at_least(&mut self, bound: f64) {
        self.want(Wanted::AtLeast(bound));
    }

    fn want(&mut self, wanted: Wanted) {
        if let Some(row) = self.rows.last_mut() {
            row.wanted = Some(wanted);
        }
    }

    /// Says only now what was done.
    pub(crate) fn about(&mut self, about: String) {
        self.about = about;
    }

    /// How long it took, together with what took turns with it.
    pub(crate) fn took(&mut self, time: Duration) {
        self.took_seconds = time.as_secs_f64();
    }

    /// For people, below a heading.
    pub(crate) fn markdown(&self) -> String {
        let head = ["", "unit", "median", "least", "most", "rounds", "wanted"].map(str::to_owned);
        let lines: Vec<_> = std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect();
        let mut text = format!("## {}. {}\n\n{}\n\n", self.number, self.name, self.about);
        for (index, cells) in lines.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let width = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
                // Writing to a string does not fail.
                let _ = match column {
                    0 | 1 => write!(text, "| {cell:<width$} "),
                    _ => write!(text, "| {cell:>width$} "),
                };
            }
            text.push_str("|\n");
            if index == 0 {
                text.push_str("|---|---|---:|---:|---:|---:|---:|\n");
            }
        }
        text
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({
            "number": self.number,
            "name": self.name,
            "about": self.about,
            "took_seconds": self.took_seconds,
            "rows": rows,
        })
    }
}

impl Row {
    fn met(&self) -> Option<bool> {
        self.wanted.map(|wanted| match wanted {
            Wanted::AtMost(bound) => self.spread.median <= bound,
            Wanted::AtLeast(bound) => self.spread.median >= bound,
        })
    }

    fn cells(&self) -> [String; 7] {
        let Spread { least, median, most } = self.spread;
        let wanted = self.wanted.map(|wanted| match wanted {
            Wanted::AtMost(bound) => format!("≤ {}", shown(bound)),
            Wanted::AtLeast(bound) => format!("≥ {}", shown(bound)),
        });
        let missed = if self.met() == Some(false) { " (missed)" } else { "" };
        [
            self.figure.clone(),
            self.unit.to_owned(),
            shown(median),
            shown(least),
            shown(most),
            self.values.len().to_string(),
            wanted.map_or_else(String::new, |wanted| wanted + missed),
        ]
    }

    fn json(&self) -> Value {
        let wanted = self.wanted.map(|wanted| match wanted {
            Wanted::AtMost(bound) => json!({"at_most": bound, "met": self.met()}),
            Wanted::AtLeast(bound) => json!({"at_least": bound, "met": self.met()}),
        });
        json!({
            "key": self.key,
            "figure": self.figure,
            "unit": self.unit,
            "median": self.spread.median,
            "least": self.spread.least,
            "most": self.spread.most,
            "values": self.values,
            "wanted": wanted,
        })
    }
}

impl Report {
    /// Begins now.
    pub(crate) async fn begin(context: &Context) -> Result<Self> {
        let machine = Machine::look(context).await?;
        context.say(machine.sentence());
        Ok(Self {
            machine,
            quick: context.quick,
            usual: context.rounds.is_none(),
            began: jiff::Timestamp::now(),
            start: Instant::now(),
            took_seconds: 0.0,
            points: Vec::new(),
        })
    }

    /// Adds points.
    pub(crate) fn add(&mut self, points: Vec<Point>) {
        self.points.extend(points);
    }

    /// Ends now.
    pub(crate) fn end(&mut self) {
        self.took_seconds = self.start.elapsed().as_secs_f64();
    }

    /// Whether all points were measured, really, with an optimised build.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.usual && optimised() && self.points.len() == 8
    }

    /// What the README quotes; none if a figure for it is missing.
    pub(crate) fn headline(&self) -> Option<String> {
        let median = |number: usize, key: &str| {
            let point = self.points.iter().find(|point| point.number == number)?;
            let row = point.rows.iter().find(|row| row.key == key)?;
            Some(shown(row.spread.median))
        };
        Some(format!(
            "**{}/s: {} of the bare pipe's throughput at {} times its processor time; {}/s in and out on the embedded broker; \
             format and judge in {} µs (Rust) and {} µs (JavaScript); a rung of 3 s at 500/s is {} ms late (p99) with a million parked; \
             beside a merchant that hangs the others' p99 is {} times what it is without; {} MB idle.**",
            median(1, "gateway_per_second")?,
            median(1, "throughput_ratio")?,
            median(1, "processor_ratio")?,
            median(3, "delivered_per_second")?,
            median(4, "rust_p50")?,
            median(4, "js_p50")?,
            median(5, "parked_amqp_refused_500_p99")?,
            median(6, "hangs_p99_ratio")?,
            median(7, "plugins_1_resident")?,
        ))
    }

    /// The table, whole.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "# Speed, measured\n\nWritten by `cargo xtask bench --write`, in one run of {:.0} minutes begun {}. {}.\n\n",
            self.took_seconds / 60.0,
            self.began.strftime("%Y-%m-%d %H:%M UTC"),
            self.machine.sentence(),
        );
        if self.quick || !optimised() {
            text.push_str(
                "**These numbers mean nothing: the run was a quick one, or the build not optimised.**\n\n",
            );
        } else if let Some(headline) = self.headline() {
            text.push_str(&(headline + "\n\n"));
        }
        text.push_str(LEGEND);
        for point in &self.points {
            text.push('\n');
            text.push_str(&point.markdown());
        }
        text
    }

    /// The document; see the module.
    pub(crate) fn json(&self) -> Value {
        let (machine, versions) = self.machine.json();
        let points: Vec<Value> = self.points.iter().map(Point::json).collect();
        json!({
            "schema": "paynotify-bench/1",
            "quick": self.quick,
            "optimised": optimised(),
            "began": self.began.to_string(),
            "took_seconds": self.took_seconds,
            "machine": machine,
            "versions": versions,
            "headline": self.headline(),
            "points": points,
        })
    }
}

const LEGEND: &str = "\
What is compared takes turns. A figure is the median of its rounds, beside the least and the most of them; a percentile is of one round's \
notifications. Producer, merchants, RabbitMQ and gateway share the machine. `cargo xtask bench --json FILE` writes all rounds.\n";

/// Whether this is a build of the kind that is shipped.
fn optimised() -> bool {
    !cfg!(debug_assertions)
}

/// To three digits or so.
fn shown(value: f64) -> String {
    match value.abs() {
        ..0.000_5 => "0".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        ..10_000.0 => format!("{value:.0}"),
        _ => {
            let whole = format!("{value:.0}");
            let (head, tail) = whole.split_at(whole.len().saturating_sub(3));
            match head.len() {
                4.. => format!("{},{},{tail}", &head[..head.len() - 3], &head[head.len() - 3..]),
                _ => format!("{head},{tail}"),
            }
        }
    }
}
