//! The API, from a shell: asking, and what is said when there is no answer or not the one that was hoped for.
//!
//! With `--json` what the API said is printed as it is, one document; otherwise a table for people.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::ApiAddress;
use super::table::text;
use crate::domain::Request;
use crate::http::{Client, Opened, Reach, Settings, Timeouts, TlsRoots};

/// The variable that holds the token.
const TOKEN: &str = "PAYNOTIFY_TOKEN";

/// How long an answer may take. Longer than the gateway takes by itself, so that it is the gateway that says so.
const LONGEST: Duration = Duration::from_secs(60);

/// One gateway's API.
pub(super) struct Api<'a> {
    address: &'a ApiAddress,
    client: Client,
    headers: HeaderMap,
}

/// What the API said.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    text: String,
    /// The same, read.
    pub(super) value: Value,
}

impl<'a> Api<'a> {
    pub(super) fn at(address: &'a ApiAddress) -> anyhow::Result<Self> {
        let timeouts = Timeouts { connect: Duration::from_secs(5), first_byte: LONGEST, total: LONGEST };
        let settings = Settings { longest_reply: 16 << 20, timeouts, ..Settings::default() };
        let client = Client::new(&settings, &TlsRoots::system()?, &Reach::anywhere());
        Ok(Self { address, client, headers: with_token()? })
    }

    /// Asks for a page: its answer must be a 200.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Method::GET, path, Bytes::new()).await?.good()
    }

    /// Asks for something to be done: its answer must be a 2xx.
    pub(super) async fn post(&self, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Answer> {
        self.ask(Method::POST, path, body.into()).await?.good()
    }

    /// Asks, whatever the answer is.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let request = self.request(method, path, body)?;
        let reply = self.client.send(request).await.map_err(|failure| self.no_answer(failure.name()))?;
        Answer::read(reply.status, &reply.body)
    }

    /// Asks for what has no end.
    pub(super) async fn listen(&self, path: &str) -> anyhow::Result<Opened> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let mut opened = self.client.open(request).await.map_err(|failure| self.no_answer(failure.name()))?;
        if opened.status == StatusCode::OK {
            return Ok(opened);
        }
        let mut body = Vec::new();
        while let Some(piece) =
            opened.next(LONGEST).await.map_err(|failure| self.no_answer(failure.name()))?
        {
            body.extend_from_slice(&piece);
        }
        Err(Answer::read(opened.status, &body)?.good().err().unwrap_or_else(|| anyhow!("it tells nothing")))
    }

    /// Prints the answer as it is, or as this makes a table of it.
    pub(super) fn show(&self, answer: &Answer, table: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.address.json { print(&format!("{}\n", answer.text)) } else { print(&table(&answer.value)) }
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Request> {
        let address = format!("{}{path}", self.address.api.trim_end_matches('/'));
        let uri: Uri = address.parse().with_context(|| format!("`{address}` is no URL"))?;
        Ok(Request { method, uri, headers: self.headers.clone(), body })
    }

    fn no_answer(&self, why: &str) -> anyhow::Error {
        anyhow!(
            "no answer from {} ({why}): does the gateway run there? --api URL, or PAYNOTIFY_API, says where",
            self.address.api
        )
    }
}

impl Answer {
    fn read(status: StatusCode, body: &[u8]) -> anyhow::Result<Self> {
        let value = serde_json::from_slice(body)
            .with_context(|| format!("the answer ({status}) is no JSON: is that a paynotify gateway?"))?;
        let text = String::from_utf8_lossy(body).into_owned();
        Ok(Self { status, text, value })
    }

    /// Itself, unless it is a problem: then what the problem is, and what to do.
    fn good(self) -> anyhow::Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let field =
            self.value["field"].as_str().map(|field| format!(" (field `{field}`)")).unwrap_or_default();
        let hint = match self.status {
            StatusCode::UNAUTHORIZED => format!(": put one into the environment variable {TOKEN}"),
            StatusCode::FORBIDDEN => {
                format!(": {TOKEN} needs one of another role; `paynotify token new` makes them")
            }
            _ => String::new(),
        };
        bail!("{}: {}{field}{hint}", text(&self.value["title"]), text(&self.value["detail"]))
    }
}

/// The token comes from the environment: arguments can be seen by everybody on the machine.
fn with_token() -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Ok(token) = std::env::var(TOKEN) {
        let text = Zeroizing::new(format!("Bearer {token}"));
        let mut value = HeaderValue::from_str(&text).map_err(|_| anyhow!("{TOKEN} holds no token"))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Writes to standard output. Whoever reads it may have had enough: that is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written"),
    }
}

/// A path's or a query's part, escaped.
pub(super) fn escaped(part: &str) -> String {
    url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A path with parameters; those without a value are left out.
pub(super) fn with_query<'a>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'a str, Option<String>)>,
) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
