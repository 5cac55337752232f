//! What is said when the broker is away, when nobody has configured a merchant, when a plugin fails, and when what comes in piles up.

use std::fs;

use tokio::sync::watch;

use crate::browser::Browser;
use crate::nothing_is_amiss;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;
use crate::support::merchant::{Answer, Received, StubMerchant, always};
use crate::support::proxy::{Cut, Proxy};
use crate::support::rabbit::Rabbit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_the_first_thing_said() {
    let rabbit = Rabbit::start().await;
    let Store::Amqp { url, prefix } = rabbit.store() else { panic!("it is RabbitMQ") };
    let proxy = Proxy::before(&url).await;
    let mut gateway = Gateway::new(Store::Amqp { url: proxy.url(&url), prefix }, "");
    gateway.merchant("teahouse", "http://127.0.0.1:9/", "");
    gateway.start();
    gateway.ready().await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until("#headline", &["All is well"]).await;
    proxy.refuse().await;
    proxy.cut(Cut::Reset);
    browser.until(".sentence.wrong", &["No merchant is told anything", "the broker is away"]).await;
    browser.until("#headline .detail", &["RabbitMQ is away"]).await;
    browser.until_true("the title says so", "return document.title.startsWith('(1)')").await;
    browser.pictures("outage").await;
    // Wherever one is, it is said.
    browser.click("#nav a[href='#/merchants']").await;
    browser.until(".view", &["teahouse"]).await;
    browser.until("#headline", &["the broker is away"]).await;
    proxy.accept().await;
    browser.until("#headline", &["All is well"]).await;
    browser.until_true("the title says so", "return document.title === 'Merchants · paynotify'").await;
    nothing_is_amiss(&browser, &gateway, &["503 (Service Unavailable)"]).await;
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_says_why_and_the_plugins_page_says_whose_fault_it_is() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let quick = "[dropin]\nscan = \"20ms\"\nsettle = \"60ms\"\n[plugin]\nbreaker_after = 1\nbreaker_pause = \"1h\"\nbreaker_longest = \"1h\"";
    let mut gateway = Gateway::new(Store::Embedded, quick);
    let plugin = |name: &str| gateway.folder().join("plugins").join(name);
    fs::write(plugin("guest.wasm"), Guest { format: "(unreachable)", ..Guest::WELL_BEHAVED }.build())
        .expect("written");
    let merchant = format!("url = \"{}\"\nplugin = \"guest\"\n", stub.url("/"));
    fs::write(gateway.folder().join("merchants/bookshop.toml"), merchant).expect("written");
    gateway.start();
    gateway.ready().await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until("#headline", &["All is well"]).await;

    for (id, merchant) in [("n1", "bookshop"), ("n2", "bookshop"), ("n3", "new-harbour")] {
        gateway.send(&record(id, merchant, id)).await;
        gateway.wait_for_state(id, "held", SOON).await;
    }
    browser
        .until("#headline", &["The plugin fails for bookshop: 2 notifications held until it works."])
        .await;
    browser.until("#headline", &["Nobody has configured new-harbour: 1 notification held"]).await;
    browser.until(".held", &["no such merchant is configured", "1"]).await;
    browser.until(".overview .word.bad[title]", &["1"]).await;
    browser.until(".overview", &["bookshop", "held", "new-harbour"]).await;
    browser.pictures("holds").await;

    // A file that is no plugin is refused, with the reason, and what ran goes on.
    fs::write(gateway.folder().join("plugins/plain.wasm"), "no component").expect("written");
    browser.click("#nav a[href='#/plugins']").await;
    browser.until(".view", &["Refused files", "plain.wasm", "is no WebAssembly component"]).await;
    browser.until(".view", &["guest", "plain", "Faults"]).await;
    browser.until_true(
        "the fault is counted",
        "return [...document.querySelectorAll('tr')].some((row) => row.cells[0].innerText === 'guest' && parseInt(row.querySelector('.word.bad')?.innerText) > 0)",
    ).await;
    browser.pictures("plugins").await;

    // With a version that works, what was held goes on, and nothing is said of it any more.
    fs::write(gateway.folder().join("plugins/guest.wasm"), Guest::WELL_BEHAVED.build()).expect("written");
    gateway.wait_for_state("n2", "ended", SOON).await;
    browser
        .until_true(
            "it is over",
            "return !document.querySelector('#headline').innerText.includes('The plugin fails')",
        )
        .await;
    // The one before can be had again, for a reason.
    browser.click("button[data-key='back-guest']").await;
    browser.until("dialog", &["Roll guest back", "1 merchant"]).await;
    browser.type_into("dialog input", "it was better before").await;
    browser.click("dialog button[type=submit]").await;
    browser.until_true("it is done", "return document.querySelector('dialog') === null").await;
    browser.click("#nav a[href='#/audit']").await;
    browser.until(".view", &["rollback", "guest", "it was better before"]).await;
    nothing_is_amiss(&browser, &gateway, &[]).await;
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_attempts_that_pile_up_are_said_to_be_late() {
    let (open, opened) = watch::channel(false);
    let once = move |_: &Received| Answer::Once(opened.clone(), Box::new(Answer::Confirm));
    let stub = StubMerchant::start(once).await;
    // The one that is under way has the only place, and what comes after it is late after 15 s.
    let mut gateway = Gateway::new(Store::Embedded, "prefetch = 1\n");
    gateway.merchant("slow-tailor", &stub.url("/"), "total_timeout = \"2m\"\n");
    gateway.start();
    gateway.ready().await;
    let browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until("#headline", &["All is well"]).await;
    for id in ["n1", "n2", "n3"] {
        gateway.send(&record(id, "slow-tailor", id)).await;
    }
    browser
        .until(".sentence.wrong", &["First attempts are late: what was due", "has not been attempted"])
        .await;
    let foot = "return document.querySelector('.ladder .bad')?.textContent";
    browser.until_true("it is late in the picture, too", &format!("{foot}.startsWith('new')")).await;
    browser.until_true("it says how late", &format!("{foot}.includes('s late')")).await;
    open.send_replace(true);
    browser.until("#headline", &["All is well"]).await;
    nothing_is_amiss(&browser, &gateway, &[]).await;
    assert!(gateway.stop().success());
}
