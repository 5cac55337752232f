//! What differs between what was made and what is made now, shown so that a person sees it at a glance.

use std::fmt;

use serde::Serialize;

use super::transcript::{KeptFault, KeptRequest, KeptValue, KeptVerdict, Made};

/// How much of what is the same is shown on each side of what is not, in bytes.
const CONTEXT: usize = 60;

/// The most that is shown of one side of a difference, in characters.
const LONGEST: usize = 600;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is a part of.
    #[serde(flatten)]
    pub part: Part,
    /// Where in it the first difference is, in bytes from 0; for what is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
    /// The same as a line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What it was: all that differs, and some of what stands around it. `None` if it was not there.
    pub was: Option<String>,
    /// What it is.
    pub is: Option<String>,
}

/// What can differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "part", content = "name", rename_all = "snake_case")]
pub enum Part {
    /// The request's method.
    Method,
    /// Its URL.
    Url,
    /// A header field, by its name.
    Header(String),
    /// The order of its header fields.
    HeaderOrder,
    /// Its body.
    Body,
    /// Whether there is a request, or which fault took its place.
    Request,
    /// The verdict on the reply, or the fault that took its place.
    Verdict,
    /// What the plugin asked of `crypto`, by the function's name.
    HostCall(String),
}

/// What differs between two requests, or what took their places. Empty: they are the same to the byte.
#[must_use]
pub fn differences(was: &Made<KeptRequest>, is: &Made<KeptRequest>) -> Vec<Difference> {
    match (was, is) {
        (Made::Result(was), Made::Result(is)) => of_requests(was, is),
        (Made::Fault(was), Made::Fault(is)) if was == is => Vec::new(),
        _ => vec![short(Part::Request, request_in_words(was), request_in_words(is))],
    }
}

/// What differs between two verdicts, or what took their places. A reply that was not judged has none.
#[must_use]
pub fn of_verdicts(was: Option<&Made<KeptVerdict>>, is: Option<&Made<KeptVerdict>>) -> Option<Difference> {
    (was != is).then(|| short(Part::Verdict, was.map(verdict_in_words), is.map(verdict_in_words)))
}

pub(super) fn short(part: Part, was: Option<String>, is: Option<String>) -> Difference {
    Difference { part, at: None, line: None, was, is }
}

fn of_requests(was: &KeptRequest, is: &KeptRequest) -> Vec<Difference> {
    let mut found = Vec::new();
    if was.method != is.method {
        found.push(short(Part::Method, Some(was.method.clone()), Some(is.method.clone())));
    }
    found.extend(first(Part::Url, was.url.as_bytes(), is.url.as_bytes()));
    found.extend(of_headers(&was.headers, &is.headers));
    found.extend(first(Part::Body, &was.body.0, &is.body.0));
    found
}

type Headers = [(String, KeptValue)];

fn of_headers(was: &Headers, is: &Headers) -> Vec<Difference> {
    let mut names: Vec<&String> = was.iter().chain(is).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        let values = |headers: &Headers| -> Vec<KeptValue> {
            headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect()
        };
        let (was, is) = (values(was), values(is));
        if was != is {
            let text = |values: &[KeptValue]| {
                let texts: Vec<_> = values.iter().map(value_in_words).collect();
                (!values.is_empty()).then(|| texts.join(", "))
            };
            found.push(short(Part::Header(name.clone()), text(&was), text(&is)));
        }
    }
    if found.is_empty() && was != is {
        let order = |headers: &Headers| {
            let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
            Some(names.join(", "))
        };
        found.push(short(Part::HeaderOrder, order(was), order(is)));
    }
    found
}

fn value_in_words(value: &KeptValue) -> String {
    match value {
        KeptValue::Digest { sha256 } => format!("(of which only the SHA-256 is kept: {sha256})"),
        KeptValue::Plain(bytes) => shown(&bytes.0),
    }
}

fn request_in_words(made: &Made<KeptRequest>) -> Option<String> {
    Some(match made {
        Made::Result(request) => {
            let body = request.body.0.len();
            format!("{} {} with a body of {body} bytes", request.method, shown(request.url.as_bytes()))
        }
        Made::Fault(fault) => fault_in_words(fault),
    })
}

