//! `paynotify list`: which notifications there are, the newest first.

use clap::Args;
use serde_json::Value;

use super::client::{Api, with_query};
use super::selection::Selection;
use super::story::rows;
use super::table::{Column, Table, age, text, until};
use super::{ApiAddress, Failure};
use crate::clock;
use crate::domain::Moment;

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Selection,
    /// How many, at most.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Goes on where an earlier list has ended, with the same options.
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn list(arguments: &List) -> Result<(), Failure> {
    let api = Api::at(&arguments.api)?;
    let fields = arguments.which.fields();
    let which = fields.iter().map(|(name, value)| (name.as_str(), Some(text(value))));
    let page = [("limit", Some(arguments.limit.to_string())), ("cursor", arguments.cursor.clone())];
    let answer = api.get(&with_query("/v1/notifications", which.chain(page))).await?;
    Ok(api.show(&answer, |answer| table(answer, clock::now()))?)
}

fn table(answer: &Value, now: Moment) -> String {
    let mut table = Table::new([
        Column::name("notification"),
        Column::name("merchant"),
        Column::name("order"),
        Column::name("state"),
        Column::number("attempts"),
        Column::number("age"),
        Column::text("next"),
    ]);
    for row in rows(&answer["notifications"]) {
        let [notification, merchant, order] =
            ["notification_id", "merchant_id", "merchant_order_id"].map(|name| text(&row[name]));
        let (state, next) = state(row, now);
        table.row([
            notification,
            merchant,
            order,
            state,
            text(&row["attempts_made"]),
            age(&row["first_seen"], now),
            next,
        ]);
    }
    table.page(answer)
}

/// What a notification is in a word, and what there is to say of that.
fn state(row: &Value, now: Moment) -> (String, String) {
    match row["state"].as_str() {
        Some("ended") => {
            let detail = row["detail"].as_str().map(|_| text(&row["detail"])).unwrap_or_default();
            (text(&row["outcome"]), detail)
        }
        Some("waiting") => ("waiting".to_owned(), until(&row["due"], now)),
        Some("held") => ("held".to_owned(), format!("{}: {}", until(&row["due"], now), text(&row["reason"]))),
        _ => (text(&row["state"]), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_state_has_its_row() {
        let now: Moment = "2026-11-22T08:10:00Z".parse().expect("valid");
        let row = |id: &str, more: Value| {
            let mut row = json!({
                "notification_id": id, "merchant_id": "shop", "merchant_order_id": "o-7", "attempts_made": 2,
                "first_seen": "2026-11-22T08:00:00Z", "updated_at": "2026-11-22T08:00:00Z",
            });
            let fields = row.as_object_mut().expect("an object");
            fields.extend(more.as_object().expect("an object").clone());
            row
        };
        let list = json!({"next": "abc", "notifications": [
            row("n1", json!({"state": "waiting", "due": "2026-11-22T08:10:30Z", "next_attempt": 3})),
            row("n2", json!({"state": "held", "due": "2026-11-22T08:00:00Z", "reason": "paused"})),
            row("n3", json!({"state": "ended", "outcome": "confirmed", "detail": null, "merchant_order_id": null})),
            row("n4", json!({"state": "ended", "outcome": "exhausted", "detail": "the reply is not `success`"})),
            row("n5", json!({"state": "accepted", "attempts_made": 0})),
        ]});
        let expected = "\
notification  merchant  order  state      attempts     age  next
n1            shop      o-7    waiting           2  10 min  in 30 s
n2            shop      o-7    held              2  10 min  now: paused
n3            shop      -      confirmed         2  10 min
n4            shop      o-7    exhausted         2  10 min  the reply is not `success`
n5            shop      o-7    accepted          0  10 min
there are more: --cursor abc
";
        assert_eq!(table(&list, now), expected);
        assert_eq!(table(&json!({"notifications": [], "next": null}), now), "none\n");
    }
}
