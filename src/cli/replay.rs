//! `paynotify replay`: begins notifications that have ended anew, one by its id, or many by what they have in common.
//!
//! Many are counted first; only `--yes` begins them.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::client::{Answer, Api, escaped};
use super::selection::Selection;
use super::story::rows;
use super::table::{count, text};
use super::{ApiAddress, Failure};
use crate::domain::NotificationId;

/// How often the gateway is asked how far it has come.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The notification's id. Without it, the options say which are meant.
    id: Option<NotificationId>,
    #[command(flatten)]
    which: Selection,
    /// Why, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Begins them. Without it, of many it is only told how many there are.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Only tells how many there are, as it does without --yes.
    #[arg(long)]
    dry_run: bool,
    /// How many of many in a second.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    per_second: Option<u32>,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn replay(arguments: &Replay) -> Result<(), Failure> {
    let mut wanted = arguments.which.fields();
    match (&arguments.id, wanted.is_empty()) {
        (Some(id), true) => return one(arguments, id).await,
        (None, false) => {}
        (Some(_), false) => return Err(Failure::Wrong(vec!["either an id or options, not both".to_owned()])),
        (None, true) => {
            let problem =
                "which? Give an id, or options such as --merchant shop --outcome exhausted --since 2h";
            return Err(Failure::Wrong(vec![problem.to_owned()]));
        }
    }
    wanted.insert("reason".to_owned(), arguments.reason.as_str().into());
    wanted.insert("dry_run".to_owned(), (!arguments.yes).into());
    if let Some(per_second) = arguments.per_second {
        wanted.insert("per_second".to_owned(), per_second.into());
    }
    let api = Api::at(&arguments.api)?;
    let answer = api.post("/v1/replays", Value::from(wanted).to_string()).await?;
    if !arguments.yes {
        return Ok(api.show(&answer, dry_run)?);
    }
    let id = text(&answer.value["replays_id"]);
    let end = follow(&api, &format!("/v1/replays/{}", escaped(&id))).await?;
    api.show(&end, |progress| format!("{}\n", told(progress)))?;
    let progress = &end.value;
    for failure in rows(&progress["failures"]) {
        eprintln!("not begun: {}", text(&failure["reason"]));
    }
    match (progress["state"].as_str(), progress["failed"].as_u64()) {
        (Some("done"), Some(0)) => Ok(()),
        (Some("done"), failed) => {
            Err(anyhow!("{} not begun", count(failed.unwrap_or_default(), "notification")).into())
        }
        _ => Err(anyhow!("the gateway has stopped before all were begun").into()),
    }
}

async fn one(arguments: &Replay, id: &NotificationId) -> Result<(), Failure> {
    if arguments.dry_run || arguments.per_second.is_some() {
        return Err(Failure::Wrong(vec!["--dry-run and --per-second are for many".to_owned()]));
    }
    let api = Api::at(&arguments.api)?;
    let reason = json!({"reason": arguments.reason}).to_string();
    let answer = api.post(&format!("/v1/notifications/{id}/replay"), reason).await?;
    Ok(api.show(&answer, |answer| {
        format!("{}: replay {} has begun\n", text(&answer["notification_id"]), text(&answer["replay"]))
    })?)
}

/// How many there are, and what to do.
fn dry_run(answer: &Value) -> String {
    let matches = answer["matches"].as_u64().unwrap_or_default();
    let most = answer["most"].as_u64().unwrap_or(u64::MAX);
    if matches > most {
        return format!(
            "more than {most} would be begun anew, which is the most at once: ask for fewer, by --since and --until for example\n"
        );
    }
    let mut lines = format!("{} would be begun anew", count(matches, "notification"));
    if matches == 0 {
        lines.push('\n');
        return lines;
    }
    let first: Vec<_> = rows(&answer["first"]).iter().map(text).collect();
    let more = if u64::try_from(first.len()).is_ok_and(|shown| shown < matches) { " …" } else { "" };
    lines.push_str(&format!(": {}{more}\nnothing was done; --yes begins them\n", first.join(" ")));
    lines
}

/// Shows how far it has come, on a line of its own where somebody looks at it, until it is over.
async fn follow(api: &Api<'_>, path: &str) -> anyhow::Result<Answer> {
    let mut errors = std::io::stderr();
    let watched = errors.is_terminal();
    loop {
        let answer = api.get(path).await?;
        let over = !matches!(answer.value["state"].as_str(), Some("waiting" | "running"));
        if watched {
            // Back to the line's beginning, and what stood there is overwritten.
            let end = if over { "\r\x1b[K" } else { "" };
            let _ = write!(errors, "\r\x1b[K{}{end}", told(&answer.value)).and_then(|()| errors.flush());
        }
        if over {
            return Ok(answer);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn told(progress: &Value) -> String {
    let [matches, done, failed] = ["matches", "done", "failed"].map(|name| text(&progress[name]));
    format!("{done} of {matches} begun anew, {failed} passed over: {}", text(&progress["state"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_how_many_and_what_to_do() {
        let answer = |matches: u64, first: &[&str]| json!({"matches": matches, "most": 100, "first": first});
        assert_eq!(dry_run(&answer(0, &[])), "0 notifications would be begun anew\n");
        assert_eq!(
            dry_run(&answer(1, &["n1"])),
            "1 notification would be begun anew: n1\nnothing was done; --yes begins them\n"
        );
        assert_eq!(
            dry_run(&answer(3, &["n3", "n2"])),
            "3 notifications would be begun anew: n3 n2 …\nnothing was done; --yes begins them\n"
        );
        assert!(dry_run(&answer(101, &["n1"])).starts_with("more than 100 "));
    }
}
