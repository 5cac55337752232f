//! What only the database on PostgreSQL must do: keep its password to itself, change its tables with care, and come through a
//! server that is killed and connections that are cut.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use paynotify::domain::{NotificationId, Taken};
use paynotify::journal::{
    Attempt, Bounds, Journal, JournalError, Lookup, PostgresJournal, PostgresSettings, Recording,
    look_up_on_postgres,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, query_scalar};
use xtask::postgres::{Database, Durability, Server};

use crate::conformance::Ground;
use crate::telling::*;

crate::conformance::conformance_suite!(ground);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, of a minute"]
async fn counts_of_a_million() {
    const FILL: &str = r#"INSERT INTO notification
        (id, merchant_id, first_seen, updated_at, digest, raw, state, phase, outcome, cause, due)
        SELECT 'n' || n, 'm' || n % 10000, 1800000000000 + n, 1800000000000 + n, '\x00', convert_to(repeat('x', 400), 'UTF8'),
            CASE n % 20
                WHEN 0 THEN '{"state":"waiting","next_attempt":' || 2 + n / 20 % 6 || ',"due":"2027-01-15T08:00:00.000Z"}'
                WHEN 1 THEN '{"state":"held","next_attempt":1,"due":"2027-01-15T08:00:00.000Z","cause":"paused","reason":"r","holds":1,"since":"2027-01-15T08:00:00.000Z"}'
                ELSE '{"state":"ended","outcome":"' || CASE WHEN n % 20 < 4 THEN 'exhausted' ELSE 'confirmed' END || '","detail":null,"attempts_made":1,"ended_at":"2027-01-15T08:00:00.000Z"}'
            END,
            CASE n % 20 WHEN 0 THEN 'waiting' WHEN 1 THEN 'held' ELSE 'ended' END,
            CASE WHEN n % 20 < 2 THEN NULL WHEN n % 20 < 4 THEN 'exhausted' ELSE 'confirmed' END,
            CASE n % 20 WHEN 1 THEN 'paused' END,
            CASE WHEN n % 20 < 2 THEN 1800000000000 END
        FROM generate_series(0, 999999) AS n"#;
    // As autovacuum leaves a table that has been there for a while.
    crate::operating::count_a_million(&ground().await, &[FILL, "VACUUM ANALYZE notification"]).await;
}

/// A database of this test's alone.
struct Place {
    database: Database,
    name: String,
}

async fn ground() -> Place {
    made_on(Database::shared_or_own().expect("a server")).await
}

/// On a server that can be killed: what it commits is on the disk.
async fn own_server() -> Place {
    made_on(Database::Own(Server::start(Durability::Disk).expect("a server"))).await
}

