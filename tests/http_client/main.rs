//! The client against real sockets: merchants that behave, and peers that do everything a peer can do wrong.
//!
//! Time-outs that must pass are short; those that must not are the defaults. Upper bounds on what was measured are wide,
//! because they tell "cut off" from "waited for the peer", not fast machines from slow ones.

mod exchange;
mod guard;
mod misbehaving;
mod peer;
mod program;
#[path = "../support/mod.rs"]
mod support;
mod through_a_proxy;
mod timeouts;
mod tls;

use std::time::Duration;

use paynotify::domain::{Reply, Request, TransportFailure, UncheckedRequest};
use paynotify::http::{Client, Reach, Settings, Timeouts, TlsRoots};

/// Far longer than anything takes that is not waiting for a peer.
const SOON: Duration = Duration::from_secs(3);

/// A request as a plugin makes it, for the origin that its URL names.
fn request(method: &str, url: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    let unchecked = UncheckedRequest { method: method.into(), url: url.into(), headers, body: body.to_vec() };
    unchecked.check(&[url.parse().expect("a URL of an origin")], usize::MAX).expect("keeps the rules")
}

fn post(url: &str) -> Request {
    request("POST", url, &[], b"hello")
}

/// Trusts somebody whom none of the peers knows.
fn strangers() -> TlsRoots {
    TlsRoots::private(tls::Authority::new().pem().as_bytes()).expect("a certificate")
}

fn client() -> Client {
    Client::new(&Settings::default(), &strangers(), &Reach::anywhere())
}

fn hasty_client(timeouts: Timeouts) -> Client {
    Client::new(&Settings { timeouts, ..Settings::default() }, &strangers(), &Reach::anywhere())
}

/// Sends to a peer of whom no reply can be expected.
async fn failure(client: &Client, url: &str) -> TransportFailure {
    match client.send(post(url)).await {
        Ok(reply) => panic!("{reply:?} is no failure"),
        Err(failure) => failure,
    }
}

fn text(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), std::str::from_utf8(&reply.body).expect("UTF-8"))
}
