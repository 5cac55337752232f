//! How long questions take with a million notifications in the journal, on both databases.
//!
//! Run it by hand: `cargo test --workspace --test search -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paynotify::domain::Moment;
use paynotify::journal::{
    Ended, Journal, Phase, PostgresJournal, PostgresSettings, Question, Settings, SqliteJournal,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, query, raw_sql};
use xtask::postgres::{Database, Durability, Server};

use crate::create;

const ROWS: i64 = 1_000_000;
/// From the first to the last it is a month.
const BETWEEN: i64 = 2_592;
const BEGAN: i64 = 1_790_000_000_000;
const MERCHANTS: i64 = 1_000;
/// Questions of a kind.
const QUESTIONS: usize = 400;
/// Rows of a page.
const PAGE: usize = 50;

/// What makes row `i`: an expression for each column that both databases take. Every fifth row is of one large merchant, and each
/// order has two rows; 3 % are not confirmed, all the time.
fn columns(raw: &str, random: &str) -> String {
    let dice = format!("({random} % 10000)");
    let state = format!(
        "CASE WHEN {dice} < 100 THEN '{{\"state\":\"waiting\",\"next_attempt\":3,\"due\":\"2026-12-01T00:00:00.000Z\"}}'
        WHEN {dice} < 130 THEN '{{\"state\":\"held\",\"next_attempt\":1,\"due\":\"2026-12-01T00:00:00.000Z\",\"cause\":\"plugin_fault\",\"reason\":\"trap\",\"holds\":1,\"since\":\"2026-11-01T00:00:00.000Z\"}}'
        WHEN {dice} < 150 THEN '{{\"state\":\"accepted\"}}'
        WHEN {dice} < 250 THEN '{{\"state\":\"ended\",\"outcome\":\"exhausted\",\"detail\":\"fail\",\"attempts_made\":7,\"ended_at\":\"2026-11-01T00:00:00.000Z\"}}'
        WHEN {dice} < 298 THEN '{{\"state\":\"ended\",\"outcome\":\"stopped\",\"detail\":\"closed\",\"attempts_made\":1,\"ended_at\":\"2026-11-01T00:00:00.000Z\"}}'
        WHEN {dice} < 300 THEN '{{\"state\":\"ended\",\"outcome\":\"abandoned\",\"detail\":\"held\",\"attempts_made\":0,\"ended_at\":\"2026-11-01T00:00:00.000Z\"}}'
        ELSE '{{\"state\":\"ended\",\"outcome\":\"confirmed\",\"detail\":null,\"attempts_made\":1,\"ended_at\":\"2026-11-01T00:00:00.000Z\"}}' END"
    );
    format!(
        "'n' || i AS id, CASE WHEN i % 5 = 0 THEN 'm0' ELSE 'm' || ({random} / 10000 % {MERCHANTS}) END AS merchant_id,
        'o' || (i / 2) AS merchant_order_id, {BEGAN} + i * {BETWEEN} AS first_seen,
        {BEGAN} + i * {BETWEEN} + 900 AS updated_at, {raw} AS raw, {state} AS state"
    )
}

const RAW: &str = r#"'{"schema":"payment-result/1","notification_id":"n' || i || '","merchant_id":"m1","kind":"payment","status":"succeeded","payment_id":"2026112200001001","merchant_order_id":"o1","amount":{"minor":12950,"currency":"CNY"},"created_at":"2026-11-22T08:00:00Z","completed_at":"2026-11-22T08:00:01Z","subject":"ten boxes of tea","channel":{"code":"alipay","trade_type":"QR"},"extra":{"store":"17"}}'"#;

const ATTEMPTS: &str = "'plain 0011aabb', 'POST', 'https://shop.example/notify', 200, 'fail', 'retry', NULL";

async fn fill_sqlite(file: &std::path::Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("opened");
    let columns = columns(&format!("CAST({RAW} AS BLOB)"), "((i * 2654435761) % 4294967296)");
    let numbers = format!(
        "WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < {ROWS})"
    );
    let sql = format!(
        "PRAGMA synchronous = OFF;
        BEGIN;
        INSERT INTO notification (id, merchant_id, merchant_order_id, first_seen, updated_at, raw, state, digest, told)
            {numbers} SELECT *, zeroblob(32), 1 FROM (SELECT {columns} FROM number);
        INSERT INTO attempt (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail)
            {numbers} SELECT 'n' || (i - i % 5), 1 + i % 2, {BEGAN}, 120, {ATTEMPTS} FROM number WHERE i % 5 < 2;
        COMMIT;"
    );
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("filled");
    connection.close().await.expect("closed");
}

async fn fill_postgres(url: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connected");
    let columns = columns(&format!("convert_to({RAW}, 'UTF8')"), "((i * 2654435761) % 4294967296)");
    let sql = format!(
        "INSERT INTO notification (id, merchant_id, merchant_order_id, first_seen, updated_at, raw, state, digest,
            told, phase, outcome, cause)
            SELECT *, '\\x00'::bytea, true, state::json ->> 'state', state::json ->> 'outcome', state::json ->> 'cause'
            FROM (SELECT {columns} FROM generate_series(1::bigint, {ROWS}) AS number (i)) AS made;
        INSERT INTO attempt (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail)
            SELECT 'n' || (i - i % 5), 1 + i % 2, {BEGAN}, 120, {ATTEMPTS}
            FROM generate_series(1::bigint, {ROWS}) AS number (i) WHERE i % 5 < 2;"
    );
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("filled");
    // What its autovacuum does by itself, sooner or later.
    query("ANALYZE").execute(&mut connection).await.expect("done");
    connection.close().await.expect("closed");
}

