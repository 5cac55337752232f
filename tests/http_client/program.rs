//! The program on its way to a merchant that wants to know who it is, behind a proxy that wants a password.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::through_a_proxy::{Manner, ProxyPeer};
use crate::tls::{Authority, confirming};

const PASSWORD: &str = "p@ss word";

/// A merchant's file, and what it names, in the gateway's folder.
fn merchant_file(gateway: &Gateway, url: &str, (certificate, key): (&str, &str)) {
    let folder = gateway.folder().join("merchants");
    fs::write(folder.join("gateway.crt"), certificate).expect("written");
    fs::write(folder.join("gateway.key"), key).expect("written");
    gateway.merchant(
        "shop",
        url,
        "ca_file = \"ca.pem\"\nclient_certificate = \"gateway.crt\"\nclient_key = \"file:gateway.key\"\n\
         ladder = [\"100ms\"]\nproxy = \"file:proxy\"\nproxy_allow_addresses = [\"127.0.0.1\"]",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_that_wants_to_know_who_we_are_behind_a_proxy() {
    let authority = Authority::new();
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let peer = confirming(local, authority.server_for_the_certified("127.0.0.1")).await;
    let url = format!("https://{}/notify?a=1", peer.address);
    let proxy = ProxyPeer::start(Manner::WantsCredentials).await;
    let mut gateway = Gateway::new(Store::Embedded, "[dropin]\nscan = \"50ms\"\nsettle = \"50ms\"\n");
    let folder = gateway.folder().join("merchants");
    fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
    let by = |password: &str| format!("http://me:{password}@{}\n", proxy.peer.address);
    fs::write(folder.join("proxy"), by("p%40ss%20word")).expect("written");
    let (certificate, key) = authority.certificate_and_key();
    let (strange, strange_key) = Authority::new().certificate_and_key();
    merchant_file(&gateway, &url, (&strange, &strange_key));
    gateway.start();
    gateway.ready().await;
    let ends_by = async |id: &str, outcome: &str, result: &str| {
        gateway.send(&record(id, "shop", id)).await;
        let story = gateway.wait_for_state(id, "ended", SOON).await;
        assert_eq!(
            (&story["outcome"], &story["attempts"][0]["result"]),
            (&outcome.into(), &result.into()),
            "{story}"
        );
    };
    ends_by("strange", "exhausted", "tls_failed").await;
    // What is wrong leaves in effect what was there, and is told without a word of the key.
    merchant_file(&gateway, &url, (&certificate, &strange_key));
    until("it is refused", async || gateway.log().contains("it is not the key of that certificate")).await;
    merchant_file(&gateway, &url, (&certificate, &key));
    until("it is told", async || {
        let id = format!("k{}", uuid::Uuid::now_v7().simple());
        gateway.send(&record(&id, "shop", &id)).await;
        gateway.wait_for_state(&id, "ended", SOON).await["outcome"] == "confirmed"
    })
    .await;
    fs::write(folder.join("proxy"), by("forgotten")).expect("written");
    merchant_file(&gateway, &url, (&certificate, &key));
    until("it is refused by the proxy", async || {
        let id = format!("r{}", uuid::Uuid::now_v7().simple());
        gateway.send(&record(&id, "shop", &id)).await;
        let story = gateway.wait_for_state(&id, "ended", SOON).await;
        story["attempts"][0]["result"] == "proxy_refused"
    })
    .await;
    assert!(proxy.asked().iter().all(|head| head.starts_with(&format!("CONNECT {} ", peer.address))));
    assert!(gateway.stop().success());
    let log = gateway.log();
    assert!(log.contains("it wants other credentials"), "{log}");
    for secret in [PASSWORD, "p%40ss", "forgotten", "BEGIN PRIVATE", key.lines().nth(1).expect("a line")] {
        assert!(!log.contains(secret), "{secret} is told");
    }
}

#[test]
fn what_is_wrong_with_the_way_is_told_with_file_line_and_key() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate_and_key();
    for (lines, place) in [
        ("client_certificate = \"crt\"", "shop.toml:3: `client_certificate`: needs `client_key`"),
        ("client_key = \"hunter2\"", "shop.toml:3: `client_key`: needs `client_certificate`"),
        ("client_key = \"file:none\"\nclient_certificate = \"crt\"", "shop.toml:3: `client_key`: "),
        ("client_key = \"file:key\"\nclient_certificate = \"none\"", "shop.toml:4: `client_certificate`: "),
        (
            "client_key = \"hunter2\"\nclient_certificate = \"crt\"",
            "shop.toml:3: `client_key`: there is no private key",
        ),
        ("client_key = \"file:key\"\nclient_certificate = \"key\"", "`client_certificate`: "),
        ("ca_file = \"key\"", "shop.toml:3: `ca_file`: "),
        ("proxy = \"https://me:hunter2@proxy.example\"", "shop.toml:3: `proxy`: is no proxy such as"),
        (
            "proxy = \"http://me:hunter2@10.1.1.1:3128\"",
            "shop.toml:3: `proxy`: 10.1.1.1 is not a public address",
        ),
        ("proxy = \"env:PAYNOTIFY_NO_SUCH_PROXY\"", "PAYNOTIFY_NO_SUCH_PROXY"),
    ] {
        let gateway = Gateway::new(Store::Embedded, "");
        let folder = gateway.folder().join("merchants");
        fs::write(folder.join("crt"), &certificate).expect("written");
        fs::write(folder.join("key"), &key).expect("written");
        gateway.merchant("shop", "https://shop.example/", lines);
        let output = gateway.verb(&["config", "check"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(place), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("PRIVATE"), "{said}");
    }
}
