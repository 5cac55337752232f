//! Reading one TOML file into a type, with errors that name file, line and key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// What is wrong with a configuration: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, if one is to blame.
    pub line: Option<usize>,
    /// The key with its tables, such as `broker.prefetch`, if one is to blame.
    pub key: Option<String>,
    /// What is wrong, for people.
    pub problem: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), line: None, key: None, problem: problem.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, ": `{key}`")?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

/// A file's name and text, to find the line of a key in. The text may hold secrets, so it is overwritten when it is
/// dropped.
pub(super) struct Document {
    file: PathBuf,
    text: Zeroizing<String>,
}

impl Document {
    /// Reads the file.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Self { file: file.to_owned(), text: Zeroizing::new(text) }),
            Err(error) => Err(Problem::of_file(file, format!("cannot be read: {error}"))),
        }
    }

    /// Reads the text into a type.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let deserializer =
            toml::Deserializer::parse(&self.text).map_err(|error| self.problem(None, &error))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            self.problem((path != ".").then_some(path), error.inner())
        })
    }

    /// A problem with a key that has been read: its line is found by its text. In a table of which there are several,
    /// the key is named with the table's number, from 0, as in `keys[1].secret`.
    pub(super) fn wrong(&self, key: &str, problem: impl fmt::Display) -> Problem {
        let line = self.line_in_array(key).or_else(|| {
            let last = key.rsplit('.').next().unwrap_or(key);
            let names_it = |line: &str| {
                sets(line, last)
                    || line.trim_start().starts_with(&format!("[{key}]"))
                    || line.trim_start().starts_with(&format!("[[{key}]]"))
            };
            self.text.lines().position(names_it)
        });
        let line = line.map(|index| index + 1);
        Problem { file: self.file.clone(), line, key: Some(key.to_owned()), problem: problem.to_string() }
    }

    /// The line of `array[number].key`; if the key is not there, that of the table's head.
    fn line_in_array(&self, key: &str) -> Option<usize> {
        let (table, key) = key.rsplit_once("].")?;
        let (array, number) = table.rsplit_once('[')?;
        let is_head = |line: &str| line.trim_start().starts_with(&format!("[[{array}]]"));
        let mut heads = self.text.lines().enumerate().filter(|(_, line)| is_head(line));
        let (head, _) = heads.nth(number.parse().ok()?)?;
        let lines = self.text.lines().enumerate().skip(head + 1);
        let mut table = lines.take_while(|(_, line)| !line.trim_start().starts_with('['));
        Some(table.find(|(_, line)| sets(line, key)).map_or(head, |(index, _)| index))
    }

    /// The folder that relative paths in the file are meant from.
    pub(super) fn folder(&self) -> PathBuf {
        match self.file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    fn problem(&self, key: Option<String>, error: &toml::de::Error) -> Problem {
        let line = error.span().map(|span| self.line(&span));
        Problem { file: self.file.clone(), line, key, problem: without_the_value(error.message().trim()) }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// What serde says of a value of the wrong kind, without the value: a secret may have got into the wrong line. A word of which there
/// are only some, and that is as short as those are, is no secret.
fn without_the_value(problem: &str) -> String {
    const LONGEST_WORD: usize = 12;
    for (begin, end, longest) in
        [("unknown variant `", "`, expected ", LONGEST_WORD), ("invalid type: string \"", "\", expected ", 0)]
    {
        let parts = problem.strip_prefix(begin).and_then(|rest| rest.rsplit_once(end));
        if let Some((_, expected)) = parts.filter(|(value, _)| value.len() > longest) {
            let kind = begin.trim_end_matches(['`', '"', ' ']);
            return format!("{kind}, expected {expected}");
        }
    }
    problem.to_owned()
}

fn sets(line: &str, key: &str) -> bool {
    line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_kind_is_not_told() {
        let told = |text: &str| without_the_value(text);
        let long = "unknown variant `long-and-s3cret`, expected it`, expected one of `a`, `b`";
        assert_eq!(told(long), "unknown variant, expected one of `a`, `b`");
        assert_eq!(told("unknown variant `hmac`, expected `a`"), "unknown variant `hmac`, expected `a`");
        assert_eq!(
            told("invalid type: string \"hunter2\", expected i64"),
            "invalid type: string, expected i64"
        );
        assert_eq!(told("unknown field `pasword`, expected `a`"), "unknown field `pasword`, expected `a`");
    }

    #[test]
    fn a_key_of_the_second_table_is_found_there() {
        let text = "url = 1\n[[keys]]\nrole = 1\nsecret = 1\n\n[[keys]] # newest\n  secret=2\nrole = 2\n[other]\nname = 1\n";
        let document = Document { file: "shop.toml".into(), text: Zeroizing::new(text.to_owned()) };
        let line = |key: &str| document.wrong(key, "no").line;
        assert_eq!(line("keys[0].secret"), Some(4));
        assert_eq!(line("keys[1].secret"), Some(7));
        assert_eq!(line("keys[1].role"), Some(8));
        // What is not there is the table's affair.
        assert_eq!(line("keys[1].name"), Some(6));
        assert_eq!(line("keys[2].name"), Some(10), "there is no third, so any line that sets it");
        assert_eq!(line("keys"), Some(2));
        assert_eq!(line("other.name"), Some(10));
        assert_eq!(document.wrong("keys[1].role", "no").to_string(), "shop.toml:8: `keys[1].role`: no");
    }
}
