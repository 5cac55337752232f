//! What every journal must do, and what only the SQLite file must.

#![allow(missing_docs)]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use paynotify::domain::{
    AttemptNumber, Behind, Envelope, Held, Moment, Notification, NotificationId, Outcome, Progress, Standing,
    TakeUp, Taken,
};
use paynotify::journal::{
    Acceptance, Attempt, Entry, Journal, JournalError, Kept, Lookup, Recording, Search, Settings,
    SqliteJournal, State, Story, Transcript, look_up,
};
use sqlx::{Connection, SqliteConnection, query};
use tempfile::TempDir;

fn at(milliseconds: i64) -> Moment {
    Moment::from_unix_milliseconds(1_800_000_000_000 + milliseconds)
}

fn id(text: &str) -> NotificationId {
    text.parse().expect("an id")
}

fn envelope(id: &str, more: &str) -> Envelope {
    let body = format!(
        r#"{{"schema":"payment-result/1","notification_id":"{id}","merchant_id":"shop","kind":"payment"{more}}}"#
    );
    Envelope::new(Notification::parse(body.into()).expect("a record"), at(0))
}

fn attempt(number: u32) -> Attempt {
    Attempt {
        number,
        started_at: at(i64::from(number) * 1_000),
        duration: Duration::from_millis(120 + u64::from(number)),
        plugin: "plain 0011aabb".to_owned(),
        method: "POST".to_owned(),
        url: "https://shop.example/notify".to_owned(),
        status: Some(200),
        reply: Some("fäil".to_owned()),
        result: "retry".to_owned(),
        detail: None,
    }
}

fn entry(id: &str, moment: i64, state: State, attempt: Option<Attempt>) -> Entry {
    let envelope = envelope(id, "");
    Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: Some("order-1".to_owned()),
        raw: envelope.notification.raw,
        first_seen: at(0),
        at: at(moment),
        state,
        attempt,
        transcript: None,
    }
}

fn waiting(next_attempt: u32) -> State {
    State::Waiting { next_attempt, due: at(60_000) }
}

fn held() -> State {
    let (holds, since) = (NonZeroU32::MIN, at(4_000));
    State::Held {
        next_attempt: 2,
        due: at(64_000),
        cause: "plugin_fault".to_owned(),
        reason: "plugin_missing".to_owned(),
        holds,
        since,
    }
}

fn ended(attempts: u32) -> State {
    State::Ended {
        outcome: "stopped".to_owned(),
        detail: Some("genug".to_owned()),
        attempts_made: attempts,
        ended_at: at(1_500),
    }
}

async fn record(journal: &dyn Journal, entry: Entry) {
    let _recording = journal.record(entry).await.expect("recorded");
}

async fn story(journal: &dyn Journal, name: &str) -> Story {
    journal.story(&id(name)).await.expect("readable").expect("known")
}

async fn state(journal: &dyn Journal, name: &str) -> State {
    story(journal, name).await.state
}

async fn open(folder: &TempDir) -> SqliteJournal {
    SqliteJournal::open(Settings::new(folder.path().join("journal.db"))).await.expect("a journal")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn a_story_comes_out_as_it_went_in() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    assert_eq!(journal.story(&id("n1")).await.expect("readable"), None);
    record(journal, entry("n1", 1_200, waiting(2), Some(attempt(1)))).await;
    record(journal, entry("n1", 1_300, held(), None)).await;
    // The same number again, as after a crash; and an attempt without a reply.
    let broken = Attempt { status: None, reply: None, detail: Some("reset".to_owned()), ..attempt(1) };
    record(journal, entry("n1", 1_400, waiting(2), Some(broken.clone()))).await;
    record(journal, entry("n2", 1_450, waiting(9), Some(attempt(8)))).await;
    record(journal, entry("n1", 1_500, ended(2), Some(attempt(2)))).await;
    let expected = Story {
        notification_id: id("n1"),
        merchant_id: "shop".parse().expect("an id"),
        merchant_order_id: Some("order-1".to_owned()),
        first_seen: at(0),
        updated_at: at(1_500),
        state: ended(2),
        attempts: vec![attempt(1), broken, attempt(2)],
    };
    assert_eq!(story(journal, "n1").await, expected);
    journal.close().await;
}

