//! The same attempt, the same bytes: in other instances, on other threads, on fresh hosts, at other times of the machine.
//!
//! What the attempt itself brings (its time, its entropy, its number) may change the request, and is then named.

use std::path::Path;

use futures_util::future::join_all;

use super::advice;
use super::odd_replies::{Answer, plain_replies};
use super::report::Outcome;
use super::shops::Shop;
use super::subject::Subject;
use crate::domain::{AttemptNumber, Moment, Notification, Request, Verdict};
use crate::kit::case::Case;
use crate::kit::cases;
use crate::kit::form::CaseRequest;
use crate::plugin::{AttemptContext, CallError, Host, HostError, Plugin, Settings};

/// The runs in all.
const RUNS: usize = 100;
/// Of these on each of two fresh hosts.
const ON_A_FRESH_HOST: usize = 20;
/// So many at once, on the guests' threads.
const AT_ONCE: usize = 4;

/// Has the same attempt made a hundred times.
pub(super) async fn check(
    subject: &Subject,
    file: &Path,
    notification: &Notification,
    shops: &[Shop],
) -> Result<Outcome, HostError> {
    let mut outcome = Outcome::passed(format!(
        "{RUNS} runs, in an instance each and on three hosts, gave the same bytes and verdicts"
    ));
    let replies = plain_replies();
    let mut expected = Vec::new();
    for shop in shops {
        expected.push(run(&subject.plugin, notification, shop, &replies).await);
    }
    // The first comparison is with the run just made.
    let here = RUNS - 2 * ON_A_FRESH_HOST;
    compare(
        &mut outcome,
        &subject.plugin,
        "another instance",
        here,
        notification,
        (shops, &expected),
        &replies,
    )
    .await;
    for (shop, expected) in shops.iter().zip(&expected) {
        judge_after_formatting(&mut outcome, &subject.plugin, notification, shop, &replies, expected).await;
    }
    for pooling in [true, false] {
        let host = Host::new(Settings { pooling, ..Settings::default() })?;
        match host.load(file).await {
            Ok(plugin) => {
                let name = if pooling { "a fresh host" } else { "a host without a pool" };
                let expected = (shops, expected.as_slice());
                compare(&mut outcome, &plugin, name, ON_A_FRESH_HOST, notification, expected, &replies).await;
            }
            Err(error) => outcome.wrong(
                &format!("a fresh host refuses it: it {}", error.problem),
                "make `describe` the same on each machine",
            ),
        }
        host.close().await;
    }
    for (number, shop) in shops.iter().enumerate() {
        let dependences = other_attempts(&mut outcome, subject, notification, shop).await;
        if number == 0 {
            outcome.notes.extend(dependences);
        }
    }
    Ok(outcome)
}

/// What one run gives, of both functions.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    request: Result<CaseRequest, String>,
    verdicts: Vec<Result<Verdict, String>>,
}

async fn run(plugin: &Plugin, notification: &Notification, shop: &Shop, replies: &[Answer]) -> Run {
    let words = |error: CallError| error.to_string();
    let request = plugin.format(notification, &shop.endpoint, &shop.attempt).await;
    let mut verdicts = Vec::new();
    for answer in replies {
        let verdict = plugin.judge(notification, &shop.endpoint, &shop.attempt, &answer.reply).await;
        verdicts.push(verdict.map_err(words));
    }
    Run { request: request.map(|request: Request| CaseRequest::of(&request)).map_err(words), verdicts }
}

/// A reply is judged by the instance that has formatted the request, while the gateway has room for it, or by a fresh one.
async fn judge_after_formatting(
    outcome: &mut Outcome,
    plugin: &Plugin,
    notification: &Notification,
    shop: &Shop,
    replies: &[Answer],
    expected: &Run,
) {
    for (answer, expected) in replies.iter().zip(&expected.verdicts) {
        let formatted = plugin.format_and_keep(notification, (&shop.endpoint).into(), &shop.attempt).await;
        let (_, Some(kept)) = formatted else { continue };
        let judged = plugin.judge_kept(kept, &answer.reply).await.result.map_err(|error| error.to_string());
        if judged != *expected {
            outcome.wrong(
                "a reply is judged otherwise by the instance that has formatted the request than by a fresh one",
                "keep nothing from one call to the next",
            );
            return;
        }
    }
}

