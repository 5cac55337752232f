//! Sorts every accepted notification by what became of it, and holds four witnesses against each other: the merchants,
//! the journal, the payment centre's events and the queues. What they do not agree about is unexplained, and fails.
//!
//! Pure: evidence in, report out.
//!
//! How duplicates are counted. Requests beyond the attempts that the outcome event names are duplicates. For each of
//! them a fault must lie between it and its repetition; and all together may be no more than what was in flight at the
//! faults.
//!
//! How that bound is measured. In flight at the death of a gateway are the notifications whose request a merchant had
//! received, no longer ago than a request and its settling take ([`SETTLING`]), and whose attempt the journal did not
//! have yet: what it has is not repeated. A gateway that only loses its broker may go on with what it has in hand, and
//! so may another to which that is delivered again: in flight is what merchants were asked shortly before the fault or
//! shortly after it. Neither can be more than the gateways' prefetch.
//!
//! An attempt that was cut off twice is booked as interrupted without a third request: the journal has no row for it.

use std::collections::HashMap;
use std::time::Duration;

use paynotify::domain::Moment;

use super::evidence::{Event, Holdings, Story};
use super::faults::{AFTERMATH, Fault, Hits};
use super::matching::{Course, Repeated, course, matched};
use super::plan::{self, MOST_ATTEMPTS, PATIENCE, Script};
use super::record::{Request, Seen};
use super::recovery;
use super::report::Report;

/// How long a request, its recording and its settling take at most on a busy machine.
pub const SETTLING: Duration = PATIENCE.saturating_add(Duration::from_millis(1_000));

/// Everything that a scenario leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub seen: Seen,
    pub journal: HashMap<String, Story>,
    pub holdings: Holdings,
    pub faults: Vec<Fault>,
    pub prefetch: usize,
    /// Messages that an operator destroyed with their queue: ids that may be missing.
    pub destroyed: Vec<String>,
    /// What an operator may have destroyed and the journal knows: ids that may be put back.
    pub missing: Vec<String>,
    /// What was put back.
    pub put_back: Vec<String>,
}

/// What became of one notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Confirmed,
    Exhausted,
    Stopped,
    Waiting,
    Destroyed,
    Lost,
}

/// Sorts and compares.
pub fn check(evidence: &Evidence) -> Report {
    let mut report = Report {
        faults: evidence.faults.len(),
        accepted: evidence.seen.accepted.len(),
        unanswered: evidence.seen.unanswered,
        recoveries: recovery::times(evidence),
        bound: bound(evidence),
        ..Report::default()
    };
    let mut ids: Vec<_> = evidence.seen.accepted.keys().collect();
    ids.sort();
    for id in ids {
        check_one(evidence, id, &mut report);
    }
    check_the_rest(evidence, &mut report);
    report
}

fn check_one(evidence: &Evidence, id: &str, report: &mut Report) {
    let case = Case::of(evidence, id);
    let fate = case.fate(evidence);
    match fate {
        Fate::Confirmed => report.confirmed += 1,
        Fate::Exhausted => report.exhausted += 1,
        Fate::Stopped => report.stopped += 1,
        Fate::Waiting => report.waiting += 1,
        Fate::Destroyed => report.destroyed += 1,
        Fate::Lost => report.lost += 1,
    }
    let course = course(case.requests, case.attempts());
    report.duplicates += case.duplicates(&course);
    report.second_events += case.events.len().saturating_sub(1);
    let (early, late) = punctuality(evidence, &course);
    report.early += early;
    report.late += late;
    let mut wrong = case.disagreements(evidence, fate);
    if fate == Fate::Lost {
        wrong.push("LOST: accepted, not ended, and in no queue".to_owned());
    }
    if early > 0 {
        wrong.push(format!("{early} attempts came early"));
    }
    wrong.extend(unexplained_repetitions(evidence, &course));
    wrong.extend(unexplained_events(evidence, case.events));
    if !wrong.is_empty() {
        report.unexplained.push(format!("{id}: {}\n{}", wrong.join("; "), case.tell(evidence)));
    }
}

