//! The doors of the API, on a gateway as it runs: who is let in where, over which connection, and within which bounds.

#[path = "../support/mod.rs"]
mod support;

mod amqps;
mod bounds;
mod config;
mod console;
mod counted;
mod roles;
mod tls;

use std::process::{Command, Output};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use paynotify::domain::{Reply, Request};
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use serde_json::Value;

fn paynotify(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

/// A token as `paynotify token new` makes it: its text, and the lines for the configuration.
struct Made {
    token: String,
    lines: String,
}

fn new_token(arguments: &[&str]) -> Made {
    let output = paynotify(&[&["token", "new"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let (token, lines) = text.split_once("\n\n").expect("the token stands alone");
    Made { token: token.to_owned(), lines: lines.to_owned() }
}

fn client() -> Client {
    Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere())
}

/// One request to an API; `authorization` is the whole value of that header.
async fn ask(
    client: &Client,
    (method, url): (Method, String),
    authorization: Option<&str>,
    body: impl Into<Bytes>,
) -> Result<Reply, String> {
    let mut headers = HeaderMap::new();
    if let Some(text) = authorization {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(text).expect("a header's value"));
    }
    let uri = url.parse().expect("a URL");
    let request = Request { method, uri, headers, body: body.into() };
    client.send(request).await.map_err(|failure| failure.name().to_owned())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
}
