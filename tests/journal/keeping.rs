//! What every journal must do about what need not be kept any more: cases of the conformance suite.

use std::time::{Duration, Instant};

use paynotify::domain::Moment;
use paynotify::journal::{Bounds, Entry, Journal, Lookup, Retention};

use crate::conformance::{Ground, kept};
use crate::telling::*;

/// An ended notification of which the payment centre was told, long ago by the clock on the wall.
async fn ended_long_ago(journal: &dyn Journal, name: &str, minute: i64, transcript: &str) {
    let long_ago = Moment::from_unix_milliseconds(minute * 60_000);
    let entry = Entry { at: long_ago, first_seen: long_ago, ..entry(name, 0, ended(1), Some(attempt(1))) };
    record(journal, with_transcript(entry, 1, transcript)).await;
    journal.told(&id(name), 0).await;
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn keep_all() -> Retention {
    Retention { ended: Duration::MAX, transcripts: Duration::MAX, ..Retention::default() }
}

/// Looks for what need not be kept all the time, a few at once.
fn impatient() -> Retention {
    let pause = Duration::from_millis(20);
    Retention { pause, pause_between: pause, at_once: 3, ..keep_all() }
}

pub async fn what_has_ended_long_ago_goes_and_nothing_else_does(ground: &dyn Ground) {
    let retention = Retention { ended: Duration::from_secs(3_600), ..impatient() };
    let writer = ground.open_with(Bounds { retention: keep_all(), ..Bounds::default() }).await;
    for number in 0..10 {
        ended_long_ago(&*writer, &format!("old{number}"), number, "{}").await;
    }
    let long_ago = Moment::from_unix_milliseconds(1_000);
    let old =
        |name, state| Entry { at: long_ago, first_seen: long_ago, ..entry(name, 0, state, Some(attempt(1))) };
    record(&*writer, old("untold", ended(1))).await;
    record(&*writer, old("waits", waiting(2))).await;
    record(&*writer, entry("recent", 0, ended(1), Some(attempt(1)))).await;
    writer.told(&id("recent"), 0).await;
    for number in 0..10 {
        let story = story(&*writer, &format!("old{number}")).await;
        assert_eq!(story.attempts.len(), 1, "nobody removes it yet");
    }
    let journal = &*ground.open_with(Bounds { retention, ..Bounds::default() }).await;
    for number in 0..10 {
        let gone = id(&format!("old{number}"));
        until("it is gone", async || journal.story(&gone).await.expect("readable").is_none()).await;
        assert_eq!(kept(ground, gone.as_str(), None).await, Lookup::Unknown);
    }
    for name in ["untold", "waits", "recent"] {
        assert_eq!(story(journal, name).await.attempts.len(), 1, "{name}");
    }
    writer.close().await;
    journal.close().await;
}

pub async fn of_what_is_too_much_the_oldest_transcripts_go_first(ground: &dyn Ground) {
    let writer = ground.open_with(Bounds { retention: keep_all(), ..Bounds::default() }).await;
    let content = serde_json::json!({ "content": "x".repeat(20_000) }).to_string();
    for number in 0..60 {
        ended_long_ago(&*writer, &format!("n{number}"), number, &content).await;
    }
    let has = async |number: u32| matches!(kept(ground, &format!("n{number}"), None).await, Lookup::Found(_));
    assert!(has(0).await && has(59).await);
    let retention = Retention { bytes: 800_000, ..impatient() };
    let journal = &*ground.open_with(Bounds { retention, ..Bounds::default() }).await;
    until("what is too much is gone", async || !has(15).await).await;
    assert!(!has(0).await, "the oldest first");
    assert!(has(59).await, "what has room stays");
    for number in 0..60 {
        assert_eq!(story(journal, &format!("n{number}")).await.attempts.len(), 1, "attempts stay");
    }
    writer.close().await;
    journal.close().await;
}