/// What all witnesses say of one notification.
struct Case<'a> {
    id: &'a str,
    requests: &'a [Request],
    events: &'a [Event],
    story: Option<&'a Story>,
    waiting: &'a [String],
}

impl<'a> Case<'a> {
    fn of(evidence: &'a Evidence, id: &'a str) -> Self {
        Self {
            id,
            requests: evidence.seen.requests.get(id).map_or(&[], Vec::as_slice),
            events: evidence.holdings.events.get(id).map_or(&[], Vec::as_slice),
            story: evidence.journal.get(id),
            waiting: evidence.holdings.waiting.get(id).map_or(&[], Vec::as_slice),
        }
    }

    fn attempts(&self) -> &'a [super::evidence::Attempt] {
        self.story.map_or(&[], |story| story.attempts.as_slice())
    }

    /// Requests beyond the attempts that are booked.
    fn duplicates(&self, course: &Course) -> usize {
        match self.events.first() {
            Some(event) => self.requests.len().saturating_sub(usize::try_from(event.attempts).unwrap_or(0)),
            None => course.repeated.len(),
        }
    }

    /// How many attempts were booked that the journal has no row for: those that were cut off twice.
    fn interrupted(&self) -> usize {
        let mut numbers: Vec<_> = self.attempts().iter().map(|attempt| attempt.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let booked = self.events.first().map_or(0, |event| event.attempts);
        usize::try_from(booked).unwrap_or(0).saturating_sub(numbers.len())
    }

    fn fate(&self, evidence: &Evidence) -> Fate {
        match self.events.first().map(|event| event.outcome.as_str()) {
            Some("confirmed") => Fate::Confirmed,
            Some("exhausted") => Fate::Exhausted,
            Some("stopped") => Fate::Stopped,
            Some(_) | None if !self.waiting.is_empty() => Fate::Waiting,
            Some(_) | None if evidence.destroyed.iter().any(|destroyed| destroyed == self.id) => {
                Fate::Destroyed
            }
            Some(_) | None => Fate::Lost,
        }
    }

    /// Whether that fault came while this one was under way: from its being accepted on, because an attempt that is cut off
    /// before its request has left no trace at the merchant's.
    fn excused_by(&self, evidence: &Evidence, fault: &Fault) -> bool {
        let accepted = evidence.seen.accepted.get(self.id).map(|accepted| accepted.at);
        let began = accepted.into_iter().chain(self.requests.first().map(|request| request.at));
        let began = began.chain(self.attempts().first().map(|attempt| attempt.started)).min();
        let ended = self.events.first().map(|event| event.ended_at);
        began.zip(ended).is_some_and(|(began, ended)| fault.excuses(began, ended))
    }

    fn disagreements(&self, evidence: &Evidence, fate: Fate) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        let ended = matches!(fate, Fate::Confirmed | Fate::Exhausted | Fate::Stopped);
        let state = self.story.map(|story| &story.state);
        must(state.is_some() || !ended, "the journal does not know it");
        let journal_ended = state.is_some_and(|state| state["state"] == "ended");
        // The message may be destroyed between the journal's commit and the event.
        must(
            journal_ended == ended || fate == Fate::Destroyed,
            "journal and events disagree whether it has ended",
        );
        must(!ended || self.waiting.is_empty(), "it has ended and still waits");
        must(self.waiting.len() <= 1, "it waits more than once");
        if let (Some(event), Some(state), true) = (self.events.first(), state, journal_ended) {
            must(state["outcome"] == event.outcome.as_str(), "journal and event name different outcomes");
            let made = state["attempts_made"].as_u64();
            must(made == Some(event.attempts.into()), "journal and event count different attempts");
            let requests = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
            let seen = requests >= event.attempts || self.interrupted() > 0;
            must(seen, "the event counts more attempts than the merchant has seen");
            let most = self.attempts().iter().map(|attempt| attempt.number).max();
            must(most <= Some(event.attempts), "the journal has more attempts than the event");
        }
        must(
            self.events.windows(2).all(|pair| pair[0].outcome == pair[1].outcome),
            "its events name different outcomes",
        );
        // Each must have been cut off twice.
        let faults = evidence.faults.iter().filter(|fault| self.excused_by(evidence, fault)).count();
        must(faults >= 2 * self.interrupted(), "attempts are missing from the journal");
        let heard = self.requests.iter().any(|request| request.confirmed);
        must(fate != Fate::Confirmed || heard, "confirmed, but the merchant never did");
        let unheard = !heard || self.interrupted() > 0;
        must(fate != Fate::Exhausted || unheard, "exhausted, but the merchant has confirmed");
        let meaning = plan::meaning(self.id);
        let by_script = match meaning.map(|meaning| meaning.script) {
            Some(Script::Never) => fate == Fate::Exhausted,
            Some(Script::Stop) => fate == Fate::Stopped,
            Some(Script::Refuse(_) | Script::Hang(_) | Script::Reset(_)) => fate == Fate::Confirmed,
            None => false,
        };
        let by_script = by_script || self.interrupted() > 0;
        must(!ended || by_script, "it did not end as the merchant's script has it");
        let attempts = self.events.first().map(|event| event.attempts);
        must(fate != Fate::Exhausted || attempts == Some(MOST_ATTEMPTS), "exhausted too early");
        let merchant = meaning.map(|meaning| format!("m{}", meaning.merchant)).unwrap_or_default();
        must(self.requests.iter().all(|request| request.merchant == merchant), "ANOTHER MERCHANT WAS TOLD");
        wrong
    }

    /// The whole story, for people.
    fn tell(&self, evidence: &Evidence) -> String {
        let mut lines = Vec::new();
        if let Some(accepted) = evidence.seen.accepted.get(self.id) {
            lines.push((accepted.at, format!("first accepted ({} times in all)", accepted.copies)));
        }
        for request in self.requests {
            lines.push((request.at, format!("request, confirmed: {}", request.confirmed)));
        }
        for attempt in self.attempts() {
            let text = format!("journal: attempt {} began, took {:?}", attempt.number, attempt.duration);
            lines.push((attempt.started, text));
        }
        for event in self.events {
            lines.push((
                event.ended_at,
                format!("event: {} after {} attempts", event.outcome, event.attempts),
            ));
        }
        if let (Some(first), Some(last)) =
            (lines.iter().map(|line| line.0).min(), lines.iter().map(|line| line.0).max())
        {
            for fault in evidence.faults.iter().filter(|fault| fault.touches(first, last, AFTERMATH)) {
                lines.push((fault.began, format!("FAULT: {}", fault.what)));
                lines.extend(fault.over.map(|over| (over, format!("over: {}", fault.what))));
            }
        }
        lines.sort_by_key(|line| line.0);
        let state = self.story.map(|story| story.state.to_string());
        let mut text: Vec<_> = lines.iter().map(|(at, what)| format!("    {at} {what}")).collect();
        text.push(format!("    journal at the end: {}", state.unwrap_or_else(|| "unknown".to_owned())));
        text.push(format!("    in queues at the end: {:?}", self.waiting));
        text.join("\n")
    }
}

