//! Whom the console lets in, and what it says to the others.

use http::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::gateway::{Gateway, Store};
use crate::{OPERATOR, PRODUCER, READER, nothing_is_amiss, sign_in, tokens};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_in_for_what_it_is_for_and_for_nothing_else() {
    let mut gateway = Gateway::with_api(Store::Embedded, &tokens(), "");
    gateway.merchant("teahouse", "http://127.0.0.1:9/", "");
    gateway.start();
    gateway.ready().await;
    let mut browser = Browser::start().await;
    // The root leads there.
    browser.go(&format!("{}/", gateway.api())).await;
    browser.until("h1", &["Sign in"]).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "token");
    sign_in(&browser, "paynotify_of_yesterday").await;
    browser.until("#sign-in-wrong", &["not known here"]).await;
    assert_eq!(browser.run("return sessionStorage.length").await, 0, "what is refused is not kept");
    browser.run("document.querySelector('#token').value = ''").await;
    sign_in(&browser, PRODUCER).await;
    browser.until("#sign-in-wrong", &["for something else"]).await;
    browser.pictures("sign-in").await;
    browser.run("document.querySelector('#token').value = ''").await;
    sign_in(&browser, READER).await;
    browser.until("#session", &["support", "may look"]).await;
    browser.until("#headline", &["All is well"]).await;

    // One that may look is offered nothing that it may not do.
    browser.click("#nav a[href='#/undelivered']").await;
    browser.until(".view", &["There is none.", "The poison queue is empty."]).await;
    assert_eq!(browser.run("return document.querySelector('#replay-all')").await, Value::Null);
    browser.click("#nav a[href='#/plugins']").await;
    browser.until(".view", &["plain"]).await;
    browser.click("#nav a[href='#/merchants']").await;
    browser.click("td a[href='#/merchants/teahouse']").await;
    browser.until(".facts", &["Address", "well"]).await;
    assert_eq!(browser.run("return document.querySelector('#pause')").await, Value::Null);

    browser.click("#sign-out").await;
    browser.until("h1", &["Sign in"]).await;
    let left = browser.run("return [sessionStorage.length, localStorage.length, document.cookie]").await;
    assert_eq!(left, json!([0, 0, ""]));
    sign_in(&browser, OPERATOR).await;
    browser.until("#session", &["night-shift", "may operate"]).await;
    // The same view as before, and a new look at the page does not ask again.
    browser.until("h1", &["teahouse"]).await;
    // Nothing is done without a reason, escape closes what asks for it, and the focus is back where it was.
    browser.click("#pause").await;
    browser.press("\u{E00C}").await;
    browser.until_true("it is closed", "return document.querySelector('dialog') === null").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "pause");
    browser.run("location.reload()").await;
    browser.until("#session", &["night-shift", "may operate"]).await;
    let refusals = ["401 (Unauthorized)", "403 (Forbidden)"];
    nothing_is_amiss(&browser, &gateway, &refusals).await;
    assert_eq!(gateway.ask(Method::GET, "/v1/token", "").await.0, 401);
    assert!(gateway.stop().success());
}
