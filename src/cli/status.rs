//! `paynotify status`: how it stands with the gateway; with an id, what became of one notification.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Api, print};
use super::story::{rows, story};
use super::table::{Column, Table, age, count, length, text, until};
use super::{ApiAddress, Failure};
use crate::clock;
use crate::domain::{Moment, NotificationId};

#[derive(Debug, Args)]
pub(super) struct Status {
    /// The notification's id. Without it, the gateway's own state is told.
    id: Option<NotificationId>,
    /// Only asks whether the gateway takes notifications, which needs no token: for health checks and scripts.
    #[arg(long, conflicts_with = "id")]
    ready: bool,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn status(arguments: &Status) -> Result<(), Failure> {
    let api = Api::at(&arguments.api)?;
    if let Some(id) = &arguments.id {
        let answer = api.get(&format!("/v1/notifications/{id}")).await?;
        return Ok(api.show(&answer, story)?);
    }
    // One that is not ready says why, which is what is asked for.
    let ready = api.ask(Method::GET, "/readyz", bytes::Bytes::new()).await?.value;
    let is_ready = ["broker", "journal"].iter().all(|part| ready[part] == "ready");
    if arguments.ready {
        print(&if arguments.api.json { format!("{ready}\n") } else { parts(&ready) })?;
        return if is_ready { Ok(()) } else { Err(not_ready()) };
    }
    let ladder = match api.get("/v1/ladder").await {
        Ok(answer) => answer.value,
        Err(error) => {
            if !is_ready && !arguments.api.json {
                print(&parts(&ready))?;
            }
            return Err(error.into());
        }
    };
    if arguments.api.json {
        print(&format!("{}\n", json!({"ready": ready, "ladder": ladder})))?;
    } else {
        print(&overview(&ready, &ladder, clock::now()))?;
    }
    if is_ready { Ok(()) } else { Err(not_ready()) }
}

fn not_ready() -> Failure {
    anyhow::anyhow!("the gateway is not ready").into()
}

/// What the gateway needs, and whether it is there.
fn parts(ready: &Value) -> String {
    format!("broker: {}\njournal: {}\n", text(&ready["broker"]), text(&ready["journal"]))
}

/// Everything that waits, and what has come to nothing, for people.
fn overview(ready: &Value, ladder: &Value, now: Moment) -> String {
    let mut text_of = format!("{}\n", parts(ready));
    let mut table = Table::new([
        Column::name("where"),
        Column::number("waiting"),
        Column::number("oldest"),
        Column::name("next due"),
    ]);
    let work = &ladder["work_queue"];
    table.row([
        "first attempt".to_owned(),
        text(&work["waiting"]),
        age(&work["oldest"], now),
        until(&work["next_due"], now),
    ]);
    for rung in rows(&ladder["rungs"]) {
        let delay = rung["delay_ms"].as_u64().unwrap_or_default();
        let name = if delay < 1_000 {
            format!("rung of {delay} ms")
        } else {
            format!("rung of {}", length(std::time::Duration::from_millis(delay)))
        };
        let [oldest, due] = [age(&rung["oldest"], now), until(&rung["next_due"], now)];
        table.row([name, text(&rung["waiting"]), oldest, due]);
    }
    for held in rows(&ladder["held"]) {
        let name = format!("held: {}", text(&held["cause"]));
        table.row([name, text(&held["count"]), age(&held["oldest"], now), String::new()]);
    }
    text_of.push_str(&table.to_string());
    let slow = &ladder["slow_lane"];
    let merchants = slow["merchants"].as_u64().unwrap_or_default();
    if merchants > 0 {
        let merchants = count(merchants, "merchant");
        text_of.push_str(&format!("\nslow lane: {merchants}, {} waiting", text(&slow["waiting"])));
    }
    let ended = &ladder["ended_24h"];
    let [exhausted, stopped, abandoned] =
        ["exhausted", "stopped", "abandoned"].map(|outcome| text(&ended[outcome]));
    text_of
        .push_str(&format!("\nlast 24 h: {exhausted} exhausted, {stopped} stopped, {abandoned} abandoned\n"));
    let messages = ladder["poison"]["messages"].as_u64();
    let messages =
        messages.map_or_else(|| "not known just now".to_owned(), |messages| count(messages, "message"));
    text_of.push_str(&format!("poison queue: {messages}\n"));
    text_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_says_what_waits_where() {
        let now: Moment = "2026-11-22T08:10:00Z".parse().expect("valid");
        let ladder = json!({
            "counted_at": "2026-11-22T08:10:00Z",
            "work_queue": {"waiting": 2, "next_due": "2026-11-22T08:09:20Z", "oldest": "2026-11-22T08:09:20Z"},
            "slow_lane": {"merchants": 1, "waiting": 7},
            "rungs": [
                {"delay_ms": 500, "waiting": 1, "next_due": "2026-11-22T08:10:00Z", "oldest": "2026-11-22T08:09:59Z"},
                {"delay_ms": 30000, "waiting": 1200, "next_due": "2026-11-22T08:10:03Z", "oldest": "2026-11-22T08:09:31Z"},
                {"delay_ms": 300000, "waiting": 0, "next_due": null, "oldest": null},
            ],
            "held": [{"cause": "endpoint_down", "count": 12, "oldest": "2026-11-22T08:00:00Z"}],
            "ended_24h": {"stopped": 1, "exhausted": 3, "abandoned": 0},
            "poison": {"messages": 1},
        });
        let expected = "\
broker: ready
journal: not written

where                waiting  oldest  next due
first attempt              2    40 s  now
rung of 500 ms             1     1 s  now
rung of 30 s            1200    29 s  in 3 s
rung of 5 min              0       -  -
held: endpoint_down       12  10 min

slow lane: 1 merchant, 7 waiting
last 24 h: 3 exhausted, 1 stopped, 0 abandoned
poison queue: 1 message
";
        let ready = json!({"broker": "ready", "journal": "not written"});
        assert_eq!(overview(&ready, &ladder, now), expected);
    }
}