/// The times that some asking took.
fn report(database: &str, what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
    println!("| {database} | {what} | {} | {:.2} | {:.2} | {:.2} |", took.len(), at(0.5), at(0.99), at(1.0));
}

/// Makes a question of a kind.
type Ask = Box<dyn Fn(&mut StdRng) -> Question>;

async fn ask(journal: &dyn Journal, database: &str) {
    let mut random = StdRng::seed_from_u64(7);
    let all = Question::default;
    let merchant = |random: &mut StdRng| format!("m{}", random.random_range(1..MERCHANTS)).parse().ok();
    let large = "m0".parse().ok();
    let moment =
        |random: &mut StdRng| Moment::from_unix_milliseconds(BEGAN + random.random_range(1..ROWS) * BETWEEN);
    let order = |random: &mut StdRng| Some(format!("o{}", random.random_range(1..ROWS / 2)));
    let outcome = |outcome| Question { outcome: Some(outcome), ..all() };
    let state = |state| Question { state: Some(state), ..all() };
    let undelivered = || Question { undelivered: true, ..all() };
    let kinds: Vec<(&str, Ask)> = vec![
        ("order", Box::new(|random| Question { order: order(random), ..all() })),
        (
            "order and merchant",
            Box::new(|random| Question { order: order(random), merchant: merchant(random), ..all() }),
        ),
        ("merchant", Box::new(|random| Question { merchant: merchant(random), ..all() })),
        ("merchant, of 20 %", Box::new(|_| Question { merchant: large.clone(), ..all() })),
        (
            "merchant and hour",
            Box::new(|random| {
                let until = moment(random);
                let since = Some(Moment::from_unix_milliseconds(until.unix_milliseconds() - 3_600_000));
                Question { merchant: large.clone(), since, until: Some(until), ..all() }
            }),
        ),
        ("all, before a moment", Box::new(|random| Question { until: Some(moment(random)), ..all() })),
        ("undelivered", Box::new(|_| undelivered())),
        (
            "undelivered, before a moment",
            Box::new(|random| Question { until: Some(moment(random)), ..undelivered() }),
        ),
        (
            "undelivered of a merchant",
            Box::new(|random| Question { merchant: merchant(random), ..undelivered() }),
        ),
        ("held", Box::new(|_| state(Phase::Held))),
        (
            "waiting, before a moment",
            Box::new(|random| Question { until: Some(moment(random)), ..state(Phase::Waiting) }),
        ),
        ("abandoned", Box::new(|_| outcome(Ended::Abandoned))),
        (
            "confirmed of a merchant",
            Box::new(|random| Question { merchant: merchant(random), ..outcome(Ended::Confirmed) }),
        ),
        (
            "ended, before a moment",
            Box::new(|random| Question { until: Some(moment(random)), ..state(Phase::Ended) }),
        ),
    ];
    let mut took = Vec::new();
    for _ in 0..QUESTIONS {
        let id = format!("n{}", random.random_range(1..ROWS)).parse().expect("an id");
        let begun = Instant::now();
        assert!(journal.story(&id).await.expect("readable").is_some());
        took.push(begun.elapsed());
    }
    report(database, "id (the whole story)", took);
    for (what, question) in kinds {
        let (mut took, mut found) = (Vec::new(), 0);
        for _ in 0..QUESTIONS {
            let question = question(&mut random);
            let begun = Instant::now();
            found += journal.search(&question, None, PAGE).await.expect("readable").rows.len();
            took.push(begun.elapsed());
        }
        assert!(found > 0 || what == "order and merchant", "{what}");
        report(database, what, took);
    }
    for (what, question) in
        [("every page of all (200 rows)", all()), ("every page of undelivered (200 rows)", undelivered())]
    {
        let (mut took, mut from, mut rows) = (Vec::new(), None, 0);
        loop {
            let begun = Instant::now();
            let page = journal.search(&question, from, 200).await.expect("readable");
            took.push(begun.elapsed());
            rows += page.rows.len();
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        println!("{what}: {rows} rows; the last ten pages:");
        report(database, what, took.clone());
        report(database, "the deepest of them", took.split_off(took.len() - took.len().min(10)));
    }
    for (what, question) in [("count of undelivered", undelivered()), ("count of all, up to 100,000", all())]
    {
        let mut took = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            assert!(journal.count(&question, 100_000).await.expect("counted") > 1_000);
            took.push(begun.elapsed());
        }
        report(database, what, took);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn questions_to_a_million_rows() {
    println!("| database | question | asked | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal.sqlite");
    SqliteJournal::open(Settings::new(&file)).await.expect("a journal").close().await;
    let begun = Instant::now();
    fill_sqlite(&file).await;
    println!("SQLite: filled in {:?}, {} MB", begun.elapsed(), file.metadata().expect("there").len() >> 20);
    let journal = SqliteJournal::open(Settings::new(&file)).await.expect("a journal");
    ask(&journal, "SQLite").await;
    journal.close().await;
    drop(folder);

    let database = Database::Own(Server::start(Durability::None).expect("a server"));
    let url = create(&database).await;
    let open = async || {
        Arc::new(PostgresJournal::open(PostgresSettings::new(&url).expect("a URL")).await.expect("a journal"))
    };
    open().await.close().await;
    let begun = Instant::now();
    fill_postgres(&url).await;
    println!("PostgreSQL: filled in {:?}", begun.elapsed());
    let journal = open().await;
    ask(&*journal, "PostgreSQL").await;
    journal.close().await;
}
