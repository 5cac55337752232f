//! What the plugin's calls took, against what a gateway allows, and what a call costs.

use std::path::Path;
use std::time::{Duration, Instant};

use super::odd_replies::plain_replies;
use super::report::{Figure, Outcome};
use super::shops::Shop;
use super::subject::Subject;
use crate::domain::Notification;
use crate::plugin::Settings;

/// The calls of each function that are measured, as long as they take no longer than [`LONGEST`] in all.
const CALLS: usize = 200;
const LONGEST: Duration = Duration::from_secs(5);

/// The most that any call took of its bounds.
pub(super) fn bounds(subject: &Subject) -> Outcome {
    let settings = Settings::default();
    let (usage, measured) = (subject.plugin.usage(), subject.measured());
    let figures = vec![
        figure("running_time_ms", usage.running.as_millis(), Some(settings.call_timeout.as_millis())),
        figure("memory_bytes", usage.memory as u128, Some(settings.memory as u128)),
        figure("crypto_calls", usage.host_calls.into(), Some(settings.host_calls.into())),
        figure("body_bytes", measured.longest_body as u128, Some(settings.longest_body as u128)),
        figure("url_bytes", measured.longest_url as u128, None),
    ];
    let mut outcome = Outcome::passed(format!("the most of {} calls", measured.calls));
    for Figure { name, value, bound } in &figures {
        let Some(bound) = bound else { continue };
        if value >= bound {
            outcome.wrong(
                &format!("{name}: {value}, and a gateway allows {bound}"),
                "use less of it; an operator could raise the bound for all plugins (`[plugin]`), and would rather not",
            );
        } else if *value > bound / 2 {
            outcome.notes.push(format!("{name}: more than half of what a gateway allows"));
        }
    }
    outcome.figures = figures;
    outcome
}

/// What a call costs, its fresh instance and its place in the queue included.
pub(super) async fn cost(
    subject: &Subject,
    notification: &Notification,
    shops: &[Shop],
    file: &Path,
    loaded_in: Duration,
) -> Outcome {
    let Some(shop) = shops.first() else { return Outcome::skipped("there is no request to begin with") };
    let (mut format, mut judge) = (Vec::new(), Vec::new());
    let replies = plain_replies();
    let start = Instant::now();
    while format.len() < CALLS && (start.elapsed() < LONGEST || format.is_empty()) {
        let call = Instant::now();
        drop(subject.plugin.format(notification, &shop.endpoint, &shop.attempt).await);
        format.push(call.elapsed());
        if let Some(answer) = replies.first() {
            let call = Instant::now();
            drop(subject.plugin.judge(notification, &shop.endpoint, &shop.attempt, &answer.reply).await);
            judge.push(call.elapsed());
        }
    }
    let [format_50, format_99] = [50, 99].map(|part| percentile(&mut format, part));
    let [judge_50, judge_99] = [50, 99].map(|part| percentile(&mut judge, part));
    let mut outcome = Outcome::passed("a call, with a fresh instance and its place in the queue");
    outcome.figures = vec![
        figure("measured_calls", 2 * format.len() as u128, None),
        figure("format_p50_us", format_50.as_micros(), None),
        figure("format_p99_us", format_99.as_micros(), None),
        figure("judge_p50_us", judge_50.as_micros(), None),
        figure("judge_p99_us", judge_99.as_micros(), None),
        figure("load_ms", loaded_in.as_millis(), None),
        figure(
            "file_bytes",
            std::fs::metadata(file).map_or(0, |file| file.len()).into(),
            Some(Settings::default().longest_component as u128),
        ),
    ];
    outcome
}

fn figure(name: &'static str, value: u128, bound: Option<u128>) -> Figure {
    let short = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    Figure { name, value: short(value), bound: bound.map(short) }
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
