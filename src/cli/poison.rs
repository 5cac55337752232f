//! `paynotify poison`: what could not be worked upon, and what becomes of it.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Api, escaped, with_query};
use super::story::rows;
use super::table::{Column, Table, age, text};
use super::{ApiAddress, Failure};
use crate::clock;
use crate::domain::Moment;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Poison {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Goes on where an earlier list has ended.
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    api: ApiAddress,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows a message whole.
    Show(Show),
    /// Puts a message back to work: as it is, or as a file has it.
    Mend(Mend),
    /// Throws a message away.
    Discard(Discard),
}

#[derive(Debug, Args)]
struct Show {
    /// What the list calls it by.
    id: String,
    #[command(flatten)]
    api: ApiAddress,
}

#[derive(Debug, Args)]
struct Mend {
    /// What the list calls it by.
    id: String,
    /// The record that it is to be from now on, as JSON. Without it, it stays what it is.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Why, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    api: ApiAddress,
}

#[derive(Debug, Args)]
struct Discard {
    /// What the list calls it by.
    id: String,
    /// Why, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn poison(arguments: &Poison) -> Result<(), Failure> {
    match &arguments.verb {
        None => {
            let api = Api::at(&arguments.api)?;
            let page = [("limit", Some("200".to_owned())), ("cursor", arguments.cursor.clone())];
            let answer = api.get(&with_query("/v1/poison", page)).await?;
            Ok(api.show(&answer, |answer| table(answer, clock::now()))?)
        }
        Some(Verb::Show(show)) => {
            let api = Api::at(&show.api)?;
            let answer = api.get(&path(&show.id)).await?;
            Ok(api.show(&answer, whole)?)
        }
        Some(Verb::Mend(mend)) => {
            let body = mend.body.as_ref().map(|file| {
                std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
            });
            let mut wanted = json!({"reason": mend.reason});
            if let Some(body) = body.transpose()? {
                wanted["body"] = body.into();
            }
            let api = Api::at(&mend.api)?;
            let answer = api.post(&format!("{}/mend", path(&mend.id)), wanted.to_string()).await?;
            Ok(api.show(&answer, |answer| format!("{} is put back\n", text(&answer["notification_id"])))?)
        }
        Some(Verb::Discard(discard)) => {
            let api = Api::at(&discard.api)?;
            let reason = json!({"reason": discard.reason}).to_string();
            let answer = api.post(&format!("{}/discard", path(&discard.id)), reason).await?;
            Ok(api.show(&answer, |answer| format!("{} is thrown away\n", text(&answer["id"])))?)
        }
    }
}

fn path(id: &str) -> String {
    format!("/v1/poison/{}", escaped(id))
}

fn table(answer: &Value, now: Moment) -> String {
    let mut table = Table::new([
        Column::name("message"),
        Column::number("age"),
        Column::number("bytes"),
        Column::text("reason"),
        Column::text("beginning"),
    ]);
    for row in rows(&answer["messages"]) {
        table.row([
            text(&row["id"]),
            age(&row["since"], now),
            text(&row["bytes"]),
            text(&row["reason"]),
            text(&row["beginning"]),
        ]);
    }
    table.page(answer)
}

/// The body comes last and as it is, but for what would move the cursor: it may be a file's worth of text.
fn whole(message: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in
        [("message", "id"), ("since", "since"), ("reason", "reason"), ("addressed to", "addressed_to")]
    {
        lines.push(format!("{name}: {}", text(&message[value])));
    }
    for (name, value) in message["headers"].as_object().into_iter().flatten() {
        lines.push(format!("header {}: {}", text(&name.as_str().into()), text(value)));
    }
    let plain = |letter: char| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter };
    let body = match (message["body"].as_str(), message["body_base64"].as_str()) {
        (Some(body), _) => body.chars().map(plain).collect(),
        (None, base64) => format!("base64 {}", base64.unwrap_or_default()),
    };
    lines.extend([String::new(), body, String::new()]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_row_or_shown_whole() {
        let now: Moment = "2026-11-22T08:10:00Z".parse().expect("valid");
        let row = json!({
            "id": "7", "since": "2026-11-22T08:00:00Z", "reason": "field `kind` is missing", "bytes": 12,
            "beginning": "{\n\"a\": 1}",
        });
        let expected = "\
message     age  bytes  reason                   beginning
7        10 min     12  field `kind` is missing  {\u{fffd}\"a\": 1}
";
        assert_eq!(table(&json!({"messages": [row], "next": null}), now), expected);
        let message = json!({
            "id": "7", "since": null, "reason": "no JSON", "addressed_to": "shop",
            "headers": {"paynotify-attempt": "1"}, "body": "a\u{1b}[2J\nb",
        });
        let expected = "\
message: 7
since: -
reason: no JSON
addressed to: shop
header paynotify-attempt: 1

a\u{fffd}[2J
b
";
        assert_eq!(whole(&message), expected);
    }
}
