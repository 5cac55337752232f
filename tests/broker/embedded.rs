//! The embedded broker: the suite, and what only a file can suffer.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use paynotify::broker::embedded::{EmbeddedBroker, Settings};
use paynotify::broker::{Broker, BrokerError, Content, Delivery};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection, query, query_scalar};
use tempfile::TempDir;

use crate::support::conformance::{
    Fixture, Options, Probe, assert_on_time, conformance_suite, envelope, envelope_with, now, readable,
};

conformance_suite!(start);

async fn start(options: Options) -> Box<dyn Probe> {
    let change = |settings: &mut Settings| {
        (settings.prefetch, settings.slow_prefetch) = (options.prefetch, options.slow_prefetch);
    };
    Box::new(File::open(change).await)
}

/// A broker in a folder of its own, and a look into its file.
pub(crate) struct File {
    broker: Mutex<Arc<EmbeddedBroker>>,
    settings: Settings,
    _folder: TempDir,
}

impl File {
    pub(crate) async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(folder.path().join("broker.db"));
        change(&mut settings);
        let broker = Arc::new(EmbeddedBroker::open(settings.clone()).await.expect("a broker"));
        Self { broker: Mutex::new(broker), settings, _folder: folder }
    }

    pub(crate) async fn open_again(&self) {
        let again = EmbeddedBroker::open(self.settings.clone()).await.expect("opened again");
        *self.broker.lock().expect("sound") = Arc::new(again);
    }

    pub(crate) async fn connect(&self) -> SqliteConnection {
        connect(&self.settings.file).await
    }
}

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.expect("opened")
}

#[async_trait]
impl Probe for File {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.lock().expect("sound").clone()
    }

    async fn restart(&mut self) {
        self.broker().close().await;
        self.open_again().await;
    }

    async fn outcome_events(&self) -> Vec<(String, Value)> {
        let rows = query("SELECT routing_key, event FROM outcome").fetch_all(&mut self.connect().await).await;
        let event = |text: &str| serde_json::from_str(text).expect("JSON");
        rows.expect("readable").iter().map(|row| (row.get(0), event(row.get(1)))).collect()
    }

    async fn poisoned(&self) -> Vec<(Bytes, String)> {
        let rows = query("SELECT body, reason FROM poison").fetch_all(&mut self.connect().await).await;
        rows.expect("readable").iter().map(|row| (row.get::<Vec<u8>, _>(0).into(), row.get(1))).collect()
    }

    async fn waiting(&self) -> usize {
        let count = query_scalar::<_, i64>("SELECT count(*) FROM message");
        let count = count.fetch_one(&mut self.connect().await).await.expect("readable");
        usize::try_from(count).expect("a count")
    }

    async fn inject(&self, body: Bytes, headers: &[(&'static str, &str)]) {
        // The engine knows all that is in its file, and looks for no more: so the file is closed for this.
        self.broker().close().await;
        let headers: serde_json::Map<_, _> =
            headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
        query("INSERT INTO message (due, body, headers) VALUES (0, ?1, ?2)")
            .bind(body.to_vec())
            .bind(Value::from(headers).to_string())
            .execute(&mut self.connect().await)
            .await
            .expect("put in");
        self.open_again().await;
    }
}

pub(crate) async fn take(broker: &dyn Broker) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(20), broker.next()).await;
    next.expect("a message comes").expect("the broker is taking")
}

async fn refused(settings: &Settings, part: &str) {
    let error = EmbeddedBroker::open(settings.clone()).await.expect_err(part);
    let (error, file) = (error.to_string(), settings.file.display().to_string());
    assert!(error.contains(&file) && error.contains(part), "{error}");
}

