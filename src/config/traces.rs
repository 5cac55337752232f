//! `[traces]`: the OpenTelemetry collector that spans are sent to.

use std::path::Path;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::document::{Document, Problem};
use super::outward::{authorities, endpoint};
use super::{raw, values};
use crate::http;

/// The collector's path for spans, by OTLP.
const PATH: &str = "/v1/traces";

/// The collector, and what it is sent, valid.
#[derive(Debug)]
pub struct Traces {
    /// Where spans are posted.
    pub url: Uri,
    /// Where connections may go.
    pub reach: http::Reach,
    /// What goes along. Marked as sensitive.
    pub headers: HeaderMap,
    /// What the gateways are called together.
    pub service: String,
    /// Which part of all notifications is traced, from 0 to 1.
    pub sample_ratio: f64,
    /// How long one post may take.
    pub timeout: Duration,
    /// Authorities that are trusted beside the system's, PEM.
    pub authorities: Option<String>,
    /// How many spans may wait.
    pub queue: usize,
    /// How many are sent with one post.
    pub batch: usize,
    /// How long one waits for others.
    pub interval: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// For how long a post is tried again.
    pub patience: Duration,
}

/// Checks the table whole.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn settings(document: &Document, raw: &raw::Traces) -> Result<Option<Traces>, Problem> {
    let wrong =
        |key: &str, problem: &dyn std::fmt::Display| document.wrong(&format!("traces.{key}"), problem);
    let folder = document.folder();
    let Some(text) = &raw.endpoint else {
        return match &raw.headers_file {
            Some(_) => Err(wrong("headers_file", &"is there, but no `traces.endpoint` that it is for")),
            None => Ok(None),
        };
    };
    let (base, reach) = endpoint(document, ("traces", "endpoint"), text, &raw.allow_addresses)?;
    let url = with_path(&base).ok_or_else(|| {
        wrong("endpoint", &"must be without a query and without `/v1/traces`, which is added")
    })?;
    let headers = raw.headers_file.as_ref().map(|file| headers(&folder.join(file)));
    let authorities = raw.ca_file.as_ref().map(|file| authorities(&folder.join(file)));
    if raw.service.is_empty() {
        return Err(wrong("service", &"must not be empty"));
    }
    Ok(Some(Traces {
        url,
        reach,
        headers: headers.transpose().map_err(|problem| wrong("headers_file", &problem))?.unwrap_or_default(),
        service: raw.service.clone(),
        sample_ratio: raw.sample_ratio.0,
        timeout: raw.timeout.get(),
        authorities: authorities.transpose().map_err(|problem| wrong("ca_file", &problem))?,
        queue: raw.queue.size(),
        batch: raw.batch.size(),
        interval: raw.interval.get(),
        longest_pause: raw.longest_pause.get(),
        patience: raw.patience.get(),
    }))
}

/// The collector's URL for spans.
fn with_path(base: &Uri) -> Option<Uri> {
    let path = base.path().trim_end_matches('/');
    if base.query().is_some() || path.ends_with(PATH) {
        return None;
    }
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{PATH}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Reads a file of headers: `name: value` on each line; empty lines and those that begin with `#` do not count. Blocks.
///
/// # Errors
/// What is wrong, by file and line, without any of its text.
fn headers(file: &Path) -> Result<HeaderMap, String> {
    // Those that frame the message, and the two that say what is in it, are the gateway's own.
    const OURS: [HeaderName; 6] = [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::HOST,
    ];
    let text = values::read(file).map_err(|problem| format!("{}: {problem}", file.display()))?;
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem: &str| format!("{}:{number}: {problem}", file.display());
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let (name, value) = header.ok_or_else(|| wrong("is no header such as `authorization: Bearer …`"))?;
        if OURS.contains(&name) {
            return Err(wrong(&format!("`{name}` is the gateway's own to set")));
        }
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_once() {
        for (base, url) in [
            ("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces")),
            ("https://collector.example/", Some("https://collector.example/v1/traces")),
            ("https://collector.example/otlp/", Some("https://collector.example/otlp/v1/traces")),
            ("https://collector.example/v1/traces", None),
            ("https://collector.example/?key=1", None),
        ] {
            let built = with_path(&base.parse().expect("a URL")).map(|url| url.to_string());
            assert_eq!(built.as_deref(), url, "{base}");
        }
    }

    #[test]
    fn a_file_of_headers_is_read_line_by_line_and_never_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("headers");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            headers(&file)
        };
        let headers =
            read("# ours\n\nauthorization: Bearer s3cret:and more\r\nx-scope-orgid:team\n").expect("valid");
        assert_eq!(headers["authorization"], "Bearer s3cret:and more");
        assert_eq!(headers["x-scope-orgid"], "team");
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("s3cret"));
        for (text, part) in [
            ("a: b\nhunter2", ":2: is no header"),
            ("a b: hunter2", ":1: is no header"),
            ("content-type: hunter2", "`content-type` is the gateway's own"),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.contains(part) && !problem.contains("hunter2"), "{problem}");
        }
        assert!(super::headers(&folder.path().join("none")).is_err());
    }
}
