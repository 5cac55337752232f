//! Guests that mean harm: each is ended and named, takes no more than its bounds, and harms no other.

#![allow(missing_docs)]

#[path = "support/call.rs"]
mod call;
#[path = "support/guest.rs"]
mod guest;

use std::time::Duration;

use call::{attempt, endpoint, notification, reply};
use guest::Guest;
use paynotify::domain::{Request, Verdict};
use paynotify::plugin::{CallError, Host, Plugin, Settings};

const GOOD: Guest = Guest::WELL_BEHAVED;

fn host() -> Host {
    let settings = Settings { call_timeout: Duration::from_millis(200), ..Settings::default() };
    Host::new(settings).expect("plugins can be run")
}

async fn load(host: &Host, guest: &Guest) -> Plugin {
    host.load_bytes("guest.wasm", guest.build()).await.expect("a plugin")
}

async fn format(plugin: &Plugin) -> Result<Request, CallError> {
    plugin.format(&notification(""), &endpoint("https://shop.example/"), &attempt()).await
}

async fn judge(plugin: &Plugin) -> Result<Verdict, CallError> {
    let endpoint = endpoint("https://shop.example/");
    plugin.judge(&notification(""), &endpoint, &attempt(), &reply(200, b"success")).await
}

#[tokio::test]
async fn the_template_behaves() {
    let plugin = load(&host(), &GOOD).await;
    assert_eq!(plugin.description().name, "guest");
    let request = format(&plugin).await.expect("a request");
    assert_eq!(request.uri, "https://shop.example:443/");
    assert_eq!(request.body, "hello");
    assert_eq!(judge(&plugin).await, Ok(Verdict::Confirmed { detail: None }));
    assert_eq!(plugin.check_settings("{}").await, Ok(()));
}
