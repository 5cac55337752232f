//! Reading one TOML file into a type, with errors that name file, line and key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

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

/// A file's name and text, to find the line of a key in.
pub(super) struct Document {
    file: PathBuf,
    text: String,
}

impl Document {
    /// Reads the file.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Self { file: file.to_owned(), text }),
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

    /// A problem with a key that has been read: its line is found by its text.
    pub(super) fn wrong(&self, key: &str, problem: impl fmt::Display) -> Problem {
        let last = key.rsplit('.').next().unwrap_or(key);
        let names_it = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix(last).is_some_and(|rest| rest.trim_start().starts_with('='))
                || line.starts_with(&format!("[{key}]"))
                || line.starts_with(&format!("[[{key}]]"))
        };
        let line = self.text.lines().position(names_it).map(|index| index + 1);
        Problem { file: self.file.clone(), line, key: Some(key.to_owned()), problem: problem.to_string() }
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
        Problem { file: self.file.clone(), line, key, problem: error.message().trim().to_owned() }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }
}