#[tokio::test]
async fn a_file_has_one_broker_at_a_time() {
    let file = File::open(|_| ()).await;
    refused(&file.settings, "another process has it open").await;
    file.broker().close().await;
    let second = EmbeddedBroker::open(file.settings.clone()).await.expect("it is free now");
    refused(&file.settings, "another process has it open").await;
    drop(second);
    // One that is dropped without being closed lets go as soon as its task has ended.
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = EmbeddedBroker::open(file.settings.clone()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_that_is_foreign_damaged_or_newer_is_refused_untouched() {
    let file = File::open(|_| ()).await;
    file.broker()
        .publish(&envelope_with("n1", &format!(r#","subject":"{}""#, "x".repeat(50_000))))
        .await
        .expect("there");
    file.broker().close().await;
    let place = &file.settings.file;
    let whole = std::fs::read(place).expect("read");
    let mut torn = whole.clone();
    torn[4_096 * 6..4_096 * 9].fill(0x55);
    let half = &whole[..whole.len() / 2];
    for (content, part) in
        [(&b"this is a text".repeat(1_000)[..], "no SQLite file"), (half, "damaged"), (&torn, "damaged")]
    {
        std::fs::write(place, content).expect("written");
        refused(&file.settings, part).await;
        assert_eq!(std::fs::read(place).expect("read"), content, "what is refused is not touched");
    }
    std::fs::write(place, &whole).expect("written");
    let mut foreign = connect(place).await;
    query("PRAGMA application_id = 1").execute(&mut foreign).await.expect("set");
    foreign.close().await.expect("closed");
    refused(&file.settings, "no paynotify broker").await;
    std::fs::write(place, &whole).expect("written");
    let mut newer = connect(place).await;
    query("PRAGMA user_version = 99").execute(&mut newer).await.expect("set");
    newer.close().await.expect("closed");
    refused(&file.settings, "newer").await;
    let missing = Settings::new(place.with_file_name("missing").join("broker.db"));
    refused(&missing, "cannot be opened").await;
}

/// The files as a machine finds them that loses power now.
fn copy(file: &Path, folder: &TempDir) -> PathBuf {
    let copied = folder.path().join("broker.db");
    for end in ["", "-wal"] {
        let name = |file: &Path| format!("{}{end}", file.display());
        std::fs::copy(name(file), name(&copied)).expect("copied");
    }
    copied
}

#[tokio::test]
async fn what_was_accepted_or_settled_is_on_the_disk() {
    let file = File::open(|_| ()).await;
    for id in ["settled", "parked", "out", "waiting"] {
        file.broker().publish(&envelope(id)).await.expect("published");
    }
    take(&*file.broker()).await.receipt.poison("for the test", None).await.expect("settled");
    let parked = take(&*file.broker()).await;
    let mut next = readable(&parked);
    next.progress.due = now().after(Duration::from_millis(500));
    parked.receipt.park(&next).await.expect("parked");
    let _out = take(&*file.broker()).await;

    let folder = tempfile::tempdir().expect("a folder");
    let copied =
        EmbeddedBroker::open(Settings::new(copy(&file.settings.file, &folder))).await.expect("whole");
    for id in ["out", "waiting", "parked"] {
        let delivery = take(&copied).await;
        let came = readable(&delivery);
        assert_eq!(came.notification.id().as_str(), id);
        if id == "parked" {
            assert_on_time(&came, now());
        }
        delivery.receipt.poison("for the test", None).await.expect("settled");
    }
    copied.close().await;
}

#[tokio::test]
async fn while_the_file_cannot_be_written_nothing_is_lost_and_nothing_is_handed_out() {
    let file = File::open(|settings| settings.patience = Duration::from_millis(50)).await;
    let broker = file.broker();
    broker.publish(&envelope("n1")).await.expect("published");
    let delivery = take(&*broker).await;
    let came = readable(&delivery);
    let mut other = file.connect().await;
    query("BEGIN IMMEDIATE").execute(&mut other).await.expect("held");
    let error = delivery.receipt.park(&came).await.expect_err("it cannot be written");
    assert!(matches!(&error, BrokerError::Refused(_)), "{error}");
    assert_eq!(broker.ready(), Err(error.to_string()));
    assert!(error.to_string().contains(&file.settings.file.display().to_string()), "{error}");
    // Its message would come back at once if it were handed out; whoever sent it on would send it again and again.
    let mut next = std::pin::pin!(broker.next());
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut next).await.is_err());
    broker.publish(&envelope("n2")).await.expect_err("it cannot be written");
    query("ROLLBACK").execute(&mut other).await.expect("let go");
    let recovered = tokio::time::timeout(Duration::from_secs(20), next).await.expect("it recovers");
    let delivery = recovered.expect("it is taking");
    assert_eq!(readable(&delivery).notification.id().as_str(), "n1");
    assert_eq!(broker.ready(), Ok(()));
    delivery.receipt.poison("for the test", None).await.expect("settled");
    broker.close().await;
    assert_eq!(file.waiting().await, 0, "what was refused is not there");
}

#[tokio::test]
async fn a_file_that_has_reached_its_bound_takes_nothing_new_and_goes_on_with_what_it_has() {
    let file = File::open(|settings| settings.largest = 1 << 20).await;
    let long = format!(r#","subject":"{}""#, "x".repeat(100_000));
    let mut there = 0;
    let error = loop {
        match file.broker().publish(&envelope_with(&format!("n{there}"), &long)).await {
            Ok(()) => there += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("broker.db") && error.contains("1048576 bytes"), "{error}");
    assert!((5..15).contains(&there), "{there}");
    assert_eq!(file.broker().ready(), Ok(()), "it goes on");
    let delivery = take(&*file.broker()).await;
    let came = readable(&delivery);
    delivery.receipt.park(&came).await.expect("parked");
    let delivery = take(&*file.broker()).await;
    delivery.receipt.poison("for the test", None).await.expect("settled");
    query("DELETE FROM poison").execute(&mut file.connect().await).await.expect("somebody looked after it");
    let delivery = take(&*file.broker()).await;
    delivery.receipt.park(&came).await.expect("parked");
    file.broker().publish(&envelope_with("new", &long)).await.expect("there is room again");
    file.broker().close().await;
    assert_eq!(file.waiting().await, there);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_poisoned_with_what_it_holds() {
    let mut file = File::open(|_| ()).await;
    file.broker().close().await;
    let insert = query("INSERT INTO message (due, body, headers) VALUES (0, 'body', 'no JSON')");
    // The body is a text where a blob should be; a strict table takes only blobs.
    assert!(insert.execute(&mut file.connect().await).await.is_err());
    let insert = query("INSERT INTO message (due, body, headers) VALUES (0, x'00', 'no JSON')");
    insert.execute(&mut file.connect().await).await.expect("put in");
    file.restart().await;
    let delivery = take(&*file.broker()).await;
    assert!(matches!(&delivery.content, Content::Unreadable(_)), "{:?}", delivery.content);
    delivery.receipt.poison("why", None).await.expect("settled");
    assert_eq!(file.poisoned().await, [(Bytes::from_static(b"\0"), "why".to_owned())]);
}

#[tokio::test]
async fn only_the_latest_events_are_kept() {
    let mut fixture = Fixture::new(Box::new(File::open(|settings| settings.outcomes_kept = 3).await)).await;
    for number in 0..10 {
        fixture.publish(&envelope(&format!("n{number}"))).await;
        let (came, delivery) = fixture.take_readable().await;
        fixture.finish(&came, delivery).await;
    }
    let events = fixture.probe.outcome_events().await;
    let ids: Vec<_> = events.iter().map(|(_, event)| event["notification_id"].clone()).collect();
    assert_eq!(ids, ["n7", "n8", "n9"]);
    fixture.probe.restart().await;
    assert_eq!(fixture.probe.outcome_events().await.len(), 3);
}

/// A process is killed in the middle of its work; what it was told is durable is there, and nothing that it settled.
#[tokio::test]
async fn a_killed_process_has_lost_nothing() {
    const VICTIM: &str = "PAYNOTIFY_TEST_VICTIM";
    if let Some(file) = std::env::var_os(VICTIM) {
        return work_until_killed(EmbeddedBroker::open(Settings::new(file)).await.expect("a broker")).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.db");
    let mut victim = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "embedded::a_killed_process_has_lost_nothing", "--nocapture"])
        .env(VICTIM, &file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let mut told = BufReader::new(victim.stdout.take().expect("piped")).lines();
    let (mut published, mut settled) = (HashSet::new(), HashSet::new());
    let mut note = |line: String| match line.split_once(' ') {
        Some(("published", id)) => assert!(published.insert(id.to_owned())),
        Some(("settled", id)) => assert!(settled.insert(id.to_owned())),
        Some(_) | None => {}
    };
    told.by_ref().take(1_000).for_each(|line| note(line.expect("a line")));
    victim.kill().expect("killed");
    victim.wait().expect("ended");
    // A last line may be torn.
    told.map_while(Result::ok).for_each(note);
    assert!(published.len() > 100 && settled.len() > 100, "{} {}", published.len(), settled.len());

    let broker = EmbeddedBroker::open(Settings::new(file)).await.expect("whole");
    let mut came = HashSet::new();
    while let Ok(delivery) = tokio::time::timeout(Duration::from_secs(1), broker.next()).await {
        let delivery = delivery.expect("it is taking");
        let id = readable(&delivery).notification.id().to_string();
        assert!(!settled.contains(&id), "{id} had been settled");
        assert!(came.insert(id), "none is there twice");
        delivery.receipt.poison("for the test", None).await.expect("settled");
    }
    broker.close().await;
    let mut connection = connect(&folder.path().join("broker.db")).await;
    let ids = query_scalar::<_, String>("SELECT CAST(body AS TEXT) ->> 'notification_id' FROM poison");
    let ids = ids.fetch_all(&mut connection).await.expect("readable");
    let poisoned: HashSet<_> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), poisoned.len(), "none was settled twice");
    // What was being settled when the process was killed may be settled without having been told.
    let untold = published.iter().filter(|id| !settled.contains(*id) && !came.contains(*id)).count();
    assert!(untold <= 8, "{untold}");
    assert!(published.union(&settled).all(|id| poisoned.contains(id)), "each is where it went");
}

async fn work_until_killed(broker: EmbeddedBroker) {
    let publish = (0..8).map(|publisher| {
        let broker = &broker;
        async move {
            for number in 0.. {
                let id = format!("n-{publisher}-{number}");
                broker.publish(&envelope(&id)).await.expect("published");
                println!("published {id}");
            }
        }
    });
    let take = (0..8).map(|_| async {
        while let Some(delivery) = broker.next().await {
            let came = readable(&delivery);
            delivery.receipt.poison("for the test", None).await.expect("settled");
            println!("settled {}", came.notification.id());
        }
    });
    tokio::join!(join_all(publish), join_all(take));
}
