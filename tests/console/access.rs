//! For whoever has no mouse, does not see, or sees badly: everything by the keyboard, named for screen readers, with enough contrast in
//! light and in dark, and no more told aloud than is new.

use serde_json::json;
use tokio::task::block_in_place;

use crate::browser::Browser;
use crate::nothing_is_amiss;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

/// A gateway that has something to show in every view, and no tokens.
async fn gateway(stub: &StubMerchant) -> Gateway {
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("bookshop", &stub.url("/"), "ladder = [\"5m\"]");
    gateway.merchant("old-mill", &stub.url("/"), "ladder = [\"100ms\"]");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n-book-1", "bookshop", "order-1")).await;
    gateway.send(&record("n-mill-1", "old-mill", "order-2")).await;
    gateway.send(&record("n-none-1", "new-harbour", "order-3")).await;
    gateway.wait_for_state("n-mill-1", "ended", SOON).await;
    gateway.wait_for_state("n-none-1", "held", SOON).await;
    gateway.wait_for_state("n-book-1", "waiting", SOON).await;
    gateway
}

async fn focused(browser: &Browser) -> String {
    let script = "return document.activeElement.innerText || document.activeElement.id";
    browser.run(script).await.as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_is_done_by_the_keyboard() {
    let stub = StubMerchant::start(always(Answer::Refuse)).await;
    let mut gateway = gateway(&stub).await;
    let browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    browser.until("#headline", &["new-harbour"]).await;

    // The first stop leads past the navigation, the next ones through it in the order in which it is read.
    browser.press(TAB).await;
    assert_eq!(focused(&browser).await, "Skip to the content");
    browser.press(ENTER).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "main");
    assert_eq!(browser.run("return location.hash").await, "", "the view is the same");
    browser.run("document.activeElement.blur(); document.querySelector('.brand').focus()").await;
    for name in ["Overview", "Notifications", "Merchants", "Undelivered", "Plugins", "Audit"] {
        browser.press(TAB).await;
        assert_eq!(focused(&browser).await, name);
        let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, "solid", "{name}: the focus is seen");
    }

    // A slash leads to the search from everywhere, and is a letter where one writes.
    browser.press("/").await;
    browser.until("h1", &["Notifications"]).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "what");
    browser.press(&format!("a/b{ENTER}")).await;
    browser.until(".view", &["Nothing is known of such a notification."]).await;
    assert_eq!(browser.run("return document.activeElement.value").await, "a/b");
    browser.run("document.activeElement.select()").await;
    browser.press(&format!("n-mill-1{ENTER}")).await;
    browser.until(".facts", &["exhausted"]).await;
    browser.until(".timeline", &["Attempt 2"]).await;

    // On to the merchant, the replay, and the first attempt, which opens and closes.
    assert_eq!(focused(&browser).await, "n-mill-1", "whoever listens hears where this is");
    browser.press(TAB).await;
    assert_eq!(focused(&browser).await, "old-mill");
    browser.press(TAB).await;
    assert_eq!(focused(&browser).await, "Replay…");
    browser.press(ENTER).await;
    browser.until("dialog", &["Replay n-mill-1"]).await;
    // Out of the dialog there is no way but through it.
    for _ in 0..6 {
        browser.press(TAB).await;
        let is_within = "return document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)";
        assert_eq!(browser.run(is_within).await, true);
    }
    browser.press(ESCAPE).await;
    browser.until_true("it is closed", "return document.querySelector('dialog') === null").await;
    assert_eq!(focused(&browser).await, "Replay…");
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.until(".timeline .exchange", &["Request", "Reply", "fail"]).await;
    browser.press(ENTER).await;
    browser.until_true("it is closed", "return document.querySelector('details[open]') === null").await;
    nothing_is_amiss(&browser, &gateway, &["404 (Not Found)"]).await;
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_keeps_anybody_out() {
    let axe = block_in_place(xtask::browser::axe).expect("axe-core");
    let stub = StubMerchant::start(always(Answer::Refuse)).await;
    let mut gateway = gateway(&stub).await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    let views = [
        ("#/", "#headline", "new-harbour"),
        ("#/notifications", ".view", "n-none-1"),
        ("#/notifications/n-mill-1", ".timeline", "Attempt 2"),
        ("#/merchants", ".view", "old-mill"),
        ("#/merchants/old-mill", ".view", "100 ms"),
        ("#/undelivered", ".view", "n-mill-1"),
        ("#/plugins", ".view", "plain"),
        ("#/audit", ".view", "Nobody has done anything yet."),
    ];
    for (hash, place, text) in views {
        browser.run(&format!("location.hash = {}", json!(hash))).await;
        browser.until(place, &[text]).await;
        for (colours, width) in [("light", 1440), ("dark", 1440), ("dark", 390)] {
            browser.look(colours, width, 900).await;
            assert_eq!(browser.hindrances(&axe).await, Vec::<String>::new(), "{hash} {colours} {width}");
        }
        browser.look("light", 1440, 900).await;
        let outline = "return [document.querySelectorAll('h1').length, document.querySelectorAll('main, header, nav').length, document.documentElement.lang, document.title !== '']";
        assert_eq!(browser.run(outline).await, json!([1, 3, "en", true]), "{hash}");
    }
    // A dialog, too.
    browser.run("location.hash = '#/notifications/n-mill-1'").await;
    browser.click("#replay").await;
    browser.until("dialog", &["Replay n-mill-1"]).await;
    assert_eq!(browser.hindrances(&axe).await, Vec::<String>::new());
    browser.press(ESCAPE).await;

    // What is told aloud: that something else is the matter. Numbers, and attempts as they happen, are not.
    browser.run("location.hash = '#/'").await;
    browser.until("#headline", &["new-harbour"]).await;
    let listen = "window.told = []; new MutationObserver(() => told.push(document.querySelector('#told').textContent)) \
         .observe(document.querySelector('#told'), {childList: true, characterData: true, subtree: true})";
    browser.run(listen).await;
    for number in 4..10 {
        gateway.send(&record(&format!("n-none-{number}"), "new-harbour", &format!("order-{number}"))).await;
    }
    browser.until("#headline", &["7 notifications held"]).await;
    assert_eq!(browser.run("return told").await, json!([]));
    let aloud = "return document.querySelectorAll('[aria-live]:not(#told), .panel table [role=status], .panel [role=log]').length";
    assert_eq!(browser.run(aloud).await, 0);
    nothing_is_amiss(&browser, &gateway, &[]).await;
    assert!(gateway.stop().success());
}
