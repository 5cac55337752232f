//! What of the journal's counts is shown in the metrics: what waits on which rung and how late it is, what is held, what ended without
//! a confirmation, and for which merchants most is undelivered.
//!
//! It is counted when somebody looks, but seldom ([`GOOD_FOR`]). While the journal cannot be asked, nothing of it is shown: an old
//! number would be taken for a new one. All gateways of one journal show the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use super::Api;
use super::counts::Counted;
use super::ladder::{Rung, rungs};
use crate::clock;
use crate::domain::{HoldReason, Moment};

/// For how long a count is good here.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// How long counting may keep a look at the metrics waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most merchants that are named. They are those for which most is undelivered, and each is configured.
pub(super) const MOST_MERCHANTS: usize = 20;

/// The label of what waits for a first attempt.
const FIRST: &str = "first";
/// The label of rungs that the gateway's own ladder does not have, and of causes that this version does not know.
const OTHER: &str = "other";

/// The last count, as samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing(Arc<Mutex<Option<Vec<Shown>>>>);

/// One metric: its name, its help, and its samples by the value of its label.
#[derive(Debug, PartialEq)]
struct Shown {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    samples: Vec<(String, f64)>,
}

impl Standing {
    /// Counts, if the last count is not good any more.
    pub(super) async fn renew(&self, api: &Api) {
        let counted = tokio::time::timeout(PATIENCE, api.counted_within(GOOD_FOR)).await;
        let shown = match counted {
            Ok(Ok(counted)) => Some(shown(api, &counted, clock::now())),
            // Whether the journal is there is another metric.
            Ok(Err(_)) | Err(_) => None,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = ConstGauge::new(0.0).metric_type();
        for Shown { name, help, label, samples } in shown.iter().flatten() {
            let mut metric = encoder.encode_descriptor(name, help, None, gauge)?;
            let Some(label) = label else {
                if let Some((_, sample)) = samples.first() {
                    ConstGauge::new(*sample).encode(metric)?;
                }
                continue;
            };
            for (value, sample) in samples {
                ConstGauge::new(*sample).encode(metric.encode_family(&[(*label, value.as_str())])?)?;
            }
        }
        Ok(())
    }
}

/// What is shown of a count.
fn shown(api: &Api, counted: &Counted, now: Moment) -> Vec<Shown> {
    let counts = &counted.counts;
    let own = api.merchants.ladder_ms("");
    let (all, anew) = rungs(counts, own.clone(), |merchant| api.merchants.ladder_ms(merchant));
    let waiting = by_rung(&own, &all, &anew, (counts.new, counts.oldest_due_at_once), now);
    let held = by_cause(counts.held.iter().map(|held| (held.cause.as_str(), held.count, held.since)), now);
    let ended = ["stopped", "exhausted", "abandoned"].map(|outcome| {
        let same = counts.unconfirmed.iter().filter(|count| count.outcome == outcome);
        (outcome.to_owned(), same.map(|count| as_f64(count.count)).sum())
    });
    let tried = counts.waiting.iter().filter(|count| count.next_attempt > 1);
    let tried = tried.map(|count| (count.merchant.as_str(), count.count));
    let undelivered = tried.chain(counts.held.iter().map(|count| (count.merchant.as_str(), count.count)));
    let known = |id: &str| id.parse().is_ok_and(|id| api.merchants.one(&id).is_some());
    let (depths, lateness) = split(waiting);
    let (held, held_for) = split(held);
    let poison = counted.poison.map(|count| (String::new(), as_f64(count)));
    let row = |name, help, label, samples| Shown { name, help, label, samples };
    vec![
        row("waiting", "Notifications that wait for an attempt, by the rung.", Some("rung"), depths),
        row(
            "waiting_overdue_seconds",
            "How long the first of those that wait on the rung has been due, in seconds.",
            Some("rung"),
            lateness,
        ),
        row("held", "Notifications that are held, by the cause.", Some("cause"), held),
        row(
            "held_oldest_seconds",
            "How long the one that has been held longest has been, in seconds.",
            Some("cause"),
            held_for,
        ),
        row(
            "ended_unconfirmed",
            "Notifications that have ended within the last day and were not confirmed, by how they ended.",
            Some("outcome"),
            ended.into(),
        ),
        row(
            "merchant_undelivered",
            "Notifications of a merchant that wait after an attempt or are held; of the merchants with most of them.",
            Some("merchant"),
            most(undelivered, known),
        ),
        row("poison_messages", "Messages in the poison queue.", None, poison.into_iter().collect()),
    ]
}

/// For each rung of the gateway's own ladder, for the first attempt and for all other rungs: how many wait, and how long the first of
/// them has been due.
fn by_rung(
    own: &[u64],
    all: &[Rung],
    anew: &Rung,
    new: (u64, Option<Moment>),
    now: Moment,
) -> BTreeMap<String, (f64, f64)> {
    let mut shown: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut add = |label: String, count: u64, due: Option<Moment>| {
        let (depth, late) = shown.entry(label).or_default();
        *depth += as_f64(count);
        *late = due.map_or(0.0, |due| now.since(due).as_secs_f64()).max(*late);
    };
    add(FIRST.to_owned(), new.0 + anew.waiting, new.1.into_iter().chain(anew.next_due).min());
    add(OTHER.to_owned(), 0, None);
    for rung in all {
        let label = if own.contains(&rung.delay_ms) { in_seconds(rung.delay_ms) } else { OTHER.to_owned() };
        add(label, rung.waiting, rung.next_due);
    }
    shown
}

/// For each cause: how many are held, and for how long the oldest has been.
fn by_cause<'a>(
    held: impl Iterator<Item = (&'a str, u64, Moment)>,
    now: Moment,
) -> BTreeMap<String, (f64, f64)> {
    let names = HoldReason::NAMES.into_iter().chain([OTHER]);
    let mut shown: BTreeMap<String, (f64, f64)> = names.map(|name| (name.to_owned(), (0.0, 0.0))).collect();
    for (cause, count, since) in held {
        let label = if HoldReason::NAMES.contains(&cause) { cause } else { OTHER };
        let (held, longest) = shown.entry(label.to_owned()).or_default();
        *held += as_f64(count);
        *longest = now.since(since).as_secs_f64().max(*longest);
    }
    shown
}

/// The merchants with most, of those that are known.
fn most<'a>(
    counts: impl Iterator<Item = (&'a str, u64)>,
    known: impl Fn(&str) -> bool,
) -> Vec<(String, f64)> {
    let mut by_merchant: BTreeMap<&str, u64> = BTreeMap::new();
    for (merchant, count) in counts {
        *by_merchant.entry(merchant).or_default() += count;
    }
    let mut sorted: Vec<(&str, u64)> = by_merchant.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let known = sorted.into_iter().filter(|(merchant, _)| known(merchant));
    known.take(MOST_MERCHANTS).map(|(merchant, count)| (merchant.to_owned(), as_f64(count))).collect()
}

type Samples = Vec<(String, f64)>;

fn split(both: BTreeMap<String, (f64, f64)>) -> (Samples, Samples) {
    both.into_iter().map(|(label, (one, other))| ((label.clone(), one), (label, other))).unzip()
}

/// `3` for three seconds, `0.5` for half a second.
fn in_seconds(milliseconds: u64) -> String {
    Duration::from_millis(milliseconds).as_secs_f64().to_string()
}

/// Exact up to 2^53, and more than that waits nowhere.
#[expect(clippy::cast_precision_loss, reason = "more than 2^53 is not counted")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_that_are_not_the_gateways_own_share_a_label() {
        let at = Moment::from_unix_milliseconds;
        let rung = |delay_ms, waiting, next_due: Option<i64>| Rung {
            delay_ms,
            waiting,
            next_due: next_due.map(at),
            oldest: None,
        };
        let all = [rung(500, 2, Some(9_000)), rung(3_000, 5, Some(4_000)), rung(7_000, 1, Some(8_000))];
        let shown = by_rung(&[500, 3_000], &all, &rung(0, 1, Some(7_500)), (3, Some(at(7_000))), at(8_500));
        let row = |label: &str, depth, late| (label.to_owned(), (depth, late));
        let wanted =
            [row("0.5", 2.0, 0.0), row("3", 5.0, 4.5), row("first", 4.0, 1.5), row("other", 1.0, 0.5)];
        assert_eq!(shown, BTreeMap::from(wanted));
    }

    #[test]
    fn only_merchants_that_are_configured_are_named_and_only_so_many() {
        let names: Vec<String> = (0..100_u64).map(|number| format!("m{number}")).collect();
        let counts =
            names.iter().zip(0..).flat_map(|(name, count)| [(name.as_str(), count), (name.as_str(), 1)]);
        let shown = most(counts.chain([("stranger", 1_000)]), |id| id != "stranger");
        assert_eq!(shown.len(), MOST_MERCHANTS);
        assert_eq!(shown.first(), Some(&("m99".to_owned(), 100.0)));
    }

    #[test]
    fn causes_are_always_the_known_ones() {
        let at = Moment::from_unix_milliseconds;
        let shown = by_cause([("paused", 2, at(1_000)), ("", 1, at(2_000))].into_iter(), at(3_000));
        assert_eq!(shown.len(), HoldReason::NAMES.len() + 1);
        assert_eq!((shown["paused"], shown["other"]), ((2.0, 2.0), (1.0, 1.0)));
    }
}
