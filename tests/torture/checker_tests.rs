//! The checker itself, on evidence made up: what must be found, and what must not.

use std::time::Duration;

use paynotify::domain::Moment;
use serde_json::json;

use super::checker::{Evidence, check};
use super::evidence::{Attempt, Event, Story};
use super::faults::{Fault, Hits};
use super::record::{Accepted, Request};
use super::report::Report;

const ID: &str = "t-000001-0-refuse0-once";

fn at(milliseconds: u64) -> Moment {
    Moment::EPOCH.after(Duration::from_millis(100_000 + milliseconds))
}

/// One notification, confirmed at its first attempt: all witnesses agree.
fn sound() -> Evidence {
    let mut evidence = Evidence { prefetch: 256, ..Evidence::default() };
    evidence.seen.sent.insert(ID.to_owned());
    evidence.seen.accepted.insert(ID.to_owned(), Accepted { at: at(0), copies: 1 });
    request(&mut evidence, 12);
    let state = json!({"state": "ended", "outcome": "confirmed", "attempts_made": 1});
    evidence.journal.insert(ID.to_owned(), Story { state, attempts: vec![attempt(10)] });
    let event = Event { outcome: "confirmed".to_owned(), attempts: 1, ended_at: at(20) };
    evidence.holdings.events.insert(ID.to_owned(), vec![event]);
    evidence
}

fn request(evidence: &mut Evidence, milliseconds: u64) {
    let request = Request { at: at(milliseconds), confirmed: true, merchant: "m0".to_owned() };
    evidence.seen.requests.entry(ID.to_owned()).or_default().push(request);
}

fn attempt(milliseconds: u64) -> Attempt {
    Attempt { number: 1, started: at(milliseconds), duration: Duration::from_millis(8) }
}

fn kill(milliseconds: u64) -> Fault {
    let (began, over) = (at(milliseconds), Some(at(milliseconds + 300)));
    Fault { what: "killed".to_owned(), began, over, hits: Hits::Killed(1), timed: true }
}

fn finds(report: &Report, word: &str) -> bool {
    report.unexplained.iter().any(|story| story.contains(word))
}

#[test]
fn what_agrees_is_no_news() {
    let report = check(&sound());
    assert_eq!((report.accepted, report.confirmed, report.lost, report.duplicates), (1, 1, 0, 0));
    assert!(report.unexplained.is_empty(), "{:?}", report.unexplained);
}

#[test]
fn what_is_nowhere_is_lost_unless_it_waits_or_an_operator_destroyed_it() {
    let mut evidence = sound();
    evidence.holdings.events.clear();
    evidence.journal.get_mut(ID).expect("known").state = json!({"state": "waiting"});
    let report = check(&evidence);
    assert!(report.lost == 1 && finds(&report, "LOST"), "{:?}", report.unexplained);
    let destroyed = Evidence { destroyed: vec![ID.to_owned()], ..evidence.clone() };
    let report = check(&destroyed);
    assert_eq!((report.lost, report.destroyed, report.unexplained.len()), (0, 1, 0));
    evidence.holdings.waiting.insert(ID.to_owned(), vec!["work".to_owned()]);
    let report = check(&evidence);
    assert_eq!((report.lost, report.waiting, report.unexplained.len()), (0, 1, 0));
}

#[test]
fn witnesses_that_disagree_are_heard() {
    let mut evidence = sound();
    evidence.journal.get_mut(ID).expect("known").state["outcome"] = json!("exhausted");
    assert!(finds(&check(&evidence), "different outcomes"));
    let mut evidence = sound();
    evidence.seen.requests.clear();
    assert!(finds(&check(&evidence), "the merchant never did"));
    let mut evidence = sound();
    evidence.seen.requests.get_mut(ID).expect("asked")[0].merchant = "m1".to_owned();
    assert!(finds(&check(&evidence), "ANOTHER MERCHANT"));
    let mut evidence = sound();
    evidence.holdings.poison.push("{}".to_owned());
    assert!(finds(&check(&evidence), "poison"));
    let mut evidence = sound();
    evidence.seen.sent.clear();
    assert!(finds(&check(&evidence), "nobody has sent it"));
}

#[test]
fn a_duplicate_needs_a_fault_in_its_middle_and_room_in_the_bound() {
    let mut evidence = sound();
    // Made, and never recorded; then repeated.
    evidence.seen.requests.get_mut(ID).expect("asked").clear();
    request(&mut evidence, 5);
    request(&mut evidence, 512);
    evidence.journal.get_mut(ID).expect("known").attempts = vec![attempt(510)];
    evidence.holdings.events.get_mut(ID).expect("one")[0].ended_at = at(520);
    let report = check(&evidence);
    assert_eq!((report.duplicates, report.bound), (1, 0));
    assert!(finds(&report, "without a fault") && finds(&report, "at most 0"));
    evidence.faults.push(kill(50));
    let report = check(&evidence);
    assert_eq!((report.duplicates, report.bound), (1, 1));
    assert!(report.unexplained.is_empty(), "{:?}", report.unexplained);
    // A fault after both explains nothing.
    evidence.faults = vec![kill(5_000)];
    assert!(finds(&check(&evidence), "without a fault"));
}

#[test]
fn an_attempt_that_is_missing_was_cut_off_twice_since_its_notification_was_accepted() {
    let mut evidence = sound();
    // The first attempt was cut off before its request, and counts as unanswered; the second one was confirmed.
    evidence.seen.requests.get_mut(ID).expect("asked").clear();
    request(&mut evidence, 30_012);
    let story = evidence.journal.get_mut(ID).expect("known");
    story.state["attempts_made"] = json!(2);
    story.attempts = vec![Attempt { number: 2, ..attempt(30_010) }];
    let event = &mut evidence.holdings.events.get_mut(ID).expect("one")[0];
    (event.attempts, event.ended_at) = (2, at(30_020));
    let missing = |evidence: &Evidence| finds(&check(evidence), "missing from the journal");
    assert!(missing(&evidence));
    evidence.faults = vec![kill(50)];
    assert!(missing(&evidence), "once is not enough");
    evidence.faults.push(kill(10_000));
    let report = check(&evidence);
    assert!(report.unexplained.is_empty(), "{:?}", report.unexplained);
    // What was over before it was accepted, or came after its end, has nothing to do with it.
    evidence.seen.accepted.get_mut(ID).expect("accepted").at = at(9_000);
    assert!(missing(&evidence));
    evidence.faults = vec![kill(10_000), kill(40_000)];
    assert!(missing(&evidence));
}