#[tokio::test]
async fn each_state_comes_out_as_it_went_in() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    for (name, state_in) in [
        ("a", State::Received),
        ("b", State::Accepted),
        ("c", waiting(u32::MAX)),
        ("d", held()),
        (
            "e",
            State::Ended { outcome: "confirmed".to_owned(), detail: None, attempts_made: 0, ended_at: at(7) },
        ),
    ] {
        record(journal, entry(name, 0, state_in.clone(), None)).await;
        assert_eq!(state(journal, name).await, state_in);
    }
}

#[tokio::test]
async fn a_state_never_goes_back() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let (received, accepted, waiting, ended) = (State::Received, State::Accepted, waiting(2), ended(2));
    for (from, to, becomes) in [
        (&received, &accepted, &accepted),
        (&received, &waiting, &waiting),
        (&accepted, &received, &accepted),
        (&waiting, &accepted, &waiting),
        (&waiting, &received, &waiting),
        (&waiting, &held(), &held()),
        (&ended, &received, &ended),
        (&ended, &accepted, &ended),
        (&ended, &waiting, &ended),
        (&ended, &held(), &ended),
    ] {
        let name = format!("n-{}", uuid::Uuid::now_v7().simple());
        record(journal, entry(&name, 1_000, from.clone(), Some(attempt(1)))).await;
        record(journal, entry(&name, 2_000, to.clone(), Some(attempt(2)))).await;
        let story = story(journal, &name).await;
        assert_eq!(&story.state, becomes, "{from:?} then {to:?}");
        assert_eq!(story.attempts.len(), 2, "a late duplicate's attempt is kept all the same");
        assert_eq!(story.updated_at, at(2_000));
    }
}

const LAG: Duration = Duration::from_secs(30);

/// A message that gateway 1 takes up at moment 2,000 for the first time.
fn taken(progress: Progress) -> Taken {
    Taken { progress, redelivered: false, gateway: 1, at: at(2_000), lag: LAG }
}

/// What a message is to do, in a form that can be compared.
async fn take_up(journal: &dyn Journal, envelope: &Envelope, message: Taken) -> String {
    match journal.take_up(&envelope.notification, message).await.expect("an answer") {
        TakeUp::Attempt(beginning) if beginning.again => "attempt again".to_owned(),
        TakeUp::Attempt(_) => "attempt".to_owned(),
        TakeUp::Wait => "wait".to_owned(),
        TakeUp::Interrupted => "interrupted".to_owned(),
        TakeUp::Behind(Behind::Follow(progress)) => told(&Standing::Waiting(progress)),
        TakeUp::Behind(Behind::Finish(ending)) => format!("finish {}", told(&Standing::Ended(ending))),
        TakeUp::Behind(Behind::Forget(_)) => "forget".to_owned(),
        TakeUp::Behind(Behind::Refuse) => "another text".to_owned(),
    }
}

fn told(standing: &Standing) -> String {
    match standing {
        Standing::Waiting(progress) => format!("{progress:?}"),
        Standing::Ended(ending) => {
            format!("{:?} {} {} {}", ending.outcome, ending.attempts, ending.first_seen, ending.at)
        }
    }
}

fn progress(attempt: u32, due: Moment, held: Option<Held>) -> String {
    let attempt = AttemptNumber::new(attempt).expect("not zero");
    told(&Standing::Waiting(Progress { attempt, due, first_seen: at(0), held }))
}

#[tokio::test]
async fn a_message_is_held_against_how_far_its_notification_has_come() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let (sent, other) = (envelope("n1", ""), envelope("n1", " "));
    let first = taken(sent.progress);
    assert_eq!(journal.accept(&sent).await.expect("an answer"), Acceptance::Publish);
    assert_eq!(take_up(journal, &sent, first).await, "attempt", "it has only come in");
    assert_eq!(take_up(journal, &other, first).await, "another text");
    record(journal, entry("n1", 1, waiting(2), Some(attempt(1)))).await;
    let behind = at(60_000).after(LAG);
    assert_eq!(take_up(journal, &sent, first).await, progress(2, behind, None));
    let again = Taken { redelivered: true, ..first };
    assert_eq!(take_up(journal, &sent, again).await, progress(2, at(60_000), None));
    record(journal, entry("n1", 2, held(), None)).await;
    let row = Held { since: at(4_000), count: NonZeroU32::MIN };
    assert_eq!(take_up(journal, &sent, again).await, progress(2, at(64_000), Some(row)));
    let next = Progress { attempt: AttemptNumber::FIRST.next(), held: Some(row), ..sent.progress };
    assert_eq!(take_up(journal, &sent, taken(next)).await, "attempt");
    record(journal, entry("n1", 3, ended(2), None)).await;
    let stopped = Outcome::Stopped { reason: "genug".to_owned() };
    let ending = format!("finish {stopped:?} 2 {} {}", at(0), at(1_500));
    assert_eq!(take_up(journal, &sent, again).await, ending);
    assert_eq!(take_up(journal, &sent, first).await, "forget");
    assert_eq!(take_up(journal, &other, first).await, "another text");
}

