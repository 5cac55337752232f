//! How every journal must answer questions: cases of the conformance suite.

use paynotify::domain::NotificationId;
use paynotify::journal::{Cursor, Ended, Entry, Journal, Lookup, Phase, Question, State, Summary};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::conformance::Ground;
use crate::telling::*;

/// The whole answer, page by page, each held to what a page must be.
async fn answer(journal: &dyn Journal, question: &Question, most: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut from = None;
    loop {
        let page = journal.search(question, from, most).await.expect("readable");
        assert!(page.rows.len() <= most);
        names.extend(page.rows.iter().map(name));
        let Some(next) = page.next else { return names };
        assert_eq!(page.rows.len(), most, "a page that is not the last is full");
        assert_eq!(Cursor::parse(&next.to_text(question), question), Ok(next));
        from = Some(next);
    }
}

fn name(row: &Summary) -> String {
    row.notification_id.to_string()
}

fn seen(name: &str, first_seen: i64, merchant: &str, order: Option<&str>, state: State) -> Entry {
    Entry {
        first_seen: at(first_seen),
        merchant_id: id_of_merchant(merchant),
        merchant_order_id: order.map(str::to_owned),
        ..entry(name, 90_000, state, None)
    }
}

pub async fn a_list_is_told_page_by_page_newest_first(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let all = Question::default();
    assert_eq!(journal.search(&all, None, 3).await.expect("readable"), Default::default());
    // Of those that were seen in one millisecond the one that was written down last is the newest.
    for (name, first_seen) in [("b", 2), ("e", 5), ("c1", 3), ("c2", 3), ("c3", 3), ("d", 4), ("a", 1)] {
        record(journal, seen(name, first_seen, "shop", Some("o1"), waiting(2))).await;
    }
    let expected = ["e", "d", "c3", "c2", "c1", "b", "a"];
    for most in 1..=8 {
        assert_eq!(answer(journal, &all, most).await, expected, "in pages of {most}");
    }
    let page = journal.search(&all, None, 7).await.expect("readable");
    assert_eq!(page.next, None, "a page that is full and the last leads nowhere");
    let row = &page.rows[6];
    assert_eq!((row.merchant_id.as_str(), row.merchant_order_id.as_deref()), ("shop", Some("o1")));
    assert_eq!((row.first_seen, row.updated_at, &row.state), (at(1), at(90_000), &waiting(2)));
    let between = Question { since: Some(at(2)), until: Some(at(4)), ..Question::default() };
    assert_eq!(answer(journal, &between, 2).await, ["c3", "c2", "c1", "b"]);
    let never = Question { since: Some(at(9)), until: Some(at(1)), ..Question::default() };
    assert_eq!(answer(journal, &never, 2).await, [""; 0]);
    journal.close().await;
    assert!(journal.search(&all, None, 1).await.is_err());
}

/// Whoever turns pages while rows are added finds each row that was there once, and of the others none twice.
pub async fn no_row_comes_twice_or_is_missing_while_rows_are_added(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let put = async |name: String, first_seen| {
        record(journal, seen(&name, first_seen, "shop", None, waiting(2))).await;
        name
    };
    let mut there = Vec::new();
    for number in 0..20 {
        there.push(put(format!("old{number}"), 1_000 + number / 3).await);
    }
    let questions = [
        Question::default(),
        Question { undelivered: true, merchant: Some(id_of_merchant("shop")), ..Question::default() },
    ];
    for (round, question) in questions.iter().enumerate() {
        let (mut found, mut from, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = journal.search(question, from, 3).await.expect("readable");
            found.extend(page.rows.iter().map(name));
            for (place, first_seen) in [("new", 9_000), ("between", 1_003), ("older", 10)] {
                put(format!("{place}{round}-{pages}"), first_seen).await;
            }
            from = page.next;
            pages += 1;
            if from.is_none() || pages > 40 {
                break;
            }
        }
        let once: std::collections::BTreeSet<_> = found.iter().collect();
        assert_eq!(once.len(), found.len(), "a row came twice: {found:?}");
        assert!(there.iter().all(|name| found.contains(name)), "{found:?}");
        there.extend(found.into_iter().filter(|name| !name.starts_with("old")));
        there.sort();
        there.dedup();
    }
    journal.close().await;
}

