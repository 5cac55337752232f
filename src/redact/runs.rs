//! What is not shown wherever it stands, whatever name it has: long numbers, and tokens that are known by their form.

use std::ops::Range;

use super::views::Seen;

/// So many digits are the number of a card, an account, an identity or a telephone; the last ones are shown.
const LONG_NUMBER: usize = 11;
/// How many of them are shown.
const SHOWN: usize = 4;
/// A token of fewer characters is a word.
const TOKEN: usize = 16;

/// The numbers that are too long, without their last four digits. Single blanks, hyphens and plus signs between the
/// digits do not divide them.
pub(super) fn long_numbers(seen: &[Seen]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut digits: Vec<usize> = Vec::new();
    let mut note = |digits: &mut Vec<usize>| {
        if let (true, Some(first)) = (digits.len() >= LONG_NUMBER, digits.first())
            && let Some(shown) = digits.get(digits.len() - SHOWN)
        {
            found.push(*first..*shown);
        }
        digits.clear();
    };
    for (at, one) in seen.iter().enumerate() {
        if one.is.is_ascii_digit() {
            let goes_on = digits.last().is_none_or(|last| at - last <= 2);
            if !goes_on {
                note(&mut digits);
            }
            digits.push(at);
        } else if !matches!(one.is, ' ' | '-' | '+' | '\u{a0}') {
            note(&mut digits);
        }
    }
    note(&mut digits);
    found
}

/// JSON Web Tokens (RFC 7519), and credentials after the names of their schemes (RFC 6750, RFC 7617).
pub(super) fn tokens(seen: &[Seen]) -> Vec<Range<usize>> {
    /// A scheme is also a word, and a shorter one that follows it is another.
    const CREDENTIALS: usize = 8;
    let length = |at: usize, more: &str| {
        let is_part =
            |one: &&Seen| one.is.is_ascii_alphanumeric() || "-_.".contains(one.is) || more.contains(one.is);
        seen.get(at..).unwrap_or_default().iter().take_while(is_part).count()
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < seen.len() {
        let word = length(at, "");
        let text: String = seen.get(at..at + word).unwrap_or_default().iter().map(|one| one.is).collect();
        if text.starts_with("eyJ") && word >= TOKEN {
            found.push(at..at + word);
        }
        at += word;
        if ["bearer", "basic"].contains(&text.to_ascii_lowercase().as_str()) {
            let credentials = length(at + 1, "+/~=");
            if credentials >= CREDENTIALS {
                found.push(at + 1..at + 1 + credentials);
            }
        }
        at += 1;
    }
    found
}
