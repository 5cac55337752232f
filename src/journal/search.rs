//! Looking for notifications: the question, the place in its answer, and the classes that both stores sort them into.
//!
//! The rule: every question is answered by walking along an index, newest first, from a place on; nothing is counted off
//! and thrown away. A place is named by what never changes of a row, when it was first seen and its number in the table: so
//! no row comes twice or is passed over because others are added meanwhile. A row whose state changes meanwhile
//! is found by what it is when its page is read.
//!
//! The classes are what a notification is in a word, the eight that there are. What is not confirmed is in an index by its class,
//! and for a question about several of them each store walks along several parts of that index at once.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::State;
use super::found::readable;
use crate::domain::{MerchantId, Moment, NotificationId};

/// Which notifications are meant. All that is given must hold; a question without anything means all of them.
///
/// As JSON it has the names of the API's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// The merchant's number of the order, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// What they are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Phase>,
    /// How they ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ended>,
    /// Only those of which it is not known that the merchant has confirmed them: under way, held, and ended in any other way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub undelivered: bool,
    /// First seen then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// First seen earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// [`State`], in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is documented once, at `State`")]
pub enum Phase {
    Received,
    Accepted,
    Waiting,
    Held,
    Ended,
}

/// [`crate::domain::Outcome`], in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is documented once, at `Outcome`")]
pub enum Ended {
    Confirmed,
    Stopped,
    Exhausted,
    Abandoned,
}

/// Some of the notifications that were asked for, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Those that can be read; a damaged row is passed over, and logged.
    pub rows: Vec<Summary>,
    /// Where to go on; nothing when that was all.
    pub next: Option<Cursor>,
}

/// One notification in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Which one.
    pub notification_id: NotificationId,
    /// Whose.
    pub merchant_id: MerchantId,
    /// The merchant's number of the order.
    pub merchant_order_id: Option<String>,
    /// When a gateway first saw it.
    pub first_seen: Moment,
    /// When something last happened to it.
    pub updated_at: Moment,
    /// What it is now.
    #[serde(flatten)]
    pub state: State,
}

/// A place in the answer to one question: the row that was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(in crate::journal) first_seen: i64,
    pub(in crate::journal) row: i64,
}

/// Not a place in the answer to that question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none that was given for this question; leave it out to begin at the newest")]
pub struct InvalidCursor;

impl Cursor {
    /// Two numbers of 64 bits, and so much of a digest.
    const BYTES: usize = 8 + 8 + 8;

    /// As text, which is good for that question alone.
    #[must_use]
    pub fn to_text(self, question: &Question) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes(question))
    }

    /// Reads what [`to_text`](Self::to_text) wrote for the same question.
    ///
    /// # Errors
    /// It was not.
    pub fn parse(text: &str, question: &Question) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let bytes: [u8; Self::BYTES] = bytes.try_into().map_err(|_| InvalidCursor)?;
        let [first_seen, row] = [0, 8].map(|at| number(&bytes, at));
        let cursor = Self { first_seen, row };
        if cursor.bytes(question) == bytes { Ok(cursor) } else { Err(InvalidCursor) }
    }

    /// The digest keeps cursors from being made up or mixed up by mistake. There is no secret in it: whoever makes one up
    /// begins at another place of what it may see anyhow.
    fn bytes(self, question: &Question) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.first_seen.to_be_bytes(), self.row.to_be_bytes()].concat();
        // Names, texts and moments: there is no way to fail.
        let asked = serde_json::to_vec(question).unwrap_or_default();
        let digest = digest(&SHA256, &[numbers.as_slice(), &asked].concat());
        let all = numbers.iter().chain(digest.as_ref());
        bytes.iter_mut().zip(all).for_each(|(byte, value)| *byte = *value);
        bytes
    }
}

fn number(bytes: &[u8], at: usize) -> i64 {
    let eight = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
    i64::from_be_bytes(eight.unwrap_or_default())
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Received, Self::Accepted, Self::Waiting, Self::Held, Self::Ended];
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Confirmed, Self::Stopped, Self::Exhausted, Self::Abandoned];
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Received => "received",
            Self::Accepted => "accepted",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Ended => "ended",
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Stopped => "stopped",
            Self::Exhausted => "exhausted",
            Self::Abandoned => "abandoned",
        })
    }
}