fn unexplained_repetitions(evidence: &Evidence, course: &Course) -> Vec<String> {
    let unexplained = course.repeated.iter().filter(|repeated| {
        !evidence.faults.iter().any(|fault| fault.excuses(repeated.first, repeated.second))
    });
    let tell = |repeated: &Repeated| {
        format!("repeated without a fault between {} and {}", repeated.first, repeated.second)
    };
    unexplained.map(tell).collect()
}

fn unexplained_events(evidence: &Evidence, events: &[Event]) -> Vec<String> {
    let mut ended: Vec<_> = events.iter().map(|event| event.ended_at).collect();
    ended.sort();
    // A repeated event bears the moment of the first: it says when the notification ended, not when it was published.
    // It comes of a message that a fault cut off after that: the one that ended the notification, or a further one,
    // which may have waited behind it for so long.
    let excused = |pair: &[Moment]| {
        let until = pair[1].max(pair[0].after(plan::FURTHER + SETTLING));
        evidence.faults.iter().any(|fault| fault.excuses(pair[0], until))
    };
    let unexplained = ended.windows(2).filter(|pair| !excused(pair));
    unexplained
        .map(|pair| format!("a second event at {} without a fault since {}", pair[1], pair[0]))
        .collect()
}

/// How many attempts came before the rung's delay had passed, and how many long after it without a fault.
fn punctuality(evidence: &Evidence, course: &Course) -> (usize, usize) {
    const LATE: Duration = Duration::from_millis(1_000);
    let (mut early, mut late) = (0, 0);
    for step in &course.steps {
        if step.came < step.due {
            early += usize::from(step.due.since(step.came) > Duration::from_millis(1));
        } else if step.came.since(step.due) > LATE {
            let excused = |fault: &Fault| fault.touches(step.after, step.came, AFTERMATH);
            late += usize::from(!evidence.faults.iter().any(excused));
        }
    }
    (early, late)
}

