//! A folder of recorded cases, held against a plugin: exact bytes, exact verdicts, and what differs in few words.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::case::Case;
use super::error::CaseError;
use super::form::{CaseRequest, CaseVerdict, HeaderText};
use crate::plugin::Plugin;

/// The most cases that are read of one folder. More is a mistake, and a gateway must come to an end with it.
pub const MOST: usize = 1_000;

/// How one case went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case's file.
    pub file: PathBuf,
    /// Its line for people, if it has one.
    pub about: String,
    /// What came of it.
    pub result: CaseResult,
}

/// What came of one case.
#[derive(Clone, Debug)]
pub enum CaseResult {
    /// Everything is as recorded.
    Same,
    /// Something is not.
    Differs {
        /// What.
        differences: Vec<Difference>,
        /// The case as it went now, for a file that is to be rewritten.
        seen: Box<Case>,
    },
    /// The file is no case that can be tried.
    Unreadable(CaseError),
}

/// One thing that is not as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is: `request.body at byte 17`, `replies[0].verdict`.
    pub what: String,
    /// As recorded; absent where nothing is.
    pub recorded: Option<String>,
    /// As it went now; absent where nothing came.
    pub seen: Option<String>,
}

impl Outcome {
    /// Whether everything was as recorded.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.result, CaseResult::Same)
    }

    /// The file's name without its folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The folder of cases that belongs to a plugin's file: `acme.cases` beside `acme.wasm`.
#[must_use]
pub fn beside(plugin: &Path) -> PathBuf {
    plugin.with_extension("cases")
}

/// Tries every case (`*.json`) of the folder, in the order of the files' names. An empty folder gives an empty list.
///
/// # Errors
/// The folder cannot be read or holds more than [`MOST`] cases, or the gateway had no room for a call: of the plugin nothing is
/// known then.
pub async fn run(plugin: &Plugin, folder: &Path) -> Result<Vec<Outcome>, CaseError> {
    let mut outcomes = Vec::new();
    for file in files(folder)? {
        outcomes.push(outcome(plugin, file).await?);
    }
    Ok(outcomes)
}

