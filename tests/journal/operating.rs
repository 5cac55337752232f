//! What every journal must do for operators: cases of the conformance suite.

use std::num::NonZeroU32;
use std::time::Duration;

use paynotify::domain::{AttemptNumber, NoReplay, Progress, ReplayRoute, Taken};
use paynotify::journal::{
    Attempt, Counts, Deed, EndedCount, HeldCount, Journal, Noted, Order, Pause, Recording, ReplayNote,
    ReplayOrder, Replayed, Search, State, WaitingCount,
};

use crate::conformance::Ground;
use crate::telling::*;

fn order(moment: i64) -> Order {
    Order { by: "night shift".to_owned(), reason: "the shop was \u{0}down".to_owned(), at: at(moment) }
}

fn wanted(name: &str, moment: i64) -> ReplayOrder {
    ReplayOrder { id: id(name), route: ReplayRoute::Id, order: order(moment), audited: true }
}

fn first_of(replay: u32, moment: i64) -> Progress {
    let attempt = AttemptNumber::FIRST;
    Progress { attempt, due: at(moment), first_seen: at(0), held: None, replay }
}

/// Another process may have written down that the end was told a moment later.
async fn begun(journal: &dyn Journal, order: ReplayOrder) -> Progress {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match journal.replay(order.clone()).await.expect("an answer") {
            Replayed::Begun(envelope) => {
                assert_eq!(envelope.notification.raw, crate::telling::envelope("n1", "").notification.raw);
                return envelope.progress;
            }
            Replayed::Refused { why: NoReplay::Untold, .. } if std::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other @ (Replayed::Refused { .. } | Replayed::Unknown) => panic!("{other:?}"),
        }
    }
}

async fn ended_and_told(journal: &dyn Journal, name: &str, replay: u32) {
    has_ended(journal, name, replay).await;
    journal.told(&id(name), replay).await;
}

async fn has_ended(journal: &dyn Journal, name: &str, replay: u32) {
    let State::Ended { outcome, detail, attempts_made, ended_at, .. } = ended(1) else { panic!("ended") };
    let state = State::Ended { outcome, detail, attempts_made, ended_at, replay };
    let made = Attempt { replay, ..attempt(1) };
    match journal.record(entry(name, 1_500, state, Some(made))).await.expect("recorded") {
        Recording::Current(_) => {}
        Recording::Behind(standing) => panic!("{standing:?}"),
    }
}

pub async fn what_has_ended_is_begun_anew_once(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    ended_and_told(journal, "n1", 0).await;
    let wish = wanted("n1", 5_000);
    assert_eq!(begun(journal, wish.clone()).await, first_of(1, 5_000));
    let waits = State::Waiting { next_attempt: 1, due: at(5_000), replay: 1 };
    assert_eq!(state(journal, "n1").await, waits);
    assert_eq!(
        begun(journal, wish).await,
        first_of(1, 5_000),
        "its answer was lost, and it is asked for again"
    );
    let Replayed::Refused { why, state } = journal.replay(wanted("n1", 5_001)).await.expect("an answer")
    else {
        panic!("it is under way")
    };
    assert_eq!((why, state), (NoReplay::UnderWay, waits));
    // A note of the first end that comes late says nothing of the second.
    journal.told(&id("n1"), 0).await;
    has_ended(journal, "n1", 1).await;
    journal.told(&id("n1"), 0).await;
    let answer = journal.replay(wanted("n1", 6_000)).await.expect("an answer");
    assert!(matches!(answer, Replayed::Refused { why: NoReplay::Untold, .. }), "{answer:?}");
    journal.told(&id("n1"), 1).await;
    assert_eq!(
        begun(journal, ReplayOrder { audited: false, ..wanted("n1", 6_000) }).await,
        first_of(2, 6_000)
    );
    let story = story(journal, "n1").await;
    let made: Vec<_> = story.attempts.iter().map(|attempt| (attempt.replay, attempt.number)).collect();
    assert_eq!(made, [(0, 1), (1, 1)]);
    let note = |replay, moment| ReplayNote {
        replay,
        at: at(moment),
        by: "night shift".to_owned(),
        reason: story.replays[0].reason.clone(),
    };
    assert_eq!(story.replays, [note(1, 5_000), note(2, 6_000)]);
    assert!(story.replays[0].reason.starts_with("the shop was"));
    let audit = journal.audit(None, 10).await.expect("readable");
    let told: Vec<_> = audit.iter().map(|row| (row.action.as_str(), row.whom.as_str(), row.at)).collect();
    assert_eq!(told, [("replay", "n1", at(5_000))], "the second is a part of something else");
    journal.close().await;
}