#[tokio::test]
async fn an_entry_that_comes_too_late_is_told_what_is_there() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let due = |milliseconds| State::Waiting { next_attempt: 2, due: at(milliseconds) };
    let behind = async |state: State| match journal.record(entry("n1", 1, state, None)).await {
        Ok(Recording::Current(_)) => "current".to_owned(),
        Ok(Recording::Behind(standing)) => told(&standing),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(behind(due(1)).await, "current");
    assert_eq!(behind(due(1)).await, "current", "the same entry again, because its answer was lost");
    assert_eq!(behind(due(2)).await, progress(2, at(1), None), "another message was as far as this one");
    assert_eq!(behind(waiting(3)).await, "current");
    assert_eq!(behind(due(2)).await, progress(3, at(60_000), None));
    assert_eq!(behind(ended(3)).await, "current");
    assert_eq!(behind(ended(3)).await, "current");
    assert!(behind(waiting(4)).await.starts_with("Stopped"));
    assert!(behind(ended(4)).await.starts_with("Stopped"));
    assert_eq!(state(journal, "n1").await, ended(3));
}

#[tokio::test]
async fn entries_of_one_notification_at_once_make_one_current() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let due = |number| State::Waiting { next_attempt: 2, due: at(number) };
    let entries = (0..40).map(|number| journal.record(entry("n1", 1, due(number), None)));
    let current = join_all(entries).await.into_iter().filter(|recording| match recording {
        Ok(Recording::Current(_)) => true,
        Ok(Recording::Behind(_)) => false,
        Err(error) => panic!("{error}"),
    });
    assert_eq!(current.count(), 1);
}