fn bound(evidence: &Evidence) -> usize {
    evidence.faults.iter().map(|fault| in_flight(evidence, fault)).sum()
}

/// How many notifications were in flight at a fault: see the module.
fn in_flight(evidence: &Evidence, fault: &Fault) -> usize {
    /// Between the end of an attempt and its settling, of which the journal's commit is the longest part.
    const COMMIT: Duration = Duration::from_millis(100);
    let (gateways, lives) = match fault.hits {
        Hits::Nothing => return 0,
        Hits::Killed(gateways) => (gateways, false),
        Hits::CutOff(gateways) => (gateways, true),
    };
    let until = if lives { fault.over.unwrap_or(fault.began).after(SETTLING) } else { fault.began };
    let asked = evidence.seen.requests.iter().filter(|(id, requests)| {
        let attempts = evidence.journal.get(*id).map_or(&[][..], |story| story.attempts.as_slice());
        matched(requests, attempts).iter().any(|(at, attempt)| {
            let near = *at <= until && at.after(SETTLING) >= fault.began;
            let recorded = attempt
                .is_some_and(|attempt| attempt.started.after(attempt.duration + COMMIT) <= fault.began);
            near && (lives || !recorded)
        })
    });
    asked.count().min(evidence.prefetch * gateways)
}

/// What belongs to no accepted notification.
fn check_the_rest(evidence: &Evidence, report: &mut Report) {
    report.unexplained.extend(evidence.seen.strange.iter().cloned());
    for body in &evidence.holdings.poison {
        report.unexplained.push(format!("in the poison queue: {body}"));
    }
    let seen = &evidence.seen;
    let found = seen.requests.keys().chain(evidence.journal.keys());
    let found = found.chain(evidence.holdings.events.keys()).chain(evidence.holdings.waiting.keys());
    let mut unknown: Vec<_> = found.filter(|id| !seen.sent.contains(*id)).collect();
    unknown.sort();
    unknown.dedup();
    report.unexplained.extend(unknown.iter().map(|id| format!("{id}: nobody has sent it")));
    let gone = |id: &&String| evidence.missing.contains(id) || evidence.destroyed.contains(id);
    let needless = evidence.put_back.iter().filter(|id| !gone(id));
    report.unexplained.extend(needless.map(|id| format!("{id}: put back, and nobody had destroyed it")));
    report.put_back = evidence.put_back.len();
    if report.duplicates > report.bound {
        let (duplicates, bound) = (report.duplicates, report.bound);
        report.unexplained.push(format!("{duplicates} duplicates, and at most {bound} were in flight"));
    }
}