async fn made_on(database: Database) -> Place {
    let name = format!("journal_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&database.url("postgres")).await.expect("connected");
    let create = format!("CREATE DATABASE {name}");
    query(AssertSqlSafe(create)).execute(&mut connection).await.expect("made");
    Place { database, name }
}

impl Place {
    fn url(&self) -> String {
        self.database.url(&self.name)
    }

    fn settings(&self) -> PostgresSettings {
        PostgresSettings::new(&self.url()).expect("a URL")
    }

    async fn journal(&self) -> PostgresJournal {
        PostgresJournal::open(self.settings()).await.expect("a journal")
    }

    async fn outside(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("connected")
    }

    fn server(&mut self) -> &mut Server {
        match &mut self.database {
            Database::Own(server) => server,
            Database::Shared(_) => panic!("others use it"),
        }
    }

    async fn refused(&self, part: &str) {
        let error = PostgresJournal::open(self.settings()).await.expect_err(part).to_string();
        assert!(error.contains(&self.name) && error.contains(part), "{error}");
    }
}

#[async_trait]
impl Ground for Place {
    async fn open_with(&self, bounds: Bounds) -> Arc<dyn Journal> {
        let mut settings = self.settings();
        settings.bounds = bounds;
        Arc::new(PostgresJournal::open(settings).await.expect("a journal"))
    }

    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Lookup {
        look_up_on_postgres(&self.settings(), id, number).await.expect("readable")
    }

    async fn execute(&self, sql: &'static str) {
        query(sql).execute(&mut self.outside().await).await.expect("done");
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_url_that_is_wrong_is_not_told() {
    for wrong in [
        "mysql://user:hunter2@host/db",
        "postgres://user:hunter2@host:port/db",
        "postgres://user:hunter2@host/db?sslmode=hunter2",
        "hunter2",
    ] {
        let problem = PostgresSettings::new(wrong).expect_err("wrong");
        assert!(!problem.contains("hunter2") && problem.contains("postgres://"), "{problem}");
    }
    let settings = PostgresSettings::new("postgres://user:hunter2@host:5433/db").expect("a URL");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && shown.contains("host:5433/db"), "{shown}");
}

#[tokio::test]
async fn whoever_is_refused_is_told_why_and_not_the_password() {
    let place = ground().await;
    let url = place.url();
    let (before, host) = url.split_once('@').expect("user and password");
    let user = before.rsplit_once(':').expect("a password").0;
    for (url, part) in [
        (format!("{user}:wr0ng-secret@{host}"), "journal.url"),
        (format!("{before}@{host}_none"), "does not exist"),
    ] {
        let settings = PostgresSettings::new(&url).expect("a URL");
        let error = PostgresJournal::open(settings).await.expect_err(part).to_string();
        assert!(error.contains(part) && error.contains("127.0.0.1:"), "{error}");
        assert!(!error.contains("wr0ng-secret") && !error.contains("Passw0rd"), "{error}");
    }
    // One that is away may come.
    let settings = PostgresSettings::new(&format!("{before}@127.0.0.1:1/none")).expect("a URL");
    let journal = PostgresJournal::open(settings).await.expect("opened");
    let error = journal.ready().expect_err("nobody is there");
    assert!(
        error.contains("127.0.0.1:1/none: it cannot be reached") && !error.contains("Passw0rd"),
        "{error}"
    );
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_start_together_make_the_tables_once() {
    let place = ground().await;
    let journals = join_all((0..4).map(|_| place.journal())).await;
    for (number, journal) in journals.iter().enumerate() {
        record(journal, entry(&format!("n{number}"), 1, waiting(2), None)).await;
    }
    assert_eq!(story(&journals[0], "n3").await.state, waiting(2));
    for journal in journals {
        journal.close().await;
        journal.close().await;
        assert!(matches!(journal.story(&id("n0")).await, Err(JournalError::Closed)));
        assert!(journal.ready().is_err());
    }
    let left: i64 = query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'paynotify' AND datname = current_database()")
        .fetch_one(&mut place.outside().await)
        .await
        .expect("counted");
    assert_eq!(left, 0, "connections that nobody has any more");
}

#[tokio::test]
async fn tables_of_a_newer_program_or_of_somebody_else_are_refused_untouched() {
    let place = ground().await;
    place.journal().await.close().await;
    place.execute("UPDATE paynotify_journal SET version = 99").await;
    place.refused("newer").await;
    let newer = look_up_on_postgres(&place.settings(), &id("n1"), None).await.expect_err("newer").to_string();
    assert!(newer.contains("newer"), "{newer}");
    let foreign = ground().await;
    foreign.execute("CREATE TABLE notification (id text)").await;
    foreign.refused("somebody else").await;
    let tables: i64 = query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut foreign.outside().await)
        .await
        .expect("counted");
    assert_eq!(tables, 1);
}

/// Many write while the server is killed and comes back: each entry is there, its attempt once, and none was said to be recorded that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_while_the_server_is_killed_is_there_once() {
    let mut place = own_server().await;
    let journal = Arc::new(place.journal().await);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..8_u32)
        .map(|task| {
            let (journal, stopped) = (Arc::clone(&journal), stopped.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !*stopped.borrow() {
                    let name = format!("n{task}-{written}");
                    // As the delivery does: the same entry again and again, until it is recorded.
                    let mut entry = entry(&name, 1, ended(1), Some(attempt(1)));
                    entry.at = at(i64::from(written));
                    while journal.record(entry.clone()).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    written += 1;
                }
                written
            })
        })
        .collect();
    for round in 0..3 {
        until("it goes on", async || journal.ready().is_ok()).await;
        record(&*journal, entry(&format!("round{round}"), 1, waiting(2), None)).await;
        place.server().kill_hard().expect("killed");
        until("it is noticed", async || journal.ready().is_err()).await;
        let said = journal.ready().expect_err("just now");
        assert!(said.contains("cannot be reached") && !said.contains("Passw0rd"), "{said}");
        place.server().restart().expect("back");
    }
    until("it recovers by itself", async || journal.ready().is_ok()).await;
    stop.send_replace(true);
    let mut all = 0;
    for (task, writer) in writers.into_iter().enumerate() {
        let written = writer.await.expect("no panic");
        for number in 0..written {
            let story = story(&*journal, &format!("n{task}-{number}")).await;
            assert_eq!((story.attempts, story.state), (vec![attempt(1)], ended(1)));
        }
        all += written;
    }
    println!("{all} entries through three kills");
    for round in 0..3 {
        story(&*journal, &format!("round{round}")).await;
    }
    journal.close().await;
}

/// A commit's answer can be lost with the connection; whoever asked then asks again.
#[tokio::test]
async fn an_entry_whose_answer_was_lost_has_its_attempt_once() {
    let place = ground().await;
    let journal = place.journal().await;
    let broken = Attempt { status: None, reply: None, ..attempt(1) };
    for recorded in [attempt(1), attempt(1), broken.clone(), broken.clone()] {
        let recording = journal.record(entry("n1", 1, ended(1), Some(recorded))).await.expect("recorded");
        assert!(matches!(recording, Recording::Current(_)));
    }
    assert_eq!(story(&journal, "n1").await.attempts, [attempt(1), broken]);
    journal.close().await;
}

