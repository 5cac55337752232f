//! `GET /v1/ladder` and `GET /v1/holds`: what waits where, how much of it, and since when.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Api;
use super::page::{Page, cursor};
use super::problem::Problem;
use crate::domain::Moment;
use crate::journal::{Counts, HeldCount};

/// What waits on one rung.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rung {
    pub(super) delay_ms: u64,
    pub(super) waiting: u64,
    /// When the first of them is due.
    pub(super) next_due: Option<Moment>,
    /// When the one that has waited longest began to wait.
    pub(super) oldest: Option<Moment>,
}

/// `GET /v1/ladder`
pub(super) async fn ladder(State(api): State<Api>) -> Result<Response, Problem> {
    let counted = api.counted().await?;
    let counts = &counted.counts;
    let (rungs, anew) =
        rungs(counts, api.merchants.ladder_ms(""), |merchant| api.merchants.ladder_ms(merchant));
    let slow: HashSet<_> = api.merchants.slow().into_iter().collect();
    let in_slow_lane = counts.waiting.iter().filter(|count| slow.contains(&count.merchant));
    let mut ended: Map<String, Value> = ["stopped", "exhausted", "abandoned"]
        .map(|outcome| (outcome.to_owned(), 0.into()))
        .into_iter()
        .collect();
    for count in &counts.unconfirmed {
        ended.insert(count.outcome.clone(), count.count.into());
    }
    let answer = json!({
        "counted_at": counted.at,
        "work_queue": {
            "waiting": counts.new + anew.waiting,
            "next_due": counts.oldest_due_at_once.into_iter().chain(anew.next_due).min(),
            "oldest": counts.oldest_new.into_iter().chain(anew.oldest).min(),
        },
        "slow_lane": {"merchants": slow.len(), "waiting": in_slow_lane.map(|count| count.count).sum::<u64>()},
        "rungs": rungs,
        "held": by_cause(&counts.held),
        "ended_24h": ended,
        "poison": {"messages": counted.poison},
    });
    Ok(Json(answer).into_response())
}

/// `GET /v1/holds`
pub(super) async fn holds(State(api): State<Api>, page: Page) -> Result<Response, Problem> {
    let skip = page.skip()?;
    let counted = api.counted().await?;
    let held = &counted.counts.held;
    let rows: Vec<Value> = held
        .iter()
        .skip(skip)
        .take(page.limit)
        .map(|HeldCount { cause, merchant, count, since }| {
            json!({"cause": cause, "merchant_id": merchant, "count": count, "since": since})
        })
        .collect();
    let reached = skip + rows.len();
    let next = (reached < held.len()).then(|| cursor(&reached.to_string()));
    Ok(Json(json!({"holds": rows, "next": next})).into_response())
}

/// Everything that waits, by the delay of the rung that its merchant's ladder has for it; and what was begun anew and
/// waits for its first attempt. The rungs of the gateway's own ladder are always there.
pub(super) fn rungs(
    counts: &Counts,
    own: Vec<u64>,
    ladder_of: impl Fn(&str) -> Vec<u64>,
) -> (Vec<Rung>, Rung) {
    let empty = |delay_ms| Rung { delay_ms, waiting: 0, next_due: None, oldest: None };
    let mut rungs: BTreeMap<u64, Rung> = own.into_iter().map(|delay| (delay, empty(delay))).collect();
    let mut anew = empty(0);
    let mut ladder = (String::new(), Vec::new());
    for count in &counts.waiting {
        if ladder.0 != count.merchant {
            ladder = (count.merchant.clone(), ladder_of(&count.merchant));
        }
        // Attempt n + 1 waits on rung n. Of a ladder that has become shorter the last is the nearest to the truth.
        let rung = usize::try_from(count.next_attempt).unwrap_or(usize::MAX).checked_sub(2);
        let delay = rung.map(|rung| ladder.1.get(rung).or(ladder.1.last()).copied().unwrap_or_default());
        let place = delay.map_or(&mut anew, |delay| rungs.entry(delay).or_insert_with(|| empty(delay)));
        place.waiting += count.count;
        place.next_due = place.next_due.into_iter().chain([count.next_due]).min();
        place.oldest = place.oldest.into_iter().chain([count.oldest]).min();
    }
    (rungs.into_values().collect(), anew)
}

/// The counts are sorted by their cause.
fn by_cause(held: &[HeldCount]) -> Vec<Value> {
    held.chunk_by(|one, next| one.cause == next.cause)
        .map(|of_cause| {
            let count: u64 = of_cause.iter().map(|count| count.count).sum();
            let oldest = of_cause.iter().map(|count| count.since).min();
            json!({"cause": of_cause.first().map(|first| &first.cause), "count": count, "oldest": oldest})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::WaitingCount;

    #[test]
    fn what_waits_is_shown_on_the_rung_of_its_merchants_ladder() {
        let at = Moment::from_unix_milliseconds;
        let waits = |merchant: &str, next_attempt, count, next_due, oldest| WaitingCount {
            merchant: merchant.to_owned(),
            next_attempt,
            count,
            next_due: at(next_due),
            oldest: at(oldest),
        };
        let waiting = vec![
            waits("other", 2, 5, 70, 40),
            waits("shop", 1, 1, 10, 10),
            waits("shop", 2, 3, 60, 50),
            waits("shop", 9, 1, 90, 30),
        ];
        let counts = Counts { waiting, ..Counts::default() };
        let ladder_of = |merchant: &str| if merchant == "shop" { vec![3_000, 500] } else { vec![3_000] };
        let (rungs, anew) = rungs(&counts, vec![3_000, 30_000], ladder_of);
        let rung = |delay_ms, waiting, next_due: Option<i64>, oldest: Option<i64>| Rung {
            delay_ms,
            waiting,
            next_due: next_due.map(at),
            oldest: oldest.map(at),
        };
        assert_eq!(
            rungs,
            [
                rung(500, 1, Some(90), Some(30)),
                rung(3_000, 8, Some(60), Some(40)),
                rung(30_000, 0, None, None)
            ]
        );
        assert_eq!(anew, rung(0, 1, Some(10), Some(10)));
    }
}
