//! What requests and replies are shown as: without secrets, and without what is said about persons.
//!
//! Four things are not shown: values under names that say so (`names`), in JSON, forms, XML and anything like them, also one
//! within another and cut off (`scan`); numbers as long as a card's, but for their last four digits, and tokens (`runs`); and a
//! merchant's own secrets, which the caller finds, wherever they stand. All of it is looked for in the text as it
//! is meant, whatever it is escaped with (`views`), and left out of the text as it is.
//!
//! The rule: rather too much than too little. Deliberately absent: a way to see more. What is hidden here is whole in the
//! journal, which is for those who look after the machine.
//!
//! What it cannot know: a secret under a harmless name that nobody told it of, and what is compressed or encrypted.

mod names;
#[cfg(test)]
mod redact_tests;
mod runs;
mod scan;
mod views;

use std::ops::Range;

pub use names::is_secret_header;

use views::{Seen, View};

/// Finds secrets in a text: where they stand, in bytes.
pub type Find<'a> = &'a (dyn Fn(&str) -> Vec<Range<usize>> + Send + Sync);

/// What stands in place of a value.
pub const HIDDEN: &str = "***";

/// So many bytes are looked at, and no more of them shown than are asked for. What begins in the one part and ends beyond is hidden
/// as a whole.
const LOOKED_AT: usize = 32 << 10;

/// A body as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The beginning.
    pub content: Content,
    /// There is more of it.
    pub cut: bool,
}

/// What a body consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// A text, of which no more is shown than so many bytes.
#[must_use]
pub fn text(text: &str, most: usize, find: Find<'_>) -> String {
    shown(text, most, find)
}

/// A URL: its query is not shown at all.
#[must_use]
pub fn url(url: &str, most: usize, find: Find<'_>) -> String {
    match url.split_once('?') {
        Some((before, _)) => format!("{}?{HIDDEN}", text(before, most, find)),
        None => text(url, most, find),
    }
}

/// A header's value. One that leads elsewhere is a URL.
#[must_use]
pub fn header(name: &str, value: &str, most: usize, find: Find<'_>) -> String {
    if is_secret_header(name) {
        return HIDDEN.to_owned();
    }
    match name.to_ascii_lowercase().as_str() {
        "location" | "content-location" | "referer" | "link" | "refresh" => url(value, most, find),
        _ => text(value, most, find),
    }
}

/// A body, of which no more is shown than so many bytes. One that is no UTF-8 is looked through all the same, a byte for
/// a character: names and numbers are ASCII in most encodings.
#[must_use]
pub fn body(bytes: &[u8], most: usize, find: Find<'_>) -> Shown {
    let cut = bytes.len() > most;
    let looked_at = bytes.get(..bytes.len().min(LOOKED_AT)).unwrap_or_default();
    let whole = match std::str::from_utf8(looked_at) {
        Ok(text) => Some(text),
        // Cut off in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            looked_at.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok())
        }
        Err(_) => None,
    };
    let content = match whole {
        Some(whole) => Content::Text(shown(whole, most, find)),
        None => {
            let letters: String = looked_at.iter().map(|byte| char::from(*byte)).collect();
            // A byte can be two of UTF-8.
            let end = letters.char_indices().nth(most).map_or(letters.len(), |(end, _)| end);
            let shown = shown(&letters, end, find);
            Content::Bytes(shown.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect())
        }
    };
    Shown { content, cut }
}

fn shown(whole: &str, most: usize, find: Find<'_>) -> String {
    let looked_at = whole.get(..whole.floor_char_boundary(LOOKED_AT)).unwrap_or_default();
    let most = looked_at.floor_char_boundary(most);
    let mut shown = String::with_capacity(most);
    let mut end = 0;
    for Left { range, instead } in left_out(looked_at, find) {
        if range.start >= most {
            break;
        }
        shown.push_str(looked_at.get(end..range.start).unwrap_or_default());
        shown.push_str(&instead);
        end = range.end;
    }
    shown.push_str(looked_at.get(end..most).unwrap_or_default());
    shown
}

/// A part of a text that is left out.
struct Left {
    range: Range<usize>,
    instead: String,
}

/// What is left out, in order, and none of it overlaps.
fn left_out(text: &str, find: Find<'_>) -> Vec<Left> {
    let mut left: Vec<Left> = Vec::new();
    for view in views::views(text) {
        left.extend(left_out_of(&view, text, find));
    }
    left.sort_by_key(|left| (left.range.start, std::cmp::Reverse(left.range.end)));
    let mut apart: Vec<Left> = Vec::with_capacity(left.len());
    for next in left {
        match apart.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
            }
            _ => apart.push(next),
        }
    }
    apart
}

/// What one view tells of.
fn left_out_of(view: &View, text: &str, find: Find<'_>) -> Vec<Left> {
    let mut left = Vec::new();
    for scan::Hidden { range, quote } in scan::values(view) {
        let quote = quote.and_then(|quote| text.get(view.get(quote)?.at.clone())).unwrap_or_default();
        left.push(leave(view, &range, format!("{quote}{HIDDEN}{quote}")));
    }
    left.extend(runs::long_numbers(view).iter().map(|range| leave(view, range, "****".to_owned())));
    left.extend(runs::tokens(view).iter().map(|range| leave(view, range, HIDDEN.to_owned())));
    let meant: String = view.iter().map(|one| one.is).collect();
    let starts: Vec<usize> = meant.char_indices().map(|(at, _)| at).collect();
    let index = |at: usize| starts.partition_point(|start| *start < at);
    for found in find(&meant) {
        left.push(leave(view, &(index(found.start)..index(found.end)), HIDDEN.to_owned()));
    }
    left
}

/// Some characters of a view, as a part of the text.
fn leave(view: &[Seen], range: &Range<usize>, instead: String) -> Left {
    let start = view.get(range.start).map_or(0, |one| one.at.start);
    let end = range.end.checked_sub(1).and_then(|last| view.get(last)).map_or(start, |one| one.at.end);
    Left { range: start..end.max(start), instead }
}