impl Question {
    /// What the rows are that answer it. Nothing: whatever they are. An empty list: there are none.
    pub(super) fn classes(&self) -> Option<Vec<&'static str>> {
        if self.state.is_none() && self.outcome.is_none() && !self.undelivered {
            return None;
        }
        let state = self.state.map(|state| state.to_string());
        let outcome = self.outcome.map(|outcome| outcome.to_string());
        let asked = |(phase, class): &(&str, &str)| {
            state.as_deref().is_none_or(|state| state == *phase)
                && outcome.as_deref().is_none_or(|outcome| outcome == *class)
                && !(self.undelivered && *class == CONFIRMED)
        };
        Some(CLASSES.iter().filter(|class| asked(class)).map(|(_, class)| *class).collect())
    }

    /// The ways to the rows that answer it: each a part of an index, in the order of the answer. None of them meet.
    pub(super) fn ways(&self) -> Vec<Way> {
        let classes = self.classes();
        if self.order.is_some() {
            return classes
                .is_none_or(|classes| !classes.is_empty())
                .then_some(Way::Order)
                .into_iter()
                .collect();
        }
        match classes {
            None => vec![Way::All],
            Some(classes) => classes
                .into_iter()
                .map(|class| if class == CONFIRMED { Way::Confirmed } else { Way::Undelivered(class) })
                .collect(),
        }
    }
}

/// All that a notification can be: its state, and in a word.
const CLASSES: [(&str, &str); 8] = [
    ("received", "received"),
    ("accepted", "accepted"),
    ("waiting", "waiting"),
    ("held", "held"),
    ("ended", CONFIRMED),
    ("ended", "stopped"),
    ("ended", "exhausted"),
    ("ended", "abandoned"),
];

const CONFIRMED: &str = "confirmed";

/// A way to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// All of them, or all of a merchant.
    All,
    /// The same, and those that are not confirmed are passed over: most are.
    Confirmed,
    /// Those of one class; there is an index of what is not confirmed, which knows the merchant, too.
    Undelivered(&'static str),
    /// Those of one order, which are few.
    Order,
}

/// A row as a store has it.
pub(super) struct Line {
    pub(super) place: Cursor,
    pub(super) id: String,
    pub(super) merchant: String,
    pub(super) order: Option<String>,
    pub(super) updated_at: i64,
    pub(super) state: String,
}

/// A page of lines, of which one more was asked for than are wanted: so it is known whether there are more.
pub(super) fn page(mut lines: Vec<Line>, most: usize) -> Page {
    let more = lines.len() > most;
    lines.truncate(most);
    let next = lines.last().filter(|_| more).map(|line| line.place);
    Page { rows: lines.into_iter().filter_map(summary).collect(), next }
}

fn summary(line: Line) -> Option<Summary> {
    let (notification_id, state) = readable(&line.id, &line.state)?;
    Some(Summary {
        notification_id,
        merchant_id: line.merchant.parse().ok()?,
        merchant_order_id: line.order,
        first_seen: Moment::from_unix_milliseconds(line.place.first_seen),
        updated_at: Moment::from_unix_milliseconds(line.updated_at),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_question_alone() {
        let question = Question { order: Some("o1".to_owned()), ..Question::default() };
        let cursor = Cursor { first_seen: 1_800_000_000_000, row: -7 };
        let text = cursor.to_text(&question);
        assert_eq!(text.len(), 32);
        assert_eq!(Cursor::parse(&text, &question), Ok(cursor));
        assert_eq!(Cursor::parse(&text, &Question::default()), Err(InvalidCursor));
        for wrong in ["", "x", "ä", &text[1..], &format!("{text}A"), &text.replacen('A', "B", 1)] {
            assert_eq!(Cursor::parse(wrong, &question), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn what_is_asked_for_is_sorted_into_classes() {
        let check = |question: Question, expected: Option<&[&str]>| {
            assert_eq!(question.classes().as_deref(), expected, "{question:?}");
        };
        let all = Question::default;
        check(all(), None);
        check(Question { since: Some(Moment::EPOCH), ..all() }, None);
        check(Question { state: Some(Phase::Held), ..all() }, Some(&["held"]));
        let ended = Question { state: Some(Phase::Ended), ..all() };
        check(ended.clone(), Some(&["confirmed", "stopped", "exhausted", "abandoned"]));
        check(Question { undelivered: true, ..ended }, Some(&["stopped", "exhausted", "abandoned"]));
        let confirmed = Question { outcome: Some(Ended::Confirmed), ..all() };
        check(confirmed.clone(), Some(&["confirmed"]));
        check(Question { undelivered: true, ..confirmed.clone() }, Some(&[]));
        check(Question { state: Some(Phase::Waiting), ..confirmed }, Some(&[]));
        let undelivered = Question { undelivered: true, ..all() };
        assert_eq!(undelivered.classes().map(|classes| classes.len()), Some(7));
        assert_eq!(undelivered.ways().len(), 7);
    }

    #[test]
    fn a_question_is_json_by_the_parameters_names() {
        let text = r#"{"merchant":"shop","state":"ended","outcome":"stopped","undelivered":true,"since":"2026-11-22T08:00:00.000Z"}"#;
        let question: Question = serde_json::from_str(text).expect("a question");
        assert_eq!(serde_json::to_string(&question).expect("JSON"), text);
        assert!(serde_json::from_str::<Question>(r#"{"merchants":"shop"}"#).is_err());
    }
}
