//! What the commands print for people: aligned columns, ages, and nothing that a merchant's or a plugin's text could do to a
//! terminal.
//!
//! The rule: a row is a line. Characters that would move the cursor are shown as `�`, long texts are cut where the column says so
//! (`--json` has the whole), and no line ends in blanks.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::domain::Moment;

/// Blanks between two columns.
const GAP: &str = "  ";

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// One column: its title, where its cells stand, and how many characters of them are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    side: Side,
    longest: usize,
}

impl Column {
    /// Words and names. They are never cut: somebody will copy them.
    pub(super) const fn name(title: &'static str) -> Self {
        Self { title, side: Side::Left, longest: usize::MAX }
    }

    /// Counts and ages.
    pub(super) const fn number(title: &'static str) -> Self {
        Self { title, side: Side::Right, longest: usize::MAX }
    }

    /// Sentences: cut, so that a row stays a line on most terminals.
    pub(super) const fn text(title: &'static str) -> Self {
        Self { title, side: Side::Left, longest: 80 }
    }
}

/// Rows under titles.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        let mut cells = cells.into_iter().zip(self.columns).map(|(cell, column)| cut(&cell, column.longest));
        self.rows.push(std::array::from_fn(|_| cells.next().unwrap_or_default()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As the page of a list that the API has answered with: what to say for no rows, and where more are.
    pub(super) fn page(&self, answer: &Value) -> String {
        if self.is_empty() {
            return "none\n".to_owned();
        }
        match answer["next"].as_str() {
            Some(next) => format!("{self}there are more: --cursor {next}\n"),
            None => self.to_string(),
        }
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = self.columns.map(|column| column.title.to_owned());
        let lines = || std::iter::once(&titles).chain(&self.rows);
        let mut widths = [0; N];
        for line in lines() {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in lines() {
            let cells =
                line.iter().zip(self.columns).zip(widths).map(|((cell, column), width)| match column.side {
                    Side::Left => format!("{cell:<width$}"),
                    Side::Right => format!("{cell:>width$}"),
                });
            let line = cells.collect::<Vec<_>>().join(GAP);
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A text as one line of at most so many characters.
fn cut(text: &str, longest: usize) -> String {
    let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    if text.chars().count() <= longest {
        return text.chars().map(plain).collect();
    }
    text.chars().take(longest.saturating_sub(1)).map(plain).chain(['…']).collect()
}

/// A value of an answer: a text as it is, `-` for none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => cut(text, usize::MAX),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A length of time in one unit: `12 s`, `3 min`, `5 h`, `9 days`. Always rounded down; two units' worth is still told in the smaller one.
pub(super) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long ago a moment of an answer was; `-` for none.
pub(super) fn age(value: &Value, now: Moment) -> String {
    moment(value).map_or_else(|| text(value), |moment| length(now.since(moment)))
}

/// When a moment of an answer will be: `in 3 min`, or `now`; `-` for none.
pub(super) fn until(value: &Value, now: Moment) -> String {
    moment(value).map_or_else(
        || text(value),
        |moment| {
            let wait = moment.since(now);
            if wait.is_zero() { "now".to_owned() } else { format!("in {}", length(wait)) }
        },
    )
}

fn moment(value: &Value) -> Option<Moment> {
    value.as_str()?.parse().ok()
}

/// `1 notification`, `2 notifications`.
pub(super) fn count(count: u64, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_lines_and_columns_are_aligned() {
        let mut table = Table::new([Column::name("id"), Column::number("count"), Column::text("why")]);
        assert!(table.is_empty());
        table.row(["a".to_owned(), "7".to_owned(), "two\nlines\u{1b}[2J".to_owned()]);
        table.row(["long-name".to_owned(), "12345678".to_owned(), String::new()]);
        table.row(["ü".to_owned(), "-".to_owned(), "x".repeat(100)]);
        let cut = format!("{}…", "x".repeat(79));
        let expected = [
            "id            count  why".to_owned(),
            "a                 7  two\u{fffd}lines\u{fffd}[2J".to_owned(),
            "long-name  12345678".to_owned(),
            format!("ü                 -  {cut}"),
            String::new(),
        ];
        assert_eq!(table.to_string(), expected.join("\n"));
    }

    #[test]
    fn ages_have_one_unit() {
        let now: Moment = "2026-11-22T08:00:00Z".parse().expect("valid");
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
            (100 * 86_400, "100 days"),
        ] {
            let then = Moment::from_unix_milliseconds(now.unix_milliseconds() - seconds * 1_000);
            assert_eq!(age(&json!(then), now), expected);
            let coming = Moment::from_unix_milliseconds(now.unix_milliseconds() + seconds * 1_000);
            let expected = if seconds == 0 { "now".to_owned() } else { format!("in {expected}") };
            assert_eq!(until(&json!(coming), now), expected);
        }
        assert_eq!(age(&json!(now), Moment::EPOCH), "0 s", "clocks differ");
        assert_eq!((age(&Value::Null, now), until(&json!("soon"), now)), ("-".to_owned(), "soon".to_owned()));
        assert_eq!(
            (count(1, "message"), count(2, "message")),
            ("1 message".to_owned(), "2 messages".to_owned())
        );
    }
}
