//! `paynotify plugin list` and `plugin rollback`: what a running gateway has, by its API.

use bytes::Bytes;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::client::{answer, ask, text};
use crate::cli::{ApiAddress, Failure};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    api: ApiAddress,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The plugin's name.
    name: String,
    /// The version to go back to: the beginning of its hash. Without it, the one that ran before.
    #[arg(long, value_name = "HASH")]
    to: Option<String>,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn list(arguments: &List) -> Result<(), Failure> {
    let reply = ask(&arguments.api, Method::GET, "/v1/plugins", Bytes::new()).await?;
    let report = answer(&reply, StatusCode::OK)?;
    if arguments.api.json {
        println!("{report}");
    } else {
        print!("{}", table(&report));
    }
    Ok(())
}

pub(super) async fn roll_back(arguments: &Rollback) -> Result<(), Failure> {
    let name = &arguments.name;
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        return Err(Failure::Wrong(vec![format!("`{name}` is no plugin's name")]));
    }
    let body = arguments.to.as_ref().map_or_else(Bytes::new, |to| json!({"to": to}).to_string().into());
    let reply = ask(&arguments.api, Method::POST, &format!("/v1/plugins/{name}/rollback"), body).await?;
    let row = answer(&reply, StatusCode::OK)?;
    if arguments.api.json {
        println!("{row}");
    } else {
        println!("{} {} ({}) runs now", text(&row["name"]), text(&row["version"]), text(&row["hash"]));
    }
    Ok(())
}

/// The report, for people.
fn table(report: &Value) -> String {
    let rows = report["plugins"].as_array().map_or(&[][..], Vec::as_slice);
    let width = rows.iter().map(|row| text(&row["name"]).len()).max().unwrap_or(0).max(6);
    let mut lines = vec![format!(
        "{:<width$}  {:<10}  {:<16}  {:<24}  {:>9}  {:<16}  file",
        "plugin", "version", "hash", "since", "merchants", "before"
    )];
    for row in rows {
        let merchants = row["merchants"].as_array().map_or(0, Vec::len);
        let file = match (&row["file"], row["set_aside"].as_array()) {
            (Value::Null, Some(set_aside)) if !set_aside.is_empty() => "rolled back".to_owned(),
            (Value::Null, _) => "kept".to_owned(),
            (file, _) => text(file),
        };
        lines.push(format!(
            "{:<width$}  {:<10}  {:<16}  {:<24}  {merchants:>9}  {:<16}  {file}",
            text(&row["name"]),
            text(&row["version"]),
            text(&row["hash"]),
            text(&row["since"]),
            text(&row["before"]),
        ));
    }
    for refused in report["refused"].as_array().into_iter().flatten() {
        let (file, at) = (text(&refused["file"]), text(&refused["at"]));
        let hash = refused["hash"].as_str().map(|hash| format!(" ({hash})")).unwrap_or_default();
        lines.push(format!("refused  {file}{hash}, {at}: {}", text(&refused["reason"])));
    }
    lines.push(String::new());
    lines.join("\n")
}
