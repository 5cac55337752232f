//! `paynotify send` and `paynotify status`: the API, from a shell.

use std::io::Read;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{ApiAddress, Failure, Send, Status};
use crate::domain::{Reply, Request};
use crate::http::{Client, Reach, Settings, TlsRoots};

pub(super) async fn send(arguments: &Send) -> Result<(), Failure> {
    let record = if arguments.record.as_os_str() == "-" {
        let mut record = Vec::new();
        std::io::stdin().read_to_end(&mut record).context("standard input cannot be read")?;
        record
    } else {
        std::fs::read(&arguments.record)
            .with_context(|| format!("{} cannot be read", arguments.record.display()))?
    };
    let reply = ask(&arguments.api, Method::POST, "/v1/notifications", Bytes::from(record)).await?;
    let answer = answer(&reply, StatusCode::ACCEPTED)?;
    if arguments.api.json {
        println!("{answer}");
    } else {
        println!("{}", text(&answer["notification_id"]));
    }
    Ok(())
}

pub(super) async fn status(arguments: &Status) -> Result<(), Failure> {
    let path = format!("/v1/notifications/{}", arguments.id);
    let reply = ask(&arguments.api, Method::GET, &path, Bytes::new()).await?;
    let story = answer(&reply, StatusCode::OK)?;
    if arguments.api.json {
        println!("{story}");
    } else {
        print!("{}", table(&story));
    }
    Ok(())
}

pub(super) async fn ask(api: &ApiAddress, method: Method, path: &str, body: Bytes) -> anyhow::Result<Reply> {
    let address = format!("{}{path}", api.api.trim_end_matches('/'));
    let uri: Uri = address.parse().with_context(|| format!("`{address}` is no URL"))?;
    let settings = Settings { longest_reply: 16 << 20, ..Settings::default() };
    let client = Client::new(&settings, &TlsRoots::system()?, &Reach::anywhere());
    let request = Request { method, uri, headers: with_token()?, body };
    client.send(request).await.map_err(|failure| {
        anyhow!("no answer from {} ({}): does the gateway run there?", api.api, failure.name())
    })
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

/// The variable that holds the token.
const TOKEN: &str = "PAYNOTIFY_TOKEN";

pub(super) fn answer(reply: &Reply, expected: StatusCode) -> anyhow::Result<Value> {
    let value: Value = serde_json::from_slice(&reply.body)
        .with_context(|| format!("the answer ({}) is no JSON: is that a paynotify gateway?", reply.status))?;
    if reply.status != expected {
        let field = value["field"].as_str().map(|field| format!(" (field `{field}`)")).unwrap_or_default();
        let hint = match reply.status {
            StatusCode::UNAUTHORIZED => format!(": put one into the environment variable {TOKEN}"),
            _ => String::new(),
        };
        bail!("{}: {}{field}{hint}", text(&value["title"]), text(&value["detail"]));
    }
    Ok(value)
}

/// A story, for people.
fn table(story: &Value) -> String {
    let mut lines = vec![format!(
        "{}  merchant {}  order {}",
        text(&story["notification_id"]),
        text(&story["merchant_id"]),
        text(&story["merchant_order_id"])
    )];
    lines.push(match story["state"].as_str() {
        Some("ended") => format!("{} after {} attempts", text(&story["outcome"]), story["attempts_made"]),
        Some("waiting") => {
            format!("waits for attempt {}, due {}", story["next_attempt"], text(&story["due"]))
        }
        Some("held") => format!("held until {}: {}", text(&story["due"]), text(&story["reason"])),
        Some(other) => other.to_owned(),
        None => "unknown state".to_owned(),
    });
    lines.push(format!(
        "{:>3}  {:<24}  {:>7}  {:>6}  {:<20}  {}",
        "no", "started", "took", "status", "result", "detail"
    ));
    for attempt in story["attempts"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{:>3}  {:<24}  {:>4} ms  {:>6}  {:<20}  {}",
            text(&attempt["number"]),
            text(&attempt["started_at"]),
            text(&attempt["duration_ms"]),
            text(&attempt["status"]),
            text(&attempt["result"]),
            text(&attempt["detail"])
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