async fn compare(
    outcome: &mut Outcome,
    plugin: &Plugin,
    name: &str,
    runs: usize,
    notification: &Notification,
    (shops, expected): (&[Shop], &[Run]),
    replies: &[Answer],
) {
    for number in 0..runs / AT_ONCE {
        let index = number % shops.len();
        let (Some(shop), Some(expected)) = (shops.get(index), expected.get(index)) else { return };
        for seen in join_all((0..AT_ONCE).map(|_| run(plugin, notification, shop, replies))).await {
            if seen != *expected {
                outcome.wrong_for(
                    format!("{name} gives something else: {}", difference(expected, &seen, notification)),
                    "take time and chance from `attempt` alone, and keep nothing that depends on addresses or on the order of a hash table".to_owned(),
                    shop.given(notification, None),
                );
                return;
            }
        }
    }
}

fn difference(expected: &Run, seen: &Run, notification: &Notification) -> String {
    match (&expected.request, &seen.request) {
        (Ok(expected), Ok(seen)) if expected != seen => {
            let case = |request: &CaseRequest| {
                let record = serde_json::from_slice(&notification.raw).unwrap_or_else(|_| Box::default());
                Case { request: Some(request.clone()), ..Case::of_record(record) }
            };
            let differences = cases::compare(&case(expected), &case(seen));
            let texts: Vec<_> = differences
                .iter()
                .map(|it| {
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    format!("{}: `{}`, then `{}`", it.what, text(&it.recorded), text(&it.seen))
                })
                .collect();
            texts.join("; ")
        }
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => format!("once a request, once it {error}"),
        (Err(error), Err(other)) if error != other => format!("once it {error}, once it {other}"),
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {
            format!("verdicts {:?}, then {:?}", expected.verdicts, seen.verdicts)
        }
    }
}

/// What differs between attempts: for people, not wrong. That an attempt at another time fails, is.
async fn other_attempts(
    outcome: &mut Outcome,
    subject: &Subject,
    notification: &Notification,
    shop: &Shop,
) -> Vec<String> {
    let first = shop.attempt;
    let later = |milliseconds: i64| AttemptContext {
        now: Moment::from_unix_milliseconds(first.now.unix_milliseconds().saturating_add(milliseconds)),
        ..first
    };
    let numbered = |number: u32| AttemptContext {
        number: AttemptNumber::new(number).unwrap_or(AttemptNumber::FIRST),
        ..first
    };
    let ways: [(&str, Vec<AttemptContext>); 3] = [
        // A moment, a day, and the year 2099.
        ("time", vec![later(1_001), later(86_400_000), later(2_322_000_000_000)]),
        (
            "entropy",
            vec![
                AttemptContext { entropy: [0; 32], ..first },
                AttemptContext { entropy: [0xff; 32], ..first },
            ],
        ),
        ("number", vec![numbered(2), numbered(1_000)]),
    ];
    let Ok(expected) = subject.format(notification, &shop.endpoint, &first).await else { return Vec::new() };
    let mut notes = Vec::new();
    for (name, attempts) in ways {
        let mut parts: Vec<String> = Vec::new();
        for attempt in attempts {
            match subject.format(notification, &shop.endpoint, &attempt).await {
                Ok(request) => {
                    for part in different_parts(&expected, &request) {
                        if !parts.contains(&part) {
                            parts.push(part);
                        }
                    }
                }
                Err(CallError::Busy) => {}
                Err(CallError::Fault(fault)) => outcome.wrong_for(
                    format!("with another {name} of the attempt it {fault}"),
                    advice::on_fault(&fault).to_owned(),
                    shop.given(notification, None),
                ),
            }
        }
        if !parts.is_empty() {
            notes.push(format!("depends on the attempt's {name}: {}", parts.join(", ")));
        }
    }
    notes
}

fn different_parts(one: &Request, other: &Request) -> Vec<String> {
    let mut parts = Vec::new();
    if one.method != other.method {
        parts.push("method".to_owned());
    }
    if one.uri != other.uri {
        parts.push("URL".to_owned());
    }
    for name in one.headers.keys().chain(other.headers.keys()) {
        let values =
            |request: &Request| -> Vec<_> { request.headers.get_all(name).iter().cloned().collect() };
        let part = format!("header `{name}`");
        if values(one) != values(other) && !parts.contains(&part) {
            parts.push(part);
        }
    }
    if one.body != other.body {
        parts.push("body".to_owned());
    }
    parts
}
