//! How quick the page is with ten thousand merchants and a large journal.
//!
//! With all tests the journal is small. The figures of `docs/console.md` are made with a million notifications, by hand, by the command that
//! stands there.

use std::time::{Duration, Instant};

use paynotify::domain::Moment;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, raw_sql};

use crate::browser::Browser;
use crate::nothing_is_amiss;
use crate::support::gateway::{Gateway, Store};

const MERCHANTS: u32 = 10_000;

/// More than any part of the page may have at once. A row has some ten elements.
const MOST_ELEMENTS: u64 = 2_000;

/// In a build for development ten thousand files are read for half a minute on a busy machine.
const LONG: Duration = Duration::from_secs(150);

/// How often the page is loaded for the figures.
const LOADS: usize = 15;

/// Puts so many notifications into the journal of a gateway that does not run: 1 % wait on the ladders of all merchants, a few have
/// been given up, the others are confirmed. Nothing of it is due before tomorrow, and so nothing moves.
async fn fill(gateway: &Gateway, rows: u32) {
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_millis(),
    )
    .expect("a time");
    let moment = |ago: i64| Moment::from_unix_milliseconds(now - ago);
    let (tomorrow, lately, long_ago) = (moment(-86_400_000), moment(3_600_000), moment(20 * 86_400_000));
    let state = format!(
        "CASE WHEN i % 100 = 0 THEN '{{\"state\":\"waiting\",\"next_attempt\":' || (2 + i / 100 % 6) || ',\"due\":\"{tomorrow}\"}}'
        WHEN i % 10007 = 0 THEN '{{\"state\":\"ended\",\"outcome\":\"exhausted\",\"detail\":\"fail\",\"attempts_made\":7,\"ended_at\":\"{lately}\"}}'
        ELSE '{{\"state\":\"ended\",\"outcome\":\"confirmed\",\"detail\":null,\"attempts_made\":1,\"ended_at\":\"{long_ago}\"}}' END"
    );
    let sql = format!(
        "PRAGMA synchronous = OFF;
        BEGIN;
        INSERT INTO notification (id, merchant_id, merchant_order_id, first_seen, updated_at, raw, state, digest, told)
            WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < {rows})
            SELECT 'n-' || i, printf('shop-%05d', i * 7919 % {MERCHANTS}), 'order-' || i, {first} + i, {first} + i, CAST('{{}}' AS BLOB),
                {state}, zeroblob(32), 1 FROM number;
        COMMIT;",
        first = now - 30 * 86_400_000,
    );
    let file = gateway.folder().join("data/journal.sqlite");
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.expect("opened");
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("filled");
    connection.close().await.expect("closed");
}

/// A gateway with that journal and ten thousand merchants, and no tokens, so that nobody is asked for one.
async fn gateway(rows: u32) -> Gateway {
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.start();
    assert!(gateway.stop().success());
    fill(&gateway, rows).await;
    for number in 0..MERCHANTS {
        gateway.merchant(&format!("shop-{number:05}"), "http://127.0.0.1:9/", "");
    }
    gateway.start_within(LONG);
    gateway.ready().await;
    gateway
}

/// Loads the page as if for the first time: milliseconds until something is to be seen, until the ladder is, and until it is live.
async fn load(browser: &Browser, gateway: &Gateway) -> [u64; 3] {
    browser.go("about:blank").await;
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until(".overview", &["Ladder"]).await;
    browser.until("#headline", &["being tried again"]).await;
    browser.until("#live-line", &["live"]).await;
    let marks = "return ['first-contentful-paint', 'content', 'live'].map((name) => Math.round(performance.getEntriesByName(name)[0]?.startTime))";
    let marks: [u64; 3] = serde_json::from_value(browser.run(marks).await).expect("all of them");
    // Far more than it takes, so that other tests beside this one are no matter.
    assert!(marks.iter().all(|milliseconds| *milliseconds < 20_000), "{marks:?}");
    marks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_merchants_make_the_page_no_longer_and_hardly_slower() {
    let mut gateway = gateway(20_000).await;
    let browser = Browser::start().await;
    let [seen, content, live] = load(&browser, &gateway).await;
    println!("first content after {seen} ms, the ladder after {content} ms, live after {live} ms");

    browser.click("#nav a[href='#/merchants']").await;
    browser.until(".view", &["10,000 merchants", "shop-00000", "shop-00049"]).await;
    assert!(elements(&browser).await < MOST_ELEMENTS);
    browser.click(".pager button:last-child").await;
    browser.until(".view", &["shop-00050", "shop-00099"]).await;
    browser.type_into("#like", "HOP-0777").await;
    browser.until(".view", &["10 merchants found", "shop-07770", "shop-07779"]).await;
    assert_eq!(browser.run("return location.hash").await, "#/merchants?like=HOP-0777");
    browser.click("input[value=down] + span").await;
    browser.until(".view", &["0 merchants found", "No merchant is so."]).await;
    browser.click("#nav a[href='#/plugins']").await;
    browser.until(".view", &["plain", "10,000"]).await;
    assert!(elements(&browser).await < MOST_ELEMENTS);
    browser.click("#nav a[href='#/notifications']").await;
    browser.until(".view", &["n-20000", "n-19951"]).await;
    assert!(elements(&browser).await < MOST_ELEMENTS);
    nothing_is_amiss(&browser, &gateway, &[]).await;
    assert!(gateway.stop().success());
}

async fn elements(browser: &Browser) -> u64 {
    let count: Value = browser.run("return document.querySelectorAll('*').length").await;
    assert_ne!(count, json!(0));
    count.as_u64().expect("a number")
}

/// Middle, and longest.
fn of_all(mut took: Vec<u64>) -> (u64, u64) {
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() - 1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures: run it by hand, alone"]
async fn figures() {
    let mut gateway = gateway(1_000_000).await;
    let browser = Browser::start().await;
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        loads.push(load(&browser, &gateway).await);
    }
    for (index, what) in ["first content", "ladder and sentence", "live"].into_iter().enumerate() {
        let (middle, longest) = of_all(loads.iter().map(|load| load[index]).collect());
        println!("| {what} | {middle} | {longest} |");
    }
    for path in [
        "/v1/ladder",
        "/v1/holds?limit=200",
        "/v1/merchants?limit=50",
        "/v1/merchants?is=down&limit=20",
        "/v1/merchants?like=0777&limit=50",
        "/v1/notifications?limit=50",
        "/v1/notifications?outcome=exhausted&limit=50",
        "/v1/plugins",
    ] {
        let mut took = Vec::new();
        for _ in 0..LOADS {
            let began = Instant::now();
            let (status, _) = gateway.ask(http::Method::GET, path, "").await;
            assert_eq!(status, 200, "{path}");
            took.push(u64::try_from(began.elapsed().as_micros()).expect("short") / 100);
        }
        let (middle, longest) = of_all(took);
        println!("| `{path}` | {}.{} | {}.{} |", middle / 10, middle % 10, longest / 10, longest % 10);
    }
    assert!(gateway.stop().success());
}
