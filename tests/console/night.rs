//! A night on RabbitMQ: a merchant is down, another one has heard nothing, a message cannot be read; and what an operator does about it.

use crate::browser::Browser;
use crate::support::gateway::{Gateway, SOON, record};
use crate::support::merchant::{Answer, StubMerchant, always, in_turn};
use crate::support::rabbit::Rabbit;
use crate::{OPERATOR, nothing_is_amiss, sign_in, tokens};

/// Merchants who refuse, the rung that they wait on for longer than the night lasts, and how many notifications do.
const STREET: [(&str, &str, u32); 5] = [
    ("corner-bakery", "10m", 4),
    ("city-library", "15m", 31),
    ("museum-shop", "20m", 9),
    ("a-merchant-whose-id-is-about-as-long-as-an-id-may-be-on-any-page", "25m", 2),
    ("night-tram", "30m", 14),
];

/// Who is told, and how they answer.
struct Town {
    teahouse: StubMerchant,
    bookshop: StubMerchant,
    mill: StubMerchant,
    /// Refuses everything, for merchants whose ladders have one long rung.
    street: StubMerchant,
    /// Where nobody listens: the merchant who is down.
    ferry: std::net::SocketAddr,
}

impl Town {
    async fn start() -> Self {
        let [port] = xtask::ports::free().expect("a port");
        let ferry = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            teahouse: StubMerchant::start(always(Answer::Confirm)).await,
            bookshop: StubMerchant::start(always(Answer::Refuse)).await,
            mill: StubMerchant::start(in_turn([Answer::Refuse, Answer::Refuse, Answer::Confirm])).await,
            street: StubMerchant::start(always(Answer::Refuse)).await,
            ferry,
        }
    }

    fn gateway(&self, rabbit: &Rabbit) -> Gateway {
        let quick = "[delivery]\nbreaker_after = 3\nbreaker_pause = \"1s\"\nbreaker_longest = \"2s\"";
        let gateway = Gateway::with_api(rabbit.store(), &tokens(), quick);
        gateway.merchant("teahouse", &self.teahouse.url("/notify"), "");
        gateway.merchant("bookshop", &self.bookshop.url("/paid?shop=17"), "");
        gateway.merchant("old-mill", &self.mill.url("/"), "ladder = [\"200ms\"]");
        gateway.merchant(
            "north-ferry",
            &format!("http://{}/", self.ferry),
            &format!("ladder = {:?}", ["3s"; 32]),
        );
        for (merchant, rung, _) in STREET {
            gateway.merchant(merchant, &self.street.url("/notify"), &format!("ladder = [\"{rung}\"]"));
        }
        gateway
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_is_wrong_and_acts_upon_it() {
    let rabbit = Rabbit::start().await;
    let town = Town::start().await;
    let mut gateway = town.gateway(&rabbit);
    gateway.start();
    gateway.ready().await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/console", gateway.api())).await;
    sign_in(&browser, OPERATOR).await;
    browser.until("#headline", &["All is well"]).await;
    browser.until("#live-line", &["live"]).await;

    what_happens_is_seen_while_it_happens(&browser, &rabbit).await;
    an_outage_is_named_first(&browser, &rabbit, &town).await;
    a_notification_is_found_by_all_that_is_known_of_it(&browser).await;
    its_story_has_every_request_and_reply(&mut browser).await;
    what_was_exhausted_is_told_again(&mut browser, &town).await;
    a_merchant_is_paused_and_resumed(&mut browser).await;
    what_cannot_be_read_is_thrown_away(&mut browser, &rabbit).await;
    the_audit_has_all_of_it(&browser).await;
    when_the_merchant_is_back_nobody_is_named_any_more(&browser, town.ferry).await;

    // On a machine that is too busy for RabbitMQ's heartbeats the gateway is not ready for a moment, and says so.
    let expected = ["422 (Unprocessable Entity)", "503 (Service Unavailable)"];
    nothing_is_amiss(&browser, &gateway, &expected).await;
    assert!(gateway.stop().success());
    // A gateway that is gone is said to be gone, and what was seen stays.
    browser.until("#headline", &["has not answered"]).await;
    assert_eq!(town.mill.requests().len(), 3, "a request too many");
}

async fn what_happens_is_seen_while_it_happens(browser: &Browser, rabbit: &Rabbit) {
    for number in 1..=6 {
        rabbit.send(&record(&format!("n-tea-{number}"), "teahouse", &format!("order-10{number}"))).await;
    }
    let seen = browser.until(".overview", &["n-tea-6", "confirmed"]).await;
    assert!(seen.contains("live"), "{seen}");
    for (id, merchant, order) in
        [("n-book-1", "bookshop", "order-201"), ("n-mill-1", "old-mill", "order-301")]
    {
        rabbit.send(&record(id, merchant, order)).await;
    }
    browser.until(".overview", &["n-book-1", "retry", "n-mill-1", "exhausted"]).await;
}

async fn an_outage_is_named_first(browser: &Browser, rabbit: &Rabbit, town: &Town) {
    let mut told = 0;
    for (merchant, _, number) in STREET {
        for number in 1..=number {
            rabbit
                .send(&record(&format!("n-{:.8}-{number}", merchant), merchant, &format!("order-5{number}")))
                .await;
            told += 1;
        }
    }
    town.street.wait_for(told, SOON).await;
    for number in 1..=7 {
        rabbit.send(&record(&format!("n-ferry-{number}"), "north-ferry", &format!("order-40{number}"))).await;
    }
    browser.until(".sentence", &["north-ferry cannot be reached"]).await;
    browser.until("#headline", &["old-mill was never confirmed"]).await;
    browser.until(".overview", &["north-ferry", "down", "given up", "30 s"]).await;
    let title = browser.run("return document.title").await;
    assert!(title.as_str().is_some_and(|title| title.starts_with('(')), "{title}");
    // Whoever listens hears of it, and finds the ladder in words.
    assert_eq!(
        browser.run("return document.querySelector('#told').textContent.includes('north-ferry')").await,
        true
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('.unseen-box tbody tr').length >= 8").await,
        true
    );
    // The ladder as it is drawn: a rung for each delay, and how much waits there.
    let drawn =
        "return [...document.querySelectorAll('.ladder .rung')].map((rung) => rung.textContent).join()";
    browser
        .until_true(
            "the ladder is drawn",
            &format!(
                "return /30 min.*14,25 min.*2,20 min.*9,15 min.*31,10 min.*4/.test((() => {{ {drawn} }})())"
            ),
        )
        .await;
}

async fn a_notification_is_found_by_all_that_is_known_of_it(browser: &Browser) {
    browser.click("#nav a[href='#/notifications']").await;
    browser.type_into("#what", "order-104\u{E007}").await;
    browser.until(".view", &["with the order order-104", "n-tea-4"]).await;
    browser.run("document.querySelector('#what').value = ''").await;
    browser.type_into("#what", "bookshop\u{E007}").await;
    let found = browser.until(".view", &["of the merchant bookshop", "n-book-1"]).await;
    assert!(!found.contains("n-tea"), "{found}");
    browser.run("document.querySelector('#what').value = ''").await;
    browser.type_into("#what", "n-book-1\u{E007}").await;
    browser.until("h1", &["n-book-1"]).await;
    assert_eq!(browser.run("return location.hash").await, "#/notifications/n-book-1");
    assert_eq!(browser.run("return document.activeElement.tagName").await, "H1");
}

async fn its_story_has_every_request_and_reply(browser: &mut Browser) {
    browser.until(".timeline", &["Came in", "Attempt 1", "retry"]).await;
    browser.until(".view", &["order-201", "bookshop"]).await;
    browser.click(".timeline summary").await;
    let told =
        browser.until(".timeline .exchange", &["Request", "POST", "/paid?***", "Reply", "200", "fail"]).await;
    assert!(!told.contains("shop=17"), "a URL's query may hold a secret: {told}");
    browser.until(".timeline", &["The plugin says: retry", "Attempt 2"]).await;
    // What was open stays open while the story goes on.
    assert_eq!(browser.run("return document.querySelectorAll('details[open]').length").await, 1);
    browser.pictures("story").await;
}

async fn what_was_exhausted_is_told_again(browser: &mut Browser, town: &Town) {
    browser.click("#nav a[href='#/undelivered']").await;
    browser.until(".view", &["n-mill-1", "The poison queue is empty."]).await;
    browser.pictures("undelivered").await;
    browser.click("td a[href='#/notifications/n-mill-1']").await;
    browser.click("#replay").await;
    // Nothing is done without a reason.
    browser.click("dialog button[type=submit]").await;
    browser
        .until("dialog", &["Replay n-mill-1", "old-mill is told once more", "It has been told 2 times"])
        .await;
    assert_eq!(browser.run("return document.querySelector('dialog').open").await, true);
    assert_eq!(town.mill.requests().len(), 2);
    browser.type_into("dialog input", "they have found their mistake").await;
    browser.pictures("replay").await;
    browser.press("\u{E007}").await;
    town.mill.wait_for(3, SOON).await;
    browser
        .until(".timeline", &["Replay 1 begun by night-shift", "they have found their mistake", "confirmed"])
        .await;
    browser.until(".facts", &["confirmed"]).await;
    // Once it is over the replay can be asked for again, which is another matter.
    browser.until("#replay", &["Replay"]).await;
}

async fn a_merchant_is_paused_and_resumed(browser: &mut Browser) {
    browser.click("#nav a[href='#/merchants']").await;
    browser.until(".view", &["9 merchants", "north-ferry"]).await;
    browser.pictures("merchants").await;
    browser.click("td a[href='#/merchants/teahouse']").await;
    for (verb, reason, after) in
        [("Pause", "they have asked us to", "Resume"), ("Resume", "they are ready", "Pause")]
    {
        browser.until("#pause", &[verb]).await;
        browser.click("#pause").await;
        browser.until("dialog", &[verb, "teahouse"]).await;
        browser.type_into("dialog input", reason).await;
        browser.click("dialog button[type=submit]").await;
        browser.until("#pause", &[after]).await;
        if verb == "Pause" {
            browser.until(".facts", &["paused", "by night-shift: they have asked us to"]).await;
        }
    }
}

async fn what_cannot_be_read_is_thrown_away(browser: &mut Browser, rabbit: &Rabbit) {
    rabbit.publish(&rabbit.outside.name("in"), "teahouse", b"{\"half\":").await;
    browser.click("#nav a[href='#/']").await;
    browser.until("#headline", &["1 message could not be worked upon"]).await;
    browser.pictures("overview").await;
    browser.click("#nav a[href='#/undelivered']").await;
    browser.until(".view", &["no payment result", "{\"half\":"]).await;
    // A record that is none is refused, in the dialog, which stays open.
    browser.click("button[data-of^=mend]").await;
    browser.type_into("dialog input", "it was cut off").await;
    browser.click("dialog button[type=submit]").await;
    browser.until("dialog .wrong", &["."]).await;
    browser.press("\u{E00C}").await;
    browser.until_true("it is closed", "return document.querySelector('dialog') === null").await;
    browser.click("button[data-of^=discard]").await;
    browser.type_into("dialog input", "a test of theirs").await;
    browser.click("dialog button[type=submit]").await;
    browser.until(".view", &["The poison queue is empty."]).await;
}

async fn the_audit_has_all_of_it(browser: &Browser) {
    browser.click("#nav a[href='#/audit']").await;
    let reasons =
        ["they have found their mistake", "they have asked us to", "they are ready", "a test of theirs"];
    browser.until(".view", &reasons).await;
    browser.until(".view", &["night-shift", "replay", "pause", "resume", "discard"]).await;
}

async fn when_the_merchant_is_back_nobody_is_named_any_more(browser: &Browser, ferry: std::net::SocketAddr) {
    browser.click("#nav a[href='#/']").await;
    browser.until(".sentence", &["north-ferry cannot be reached"]).await;
    let back = StubMerchant::start_at(ferry, always(Answer::Confirm)).await;
    back.wait_for(7, SOON).await;
    browser
        .until_true(
            "the sentence is another one",
            "return !document.querySelector('.sentence').innerText.includes('north-ferry')",
        )
        .await;
}
