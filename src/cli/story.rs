//! `paynotify status ID`: what became of one notification.

use serde_json::Value;

use super::table::{Column, Table, text};

/// A story, for people.
pub(super) fn story(story: &Value) -> String {
    let head = format!(
        "{}  merchant {}  order {}",
        text(&story["notification_id"]),
        text(&story["merchant_id"]),
        text(&story["merchant_order_id"])
    );
    let state = match story["state"].as_str() {
        Some("ended") => {
            let detail = story["detail"].as_str().map(|_| format!(": {}", text(&story["detail"])));
            let attempts = attempts(&story["attempts_made"]);
            format!("{} after {attempts}{}", text(&story["outcome"]), detail.unwrap_or_default())
        }
        Some("waiting") => {
            format!("waits for attempt {}, due {}", story["next_attempt"], text(&story["due"]))
        }
        Some("held") => format!("held until {}: {}", text(&story["due"]), text(&story["reason"])),
        Some(other) => other.to_owned(),
        None => "unknown state".to_owned(),
    };
    let mut lines = format!("{head}\n{state}\n");
    for replay in rows(&story["replays"]) {
        let [number, at, by, reason] = ["replay", "at", "by", "reason"].map(|name| text(&replay[name]));
        lines.push_str(&format!("replay {number}, begun {at} by {by}: {reason}\n"));
    }
    let mut table = Table::new([
        Column::number("no"),
        Column::name("started"),
        Column::number("took"),
        Column::number("status"),
        Column::name("result"),
        Column::name("detail"),
    ]);
    for attempt in rows(&story["attempts"]) {
        table.row([
            text(&attempt["number"]),
            text(&attempt["started_at"]),
            format!("{} ms", text(&attempt["duration_ms"])),
            text(&attempt["status"]),
            text(&attempt["result"]),
            text(&attempt["detail"]),
        ]);
    }
    if !table.is_empty() {
        lines.push_str(&table.to_string());
    }
    lines
}

fn attempts(count: &Value) -> String {
    if *count == 1 { "1 attempt".to_owned() } else { format!("{} attempts", text(count)) }
}

/// The rows of a list in an answer.
pub(super) fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