pub async fn what_is_not_to_be_begun_anew_stays_as_it_is(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    assert!(matches!(journal.replay(wanted("unknown", 1)).await, Ok(Replayed::Unknown)));
    record(journal, entry("untold", 1_500, ended(1), None)).await;
    record(journal, entry("waits", 1_500, waiting(2), None)).await;
    let abandoned = |replay| State::Ended {
        outcome: "abandoned".to_owned(),
        detail: None,
        attempts_made: 0,
        ended_at: at(1_500),
        replay,
    };
    record(journal, entry("n1", 1_500, abandoned(0), None)).await;
    journal.told(&id("n1"), 0).await;
    ended_and_told(journal, "stopped", 0).await;
    use ReplayRoute::{Id, Poison};
    for (name, route, expected) in [
        ("untold", Id, NoReplay::Untold),
        ("waits", Id, NoReplay::UnderWay),
        ("waits", Poison, NoReplay::UnderWay),
        ("n1", Id, NoReplay::Abandoned),
        ("stopped", Poison, NoReplay::EndedSince),
    ] {
        let before = state(journal, name).await;
        match journal.replay(ReplayOrder { route, ..wanted(name, 5_000) }).await.expect("an answer") {
            Replayed::Refused { why, state } => assert_eq!((why, &state), (expected, &before), "{name}"),
            other @ (Replayed::Begun(_) | Replayed::Unknown) => panic!("{name}: {other:?}"),
        }
        assert_eq!(state(journal, name).await, before);
    }
    assert_eq!(
        begun(journal, ReplayOrder { route: Poison, ..wanted("n1", 5_000) }).await,
        first_of(1, 5_000)
    );
    journal.close().await;
}

/// What still lies in a queue when a notification is begun anew makes no attempt; and what was begun and never published is
/// missing in a while.
pub async fn a_message_of_an_earlier_replay_is_behind(ground: &dyn Ground) {
    let (here, there) = (&*ground.open().await, &*ground.open().await);
    let sent = envelope("n1", "");
    let old = Taken { gateway: here.gateway(), ..taken(sent.progress) };
    assert_eq!(take_up(here, &sent, old).await, "attempt");
    ended_and_told(here, "n1", 0).await;
    assert_eq!(take_up(there, &sent, old).await, "forget");
    let progress = begun(there, wanted("n1", 5_000)).await;
    let further =
        told(&paynotify::domain::Standing::Waiting(Progress { due: at(5_000).after(LAG), ..progress }));
    assert_eq!(take_up(here, &sent, old).await, further, "it follows");
    let cut_off = Taken { redelivered: true, ..old };
    assert_eq!(take_up(here, &sent, cut_off).await, told(&paynotify::domain::Standing::Waiting(progress)));
    let search = |now| Search { now: at(now), missing_after: Duration::from_secs(100), most: 10 };
    assert!(here.missing(search(104_000)).await.expect("sought").is_empty());
    let missing = here.missing(search(106_000)).await.expect("sought");
    let progresses: Vec<_> = missing.iter().map(|envelope| envelope.progress).collect();
    assert_eq!(progresses, [Progress { due: at(106_000), ..progress }]);
    let new = Taken { progress, gateway: there.gateway(), ..old };
    assert_eq!(
        take_up(there, &sent, new).await,
        "attempt",
        "the beginning of another replay's attempt is none of it"
    );
    let waits = State::Waiting { next_attempt: 2, due: at(8_000), replay: 1 };
    record(there, entry("n1", 7_000, waits.clone(), Some(Attempt { replay: 1, ..attempt(1) }))).await;
    let late = State::Waiting { next_attempt: 6, due: at(8_000), replay: 0 };
    record(there, entry("n1", 7_100, late, None)).await;
    assert_eq!(
        state(here, "n1").await,
        waits,
        "an entry of an earlier replay comes too late, whatever attempt it names"
    );
    here.close().await;
    there.close().await;
}

pub async fn a_pause_and_its_end_are_known_to_every_gateway_and_audited_once(ground: &dyn Ground) {
    let (here, there) = (ground.open().await, ground.open().await);
    let note = async |journal: &dyn Journal, deed, moment| {
        journal.note(Noted { deed, whom: "shop".to_owned(), order: order(moment) }).await.expect("noted")
    };
    assert_eq!(here.pauses().await.expect("readable"), []);
    assert!(note(&*here, Deed::Pause, 1).await);
    assert!(!note(&*there, Deed::Pause, 2).await, "it is paused already");
    let paused = there.pauses().await.expect("readable");
    let reason = paused[0].reason.clone();
    let by = "night shift".to_owned();
    assert_eq!(paused, [Pause { merchant: "shop".parse().expect("an id"), since: at(1), by, reason }]);
    here.close().await;
    let here = ground.open().await;
    assert_eq!(here.pauses().await.expect("readable").len(), 1, "it outlasts a restart");
    assert!(note(&*there, Deed::Resume, 3).await);
    assert!(!note(&*here, Deed::Resume, 4).await);
    assert_eq!(here.pauses().await.expect("readable"), []);
    let audit = here.audit(None, 10).await.expect("readable");
    let told: Vec<_> =
        audit.iter().map(|row| (row.action.as_str(), row.whom.as_str(), row.by.as_str(), row.at)).collect();
    assert_eq!(told, [("resume", "shop", "night shift", at(3)), ("pause", "shop", "night shift", at(1))]);
    here.close().await;
    there.close().await;
}

