//! What only the SQLite file must do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use paynotify::domain::NotificationId;
use paynotify::journal::{Attempt, Bounds, Journal, JournalError, Lookup, Settings, SqliteJournal, look_up};
use sqlx::{Connection, SqliteConnection, query};
use tempfile::TempDir;

use crate::conformance::Ground;
use crate::telling::*;

crate::conformance::conformance_suite!(ground);

async fn ground() -> Folder {
    Folder(folder())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, of a minute"]
async fn counts_of_a_million() {
    const FILL: &str = r#"WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < 999999)
        INSERT INTO notification (id, merchant_id, first_seen, updated_at, digest, raw, state)
        SELECT 'n' || n, 'm' || n % 10000, 1800000000000 + n, 1800000000000 + n, x'00', CAST(printf('%.400c', 'x') AS BLOB),
            CASE n % 20
                WHEN 0 THEN '{"state":"waiting","next_attempt":' || (2 + n / 20 % 6) || ',"due":"2027-01-15T08:00:00.000Z"}'
                WHEN 1 THEN '{"state":"held","next_attempt":1,"due":"2027-01-15T08:00:00.000Z","cause":"paused","reason":"r","holds":1,"since":"2027-01-15T08:00:00.000Z"}'
                ELSE '{"state":"ended","outcome":"' || iif(n % 20 < 4, 'exhausted', 'confirmed') || '","detail":null,"attempts_made":1,"ended_at":"2027-01-15T08:00:00.000Z"}'
            END
        FROM series"#;
    crate::operating::count_a_million(&ground().await, &[FILL]).await;
}

struct Folder(TempDir);

#[async_trait]
impl Ground for Folder {
    async fn open_with(&self, bounds: Bounds) -> Arc<dyn Journal> {
        let settings = Settings { bounds, ..Settings::new(self.0.path().join("journal.db")) };
        Arc::new(SqliteJournal::open(settings).await.expect("a journal"))
    }

    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Lookup {
        look_up(&self.0.path().join("journal.db"), id, number).await.expect("readable")
    }

    async fn execute(&self, sql: &'static str) {
        let mut other = other_process(&self.0.path().join("journal.db")).await;
        query(sql).execute(&mut other).await.expect("done");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_looked_into() {
    let missing = look_up(&folder().path().join("none"), &id("n1"), None).await.expect_err("not there");
    assert!(missing.to_string().contains("cannot be opened"), "{missing}");
}

async fn open(folder: &TempDir) -> SqliteJournal {
    SqliteJournal::open(Settings::new(folder.path().join("journal.db"))).await.expect("a journal")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
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
    // More than what found no room just now.
    let sent = envelope("new", &format!(r#","subject":"{}""#, "x".repeat(40_000)));
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
    let settings = Settings {
        bounds: Bounds { patience: Duration::from_millis(50), ..Bounds::default() },
        ..Settings::new(&file)
    };
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