#[tokio::test]
async fn a_beginning_is_known_to_every_process_at_once() {
    let folder = folder();
    let (here, there) = (open(&folder).await, open(&folder).await);
    let sent = envelope("n1", "");
    let first = Taken { gateway: here.gateway(), ..taken(sent.progress) };
    let other = Taken { gateway: there.gateway(), at: at(2_500), ..first };
    let later = Taken { at: at(2_000).after(LAG), ..other };
    let wait = progress(1, at(2_000).after(LAG), None);
    assert_eq!(take_up(&here, &sent, first).await, "attempt");
    assert_eq!(state(&there, "n1").await, State::Accepted);
    assert_eq!(take_up(&there, &sent, other).await, wait);
    let lost = Taken { redelivered: true, ..other };
    assert_eq!(take_up(&there, &sent, lost).await, "wait", "the first one lives, and may be at it");
    assert_eq!(take_up(&here, &sent, first).await, "attempt", "the answer was lost, and it asks once more");
    assert_eq!(take_up(&there, &sent, other).await, wait);
    assert_eq!(take_up(&there, &sent, later).await, "attempt again", "nothing was heard of it");
    there.close().await;
    let there = open(&folder).await;
    let last = Taken { redelivered: true, gateway: there.gateway(), ..later };
    assert_eq!(
        take_up(&there, &sent, last).await,
        "interrupted",
        "it was cut off twice, and nobody is at it"
    );
    // A hold or an attempt comes between: it is another place.
    record(&here, entry("n1", 2, held(), None)).await;
    let row = Held { since: at(4_000), count: NonZeroU32::MIN };
    let next = Progress { attempt: AttemptNumber::FIRST.next(), held: Some(row), ..sent.progress };
    assert_eq!(take_up(&there, &sent, Taken { progress: next, ..last }).await, "attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_gateways_at_once_one_makes_the_attempt() {
    let folder = folder();
    let gateways = [open(&folder).await, open(&folder).await, open(&folder).await];
    let sent: Vec<_> = (0..100).map(|number| envelope(&format!("n{number}"), "")).collect();
    let asked = gateways.iter().zip(1..).flat_map(|(journal, gateway)| {
        sent.iter().map(move |sent| async move {
            take_up(journal, sent, Taken { gateway, ..taken(sent.progress) }).await
        })
    });
    let answers = join_all(asked).await;
    for number in 0..100 {
        let attempts =
            (0..3).filter(|gateway| answers[gateway * 100 + number].starts_with("attempt")).count();
        assert_eq!(attempts, 1, "n{number}");
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_harms_nobody_else() {
    let folder = folder();
    let journal = open(&folder).await;
    record(&journal, entry("n1", 1, waiting(2), None)).await;
    let mut other = other_process(&folder.path().join("journal.db")).await;
    query("UPDATE notification SET state = '{\"state\":\"odd\"}'").execute(&mut other).await.expect("odd");
    let sent = envelope("n1", "");
    assert_eq!(take_up(&journal, &sent, taken(sent.progress)).await, "attempt");
    record(&journal, entry("n2", 1, waiting(2), None)).await;
    record(&journal, entry("n1", 1, waiting(3), None)).await;
    assert_eq!(state(&journal, "n1").await, waiting(3), "the next entry mends it");
}

#[tokio::test]
async fn a_notification_is_accepted_once() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let (sent, other) = (envelope("n1", ""), envelope("n1", r#","payment_id":"p""#));
    let accept = async |envelope: &Envelope| journal.accept(envelope).await.expect("an answer");
    assert_eq!(accept(&sent).await, Acceptance::Publish);
    assert_eq!(state(journal, "n1").await, State::Received);
    assert_eq!(accept(&sent).await, Acceptance::Publish, "it never reached the broker");
    assert_eq!(accept(&other).await, Acceptance::Conflict);
    journal.accepted(&id("n1")).await.expect("noted");
    assert_eq!(state(journal, "n1").await, State::Accepted);
    assert_eq!(accept(&sent).await, Acceptance::AlreadyThere);
    assert_eq!(accept(&other).await, Acceptance::Conflict);
    for state_in in [waiting(2), ended(1)] {
        record(journal, entry("n1", 1, state_in.clone(), None)).await;
        journal.accepted(&id("n1")).await.expect("noted");
        assert_eq!(state(journal, "n1").await, state_in, "it does not go back");
        assert_eq!(accept(&sent).await, Acceptance::AlreadyThere);
        assert_eq!(accept(&other).await, Acceptance::Conflict);
    }
    // One that came by the broker, and was never accepted here.
    record(journal, entry("n2", 1, waiting(2), None)).await;
    assert_eq!(accept(&envelope("n2", "")).await, Acceptance::AlreadyThere);
    assert_eq!(accept(&envelope("n2", " ")).await, Acceptance::Conflict, "not the same bytes");
    journal.accepted(&id("unknown")).await.expect("nothing to note");
    assert_eq!(journal.story(&id("unknown")).await.expect("readable"), None);
}

#[tokio::test]
async fn senders_at_once_get_one_answer_each() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let (one, two) = (envelope("n1", ""), envelope("n1", r#","payment_id":"p""#));
    let senders = (0..40).map(|number| journal.accept(if number % 2 == 0 { &one } else { &two }));
    let answers: Vec<_> = join_all(senders).await.into_iter().map(|answer| answer.expect("one")).collect();
    let of = |answer| answers.iter().filter(|given| **given == answer).count();
    assert_eq!((of(Acceptance::Publish), of(Acceptance::Conflict)), (20, 20));
    assert_eq!(answers[0], answers[2], "the same content has the same answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_entries_of_sixteen_tasks_are_all_there_after_reopening() {
    let folder = folder();
    let journal = Arc::new(open(&folder).await);
    let began = Instant::now();
    let tasks: Vec<_> = (0..16_u32)
        .map(|task| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                // Every notification is written by two of the tasks, and every attempt by one.
                for number in (0..1_000).filter(|number| number % 16 == task) {
                    let name = format!("n{}", number / 2);
                    record(&*journal, entry(&name, 0, waiting(number), Some(attempt(number)))).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    println!("1,000 entries in {:?}", began.elapsed());
    journal.close().await;
    journal.close().await;
    assert!(matches!(journal.story(&id("n0")).await, Err(JournalError::Closed)));
    assert!(matches!(journal.record(entry("n0", 0, held(), None)).await, Err(JournalError::Closed)));
    assert!(journal.ready().is_err());
    let entries =
        std::fs::read_dir(folder.path()).expect("readable").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file()).count();
    assert_eq!(
        files, 1,
        "a journal that was closed is one file, beside the folder of those who have it open"
    );
    let journal = open(&folder).await;
    for name in 0..500 {
        let mut numbers: Vec<_> =
            story(&journal, &format!("n{name}")).await.attempts.iter().map(|one| one.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [2 * name, 2 * name + 1]);
    }
}

#[tokio::test]
async fn what_was_recorded_is_on_the_disk() {
    let folder = folder();
    let journal = open(&folder).await;
    record(&journal, entry("n1", 0, ended(1), Some(attempt(1)))).await;
    // What a machine that loses power now would find: the files as they are, and nobody closes them.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    let copied = open(&copy).await;
    assert_eq!(story(&copied, "n1").await, story(&journal, "n1").await);
}

fn names(error: &JournalError, folder: &TempDir, part: &str) {
    let (error, file) = (error.to_string(), folder.path().join("journal.db").display().to_string());
    assert!(error.contains(&file) && error.contains(part), "{error}");
}

/// Waits until the journal says that it can be written again, of its own accord.
async fn recovers(journal: &SqliteJournal) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(problem) = journal.ready() {
        assert!(Instant::now() < deadline, "{problem}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_room_ends_it() {
    let folder = folder();
    let file = folder.path().join("journal.db");
    let settings = Settings { largest: 256 * 1_024, ..Settings::new(&file) };
    let journal = SqliteJournal::open(settings).await.expect("a journal");
    let big = |number: u32| {
        let reply = Some("x".repeat(10_000));
        entry(&format!("n{number}"), 0, waiting(2), Some(Attempt { reply, ..attempt(1) }))
    };
    let mut written = 0;
    let error = loop {
        match journal.record(big(written)).await {
            Ok(_recorded) => written += 1,
            Err(error) => break error,
        }
    };
    names(&error, &folder, "full");
    assert!(written > 3);
    assert_eq!(journal.ready(), Err(error.to_string()));
    let sent = envelope("new", &format!(r#","subject":"{}""#, "x".repeat(10_000)));
    let asked = journal.take_up(&sent.notification, taken(sent.progress)).await;
    names(&asked.expect_err("no attempt could be recorded"), &folder, "full");
    assert_eq!(journal.story(&id(&format!("n{written}"))).await.expect("readable"), None);
    story(&journal, &format!("n{}", written - 1)).await;
    // Who runs the gateway makes room.
    let mut other = other_process(&file).await;
    query("DELETE FROM attempt").execute(&mut other).await.expect("deleted");
    recovers(&journal).await;
    record(&journal, big(written)).await;
    assert_eq!(story(&journal, &format!("n{written}")).await.attempts.len(), 1);
}

#[tokio::test]
async fn a_file_that_somebody_holds_is_an_error_and_letting_go_ends_it() {
    let folder = folder();
    let file = folder.path().join("journal.db");
    let settings = Settings { patience: Duration::from_millis(50), ..Settings::new(&file) };
    let journal = SqliteJournal::open(settings).await.expect("a journal");
    let mut other = other_process(&file).await;
    query("BEGIN IMMEDIATE").execute(&mut other).await.expect("held");
    let error = journal.record(entry("n1", 0, waiting(2), None)).await.expect_err("it is held");
    names(&error, &folder, "another process holds it");
    query("ROLLBACK").execute(&mut other).await.expect("let go");
    recovers(&journal).await;
    record(&journal, entry("n1", 0, waiting(2), None)).await;
}

async fn other_process(file: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.expect("opened")
}

async fn refused(folder: &TempDir, part: &str) {
    let file = folder.path().join("journal.db");
    let before = std::fs::read(&file).ok();
    let error = SqliteJournal::open(Settings::new(&file)).await.expect_err(part);
    names(&error, folder, part);
    assert_eq!(std::fs::read(&file).ok(), before, "what is refused is not touched");
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_untouched() {
    let folder = folder();
    let file = folder.path().join("journal.db");
    std::fs::write(&file, "this is a text and by no means a database\n".repeat(100)).expect("written");
    refused(&folder, "no SQLite file").await;
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(&file, "").expect("written");
    let mut foreign = other_process(&file).await;
    query("CREATE TABLE notification (id)").execute(&mut foreign).await.expect("made");
    foreign.close().await.expect("closed");
    refused(&folder, "no paynotify journal").await;
    let missing = Settings::new(folder.path().join("missing").join("journal.db"));
    let error = SqliteJournal::open(missing).await.expect_err("there is no such folder");
    assert!(error.to_string().contains("missing/journal.db: it cannot be opened"), "{error}");
}

#[tokio::test]
async fn a_damaged_or_newer_journal_is_refused_untouched() {
    let folder = folder();
    let file = folder.path().join("journal.db");
    let journal = open(&folder).await;
    let reply = Some("x".repeat(50_000));
    record(&journal, entry("n1", 0, waiting(2), Some(Attempt { reply, ..attempt(1) }))).await;
    journal.close().await;
    let whole = Bytes::from(std::fs::read(&file).expect("read"));
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    refused(&folder, "damaged").await;
    let mut torn = whole.to_vec();
    torn[4_096 * 3..4_096 * 5].fill(0x55);
    std::fs::write(&file, &torn).expect("written");
    refused(&folder, "damaged").await;
    std::fs::write(&file, &whole).expect("written");
    let mut newer = other_process(&file).await;
    query("PRAGMA user_version = 99").execute(&mut newer).await.expect("set");
    newer.close().await.expect("closed");
    refused(&folder, "newer").await;
}

#[tokio::test]
async fn what_nothing_was_heard_of_for_long_is_missing_once() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
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
    let due = |milliseconds| State::Waiting { next_attempt: 3, due: at(milliseconds) };
    record(journal, entry("waits", 0, due(50_000), None)).await;
    record(journal, entry("heard-of", 60_000, due(0), None)).await;
    record(journal, entry("holds", 0, held(), None)).await;
    record(journal, entry("ends", 0, ended(1), None)).await;
    for (id, more) in
        [("posted", ""), ("later", r#","not_before":"2037-01-01T00:00:00Z""#), ("unanswered", "")]
    {
        assert_eq!(journal.accept(&envelope(id, more)).await.expect("an answer"), Acceptance::Publish);
        if id != "unanswered" {
            journal.accepted(&id.parse().expect("an id")).await.expect("noted");
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

#[tokio::test]
async fn an_ending_is_untold_until_it_is_told() {
    let folder = folder();
    let journal = &open(&folder).await;
    let untold = async |now: i64| {
        let search = Search { now: at(now), missing_after: Duration::from_secs(100), most: 10 };
        let found = journal.untold(search).await.expect("sought");
        found.iter().map(|event| serde_json::to_string(event).expect("it is JSON")).collect::<Vec<_>>()
    };
    for name in ["n1", "n2"] {
        record(journal, entry(name, 1_500, ended(2), Some(attempt(2)))).await;
    }
    record(journal, entry("n3", 1_500, waiting(2), None)).await;
    journal.told(&id("n2")).await;
    assert_eq!(untold(101_000).await, [""; 0], "it may be on its way");
    let event = format!(
        r#"{{"schema":"payment-outcome/1","notification_id":"n1","merchant_id":"shop","merchant_order_id":null,"payment_id":null,"outcome":"stopped","detail":"genug","attempts":2,"first_seen":"{}","ended_at":"{}"}}"#,
        at(0),
        at(1_500)
    );
    assert_eq!(untold(102_000).await, [event]);
    assert_eq!(untold(102_000).await, [""; 0], "nobody is given it twice");
    assert_eq!(untold(203_000).await.len(), 1);
    journal.told(&id("n1")).await;
    assert_eq!(untold(400_000).await, [""; 0]);
}

/// What is held for a mendable cause is released once, page by page, with a row of holds begun anew; nothing else is.
#[tokio::test]
async fn what_is_held_is_released_by_pages() {
    use paynotify::journal::Release;
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    let held = |cause: &str, due: i64| State::Held {
        next_attempt: 3,
        due: at(due),
        cause: cause.to_owned(),
        reason: "because".to_owned(),
        holds: NonZeroU32::MIN.saturating_add(6),
        since: at(4_000),
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

fn id_of_merchant(name: &str) -> paynotify::domain::MerchantId {
    name.parse().expect("an id")
}

fn with_transcript(entry: Entry, number: u32, content: &str) -> Entry {
    Entry { transcript: Some(Transcript { number, content: content.to_owned() }), ..entry }
}

async fn kept(folder: &TempDir, name: &str, number: Option<u32>) -> Lookup {
    look_up(&folder.path().join("journal.db"), &id(name), number).await.expect("readable")
}

#[tokio::test]
async fn a_transcript_is_found_by_its_attempt_also_when_the_journal_is_closed() {
    let folder = folder();
    let journal: &dyn Journal = &open(&folder).await;
    record(journal, with_transcript(entry("n1", 1_000, waiting(2), Some(attempt(1))), 1, "{\"a\":1}")).await;
    record(journal, with_transcript(entry("n1", 2_000, held(), None), 2, "{\"fault\":1}")).await;
    record(journal, with_transcript(entry("n1", 3_000, ended(2), Some(attempt(2))), 2, "{\"a\":2}")).await;
    record(journal, entry("n2", 3_000, ended(1), Some(attempt(1)))).await;
    let found = |number, at_ms, content: &str| {
        Lookup::Found(Kept {
            raw: envelope("n1", "").notification.raw,
            recorded_at: at(at_ms),
            transcript: Transcript { number, content: content.to_owned() },
        })
    };
    for open in [true, false] {
        assert_eq!(kept(&folder, "n1", None).await, found(2, 3_000, "{\"a\":2}"), "the last of the last");
        assert_eq!(kept(&folder, "n1", Some(1)).await, found(1, 1_000, "{\"a\":1}"));
        assert_eq!(kept(&folder, "n1", Some(3)).await, Lookup::NotKept { numbers: vec![1, 2] });
        assert_eq!(kept(&folder, "n2", None).await, Lookup::NotKept { numbers: Vec::new() });
        assert_eq!(kept(&folder, "n3", None).await, Lookup::Unknown);
        if open {
            journal.close().await;
        }
    }
    let missing = look_up(&folder.path().join("none"), &id("n1"), None).await.expect_err("not there");
    assert!(missing.to_string().contains("cannot be opened"), "{missing}");
}

#[tokio::test]
async fn transcripts_that_are_too_old_go_and_nothing_else_does() {
    let folder = folder();
    let settings = Settings {
        transcripts_kept: Duration::from_secs(10),
        ..Settings::new(folder.path().join("journal.db"))
    };
    let journal: &dyn Journal = &SqliteJournal::open(settings).await.expect("a journal");
    for number in 1..=30 {
        let at = i64::from(number) * 1_000;
        record(
            journal,
            with_transcript(entry("n1", at, waiting(number + 1), Some(attempt(number))), number, "{}"),
        )
        .await;
    }
    let Lookup::NotKept { numbers } = kept(&folder, "n1", Some(99)).await else { panic!("there is none") };
    assert_eq!(numbers, (20..=30).collect::<Vec<_>>());
    assert_eq!(story(journal, "n1").await.attempts.len(), 30, "attempts stay");
    journal.close().await;
}

/// Run it by hand: `cargo nextest run --workspace --test journal --run-ignored only --no-capture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_transcripts_cost() {
    const ENTRIES: usize = 20_000;
    let content = serde_json::json!({ "content": "x".repeat(2_900) }).to_string();
    for round in 0..3 {
        for transcript in [None, Some(content.as_str())] {
            let folder = folder();
            let journal = std::sync::Arc::new(open(&folder).await);
            let begun = std::time::Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..64 {
                let (journal, transcript) = (std::sync::Arc::clone(&journal), transcript.map(str::to_owned));
                tasks.spawn(async move {
                    for number in 0..ENTRIES / 64 {
                        let entry = entry(&format!("n{task}-{number}"), 1_000, ended(1), Some(attempt(1)));
                        let entry = match &transcript {
                            Some(content) => with_transcript(entry, 1, content),
                            None => entry,
                        };
                        journal.record(entry).await.expect("recorded");
                    }
                });
            }
            tasks.join_all().await;
            let took = begun.elapsed();
            journal.close().await;
            let size = std::fs::metadata(folder.path().join("journal.db")).expect("there").len();
            println!(
                "round {round}, transcripts {}: {:.0} entries/s, {} bytes each",
                transcript.is_some(),
                ENTRIES as f64 / took.as_secs_f64(),
                size / ENTRIES as u64
            );
        }
    }
}
