//! The messages of OTLP 1.x, as far as the gateway writes or reads them: protobuf, by the numbers of
//! <https://github.com/open-telemetry/opentelemetry-proto>.

use bytes::Bytes;
use prost::Message;

use super::span::{Kind, Span, Value};

/// The media type of these messages.
pub(super) const MEDIA_TYPE: &str = "application/x-protobuf";

/// Who sends: the gateway's own attributes, which all its spans share.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) service: String,
    pub(super) instance: String,
    /// The `tracestate` of all spans.
    pub(super) trace_state: String,
}

/// A request with these spans.
pub(super) fn request(sender: &Sender, spans: &[Span]) -> Bytes {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        text("service.name", &sender.service),
        text("service.version", VERSION),
        text("service.instance.id", &sender.instance),
    ];
    let scope = Scope { name: "paynotify".to_owned(), version: VERSION.to_owned() };
    let spans = spans.iter().map(|span| message(span, &sender.trace_state)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource = Some(Resource { attributes });
    ExportRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }.encode_to_vec().into()
}

/// How many spans a collector that has answered 2xx says it has not taken, and why not. An answer that is no such message says
/// nothing, and the status counts.
pub(super) fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let said = ExportResponse::decode(answer).ok()?.partial_success?;
    let rejected = u64::try_from(said.rejected_spans).unwrap_or(0);
    (rejected > 0 || !said.error_message.is_empty()).then_some((rejected, said.error_message))
}

fn message(span: &Span, trace_state: &str) -> SpanMessage {
    // Of W3C Trace Context, level 2: it is kept, and its id is as good as random.
    const FLAGS: u32 = 0b11;
    const ERROR: i32 = 2;
    let link = span.link.map(|link| Link {
        trace_id: link.id.bytes().into(),
        span_id: link.root.bytes().into(),
        trace_state: trace_state.to_owned(),
        flags: FLAGS,
    });
    let attributes = span.attributes.iter().map(|(key, value)| match value {
        Value::Text(value) => text(key, value),
        Value::Number(number) => KeyValue::new(key, AnyValueKind::Number(*number)),
    });
    let error_type = span.failure.as_ref().map(|failure| text("error.type", failure));
    SpanMessage {
        trace_id: span.trace.bytes().into(),
        span_id: span.id.bytes().into(),
        trace_state: trace_state.to_owned(),
        parent_span_id: span.parent.map(|parent| parent.bytes().into()).unwrap_or_default(),
        flags: FLAGS,
        name: span.name.clone().into_owned(),
        kind: match span.kind {
            Kind::Internal => 1,
            Kind::Client => 3,
        },
        start_time_unix_nano: span.from,
        // One that ends before it begins would be refused, with all that come with it.
        end_time_unix_nano: span.to.max(span.from),
        attributes: attributes.chain(error_type).collect(),
        links: link.into_iter().collect(),
        status: span.failure.as_ref().map(|failure| Status { message: failure.to_string(), code: ERROR }),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue::new(key, AnyValueKind::Text(value.to_owned()))
}

#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(fixed32, tag = "6")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

impl KeyValue {
    fn new(key: &str, value: AnyValueKind) -> Self {
        Self { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "AnyValueKind", tags = "1, 3")]
    value: Option<AnyValueKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AnyValueKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}
