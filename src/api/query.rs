//! A request's parameters: what stands after the `?`.
//!
//! The rule: a parameter that is not known is refused, and so is one that comes twice. Whoever misspells a condition
//! would otherwise be told of everything, and take it for the answer.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::problem::Problem;
use super::{Api, not_found, unavailable};
use crate::domain::{MerchantId, Moment};
use crate::journal::{Cursor, Ended, Page, Phase, Question, Summary};

/// How many rows a page has at most, and how many if nothing is said.
const MOST: usize = 200;
const USUAL: usize = 50;

/// A request's parameters, as they came.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Of a request's query.
    ///
    /// # Errors
    /// One is not among those that are known here, or comes twice.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut read: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let known = known.join("`, `");
                return Err(wrong(&name, format!("is no parameter here; there are `{known}`")));
            }
            if read.iter().any(|(other, _)| *other == name) {
                return Err(wrong(&name, "is given twice"));
            }
            read.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(read))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value as a type of its own.
    pub(super) fn value<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        is: impl Display,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| wrong(name, is))
    }

    /// One of some words.
    pub(super) fn word<T: Copy + Display>(&self, name: &str, words: &[T]) -> Result<Option<T>, Problem> {
        let all: Vec<String> = words.iter().map(ToString::to_string).collect();
        let read = |text: &str| words.iter().copied().find(|word| word.to_string() == text);
        self.value(name, read, format!("is one of `{}`", all.join("`, `")))
    }

    pub(super) fn merchant(&self) -> Result<Option<MerchantId>, Problem> {
        let is = format!("is a merchant's id: 1 to {} characters of A-Z a-z 0-9 _ -", MerchantId::LONGEST);
        self.value("merchant", |text| text.parse().ok(), is)
    }

    fn moment(&self, name: &str) -> Result<Option<Moment>, Problem> {
        let is = "is a moment such as 2026-01-31T08:00:00Z; the `+` of an offset is written as %2B";
        self.value(name, |text| text.parse().ok(), is)
    }

    /// The conditions that are given.
    pub(super) fn question(&self) -> Result<Question, Problem> {
        let undelivered = self.word("undelivered", &[true, false])?;
        Ok(Question {
            merchant: self.merchant()?,
            order: self.text("order").map(str::to_owned),
            state: self.word("state", &Phase::ALL)?,
            outcome: self.word("outcome", &Ended::ALL)?,
            undelivered: undelivered.unwrap_or_default(),
            since: self.moment("since")?,
            until: self.moment("until")?,
        })
    }

    /// How many rows are wanted.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        Ok(self.value("limit", read, format!("is a number from 1 to {MOST}"))?.unwrap_or(USUAL))
    }

    /// The page of the answer that is wanted.
    pub(super) async fn page(&self, api: &Api, question: &Question) -> Result<Listing, Problem> {
        let most = self.limit()?;
        let read = |text: &str| Cursor::parse(text, question).ok();
        let is =
            "is the text that `next` of the page before had, with the same conditions; leave it out to begin";
        let from = self.value("cursor", read, is)?;
        let Page { rows, next } = api.journal.search(question, from, most).await.map_err(unavailable)?;
        Ok(Listing { rows, next: next.map(|next| next.to_text(question)) })
    }
}

/// A page, and where the one after it begins.
pub(super) struct Listing {
    pub(super) rows: Vec<Summary>,
    pub(super) next: Option<String>,
}

fn wrong(name: &str, problem: impl Display) -> Problem {
    /// So that nobody's long text comes back.
    const LONGEST: usize = 80;
    let name: String = name.chars().take(LONGEST).collect();
    let detail = format!("`{name}` {problem}");
    Problem::new(StatusCode::BAD_REQUEST, "not a parameter that does", detail).in_field(Some(name))
}

/// That a parameter is missing.
pub(super) fn missing(name: &str, why: impl Display) -> Problem {
    wrong(name, format_args!("is missing: {why}"))
}

/// The parts of a path that have names. A path that cannot be read leads nowhere.
pub(super) struct Path<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned + Send> FromRequestParts<Api> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path: Result<axum::extract::Path<T>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, api).await;
        path.map(|path| Self(path.0)).map_err(|_| not_found("no such resource; see README.md for the API"))
    }
}