/// What waits while the server is away is bounded: whoever comes when the queue is full waits at the door.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_server_that_is_away_is_bounded_and_is_told_so() {
    let mut place = own_server().await;
    let bounds = Bounds { patience: Duration::from_millis(500), queue: 4, batch: 2, ..Bounds::default() };
    let journal = place.open_with(bounds).await;
    place.server().kill_hard().expect("killed");
    let asked = (0..20).map(|number| journal.record(entry(&format!("n{number}"), 1, waiting(2), None)));
    for answer in join_all(asked).await {
        let error = answer.expect_err("nobody is there").to_string();
        assert!(error.contains("cannot be reached"), "{error}");
    }
    place.server().restart().expect("back");
    until("it recovers by itself", async || journal.ready().is_ok()).await;
    let again = journal.record(entry("n0", 1, waiting(2), None)).await.expect("recorded");
    assert!(matches!(again, Recording::Current(_)));
    journal.close().await;
}

/// A gateway whose connections are cut lives on, and is not taken for dead: nobody makes its attempt beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_connections_are_cut_is_not_taken_for_dead() {
    let place = ground().await;
    let (here, there) = (place.journal().await, place.journal().await);
    let sent = envelope("n1", "");
    let first = Taken { gateway: here.gateway(), ..taken(sent.progress) };
    assert_eq!(take_up(&here, &sent, first).await, "attempt");
    let asked = Taken { gateway: there.gateway(), redelivered: true, at: at(2_500), ..first };
    assert_eq!(take_up(&there, &sent, asked).await, "wait");
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'paynotify' AND datname = current_database()";
    let cut: i64 = query_scalar(cut).fetch_one(&mut place.outside().await).await.expect("cut");
    assert!(cut >= 4, "{cut}");
    let begun = Instant::now();
    // Longer than it takes to count the dead.
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(take_up(&there, &sent, asked).await, "wait", "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    here.close().await;
    assert_eq!(crate::conformance::once_nobody_lives(&there, &sent, asked).await, "attempt again");
    there.close().await;
}

/// A server that speaks TLS, with a certificate of that authority's for a name or address.
async fn server_with_tls(name: &str) -> (Place, tempfile::TempDir) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let authority = parameters.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(parameters, authority_key);
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
    let mut place = own_server().await;
    place.server().use_tls(&certificate.pem(), &key.serialize_pem()).expect("it speaks TLS");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    let stranger = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger = parameters.self_signed(&stranger).expect("a certificate");
    std::fs::write(folder.path().join("stranger.pem"), stranger.pem()).expect("written");
    (place, folder)
}

/// Opens the journal with TLS settings, and writes something.
async fn over_tls(place: &Place, options: &str) -> Result<(), String> {
    let settings = PostgresSettings::new(&format!("{}?{options}", place.url())).expect("a URL");
    let journal = PostgresJournal::open(settings).await.map_err(|error| error.to_string())?;
    let recorded = journal.record(entry(&uuid::Uuid::now_v7().to_string(), 1, ended(1), None)).await;
    assert!(matches!(recorded, Ok(Recording::Current(_))), "{recorded:?}");
    journal.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_whoever_is_who_it_says_it_is_and_nobody_else() {
    let (place, folder) = server_with_tls("127.0.0.1").await;
    let root = |name: &str| format!("sslrootcert={}", folder.path().join(name).display());
    over_tls(&place, &format!("sslmode=verify-full&{}", root("ca.pem"))).await.expect("believed");
    let (of_another, anothers) = server_with_tls("db.example").await;
    let ca = format!("sslrootcert={}", anothers.path().join("ca.pem").display());
    over_tls(&of_another, &format!("sslmode=verify-ca&{ca}")).await.expect("believed");
    for (place, options, part) in [
        (&place, format!("sslmode=verify-full&{}", root("stranger.pem")), "TLS with it does not come about"),
        (&place, "sslmode=verify-full".to_owned(), "TLS with it does not come about"),
        (&of_another, format!("sslmode=verify-full&{ca}"), "TLS with it does not come about"),
        // The server wants none of it.
        (&place, "sslmode=disable".to_owned(), "it refuses us"),
    ] {
        let refused = over_tls(place, &options).await.expect_err(part);
        assert!(refused.contains(part) && !refused.contains("Passw0rd"), "{options}: {refused}");
    }
    // Nor do we want a server without it, if it was asked for.
    let plain = own_server().await;
    for options in ["sslmode=require".to_owned(), format!("sslmode=verify-full&{}", root("ca.pem"))] {
        let refused = over_tls(&plain, &options).await.expect_err("plain text");
        assert!(refused.contains("does not support TLS"), "{refused}");
    }
}
