//! `paynotify plugin list` and `plugin rollback`: what a running gateway has, by its API.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::Api;
use crate::cli::story::rows;
use crate::cli::table::{Column, Table, text};
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

pub(in crate::cli) async fn list(arguments: &List) -> Result<(), Failure> {
    let api = Api::at(&arguments.api)?;
    let answer = api.get("/v1/plugins").await?;
    Ok(api.show(&answer, table)?)
}

pub(super) async fn roll_back(arguments: &Rollback) -> Result<(), Failure> {
    let name = &arguments.name;
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        return Err(Failure::Wrong(vec![format!("`{name}` is no plugin's name")]));
    }
    let body = arguments.to.as_ref().map_or_else(String::new, |to| json!({"to": to}).to_string());
    let api = Api::at(&arguments.api)?;
    let answer = api.post(&format!("/v1/plugins/{name}/rollback"), body).await?;
    Ok(api.show(&answer, |row| {
        format!("{} {} ({}) runs now\n", text(&row["name"]), text(&row["version"]), text(&row["hash"]))
    })?)
}

/// The report, for people.
fn table(report: &Value) -> String {
    let mut table = Table::new([
        Column::name("plugin"),
        Column::name("version"),
        Column::name("hash"),
        Column::name("since"),
        Column::number("merchants"),
        Column::name("before"),
        Column::name("file"),
    ]);
    for row in rows(&report["plugins"]) {
        let file = match (&row["file"], row["set_aside"].as_array()) {
            (Value::Null, Some(set_aside)) if !set_aside.is_empty() => "rolled back".to_owned(),
            (Value::Null, _) => "kept".to_owned(),
            (file, _) => text(file),
        };
        table.row([
            text(&row["name"]),
            text(&row["version"]),
            text(&row["hash"]),
            text(&row["since"]),
            rows(&row["merchants"]).len().to_string(),
            text(&row["before"]),
            file,
        ]);
    }
    let refused = rows(&report["refused"]).iter().map(|refused| {
        let [file, at, reason] = ["file", "at", "reason"].map(|name| text(&refused[name]));
        let hash = refused["hash"].as_str().map(|hash| format!(" ({hash})")).unwrap_or_default();
        format!("refused  {file}{hash}, {at}: {reason}\n")
    });
    std::iter::once(table.to_string()).chain(refused).collect()
}
