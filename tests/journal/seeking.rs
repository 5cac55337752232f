//! What every journal must find of what is missing, untold or held: cases of the conformance suite.

use std::num::NonZeroU32;
use std::time::Duration;

use paynotify::domain::{Envelope, Progress, Taken};
use paynotify::journal::{Acceptance, Release, Search, State};

use crate::conformance::Ground;
use crate::telling::*;

pub async fn what_nothing_was_heard_of_for_long_is_missing_once(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let missing = async |now: i64, most: usize| {
        let search = Search { now: at(now), missing_after: Duration::from_secs(100), most };
        let mut found = journal.missing(search).await.expect("sought");
        found.sort_by_key(|envelope| envelope.notification.id().to_string());
        let told = |envelope: &Envelope| {
            let Progress { attempt, due, held, .. } = envelope.progress;
            let holds = held.map_or(0, |held| held.count.get());
            format!(
                "{} {}.{holds} {}",
                envelope.notification.id(),
                attempt.get(),
                due.since(at(now)).as_millis()
            )
        };
        found.iter().map(told).collect::<Vec<_>>()
    };
    let due = |milliseconds| State::Waiting { next_attempt: 3, due: at(milliseconds), replay: 0 };
    record(journal, entry("waits", 0, due(50_000), None)).await;
    record(journal, entry("heard-of", 60_000, due(0), None)).await;
    record(journal, entry("holds", 0, held(), None)).await;
    record(journal, entry("ends", 0, ended(1), None)).await;
    for (id, more) in
        [("posted", ""), ("later", r#","not_before":"2037-01-01T00:00:00Z""#), ("unanswered", "")]
    {
        assert_eq!(journal.accept(&envelope(id, more)).await.expect("an answer"), Acceptance::Publish);
        if id != "unanswered" {
            journal.accepted(&id.parse().expect("an id")).await;
        }
    }
    let sent = envelope("begun", "");
    assert_eq!(take_up(journal, &sent, Taken { at: at(90_000), ..taken(sent.progress) }).await, "attempt");
    assert_eq!(missing(99_000, 10).await, [""; 0]);
    assert_eq!(missing(149_000, 10).await, ["posted 1.0 0"], "it was due at once");
    assert_eq!(missing(159_000, 10).await, ["waits 3.0 0"]);
    assert_eq!(missing(189_000, 10).await, ["heard-of 3.0 0", "holds 2.1 0"]);
    assert_eq!(missing(200_000, 10).await, ["begun 1.0 0"]);
    assert_eq!(missing(200_000, 10).await, [""; 0], "nobody is given it twice");
    assert_eq!(missing(248_000, 10).await, [""; 0]);
    assert_eq!(
        missing(350_000, 2).await.len(),
        2,
        "they are missing again, and no more are given than are wanted"
    );
    assert_eq!(missing(350_000, 10).await.len(), 3);
}

pub async fn an_ending_is_untold_until_it_is_told(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let untold = async |now: i64| {
        let search = Search { now: at(now), missing_after: Duration::from_secs(100), most: 10 };
        let found = journal.untold(search).await.expect("sought");
        found.iter().map(|event| serde_json::to_string(event).expect("it is JSON")).collect::<Vec<_>>()
    };
    for name in ["n1", "n2"] {
        record(journal, entry(name, 1_500, ended(2), Some(attempt(2)))).await;
    }
    record(journal, entry("n3", 1_500, waiting(2), None)).await;
    journal.told(&id("n2"), 0).await;
    assert_eq!(untold(101_000).await, [""; 0], "it may be on its way");
    let event = format!(
        r#"{{"schema":"payment-outcome/1","notification_id":"n1","merchant_id":"shop","merchant_order_id":null,"payment_id":null,"outcome":"stopped","detail":"genug","attempts":2,"first_seen":"{}","ended_at":"{}"}}"#,
        at(0),
        at(1_500)
    );
    assert_eq!(untold(102_000).await, [event]);
    assert_eq!(untold(102_000).await, [""; 0], "nobody is given it twice");
    assert_eq!(untold(203_000).await.len(), 1);
    journal.told(&id("n1"), 0).await;
    assert_eq!(untold(400_000).await, [""; 0]);
}

/// What is held for a mendable cause is released once, page by page, with a row of holds begun anew; nothing else is.
pub async fn what_is_held_is_released_by_pages(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let held = |cause: &str, due: i64| State::Held {
        next_attempt: 3,
        due: at(due),
        cause: cause.to_owned(),
        reason: "because".to_owned(),
        holds: NonZeroU32::MIN.saturating_add(6),
        since: at(4_000),
        replay: 0,
    };
    for number in 0..5 {
        record(journal, entry(&format!("held{number}"), 5_000, held("breaker_open", 900_000), None)).await;
    }
    record(journal, entry("soon", 5_000, held("plugin_fault", 10_500), None)).await;
    record(journal, entry("busy", 5_000, held("merchant_busy", 900_000), None)).await;
    record(journal, entry("late", 10_000, held("plugin_fault", 900_000), None)).await;
    record(journal, entry("waits", 5_000, waiting(2), None)).await;
    let merchant = journal.story(&id("held0")).await.expect("readable").expect("known").merchant_id;
    let release = |merchants, from| Release {
        now: at(10_000),
        merchants,
        causes: paynotify::domain::HoldReason::MENDABLE,
        due_after: std::time::Duration::from_secs(1),
        from,
        most: 2,
    };
    let nobody = release([id_of_merchant("nobody")].into(), None);
    assert!(journal.release(nobody).await.expect("released").envelopes.is_empty());
    let mut names = Vec::new();
    let mut from = None;
    loop {
        let page = journal.release(release([merchant.clone()].into(), from)).await.expect("released");
        assert!(page.envelopes.len() <= 2);
        for envelope in page.envelopes {
            names.push(envelope.notification.id().to_string());
            let progress = envelope.progress;
            let held = progress.held.expect("it was held");
            assert_eq!((progress.due, held.since, held.count.get()), (at(10_000), at(10_000), 7));
            assert_eq!(progress.attempt.get(), 3);
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    names.sort();
    assert_eq!(names, ["held0", "held1", "held2", "held3", "held4"]);
    assert!(matches!(state(journal, "held0").await, State::Held { due, .. } if due == at(10_000)));
    let again = journal.release(release([merchant].into(), None)).await.expect("released");
    assert!(again.envelopes.is_empty(), "{again:?}");
    journal.close().await;
}
