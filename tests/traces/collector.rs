//! A collector: a small HTTP server that takes spans in, and what it was sent, decoded.

use std::collections::BTreeMap;

use prost::Message;

use crate::otlp::{Any, ExportRequest, KeyValue, Span, StatusCode};
use crate::support::amqp::until;
use crate::support::merchant::{Answer, Received, Script, StubMerchant, always};

/// See the module. It is a stub as merchants are.
pub(crate) struct Collector {
    pub(crate) stub: StubMerchant,
}

/// Attributes by their keys, numbers as text.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A span as a test looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Hexadecimal.
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    /// What its status says is wrong.
    pub(crate) error: Option<String>,
    pub(crate) resource: Attributes,
    pub(crate) raw: Span,
}

impl Seen {
    /// An attribute that must be there.
    pub(crate) fn of(&self, key: &str) -> &str {
        let value = self.attributes.get(key);
        value.unwrap_or_else(|| panic!("no {key} in {:?}", self.attributes))
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

impl Collector {
    /// One that takes all that comes.
    pub(crate) async fn start() -> Self {
        Self::that(always(Answer::Status(200))).await
    }

    pub(crate) async fn that(script: impl Script) -> Self {
        Self { stub: StubMerchant::start(script).await }
    }

    /// A table of the configuration that has a gateway send to it, in a hurry.
    pub(crate) fn table(&self, more: &str) -> String {
        table(&self.stub.url(""), more)
    }

    /// All spans that have come, in their order; one that came again is left out.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = Vec::new();
        for span in self.stub.requests().iter().flat_map(spans_of) {
            if seen.iter().all(|other| (&other.trace, &other.id) != (&span.trace, &span.id)) {
                seen.push(span);
            }
        }
        seen
    }

    /// The spans of a notification and replay, once its root is there and all that was said to be.
    pub(crate) async fn trace_of(&self, id: &str, replay: &str, attempts: usize) -> Vec<Seen> {
        let its = |seen: &Seen| {
            seen.attribute("paynotify.notification") == Some(id)
                && seen.attribute("paynotify.replay") == Some(replay)
        };
        until("the notification's spans are there", async || {
            let spans = self.spans();
            let count = |name: &str| spans.iter().filter(|seen| its(seen) && seen.name == name).count();
            count("notification") == 1 && count("attempt") >= attempts
        })
        .await;
        let spans = self.spans();
        let root = spans.iter().find(|seen| its(seen) && seen.name == "notification").expect("it is there");
        spans.iter().filter(|seen| seen.trace == root.trace).cloned().collect()
    }
}

pub(crate) fn table(url: &str, more: &str) -> String {
    format!(
        "[traces]\nendpoint = \"{url}\"\nallow_addresses = [\"127.0.0.1\"]\ninterval = \"20ms\"\nlongest_pause = \"100ms\"\n{more}\n"
    )
}

/// What came with one post.
pub(crate) fn spans_of(received: &Received) -> Vec<Seen> {
    assert_eq!((received.method.as_str(), &*received.path_and_query), ("POST", "/v1/traces"));
    assert_eq!(received.headers["content-type"], "application/x-protobuf");
    let request = ExportRequest::decode(received.body.clone()).expect("it is OTLP");
    assert_eq!(request.encoded_len(), received.body.len(), "it has only fields that OTLP knows");
    let mut seen = Vec::new();
    for resource in request.resource_spans {
        let attributes = attributes(&resource.resource.expect("a resource").attributes);
        for scope in resource.scope_spans {
            assert_eq!(scope.scope.expect("a scope").name, "paynotify");
            seen.extend(scope.spans.into_iter().map(|span| look_at(span, &attributes)));
        }
    }
    seen
}

fn look_at(span: Span, resource: &Attributes) -> Seen {
    let error = span.status.as_ref().map(|status| {
        assert_eq!(status.code, StatusCode::Error as i32, "it has gone wrong, or there is no status");
        status.message.clone()
    });
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    Seen {
        trace: hex::encode(&span.trace_id),
        id: hex::encode(&span.span_id),
        parent: hex::encode(&span.parent_span_id),
        name: span.name.clone(),
        attributes: attributes(&span.attributes),
        error,
        resource: resource.clone(),
        raw: span,
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::Text(text)) => text.clone(),
        Some(Any::Int(number)) => number.to_string(),
        other => panic!("{} is {other:?}", pair.key),
    };
    let all: Attributes = pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect();
    assert_eq!(all.len(), pairs.len(), "a key stands there twice: {pairs:?}");
    all
}
