//! Which request was which attempt. The merchants' format does not tell, the journal does: a request belongs to the
//! recorded attempt in whose time it came. One that belongs to none was made by a gateway that did not live to record
//! it, or whose record counts for nothing.

use std::time::Duration;

use paynotify::domain::Moment;

use super::evidence::Attempt;
use super::plan::LADDER;
use super::record::Request;

/// How the requests of one notification went.
#[derive(Debug, Default)]
pub struct Course {
    /// Requests that are one too many.
    pub repeated: Vec<Repeated>,
    /// Every step up the ladder that can be told.
    pub steps: Vec<Step>,
}

/// A request that is one too many.
#[derive(Debug, PartialEq, Eq)]
pub struct Repeated {
    pub first: Moment,
    pub second: Moment,
}

/// From one attempt to the next.
#[derive(Debug)]
pub struct Step {
    /// When the earlier attempt's request came.
    pub after: Moment,
    /// When the next was due.
    pub due: Moment,
    /// When its first request came.
    pub came: Moment,
}

/// Clocks are the same, but a moment passes between a process's looking at it and the next step.
const SLACK: Duration = Duration::from_millis(20);

/// The moment of each request, in the order in which they came, and the journal's attempt that it was, if any.
pub fn matched<'a>(requests: &[Request], attempts: &'a [Attempt]) -> Vec<(Moment, Option<&'a Attempt>)> {
    let mut free: Vec<&Attempt> = attempts.iter().collect();
    free.sort_by_key(|attempt| attempt.started);
    let matching = requests.iter().map(|request| {
        let within = |attempt: &&Attempt| {
            let ended = attempt.started.after(attempt.duration + SLACK);
            attempt.started <= request.at.after(SLACK) && request.at <= ended
        };
        let place = free.iter().rposition(within);
        (request.at, place.map(|place| free.remove(place)))
    });
    matching.collect()
}

/// What the requests of one notification tell when they are held against the journal's attempts.
pub fn course(requests: &[Request], attempts: &[Attempt]) -> Course {
    let matched = matched(requests, attempts);
    let mut course = Course::default();
    for (index, (at, attempt)) in matched.iter().enumerate() {
        let neighbour = matched.get(index + 1).or_else(|| matched.get(index.checked_sub(1)?));
        match attempt {
            None => {
                // Alone, it is the one attempt of a notification that has got no further.
                if let Some((other, _)) = neighbour {
                    let (first, second) = ((*at).min(*other), (*at).max(*other));
                    course.repeated.push(Repeated { first, second });
                }
            }
            Some(attempt) => {
                let earlier = matched[..index].iter().rev();
                let twin = earlier
                    .filter(|(_, other)| other.is_some_and(|other| other.number == attempt.number))
                    .map(|(other, _)| *other)
                    .next();
                if let Some(twin) = twin {
                    course.repeated.push(Repeated { first: twin, second: *at });
                } else {
                    course.steps.extend(step(&matched[..index], *at, attempt));
                }
            }
        }
    }
    course
}

/// The step that led to the first request for an attempt.
fn step(before: &[(Moment, Option<&Attempt>)], came: Moment, attempt: &Attempt) -> Option<Step> {
    // If that one was made twice, either of the two may have been followed: it is early only if it is for both.
    let followed = |other: &&Attempt| other.number + 1 == attempt.number;
    let (after, previous) = before.iter().find_map(|(at, other)| Some((at, other.filter(followed)?)))?;
    let rung = LADDER.get(usize::try_from(previous.number).ok()?.checked_sub(1)?)?;
    // Not before: the gateway counts from the reply, and the merchant's record knows only when the request came.
    let due = (*after).after(Duration::from_millis(*rung));
    Some(Step { after: *after, due, came })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::EPOCH.after(Duration::from_millis(milliseconds))
    }

    fn request(milliseconds: u64) -> Request {
        Request { at: at(milliseconds), confirmed: false, merchant: "m0".to_owned() }
    }

    fn attempt(number: u32, started: u64) -> Attempt {
        Attempt { number, started: at(started), duration: Duration::from_millis(10) }
    }

    #[test]
    fn requests_that_the_journal_accounts_for_are_no_repetitions() {
        let course = course(&[request(1_005), request(1_320)], &[attempt(1, 1_000), attempt(2, 1_310)]);
        assert!(course.repeated.is_empty());
        assert_eq!(course.steps.len(), 1);
        assert_eq!(course.steps[0].due, at(1_305));
    }

    #[test]
    fn an_unrecorded_request_and_a_second_one_for_a_number_are_repetitions() {
        let unrecorded = course(&[request(500), request(1_005)], &[attempt(1, 1_000)]);
        assert_eq!(unrecorded.repeated, [Repeated { first: at(500), second: at(1_005) }]);
        let twice = course(&[request(1_005), request(2_005)], &[attempt(1, 1_000), attempt(1, 2_000)]);
        assert_eq!(twice.repeated, [Repeated { first: at(1_005), second: at(2_005) }]);
        let at_once = course(&[request(1_005), request(1_007)], &[attempt(1, 1_000), attempt(1, 1_004)]);
        assert_eq!(at_once.repeated.len(), 1);
    }
}
