//! `paynotify tail`: attempts as they happen.
//!
//! It ends when the gateway stops, or when whoever reads has had enough. A heartbeat is expected: a gateway that is silent is one
//! that cannot be reached any more.

use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::client::{Api, with_query};
use super::table::text;
use super::{ApiAddress, Failure};
use crate::domain::MerchantId;

/// The gateway sends something at least each five seconds.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only this merchant's.
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    #[command(flatten)]
    api: ApiAddress,
}

pub(super) async fn tail(arguments: &Tail) -> Result<(), Failure> {
    let api = Api::at(&arguments.api)?;
    let merchant = arguments.merchant.as_ref().map(ToString::to_string);
    let mut stream = api.listen(&with_query("/v1/live", [("merchant", merchant)])).await?;
    let mut frames = Frames::default();
    loop {
        let piece = stream.next(LONGEST_SILENCE).await.map_err(|failure| {
            anyhow!("the gateway tells no more ({}): what happens now is not shown", failure.name())
        })?;
        let Some(piece) = piece else {
            eprintln!("paynotify: the gateway has stopped");
            return Ok(());
        };
        frames.bytes.extend_from_slice(&piece);
        while let Some((name, data)) = frames.next() {
            let event: Value = serde_json::from_str(&data).map_err(|error| anyhow!("`{data}`: {error}"))?;
            let line = match name.as_str() {
                "attempt" if arguments.api.json => data,
                "attempt" => line(&event),
                "missed" => {
                    eprintln!("paynotify: {} events came too fast and are not shown", event["count"]);
                    continue;
                }
                // What a later gateway may tell beside.
                _ => continue,
            };
            let mut output = std::io::stdout().lock();
            if writeln!(output, "{line}").and_then(|()| output.flush()).is_err() {
                return Ok(());
            }
        }
    }
}

/// What has come of the stream and is not read yet.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// The next event that is there whole: its name and its data. Comments are passed over.
    fn next(&mut self) -> Option<(String, String)> {
        loop {
            let end = self.bytes.windows(2).position(|two| two == b"\n\n")?;
            let frame = String::from_utf8_lossy(self.bytes.get(..end)?).into_owned();
            self.bytes.drain(..end + 2);
            let field = |name: &str| {
                let line = frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                Some(line.strip_prefix(' ').unwrap_or(line).to_owned())
            };
            if let (Some(name), Some(data)) = (field("event"), field("data")) {
                return Some((name, data));
            }
        }
    }
}

/// An event, for people: when, whose, which, what came back, and what follows.
fn line(event: &Value) -> String {
    let what = match (&event["status"], &event["result"]) {
        (Value::Null, Value::Null) => "no request".to_owned(),
        (Value::Null, result) => text(result),
        (status, result) => format!("{} {}", text(status), text(result)),
    };
    let took = event["duration_ms"].as_u64().map(|took| format!(" in {took} ms")).unwrap_or_default();
    let due = event["due"].as_str().map(|_| format!(" at {}", text(&event["due"]))).unwrap_or_default();
    let reason =
        event["reason"].as_str().map(|_| format!(": {}", text(&event["reason"]))).unwrap_or_default();
    let [at, merchant, notification, order, attempt, next] =
        ["at", "merchant", "notification", "order", "attempt", "next"].map(|name| text(&event[name]));
    format!(
        "{at}  {merchant}  {notification}  order {order}  attempt {attempt}: {what}{took}, {next}{due}{reason}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_put_together_from_pieces() {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in
            "event: attempt\ndata: {\"a\":\"ü\"}\n\n:\n\nevent: missed\ndata: {\"count\":3}\n\nevent: a"
                .bytes()
        {
            frames.bytes.push(byte);
            found.extend(frames.next());
        }
        let events = [("attempt", "{\"a\":\"ü\"}"), ("missed", "{\"count\":3}")];
        assert_eq!(found, events.map(|(name, data)| (name.to_owned(), data.to_owned())));
    }

    #[test]
    fn an_event_is_a_line() {
        let mut event = json!({
            "at": "2026-11-22T08:00:00.041Z", "notification": "n1", "merchant": "shop", "order": "o1", "attempt": 1,
            "status": 200, "result": "retry", "duration_ms": 41, "next": "retry", "due": "2026-11-22T08:00:03.041Z",
            "reason": null,
        });
        let head = "2026-11-22T08:00:00.041Z  shop  n1  order o1  attempt 1: ";
        assert_eq!(line(&event), format!("{head}200 retry in 41 ms, retry at 2026-11-22T08:00:03.041Z"));
        for name in ["status", "result", "duration_ms"] {
            event[name] = Value::Null;
        }
        event["next"] = json!("hold");
        event["reason"] = json!("no merchant\n`shop`");
        let expected = "no request, hold at 2026-11-22T08:00:03.041Z: no merchant\u{fffd}`shop`";
        assert_eq!(line(&event), format!("{head}{expected}"));
    }
}
