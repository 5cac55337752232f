//! The plugin host with plugins that mean well, and the contract's own text.

#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use paynotify::domain::{Notification, Verdict};
use paynotify::plugin::{CallError, Fault, Host, Plugin, Settings, SettingsError};
use support::call::{attempt, endpoint, notification, reply};
use support::guest::Guest;
use wit_parser::{Docs, Resolve, Stability, TypeDefKind};

const GOOD: Guest = Guest::WELL_BEHAVED;

fn host() -> Host {
    Host::new(Settings::default()).expect("plugins can be run")
}

async fn plain(host: &Host) -> Plugin {
    let file = xtask::guests::built("plain").expect("`cargo xtask plugins` has been run");
    host.load(&file).await.expect("a plugin")
}

/// The request of `plain` as text: its method, URL, header fields and body.
async fn written(plugin: &Plugin, notification: &Notification, url: &str) -> Result<String, CallError> {
    let request = plugin.format(notification, &endpoint(url), &attempt()).await?;
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    Ok(format!("{} {}\n{}\n{:?}", request.method, request.uri, headers.join("\n"), request.body))
}

#[tokio::test]
async fn plain_writes_exactly_these_bytes() {
    let plugin = plain(&host()).await;
    assert_eq!(plugin.description().name, "plain");
    assert_eq!(plugin.description().ladders.len(), 1);
    assert_eq!(plugin.hash().len(), 16);
    let query = "is_success=T&notify_id=n1&notify_time=2026-01-31+16%3A00%3A00&notify_type=trade_status_sync\
                 &out_trade_no=O+1&total_fee=0.01&trade_no=P1&trade_status=TRADE_SUCCESS";
    let rest = "content-type: \"application/x-www-form-urlencoded\"\nb\"\"";
    for (url, separator) in
        [("https://shop.example/notify", "?"), ("https://shop.example/notify?a=%2f&b=", "&")]
    {
        let wanted = format!("POST {url}{separator}{query}\n{rest}");
        assert_eq!(written(&plugin, &notification(""), url).await, Ok(wanted));
    }
    // A record that came from a legacy source is sent as it is.
    let legacy = notification(r#","extra":{"legacy_url":"https://shop.example/x?total_fee=1.00"}"#);
    let wanted = format!("POST https://shop.example/x?total_fee=1.00\n{rest}");
    assert_eq!(written(&plugin, &legacy, "https://shop.example/").await, Ok(wanted));
    let refund = notification("");
    let refund = String::from_utf8(refund.raw.to_vec()).expect("text").replace("\"payment\"", "\"refund\"");
    let refund = Notification::parse(refund.into()).expect("a record");
    match written(&plugin, &refund, "https://shop.example/").await {
        Err(CallError::Fault(fault @ Fault::Refused { .. })) => {
            assert!(fault.to_string().starts_with("answered `unusable-record`: kind: "), "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn plain_confirms_only_success() {
    let plugin = plain(&host()).await;
    let judge = async |reply| {
        let endpoint = endpoint("https://shop.example/");
        plugin.judge(&notification(""), &endpoint, &attempt(), &reply).await.expect("a verdict")
    };
    assert_eq!(judge(reply(200, b"success")).await, Verdict::Confirmed { detail: None });
    let mut truncated = reply(200, b"success");
    truncated.truncated = true;
    for reply in [
        reply(200, b"SUCCESS"),
        reply(200, b"success\n"),
        reply(200, b""),
        reply(200, b"\xff\0"),
        reply(201, b"success"),
        reply(302, b"success"),
        reply(500, b"success"),
        truncated,
    ] {
        assert!(matches!(judge(reply.clone()).await, Verdict::Retry { after: None, .. }), "{reply:?}");
    }
}

#[tokio::test]
async fn plain_takes_no_settings() {
    let plugin = plain(&host()).await;
    assert_eq!(plugin.check_settings("{}").await, Ok(()));
    let error = SettingsError::Refused("colour: no such setting; the format `plain` has none".to_owned());
    assert_eq!(plugin.check_settings(r#"{"colour":1}"#).await, Err(error));
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes() {
    let plugin = plain(&host()).await;
    let first = written(&plugin, &notification(""), "https://shop.example/?x=1").await;
    for _ in 0..100 {
        assert_eq!(written(&plugin, &notification(""), "https://shop.example/?x=1").await, first);
    }
}

/// A guest that hands the reply's first header field back as a detail: what the gateway lowers is what guests see.
#[tokio::test]
async fn a_reply_reaches_the_guest_whole() {
    // The arguments of `judge` are more than are passed by value: they lie in memory, the reply last. A guest finds
    // it by searching for the header's name, which stands nowhere else.
    let judge = "(local $at i32)
        (local.set $at (i32.const 65536))
        (block $found (loop $next
            (br_if $found (i32.eq (i32.load (local.get $at)) (i32.const 0x72742d78)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.sub (global.get $free) (i32.const 4))))
            (unreachable)))
        (i32.store8 (i32.const 8200) (i32.const 1))
        (i32.store (i32.const 8204) (local.get $at)) (i32.store (i32.const 8208) (i32.const 7))
        (i32.const 8192)";
    let plugin = host().load_bytes("g", Guest { judge, ..GOOD }.build()).await.expect("a plugin");
    let mut reply = reply(200, b"");
    reply.headers =
        HeaderMap::from_iter([("X-Trace".parse().expect("a name"), HeaderValue::from_static("1"))]);
    let verdict =
        plugin.judge(&notification(""), &endpoint("https://shop.example/"), &attempt(), &reply).await;
    assert_eq!(verdict, Ok(Verdict::Confirmed { detail: Some("x-trace".to_owned()) }));
}

#[tokio::test]
async fn compiled_code_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { cache_folder: Some(folder.path().join("cache")), ..Settings::default() };
    let load = async || {
        let host = Host::new(settings.clone()).expect("plugins can be run");
        let start = Instant::now();
        plain(&host).await;
        start.elapsed()
    };
    let (first, second) = (load().await, load().await);
    println!("compiled in {first:?}, from the cache in {second:?}");
    assert!(second < first / 2, "{first:?}, then {second:?}");
}

/// Every item of the contract says what it is, and since when.
#[test]
fn the_contract_parses_and_every_item_is_documented() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(Path::new("wit")).expect("the contract parses");
    let mut missing = Vec::new();
    let mut items = 0;
    let mut check = |name: String, docs: &Docs, stability: Option<&Stability>| {
        items += 1;
        if docs.contents.as_ref().is_none_or(String::is_empty) {
            missing.push(format!("{name} is not documented"));
        }
        if stability.is_some_and(|stability| !matches!(stability, Stability::Stable { .. })) {
            missing.push(format!("{name} has no @since"));
        }
    };
    check("the package".to_owned(), &resolve.packages[package].docs, None);
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        check(name.clone(), &interface.docs, Some(&interface.stability));
        for (function, item) in &interface.functions {
            check(format!("{name}.{function}"), &item.docs, Some(&item.stability));
        }
        for (type_name, id) in &interface.types {
            let item = &resolve.types[*id];
            let name = format!("{name}.{type_name}");
            // A type of another interface's, taken over by `use`.
            if matches!(item.kind, TypeDefKind::Type(wit_parser::Type::Id(_))) {
                continue;
            }
            let mut members: Vec<(&String, &Docs)> = Vec::new();
            if let TypeDefKind::Record(it) = &item.kind {
                members.extend(it.fields.iter().map(|it| (&it.name, &it.docs)));
            } else if let TypeDefKind::Variant(it) = &item.kind {
                members.extend(it.cases.iter().map(|it| (&it.name, &it.docs)));
            } else if let TypeDefKind::Enum(it) = &item.kind {
                members.extend(it.cases.iter().map(|it| (&it.name, &it.docs)));
            }
            check(name.clone(), &item.docs, Some(&item.stability));
            for (member, docs) in members {
                check(format!("{name}.{member}"), docs, None);
            }
        }
    }
    for (name, id) in &resolve.packages[package].worlds {
        let world = &resolve.worlds[*id];
        check(name.clone(), &world.docs, Some(&world.stability));
        for item in world.imports.values().chain(world.exports.values()) {
            let wit_parser::WorldItem::Interface { stability, .. } = item else {
                panic!("the world holds something else than interfaces: {item:?}")
            };
            check(
                "an interface of the world".to_owned(),
                &Docs { contents: Some("-".to_owned()) },
                Some(stability),
            );
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(items > 100, "{items}");
}

/// What a call costs; run by `cargo test --test plugins -- --ignored --nocapture cost`, or with `--release`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_call() {
    let plugin = plain(&host()).await;
    let (notification, endpoint, attempt) = (notification(""), endpoint("https://shop.example/"), attempt());
    let reply = reply(200, b"success");
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5_000 {
        let start = Instant::now();
        plugin.format(&notification, &endpoint, &attempt).await.expect("a request");
        plugin.judge(&notification, &endpoint, &attempt, &reply).await.expect("a verdict");
        times.push(start.elapsed());
    }
    times.sort();
    let at = |thousandths: usize| times[times.len() * thousandths / 1_000];
    println!("format and judge: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
}
