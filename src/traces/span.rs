//! A finished span as whoever measured it hands it over.

use std::borrow::Cow;

use super::ids::{SpanId, Trace, TraceId};

/// A stretch of time in which something was done, within a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// In which trace.
    pub trace: TraceId,
    /// Which one.
    pub id: SpanId,
    /// Within which one; none for a root.
    pub parent: Option<SpanId>,
    /// What was done. One of few names: what is particular stands in the attributes.
    pub name: Cow<'static, str>,
    /// Whose answer it waited for.
    pub kind: Kind,
    /// When it began, in nanoseconds since the epoch.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// In one word, why it is not what it should be, if it is not: its status, and the attribute `error.type`.
    pub failure: Option<Cow<'static, str>>,
    /// A span of another trace that has to do with it.
    pub link: Option<Trace>,
}

impl Span {
    /// A root, of which nothing else is known: done by the gateway itself, and well.
    #[must_use]
    pub fn new(trace: TraceId, id: SpanId, name: Cow<'static, str>, (from, to): (u64, u64)) -> Self {
        let (parent, attributes, failure, link) = (None, Vec::new(), None, None);
        Self { trace, id, parent, name, kind: Kind::Internal, from, to, attributes, failure, link }
    }
}

/// What a span is, among those that OpenTelemetry tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Done by the gateway itself.
    Internal,
    /// A request to somebody else.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}
