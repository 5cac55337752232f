//! How quick the page is with ten thousand merchants.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::nothing_is_amiss;
use crate::support::gateway::{Gateway, Store};

const MERCHANTS: u32 = 10_000;

/// More than any part of the page may have at once. A row has some ten elements.
const MOST_ELEMENTS: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_merchants_make_the_page_no_longer_and_hardly_slower() {
    let mut gateway = Gateway::new(Store::Embedded, "");
    for number in 0..MERCHANTS {
        gateway.merchant(&format!("shop-{number:05}"), "http://127.0.0.1:9/", "");
    }
    // In a build for development it reads so many files for half a minute on a busy machine.
    gateway.start_within(std::time::Duration::from_secs(150));
    gateway.ready().await;
    let browser = Browser::start().await;
    // Without tokens nobody is asked for one.
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until("#headline", &["All is well"]).await;
    browser.until("#live-line", &["live"]).await;
    let marks = "return ['content', 'live'].map((name) => Math.round(performance.getEntriesByName(name)[0]?.startTime))";
    let marks = browser.run(marks).await;
    println!("with {MERCHANTS} merchants: content after {} ms, live after {} ms", marks[0], marks[1]);
    for mark in marks.as_array().expect("both") {
        // Far more than it takes, so that other tests beside this one are no matter.
        assert!(mark.as_u64().is_some_and(|milliseconds| milliseconds < 20_000), "{marks}");
    }

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
    nothing_is_amiss(&browser, &gateway, &[]).await;
    assert!(gateway.stop().success());
}

async fn elements(browser: &Browser) -> u64 {
    let count: Value = browser.run("return document.querySelectorAll('*').length").await;
    assert_ne!(count, json!(0));
    count.as_u64().expect("a number")
}