fn verdict_in_words(made: &Made<KeptVerdict>) -> String {
    let text = |text: &str| shown(text.as_bytes());
    match made {
        Made::Result(KeptVerdict::Confirmed(None)) => "confirmed".to_owned(),
        Made::Result(KeptVerdict::Confirmed(Some(detail))) => format!("confirmed ({})", text(detail)),
        Made::Result(KeptVerdict::Retry { after_seconds: None, reason }) => {
            format!("retry ({})", text(reason))
        }
        Made::Result(KeptVerdict::Retry { after_seconds: Some(seconds), reason }) => {
            format!("retry, not before {seconds} s ({})", text(reason))
        }
        Made::Result(KeptVerdict::Stop(reason)) => format!("stop ({})", text(reason)),
        Made::Fault(fault) => fault_in_words(fault),
    }
}

fn fault_in_words(fault: &KeptFault) -> String {
    format!("a fault of the plugin's: {}", shown(fault.text.as_bytes()))
}

/// The first place where two texts differ, with all up to the last such place, and some of what stands around it.
fn first(part: Part, was: &[u8], is: &[u8]) -> Option<Difference> {
    if was == is {
        return None;
    }
    let same =
        |one: &mut dyn Iterator<Item = (&u8, &u8)>| one.take_while(|(one, other)| one == other).count();
    let before = same(&mut was.iter().zip(is));
    let after = same(&mut was[before..].iter().rev().zip(is[before..].iter().rev()));
    let line = was[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
    let begin = begin(was, before);
    let cut = |text: &[u8]| {
        let last = text.len() - after;
        let end = end(text, last);
        let mut cut = String::new();
        if begin > 0 && text[begin - 1] != b'\n' {
            cut.push('…');
        }
        cut.push_str(&shown(&text[begin..end]));
        if end < text.len() && text[end] != b'\n' {
            cut.push('…');
        }
        cut
    };
    Some(Difference { part, at: Some(before), line: Some(line), was: Some(cut(was)), is: Some(cut(is)) })
}

/// Where the part that is shown begins: at the line's beginning if that is near, and never within a character.
fn begin(text: &[u8], first: usize) -> usize {
    let least = first.saturating_sub(CONTEXT);
    let line = text[least..first].iter().rposition(|byte| *byte == b'\n').map(|index| least + index + 1);
    let mut begin = line.unwrap_or(least);
    while begin > 0 && is_within_character(text, begin) {
        begin -= 1;
    }
    begin
}

/// Where it ends, likewise.
fn end(text: &[u8], last: usize) -> usize {
    let most = (last + CONTEXT).min(text.len());
    let mut end = text[last..most].iter().position(|byte| *byte == b'\n').map_or(most, |index| last + index);
    while is_within_character(text, end) {
        end += 1;
    }
    end
}

/// Whether the byte continues a character of UTF-8.
fn is_within_character(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// A text for a terminal: what could steer one is escaped, line breaks stay, and the middle of a long one is left out.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let length = text.chars().count();
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if length > LONGEST && index == LONGEST / 2 {
            shown.push_str(&format!(" […{} characters…] ", length - LONGEST));
        }
        if length > LONGEST && (LONGEST / 2..length - LONGEST / 2).contains(&index) {
            continue;
        }
        match character {
            '\n' => shown.push('\n'),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.part)?;
        if let (Some(at), Some(line)) = (self.at, self.line) {
            write!(formatter, " differs from byte {at} on (line {line})")?;
        }
        for (sign, text) in [('-', &self.was), ('+', &self.is)] {
            for line in text.iter().flat_map(|text| text.split('\n')) {
                write!(formatter, "\n  {sign} {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => formatter.write_str("the request's method"),
            Self::Url => formatter.write_str("the request's URL"),
            Self::Header(name) => write!(formatter, "the request's header field `{name}`"),
            Self::HeaderOrder => formatter.write_str("the order of the request's header fields"),
            Self::Body => formatter.write_str("the request's body"),
            Self::Request => formatter.write_str("the request"),
            Self::Verdict => formatter.write_str("the verdict"),
            Self::HostCall(function) => write!(formatter, "a call of `crypto.{function}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::transcript::KeptBytes;
    use super::*;

    fn request(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Made<KeptRequest> {
        let header = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), KeptValue::Plain(KeptBytes(value.as_bytes().to_vec())))
        };
        Made::Result(KeptRequest {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: headers.iter().map(header).collect(),
            body: KeptBytes(body.to_vec()),
        })
    }

    fn said(was: &Made<KeptRequest>, is: &Made<KeptRequest>) -> Vec<String> {
        differences(was, is).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_changed_line_is_shown_and_nothing_else() {
        let was = request("https://a/", &[], b"one\namount=10.00\nthree\n");
        let is = request("https://a/", &[], b"one\namount=10.01\nthree\n");
        assert_eq!(said(&was, &was), [""; 0]);
        assert_eq!(
            said(&was, &is),
            ["the request's body differs from byte 15 on (line 2)\n  - amount=10.00\n  + amount=10.01"]
        );
    }

    #[test]
    fn of_a_long_line_the_changed_part_is_shown() {
        let text = |middle: &str| format!("{}ü{middle}ü{}", "a".repeat(300), "b".repeat(300));
        let (was, is) = (request("u", &[], text("x").as_bytes()), request("u", &[], text("").as_bytes()));
        let said = said(&was, &is);
        let [said] = said.as_slice() else { panic!("{said:#?}") };
        assert!(said.contains("from byte 302 on (line 1)"), "{said}");
        assert!(said.contains("aaaüxübbb") && said.contains("aaaüübbb"), "{said}");
        assert!(said.len() < 600 && said.matches('…').count() == 4 && !said.contains('\u{fffd}'), "{said}");
    }

    #[test]
    fn bytes_that_are_no_text_and_signs_for_the_terminal_do_no_harm() {
        let was = request("u", &[], b"\xff\x1b[31m\0");
        let is = request("u", &[], b"");
        let said = said(&was, &is);
        assert!(said[0].contains("\u{fffd}\\u{1b}[31m\\u{0}"), "{said:?}");
        let long = request("u", &[], &[b'x'; 5_000]);
        assert!(self::said(&long, &is)[0].contains("[…4400 characters…]"));
    }

    #[test]
    fn each_header_field_is_told_by_its_name() {
        let was = request("u", &[("a", "1"), ("b", "2"), ("b", "3")], b"");
        let is = request("u", &[("b", "2"), ("b", "4"), ("c", "5")], b"");
        let named = |name: &str| Part::Header(name.to_owned());
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            differences(&was, &is),
            [
                short(named("a"), text("1"), None),
                short(named("b"), text("2, 3"), text("2, 4")),
                short(named("c"), None, text("5")),
            ]
        );
        let turned = request("u", &[("b", "2"), ("b", "3"), ("a", "1")], b"");
        assert_eq!(
            said(&was, &turned),
            ["the order of the request's header fields\n  - a, b, b\n  + b, b, a"]
        );
    }

    #[test]
    fn a_fault_takes_the_place_of_a_request_and_of_a_verdict() {
        let fault = |text: &str| KeptFault { name: "trapped".to_owned(), text: text.to_owned() };
        let (was, is) = (request("u", &[], b"x"), Made::Fault(fault("trapped: here")));
        assert_eq!(
            said(&was, &is),
            ["the request\n  - POST u with a body of 1 bytes\n  + a fault of the plugin's: trapped: here"]
        );
        assert_eq!(said(&is, &is), [""; 0]);
        let confirmed = Made::Result(KeptVerdict::Confirmed(None));
        let other = Made::Fault(fault("trapped: there"));
        assert_eq!(of_verdicts(Some(&confirmed), Some(&confirmed)), None);
        let difference = of_verdicts(Some(&confirmed), Some(&other)).expect("one");
        assert_eq!(
            difference.to_string(),
            "the verdict\n  - confirmed\n  + a fault of the plugin's: trapped: there"
        );
    }
}