#[derive(Clone, Debug)]
struct Row {
    first_seen: i64,
    merchant: &'static str,
    order: Option<&'static str>,
    state: State,
}

const MERCHANTS: [&str; 3] = ["shop", "other", "third"];
/// Some that must not be taken for anything but text.
const ORDERS: [&str; 5] = ["o1", "' OR 1=1 --", "100%_", "a\0b", ""];

fn ended_as(name: &str) -> State {
    let mut state = ended(1);
    if let State::Ended { outcome, .. } = &mut state {
        *outcome = name.to_owned();
    }
    state
}

fn states() -> impl Strategy<Value = State> {
    let outcomes = ["confirmed", "stopped", "exhausted", "abandoned"];
    let ended = prop::sample::select(outcomes.to_vec()).prop_map(ended_as);
    prop_oneof![
        4 => ended,
        3 => prop::sample::select(vec![State::Received, State::Accepted, waiting(2), held()]),
    ]
}

fn rows() -> impl Strategy<Value = Row> {
    let order = prop::option::of(prop::sample::select(ORDERS.to_vec()));
    (0..12i64, prop::sample::select(MERCHANTS.to_vec()), order, states())
        .prop_map(|(first_seen, merchant, order, state)| Row { first_seen, merchant, order, state })
}

fn questions() -> impl Strategy<Value = Question> {
    let phases = vec![Phase::Received, Phase::Accepted, Phase::Waiting, Phase::Held, Phase::Ended];
    let outcomes = vec![Ended::Confirmed, Ended::Stopped, Ended::Exhausted, Ended::Abandoned];
    let moment = || prop::option::weighted(0.3, (-1..13i64).prop_map(at));
    (
        prop::option::of(prop::sample::select([&MERCHANTS[..], &["nobody"]].concat())),
        prop::option::weighted(0.3, prop::sample::select(ORDERS.to_vec())),
        prop::option::weighted(0.4, prop::sample::select(phases)),
        prop::option::weighted(0.3, prop::sample::select(outcomes)),
        prop::bool::weighted(0.4),
        (moment(), moment()),
    )
        .prop_map(|(merchant, order, state, outcome, undelivered, (since, until))| Question {
            merchant: merchant.map(id_of_merchant),
            order: order.map(str::to_owned),
            state,
            outcome,
            undelivered,
            since,
            until,
        })
}

/// Whether a row answers a question, told as plainly as can be.
fn answers(row: &Row, question: &Question) -> bool {
    let state = serde_json::to_value(&row.state).expect("JSON");
    let word = |value: Option<String>, key: &str| value.is_none_or(|value| state[key] == value.as_str());
    let first_seen = at(row.first_seen);
    question.merchant.as_ref().is_none_or(|merchant| merchant.as_str() == row.merchant)
        && question.order.as_deref().is_none_or(|order| row.order == Some(order))
        && word(question.state.map(|state| state.to_string()), "state")
        && word(question.outcome.map(|outcome| outcome.to_string()), "outcome")
        && !(question.undelivered && state["outcome"] == "confirmed")
        && question.since.is_none_or(|since| since <= first_seen)
        && question.until.is_none_or(|until| first_seen < until)
}

