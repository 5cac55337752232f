//! `paynotify merchants`: how it stands with each, and pausing and resuming one.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Api, with_query};
use super::story::rows;
use super::table::{Column, Table, age, text};
use super::{ApiAddress, Failure};
use crate::clock;
use crate::domain::{MerchantId, Moment};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Merchants {
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
    /// Has a merchant told nothing until it is resumed. What is for it is held, and spends no attempt.
    Pause(Change),
    /// Has a merchant told again.
    Resume(Change),
}

#[derive(Debug, Args)]
struct Change {
    /// The merchant's id.
    id: MerchantId,
    /// Why, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn merchants(arguments: &Merchants) -> Result<(), Failure> {
    match &arguments.verb {
        Some(Verb::Pause(change)) => self::change(change, "pause").await,
        Some(Verb::Resume(change)) => self::change(change, "resume").await,
        None => {
            let api = Api::at(&arguments.api)?;
            let page = [("limit", Some("200".to_owned())), ("cursor", arguments.cursor.clone())];
            let answer = api.get(&with_query("/v1/merchants", page)).await?;
            Ok(api.show(&answer, |answer| table(answer, clock::now()))?)
        }
    }
}

async fn change(arguments: &Change, verb: &str) -> Result<(), Failure> {
    let api = Api::at(&arguments.api)?;
    let reason = json!({"reason": arguments.reason}).to_string();
    let answer = api.post(&format!("/v1/merchants/{}/{verb}", arguments.id), reason).await?;
    Ok(api.show(&answer, |answer| {
        let pause = &answer["paused"];
        let state = if pause.is_null() {
            "is not paused".to_owned()
        } else {
            let [since, by, reason] = ["since", "by", "reason"].map(|name| text(&pause[name]));
            format!("is paused since {since} by {by}: {reason}")
        };
        let already = if answer["changed"] == false { ", as before" } else { "" };
        format!("{} {state}{already}\n", text(&answer["merchant_id"]))
    })?)
}

fn table(answer: &Value, now: Moment) -> String {
    let mut table = Table::new([
        Column::name("merchant"),
        Column::name("plugin"),
        Column::name("endpoint"),
        Column::name("lane"),
        Column::number("in flight"),
        Column::number("waiting"),
        Column::number("held"),
        Column::text("paused"),
        Column::name("url"),
    ]);
    for row in rows(&answer["merchants"]) {
        let plugin = &row["plugin"];
        let pause = &row["paused"];
        let paused = if pause.is_null() {
            "-".to_owned()
        } else {
            format!("{} by {}: {}", age(&pause["since"], now), text(&pause["by"]), text(&pause["reason"]))
        };
        table.row([
            text(&row["merchant_id"]),
            format!("{} {}", text(&plugin["name"]), text(&plugin["version"])),
            text(&row["endpoint"]),
            text(&row["lane"]),
            text(&row["in_flight"]),
            text(&row["waiting"]),
            text(&row["held"]),
            paused,
            text(&row["url"]),
        ]);
    }
    table.page(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_is_a_row() {
        let now: Moment = "2026-11-22T08:10:00Z".parse().expect("valid");
        let row = |id: &str, paused: Value| {
            json!({
                "merchant_id": id, "plugin": {"name": "plain", "version": "1.0.0", "hash": "0123456789abcdef"},
                "url": "https://shop.example/", "lane": "main", "paused": paused, "endpoint": "up", "in_flight": 3,
                "ladder_ms": [3000], "waiting": 1200, "held": 0,
            })
        };
        let pause = json!({"since": "2026-11-22T08:00:00Z", "by": "anna", "reason": "the shop moves"});
        let list = json!({"merchants": [row("other", Value::Null), row("shop", pause)], "next": null});
        let expected = "\
merchant  plugin       endpoint  lane  in flight  waiting  held  paused                          url
other     plain 1.0.0  up        main          3     1200     0  -                               https://shop.example/
shop      plain 1.0.0  up        main          3     1200     0  10 min by anna: the shop moves  https://shop.example/
";
        assert_eq!(table(&list, now), expected);
    }
}