async fn outcome(plugin: &Plugin, file: PathBuf) -> Result<Outcome, CaseError> {
    let path = file.clone();
    let read = tokio::task::spawn_blocking(move || Case::read(&path)).await;
    let case = match read.unwrap_or_else(|error| Err(CaseError::Unreadable(error.to_string()))) {
        Ok(case) => case,
        Err(error) => {
            return Ok(Outcome { file, about: String::new(), result: CaseResult::Unreadable(error) });
        }
    };
    let about = case.about.clone();
    let result = match case.observe(plugin).await {
        Ok(seen) => match compare(&case, &seen) {
            differences if differences.is_empty() => CaseResult::Same,
            differences => CaseResult::Differs { differences, seen: Box::new(seen) },
        },
        Err(CaseError::Busy) => return Err(CaseError::Busy),
        Err(error) => CaseResult::Unreadable(error),
    };
    Ok(Outcome { file, about, result })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let unreadable = |error: std::io::Error| {
        CaseError::Unreadable(format!("the folder {} cannot be read: {error}", folder.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
        if files.len() > MOST {
            let problem = format!("the folder {} holds more than {MOST} cases", folder.display());
            return Err(CaseError::Unreadable(problem));
        }
    }
    files.sort();
    Ok(files)
}

/// What of a case did not go as recorded.
#[must_use]
pub fn compare(recorded: &Case, seen: &Case) -> Vec<Difference> {
    let mut differences = Vec::new();
    match (&recorded.request, &seen.request) {
        (Some(recorded), Some(seen)) => compare_requests(recorded, seen, &mut differences),
        (None, None) => {}
        (recorded, seen) => differences.push(Difference {
            what: "request".to_owned(),
            recorded: recorded.as_ref().map(line_of),
            seen: seen.as_ref().map(line_of),
        }),
    }
    if recorded.error != seen.error {
        differences.push(Difference {
            what: "error".to_owned(),
            recorded: recorded.error.clone(),
            seen: seen.error.clone(),
        });
    }
    for (index, (recorded, seen)) in recorded.replies.iter().zip(&seen.replies).enumerate() {
        if recorded.verdict != seen.verdict {
            differences.push(Difference {
                what: format!("replies[{index}].verdict"),
                recorded: recorded.verdict.as_ref().map(verdict_text),
                seen: seen.verdict.as_ref().map(verdict_text),
            });
        }
    }
    differences
}

fn line_of(request: &CaseRequest) -> String {
    format!("{} {}", request.method, request.url)
}

/// A verdict as the case's file has it.
#[must_use]
pub fn verdict_text(verdict: &CaseVerdict) -> String {
    serde_json::to_string(verdict).unwrap_or_else(|error| error.to_string())
}

fn compare_requests(recorded: &CaseRequest, seen: &CaseRequest, differences: &mut Vec<Difference>) {
    if recorded.method != seen.method {
        differences.push(Difference {
            what: "request.method".to_owned(),
            recorded: Some(recorded.method.clone()),
            seen: Some(seen.method.clone()),
        });
    }
    differences.extend(excerpts("request.url", recorded.url.as_bytes(), seen.url.as_bytes()));
    compare_headers(recorded, seen, differences);
    match (recorded.body_bytes(), seen.body_bytes()) {
        (Ok(recorded), Ok(seen)) => differences.extend(excerpts("request.body", &recorded, &seen)),
        (recorded, seen) => differences.push(Difference {
            what: "request.body".to_owned(),
            recorded: recorded.err().map(|error| error.to_string()),
            seen: seen.err().map(|error| error.to_string()),
        }),
    }
}

/// Field by field in their order. Where one is missing or too many, the others are told from it, not each from its
/// neighbour.
fn compare_headers(recorded: &CaseRequest, seen: &CaseRequest, differences: &mut Vec<Difference>) {
    let (recorded, seen) = (plain_headers(recorded), plain_headers(seen));
    let (mut left, mut right) = (recorded.as_slice(), seen.as_slice());
    let mut push = |recorded: Option<&Header>, seen: Option<&Header>| {
        let name = recorded.or(seen).map(|header| header.0.as_str()).unwrap_or_default();
        differences.push(Difference {
            what: format!("request.headers `{name}`"),
            recorded: recorded.map(shown),
            seen: seen.map(shown),
        });
    };
    while let ([first, rest @ ..], [other, others @ ..]) = (left, right) {
        if first.0 == other.0 {
            if first.1 != other.1 {
                push(Some(first), Some(other));
            }
            (left, right) = (rest, others);
        } else if others.iter().any(|later| later.0 == first.0) {
            push(None, Some(other));
            right = others;
        } else {
            push(Some(first), None);
            left = rest;
        }
    }
    left.iter().for_each(|header| push(Some(header), None));
    right.iter().for_each(|header| push(None, Some(header)));
}

/// The name in lower case, and the value's bytes.
type Header = (String, Vec<u8>);

fn plain_headers(request: &CaseRequest) -> Vec<Header> {
    let plain = |(name, value): &(String, HeaderText)| {
        (name.to_ascii_lowercase(), value.to_bytes().unwrap_or_default())
    };
    request.headers.iter().map(plain).collect()
}

fn shown(header: &Header) -> String {
    String::from_utf8_lossy(&header.1).into_owned()
}

/// How much is shown before and behind the place from where two texts differ, in bytes.
const CONTEXT: usize = 30;

/// Where two texts begin to differ, and what stands around there.
fn excerpts(what: &str, recorded: &[u8], seen: &[u8]) -> Option<Difference> {
    if recorded == seen {
        return None;
    }
    let at = recorded.iter().zip(seen).take_while(|(one, other)| one == other).count();
    Some(Difference {
        what: format!("{what} from byte {at} on (recorded {} bytes, now {})", recorded.len(), seen.len()),
        recorded: Some(excerpt(recorded, at)),
        seen: Some(excerpt(seen, at)),
    })
}

fn excerpt(bytes: &[u8], at: usize) -> String {
    let start = at.saturating_sub(CONTEXT);
    let end = at.saturating_add(2 * CONTEXT).min(bytes.len());
    let before = if start > 0 { "…" } else { "" };
    let behind = if end < bytes.len() { "…" } else { "" };
    let text = String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default()).into_owned();
    let text: String = text
        .chars()
        .flat_map(|character| if character.is_control() { escaped(character) } else { vec![character] })
        .collect();
    format!("{before}{text}{behind}")
}

fn escaped(character: char) -> Vec<char> {
    character.escape_default().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: &str) -> CaseRequest {
        CaseRequest {
            method: "POST".to_owned(),
            url: "https://shop.example/".to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), HeaderText::Text((*value).to_owned())))
                .collect(),
            body: Some(body.to_owned()),
            body_base64: None,
        }
    }

    fn differences(recorded: &CaseRequest, seen: &CaseRequest) -> Vec<(String, String, String)> {
        let mut differences = Vec::new();
        compare_requests(recorded, seen, &mut differences);
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        differences.into_iter().map(|it| (it.what, text(it.recorded), text(it.seen))).collect()
    }

    fn owned(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        rows.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
    }

    #[test]
    fn names_of_headers_have_no_case_and_their_order_counts() {
        let one = request(&[("A", "1"), ("b", "2")], "");
        assert_eq!(differences(&one, &request(&[("a", "1"), ("B", "2")], "")), []);
        assert_eq!(
            differences(&one, &request(&[("b", "2"), ("a", "1")], "")),
            owned(&[("request.headers `b`", "-", "2"), ("request.headers `b`", "2", "-")])
        );
        assert_eq!(
            differences(&one, &request(&[("x", "0"), ("a", "1"), ("b", "3")], "")),
            owned(&[("request.headers `x`", "-", "0"), ("request.headers `b`", "2", "3")])
        );
    }

    #[test]
    fn a_long_body_is_shown_where_it_differs() {
        let long = |digit: &str| format!("{}amount={digit}{}", "x".repeat(100), "\n&y".repeat(100));
        assert_eq!(
            differences(&request(&[], &long("1")), &request(&[], &long("2"))),
            owned(&[(
                "request.body from byte 107 on (recorded 408 bytes, now 408)",
                &format!("…{}amount=1{}…", "x".repeat(23), &"\\n&y".repeat(20)[..79]),
                &format!("…{}amount=2{}…", "x".repeat(23), &"\\n&y".repeat(20)[..79])
            )])
        );
        assert_eq!(
            differences(&request(&[], "ab"), &request(&[], "a")),
            owned(&[("request.body from byte 1 on (recorded 2 bytes, now 1)", "ab", "a")])
        );
    }
}
