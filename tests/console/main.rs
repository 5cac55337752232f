//! The operators' console in a browser, on a gateway as it runs: what is to be seen, and what can be done.
//!
//! The browser is led as a person would, and whatever its console says, its policy forbids, or is requested from elsewhere fails
//! the test. Pictures of what was seen are in `target/console`.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod browser;
mod many;
mod night;
mod sign_in;
mod trouble;

use paynotify::api::TokenHash;
use serde_json::json;

use browser::Browser;
use support::gateway::Gateway;

const OPERATOR: &str = "paynotify_operator";
const READER: &str = "paynotify_reader";
const PRODUCER: &str = "paynotify_producer";

/// Three tokens, for the configuration.
fn tokens() -> String {
    let token = |name: &str, role: &str, text: &str| {
        format!(
            "[[api.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{}\"\n",
            TokenHash::of(text)
        )
    };
    [
        token("night-shift", "operate", OPERATOR),
        token("support", "read", READER),
        token("payment-centre", "ingest", PRODUCER),
    ]
    .concat()
}

async fn sign_in(browser: &Browser, token: &str) {
    browser.type_into("#token", token).await;
    browser.press("\u{E007}").await;
}

/// Nothing is amiss in the browser but what the test expects: messages that end so.
async fn nothing_is_amiss(browser: &Browser, gateway: &Gateway, expected: &[&str]) {
    let messages = browser.messages().await;
    let other = messages.iter().filter(|message| !expected.iter().any(|end| message.ends_with(end)));
    assert_eq!(other.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(browser.run("return [...violations, ...faults]").await, json!([]));
    let requested = browser.requested().await;
    assert!(requested.iter().any(|url| url.ends_with("/v1/ladder")), "{requested:?}");
    // Before its first page a browser shows one of its own.
    let is_known = |url: &str| {
        [&format!("{}/", gateway.api()), "data:", "chrome://"].iter().any(|begin| url.starts_with(begin))
    };
    let elsewhere = requested.iter().filter(|url| !is_known(url));
    assert_eq!(elsewhere.collect::<Vec<_>>(), Vec::<&String>::new());
}