#[allow(clippy::result_large_err, reason = "the error is the property test's own")]
pub async fn all_conditions_hold_together_as_a_model_has_it(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    let rows = prop::collection::vec(rows(), 90).new_tree(&mut runner).expect("rows").current();
    for (number, Row { first_seen, merchant, order, state }) in rows.iter().enumerate() {
        record(journal, seen(&format!("n{number}"), *first_seen, merchant, *order, state.clone())).await;
    }
    let outcome = block_in_place(|| {
        runner.run(&(questions(), 1..40usize, 0..100u64), |(question, most, bound)| {
            let mut expected: Vec<_> =
                rows.iter().enumerate().filter(|(_, row)| answers(row, &question)).collect();
            expected.sort_by_key(|(number, row)| std::cmp::Reverse((row.first_seen, *number)));
            let expected: Vec<_> = expected.into_iter().map(|(number, _)| format!("n{number}")).collect();
            let found = Handle::current().block_on(answer(journal, &question, most));
            prop_assert_eq!(&found, &expected);
            let count = Handle::current().block_on(journal.count(&question, bound)).expect("counted");
            prop_assert_eq!(count, (expected.len() as u64).min(bound));
            Ok(())
        })
    });
    journal.close().await;
    outcome.unwrap_or_else(|failure| panic!("{failure}\nof {rows:?}"));
}

/// A notification that goes on is found by what it is now, and no more by what it was.
pub async fn a_row_is_found_by_what_it_is_now(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let undelivered = Question { undelivered: true, ..Question::default() };
    let of = |outcome| Question { outcome: Some(outcome), ..Question::default() };
    for name in ["n1", "n2"] {
        record(journal, seen(name, 1, "shop", None, waiting(2))).await;
        record(journal, seen(name, 1, "shop", None, held())).await;
    }
    assert_eq!(answer(journal, &undelivered, 5).await, ["n2", "n1"]);
    record(journal, seen("n2", 1, "shop", None, ended_as("confirmed"))).await;
    record(journal, seen("n1", 1, "shop", None, ended(2))).await;
    assert_eq!(answer(journal, &undelivered, 5).await, ["n1"]);
    assert_eq!(answer(journal, &of(Ended::Stopped), 5).await, ["n1"]);
    assert_eq!(answer(journal, &of(Ended::Confirmed), 5).await, ["n2"]);
    let held = Question { state: Some(Phase::Held), ..Question::default() };
    assert_eq!(answer(journal, &held, 5).await, [""; 0]);
    journal.close().await;
}

pub async fn a_row_that_cannot_be_read_is_passed_over(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    for name in ["n1", "n2", "n3"] {
        record(journal, seen(name, 1, "shop", None, waiting(2))).await;
    }
    ground.execute(r#"UPDATE notification SET state = '{"state":"waiting"}' WHERE id = 'n2'"#).await;
    let page = journal.search(&Question::default(), None, 2).await.expect("readable");
    assert_eq!(page.rows.iter().map(name).collect::<Vec<_>>(), ["n3"]);
    let page = journal.search(&Question::default(), page.next, 2).await.expect("readable");
    assert_eq!((page.rows.iter().map(name).collect::<Vec<_>>(), page.next), (vec!["n1".to_owned()], None));
    journal.close().await;
}

pub async fn a_transcript_is_found_beside_the_writer(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let asked = |name: &str, number| (id(name), number);
    record(journal, with_transcript(entry("n1", 1_000, waiting(2), Some(attempt(1))), 1, "{\"a\":1}")).await;
    record(journal, with_transcript(entry("n1", 2_000, waiting(3), Some(attempt(2))), 2, "{\"b\":2}")).await;
    record(journal, entry("n2", 2_000, waiting(3), Some(attempt(2)))).await;
    for (name, number) in [
        asked("n1", Some(1)),
        asked("n1", None),
        asked("n1", Some(9)),
        asked("n2", None),
        asked("n3", Some(1)),
    ] {
        let found = journal.look_up(&name, number).await.expect("readable");
        assert_eq!(found, ground.look_up(&name, number).await);
        assert_eq!(matches!(found, Lookup::Found(_)), is_kept(&name, number), "{found:?}");
    }
    journal.close().await;
}

fn is_kept(name: &NotificationId, number: Option<u32>) -> bool {
    name.as_str() == "n1" && number != Some(9)
}
