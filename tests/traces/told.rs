//! What is told when something goes wrong, and at which part.

use std::fs;

use crate::collector::{Collector, Seen};
use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;
use crate::support::merchant::{Answer, StubMerchant, always};

/// A span of that name of a notification's first attempt or hold, and the names of its parts that have gone wrong, with the word for it.
async fn first(collector: &Collector, id: &str, name: &str) -> (Seen, Vec<String>, Vec<(String, String)>) {
    let its = |seen: &Seen| seen.name == name && seen.attribute("paynotify.notification") == Some(id);
    until("its span is there", async || collector.spans().iter().any(its)).await;
    let spans = collector.spans();
    let span = spans.iter().find(|seen| its(seen)).expect("it is there").clone();
    let parts: Vec<&Seen> = spans.iter().filter(|seen| seen.parent == span.id).collect();
    let wrong = parts.iter().filter_map(|part| Some((part.name.clone(), part.error.clone()?))).collect();
    (span, parts.iter().map(|part| part.name.clone()).collect(), wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_where_it_did() {
    let collector = Collector::start().await;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let resets = StubMerchant::start(always(Answer::Reset)).await;
    let mut gateway = Gateway::new(Store::Embedded, &collector.table(""));
    for (name, guest) in [
        ("trapf", Guest { format: "unreachable", ..Guest::WELL_BEHAVED }),
        ("trapj", Guest { judge: "unreachable", ..Guest::WELL_BEHAVED }),
    ] {
        let file = gateway.folder().join(format!("plugins/{name}.wasm"));
        fs::write(file, guest.build_named(name)).expect("written");
        let text = format!("url = \"{}\"\nplugin = \"{name}\"\n", merchant.url("/"));
        fs::write(gateway.folder().join(format!("merchants/{name}.toml")), text).expect("written");
    }
    gateway.merchant("resets", &resets.url("/"), "ladder = [\"300s\"]");
    gateway.start();
    gateway.ready().await;
    for (id, merchant) in [("n1", "trapf"), ("n2", "trapj"), ("n3", "resets"), ("n4", "nobody")] {
        gateway.send(&record(id, merchant, id)).await;
    }
    gateway.wait_for_state("n3", "waiting", SOON).await;
    let after = ["journal", "settle"];
    for (id, name, cause, owner, parts, at) in [
        ("n1", "hold", "plugin_fault", "plugin", &["take_up", "format"][..], Some("format")),
        // The request went out, and counts as made, though it is not spent.
        ("n2", "attempt", "plugin_fault", "plugin", &["take_up", "format", "POST", "judge"], Some("judge")),
        ("n3", "attempt", "connection_lost", "merchant", &["take_up", "format", "POST"], Some("POST")),
        ("n4", "hold", "unknown_merchant", "operator", &["take_up"], None),
    ] {
        let (span, names, wrong) = first(&collector, id, name).await;
        assert_eq!(names, [parts, &after].concat(), "{id}");
        assert_eq!(
            wrong,
            at.map(|part| (part.to_owned(), cause.to_owned())).into_iter().collect::<Vec<_>>(),
            "{id}"
        );
        assert_eq!((span.of("paynotify.cause"), span.of("paynotify.fault_owner")), (cause, owner), "{id}");
        assert_eq!((span.attribute("paynotify.verdict"), span.error.as_deref()), (None, Some(cause)), "{id}");
        assert_eq!(span.attribute("paynotify.plugin").is_some(), id != "n4");
    }
    assert!(gateway.stop().success());
}
