//! How long deliveries took to go on after what was broken could be used again.
//!
//! Measured from then to the first request of a notification that had to come through the broker anew: one that was
//! accepted after the fault had begun, or that had been asked before and was due after.

use std::time::Duration;

use paynotify::domain::Moment;

use super::checker::Evidence;
use super::faults::Fault;
use super::plan::LADDER;

/// For each fault whose end is timed, unless the next one came before deliveries went on.
pub fn times(evidence: &Evidence) -> Vec<Duration> {
    let mut times: Vec<_> = evidence
        .faults
        .iter()
        .enumerate()
        .filter_map(|(index, fault)| {
            let over = fault.over.filter(|_| fault.timed)?;
            let next = evidence.faults.get(index + 1).map(|next| next.began);
            let first = first_delivery(evidence, fault, over)?;
            next.is_none_or(|next| first <= next).then(|| first.since(over))
        })
        .collect();
    times.sort();
    times
}

fn first_delivery(evidence: &Evidence, fault: &Fault, over: Moment) -> Option<Moment> {
    let shortest = Duration::from_millis(LADDER[0]);
    let requests = evidence.seen.requests.iter().filter_map(|(id, requests)| {
        let index = requests.iter().position(|request| request.at >= over)?;
        let anew = match index.checked_sub(1).and_then(|before| requests.get(before)) {
            Some(before) => before.at < fault.began && before.at.after(shortest) > fault.began,
            None => evidence.seen.accepted.get(id)?.at >= fault.began,
        };
        anew.then(|| requests[index].at)
    });
    requests.min()
}