pub async fn the_audit_is_read_by_pages(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    for number in 0..7 {
        let noted = Noted { deed: Deed::Discard, whom: format!("m{number}"), order: order(number) };
        assert!(journal.note(noted).await.expect("noted"));
    }
    let mut whom = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = journal.audit(after.as_deref(), 3).await.expect("readable");
        whom.extend(page.iter().map(|row| row.whom.clone()));
        assert!(page.len() <= 3 && page.iter().all(|row| row.action == "discard"));
        match page.last() {
            Some(last) => after = Some(last.place.clone()),
            None => break,
        }
    }
    assert_eq!(whom, ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]);
    journal.close().await;
}

/// How long it takes to count where a million notifications are, a tenth of them under way.
///
/// `cargo nextest run --workspace --test journal --run-ignored all --no-capture -E 'test(counts_of_a_million)'`
pub async fn count_a_million(ground: &dyn Ground, fill: &[&'static str]) {
    let journal = &*ground.open().await;
    for statement in fill {
        ground.execute(statement).await;
    }
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = std::time::Instant::now();
        let counts = journal.counts(at(0)).await.expect("counted");
        times.push(began.elapsed());
        let waiting: u64 = counts.waiting.iter().map(|count| count.count).sum();
        let held: u64 = counts.held.iter().map(|count| count.count).sum();
        assert_eq!((waiting, held, counts.new), (50_000, 50_000, 0));
        assert_eq!(counts.unconfirmed.iter().map(|count| count.count).sum::<u64>(), 100_000);
    }
    times.sort();
    println!("a million rows are counted in {:?}, at most {:?}", times[4], times[8]);
    journal.close().await;
}

pub async fn what_waits_is_counted_by_what_it_waits_for(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    assert_eq!(journal.counts(at(0)).await.expect("counted"), Counts::default());
    for (name, moment) in [("new1", 700), ("new2", 600)] {
        record(journal, entry(name, moment, State::Accepted, None)).await;
    }
    // One that its sender was not told of, and one that waits for its time, came first and are late for nothing.
    for (name, more) in [("new3", ""), ("new4", r#","not_before":"2037-01-01T00:00:00Z""#)] {
        journal.accept(&envelope(name, more)).await.expect("an answer");
    }
    journal.accepted(&id("new4")).await;
    let waits = |next_attempt, due| State::Waiting { next_attempt, due: at(due), replay: 0 };
    record(journal, entry("w1", 3_000, waits(2, 60_000), None)).await;
    record(journal, entry("w2", 2_000, waits(2, 60_000), None)).await;
    record(journal, entry("w3", 1_000, waits(5, 61_000), None)).await;
    let held = |cause: &str, since| State::Held {
        next_attempt: 3,
        due: at(900_000),
        cause: cause.to_owned(),
        reason: "he said \"next_attempt\":77, \"since\":\"never\"".to_owned(),
        holds: NonZeroU32::MIN,
        since: at(since),
        replay: 2,
    };
    record(journal, entry("h1", 9_000, held("paused", 5_000), None)).await;
    record(journal, entry("h2", 9_000, held("paused", 4_000), None)).await;
    record(journal, entry("h3", 9_000, held("plugin_fault", 6_000), None)).await;
    let ends = |outcome: &str| State::Ended {
        outcome: outcome.to_owned(),
        detail: None,
        attempts_made: 1,
        ended_at: at(0),
        replay: 0,
    };
    for (name, moment, outcome) in [
        ("e1", 50, "exhausted"),
        ("e2", 200, "exhausted"),
        ("e3", 300, "exhausted"),
        ("e4", 300, "stopped"),
        ("e5", 300, "confirmed"),
    ] {
        record(journal, entry(name, moment, ends(outcome), None)).await;
    }
    let shop = || "shop".to_owned();
    let expected = Counts {
        new: 4,
        oldest_new: Some(at(0)),
        oldest_due_at_once: Some(at(600)),
        waiting: vec![
            WaitingCount {
                merchant: shop(),
                next_attempt: 2,
                count: 2,
                next_due: at(60_000),
                oldest: at(2_000),
            },
            WaitingCount {
                merchant: shop(),
                next_attempt: 5,
                count: 1,
                next_due: at(61_000),
                oldest: at(1_000),
            },
        ],
        held: vec![
            HeldCount { cause: "paused".to_owned(), merchant: shop(), count: 2, since: at(4_000) },
            HeldCount { cause: "plugin_fault".to_owned(), merchant: shop(), count: 1, since: at(6_000) },
        ],
        unconfirmed: vec![
            EndedCount { outcome: "exhausted".to_owned(), count: 2, oldest: at(200) },
            EndedCount { outcome: "stopped".to_owned(), count: 1, oldest: at(300) },
        ],
    };
    assert_eq!(journal.counts(at(100)).await.expect("counted"), expected);
    journal.close().await;
}
