//! Every case of `judge.json`, a table of replies with the vendors' rules, through the host.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use paynotify::domain::{Moment, Reply, Verdict};
use serde_json::Value;

use super::all::{ALL, file, host};
use super::support::call::{attempt, notification};

/// Of which plugin a format of the table is; `None` for formats that there is no plugin for.
fn plugin(format: &str) -> Option<&str> {
    match format {
        "seed" => Some("plain"),
        "standardwebhooks" => Some("standard-webhooks"),
        "paypal" | "unionpay" => None,
        other => Some(other),
    }
}

fn reply(case: &Value) -> Reply {
    let mut headers = HeaderMap::new();
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().expect("a name");
        headers.insert(name, value.as_str().expect("text").parse().expect("a value"));
    }
    let status = case["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a number");
    Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: Bytes::copy_from_slice(case["body"].as_str().unwrap_or_default().as_bytes()),
        truncated: false,
    }
}

/// The verdict in the table's words. What the plugin leaves open, `Retry-After` decides.
fn told(verdict: &Verdict, reply: &Reply, now: Moment) -> String {
    match verdict {
        Verdict::Confirmed { .. } => "confirmed".to_owned(),
        Verdict::Stop { .. } => "stop".to_owned(),
        Verdict::Retry { after, .. } => match after.or_else(|| reply.retry_after(now)) {
            None => "retry".to_owned(),
            Some(after) => format!("retry_after {}", after.as_secs()),
        },
    }
}

#[tokio::test]
async fn every_case_of_the_table() {
    let host = host();
    let table: Value = serde_json::from_str(&file("judge.json")).expect("JSON");
    let cases = table["cases"].as_array().expect("cases");
    let mut judged = 0;
    for format in ALL {
        let loaded = format.load(&host).await;
        for case in
            cases.iter().filter(|case| plugin(case["format"].as_str().expect("text")) == Some(format.plugin))
        {
            let reply = reply(case);
            let attempt = attempt();
            let verdict = loaded.judge(&notification(""), &format.endpoint(), &attempt, &reply).await;
            let mut wanted = case["verdict"].as_str().expect("text").to_owned();
            if let Some(seconds) = case["seconds"].as_u64() {
                wanted = format!("{wanted} {seconds}");
            }
            assert_eq!(told(&verdict.expect("a verdict"), &reply, attempt.now), wanted, "{case}");
            judged += 1;
        }
    }
    let ours = cases.iter().filter(|case| plugin(case["format"].as_str().expect("text")).is_some()).count();
    assert!(judged >= ours, "{judged} of {ours}");
}
