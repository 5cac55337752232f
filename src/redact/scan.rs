//! Where values stand that are not shown: after a name that says so, in the notation of whatever it is.
//!
//! Nothing is parsed. What is sent and answered may be JSON, a form, XML, some of one in another, cut off in the middle, or
//! nothing of the kind while it says that it is; a parser that gives up would show all of it. So it is looked for what each
//! notation has between a name and its value (`:`, `=`, a tag's `>`), and for where such a value ends. Where that cannot
//! be told, it ends late.

use std::ops::Range;

use super::names::is_sensitive;
use super::views::{Seen, spellings};

/// A value that is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    /// Which of the characters.
    pub(super) range: Range<usize>,
    /// The quote that its name has, where it has none itself: a number, a list. So JSON stays JSON.
    pub(super) quote: Option<usize>,
}

/// The longest name, in characters.
const LONGEST_NAME: usize = 80;
/// The longest tag of XML, with its attributes, in characters.
const LONGEST_TAG: usize = 1_024;

/// All values under names that say so. They may overlap.
pub(super) fn values(seen: &[Seen]) -> Vec<Hidden> {
    let mut found = Vec::new();
    let mut covered = 0..0;
    for (at, one) in seen.iter().enumerate() {
        // What is hidden already is not looked into: so the whole is one walk over the text.
        if covered.contains(&at) {
            continue;
        }
        let hidden = match one.is {
            ':' | '=' | '：' => named_value(seen, at),
            '<' => element(seen, at),
            _ => None,
        };
        if let Some(hidden) = hidden.filter(|hidden| !hidden.range.is_empty()) {
            if hidden.range.end > covered.end {
                covered = hidden.range.clone();
            }
            found.push(hidden);
        }
    }
    found
}

/// The value after the separator that stands there, if the name before it says so.
fn named_value(seen: &[Seen], at: usize) -> Option<Hidden> {
    let (name, quote) = name_before(seen, at)?;
    if !spellings(name).iter().any(|name| is_sensitive(name)) {
        return None;
    }
    let is = |at: usize| seen.get(at).map(|one| one.is);
    let is_form = is(at) == Some('=');
    let mut from = at + 1;
    if is_form && is(from) == Some('>') {
        from += 1;
    }
    // JSON may have its value on the next line.
    while is(from).is_some_and(|is| if quote.is_some() { is.is_whitespace() } else { " \t".contains(is) }) {
        from += 1;
    }
    let ends = match (quote, is_form) {
        (Some(_), _) => ",}]\n",
        (None, true) => "&\n<\"",
        (None, false) => "\n<\"",
    };
    let end = match is(from)? {
        '"' | '\'' => {
            let closing = closing_quote(seen, from);
            if quote.is_some() || nothing_follows(seen, closing) {
                return Some(Hidden { range: from + 1..closing, quote: None });
            }
            end_of(seen, closing + 1, ends)
        }
        '{' | '[' if quote.is_some() => closing_bracket(seen, from),
        '{' | '[' => closing_bracket(seen, from).max(end_of(seen, from, ends)),
        _ => end_of(seen, from, ends),
    };
    let text: String = seen.get(from..end)?.iter().map(|one| one.is).collect();
    // These say nothing, and are worth knowing.
    let says_nothing = matches!(text.trim(), "null" | "true" | "false");
    (!says_nothing).then_some(Hidden { range: from..end, quote })
}

/// The name that ends before a separator, and the quote after it, if it has one.
fn name_before(seen: &[Seen], separator: usize) -> Option<(&[Seen], Option<usize>)> {
    let before = seen.get(..separator)?;
    let last = before.iter().rposition(|one| !one.is.is_whitespace())?;
    let end = before.get(last)?;
    let is_quoted = matches!(end.is, '"' | '\'');
    // A quote that is escaped closes nothing here; in another view it is one of its own.
    if is_quoted && before.get(..last)?.last().is_some_and(|one| one.is == '\\') {
        return None;
    }
    let begins = |one: &Seen| {
        if is_quoted { one.is == end.is } else { "&,;{}()<>\"'?=\n".contains(one.is) }
    };
    let to = if is_quoted { last } else { last + 1 };
    let length = before.get(..to)?.iter().rev().take_while(|one| !begins(one)).take(LONGEST_NAME).count();
    Some((before.get(to - length..to)?, is_quoted.then_some(last)))
}

/// Where the quote stands that closes the one that stands there.
fn closing_quote(seen: &[Seen], at: usize) -> usize {
    let quote = seen.get(at).map(|one| one.is);
    let mut here = at + 1;
    while let Some(one) = seen.get(here) {
        match one.is {
            '\\' => here += 1,
            is if Some(is) == quote => return here,
            _ => {}
        }
        here += 1;
    }
    seen.len()
}

/// Whether a value ends with the quote that stands there.
fn nothing_follows(seen: &[Seen], closing: usize) -> bool {
    seen.get(closing + 1).is_none_or(|next| next.is.is_whitespace() || ",;&/>)}]?".contains(next.is))
}

/// After the bracket that closes the one that stands there. Texts within are passed over.
fn closing_bracket(seen: &[Seen], at: usize) -> usize {
    let (mut open, mut here) = (0_usize, at);
    while let Some(one) = seen.get(here) {
        match one.is {
            '"' => here = closing_quote(seen, here),
            '{' | '[' => open += 1,
            '}' | ']' => open = open.saturating_sub(1),
            _ => {}
        }
        here += 1;
        if open == 0 {
            return here.min(seen.len());
        }
    }
    seen.len()
}

/// Where a value without a quote ends: with one of these.
fn end_of(seen: &[Seen], from: usize, ends: &str) -> usize {
    let rest = seen.get(from..).unwrap_or_default();
    rest.iter().position(|one| ends.contains(one.is)).map_or(seen.len(), |length| from + length)
}

/// What stands in the element whose tag begins there, if its name says so.
fn element(seen: &[Seen], at: usize) -> Option<Hidden> {
    let rest = seen.get(at + 1..)?;
    let ends = |one: &Seen| one.is.is_whitespace() || matches!(one.is, '>' | '/' | '<');
    let length = rest.iter().take(LONGEST_NAME).position(ends)?;
    let name: String = rest.get(..length)?.iter().map(|one| one.is).collect();
    if !name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') || !is_sensitive(&name) {
        return None;
    }
    let tag = rest.iter().take(LONGEST_TAG).position(|one| one.is == '>')?;
    if rest.get(tag.checked_sub(1)?)?.is == '/' {
        return None;
    }
    let from = at + 1 + tag + 1;
    let content = seen.get(from..)?;
    // What stands in there is no markup.
    let verbatim = if begins(content, "<![CDATA[") {
        content.windows(3).position(|three| begins(three, "]]>")).unwrap_or(content.len())
    } else {
        0
    };
    let closing = format!("</{name}");
    let closes = |at: &usize| {
        let here = content.get(*at..).unwrap_or_default();
        begins(here, &closing)
    };
    let end = (verbatim..content.len()).find(closes).unwrap_or(content.len());
    Some(Hidden { range: from..from + end, quote: None })
}

/// Whether the characters begin so; capitals are no matter.
fn begins(seen: &[Seen], text: &str) -> bool {
    let mut characters = seen.iter().map(|one| one.is);
    text.chars().all(|wanted| characters.next().is_some_and(|is| is.to_lowercase().eq(wanted.to_lowercase())))
}
