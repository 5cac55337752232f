//! What belongs together comes together: over retries, gateways and replays; and gateways agree about what is traced.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use paynotify::traces::{Sampling, Trace};

use crate::collector::{Collector, Seen};
use crate::otlp::SpanKind;
use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always, in_turn};
use crate::support::rabbit::Rabbit;

/// The ids of a notification's trace and root.
fn ids(id: &str, replay: u32) -> (String, String) {
    let trace = Trace::of(&id.parse().expect("an id"), replay);
    (hex::encode(trace.id.bytes()), hex::encode(trace.root.bytes()))
}

/// The root, and the attempts by their number; all of them the root's children.
fn root_and_attempts(spans: &[Seen]) -> (&Seen, Vec<&Seen>) {
    let roots: Vec<&Seen> = spans.iter().filter(|seen| seen.parent.is_empty()).collect();
    let [root] = roots[..] else { panic!("not one root: {roots:?}") };
    let mut attempts: Vec<&Seen> = spans.iter().filter(|seen| seen.name == "attempt").collect();
    attempts.sort_by_key(|seen| seen.of("paynotify.attempt").parse::<u32>().expect("a number"));
    for attempt in &attempts {
        assert_eq!(attempt.parent, root.id);
        assert!(attempt.raw.start_time_unix_nano >= root.raw.start_time_unix_nano, "{root:?} {attempt:?}");
    }
    (root, attempts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_notification_over_its_retries_is_one_trace() {
    let collector = Collector::start().await;
    let answers = [Answer::Refuse, Answer::Status(503), Answer::Confirm];
    let merchant = StubMerchant::start(in_turn(answers)).await;
    let mut gateway = Gateway::new(Store::Embedded, &collector.table("service = \"our-gateways\""));
    gateway.merchant(
        "shop",
        &merchant.url("/path-s3cret?key=query-s3cret"),
        "ladder = [\"100ms\", \"200ms\"]",
    );
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "order-4711")).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    let spans = collector.trace_of("n1", "0", 3).await;
    let (root, attempts) = root_and_attempts(&spans);
    assert_eq!((root.trace.clone(), root.id.clone()), ids("n1", 0));
    assert_eq!((root.name.as_str(), &root.error), ("notification", &None));
    assert_eq!((root.of("paynotify.outcome"), root.of("paynotify.attempts")), ("confirmed", "3"));
    assert_eq!(root.of("paynotify.merchant"), "shop");
    assert_eq!(root.raw.start_time_unix_nano / 1_000_000, milliseconds(&story["first_seen"]));
    assert_eq!(root.raw.end_time_unix_nano / 1_000_000, milliseconds(&story["ended_at"]));
    assert!(root.raw.links.is_empty());

    let plugin = story["attempts"][0]["plugin"].as_str().expect("a plugin");
    let told = attempts.iter().map(|attempt| {
        assert_eq!(
            format!("{}@{}", attempt.of("paynotify.plugin"), attempt.of("paynotify.plugin.hash")),
            plugin
        );
        assert_eq!((attempt.of("paynotify.merchant"), attempt.of("paynotify.lane")), ("shop", "main"));
        assert_eq!(attempt.attribute("paynotify.cause"), None);
        let [number, rung, verdict] =
            ["paynotify.attempt", "paynotify.rung", "paynotify.verdict"].map(|key| attempt.of(key));
        (number, rung, verdict, attempt.attribute("paynotify.fault_owner"), attempt.error.as_deref())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("1", "first", "retry", Some("merchant"), Some("retry")),
            ("2", "0.1", "retry", Some("merchant"), Some("retry")),
            ("3", "0.2", "confirmed", None, None),
        ]
    );
    for pair in attempts.windows(2) {
        assert!(pair[0].raw.end_time_unix_nano <= pair[1].raw.start_time_unix_nano, "{pair:?}");
    }
    for (attempt, (status, resent)) in
        attempts.iter().zip([("200", None), ("503", Some("1")), ("200", Some("2"))])
    {
        let parts: Vec<&Seen> = spans.iter().filter(|seen| seen.parent == attempt.id).collect();
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["take_up", "format", "POST", "judge", "journal", "settle"]);
        let mut moment = attempt.raw.start_time_unix_nano;
        for part in &parts {
            assert!(moment <= part.raw.start_time_unix_nano, "one after the other: {parts:?}");
            moment = part.raw.end_time_unix_nano;
        }
        assert!(moment <= attempt.raw.end_time_unix_nano, "within the attempt: {attempt:?} {parts:?}");
        let post = parts[2];
        assert_eq!(post.raw.kind, SpanKind::Client as i32);
        let port = merchant.address().port().to_string();
        let mut expected = BTreeMap::from([
            ("http.request.method", "POST"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
            ("url.scheme", "http"),
            ("http.response.status_code", status),
        ]);
        expected.extend(resent.map(|resent| ("http.request.resend_count", resent)));
        expected.extend((status == "503").then_some(("error.type", "503")));
        let told: BTreeMap<&str, &str> =
            post.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(told, expected);
        assert_eq!(post.error.as_deref(), (status == "503").then_some("503"));
    }
    assert_eq!(spans.len(), 1 + 3 * 7, "nothing else: {spans:?}");
    for span in &spans {
        assert_eq!((span.raw.flags, span.raw.trace_state.as_str()), (3, ""));
        assert_eq!(span.resource["service.name"], "our-gateways");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span.resource["service.instance.id"].len(), 16);
    }
    // Nothing of the merchant's own, and nothing of the payment.
    for received in collector.stub.requests() {
        let text = String::from_utf8_lossy(&received.body).into_owned();
        for word in ["s3cret", "4711", "fail", "CNY", "out_trade_no"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    // The request's headers are the plugin's.
    assert!(merchant.requests().iter().all(|request| !request.headers.contains_key("traceparent")));
    assert!(gateway.stop().success());
}

fn milliseconds(moment: &serde_json::Value) -> u64 {
    let moment: paynotify::domain::Moment = moment.as_str().expect("a text").parse().expect("a moment");
    u64::try_from(moment.unix_milliseconds()).expect("after 1970")
}

/// The first gateway is killed after its attempt; another one goes on, and knows nothing of the first one's spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_of_two_gateways_are_one_trace() {
    let collector = Collector::start().await;
    let merchant = StubMerchant::start(always(Answer::Refuse)).await;
    let rabbit = Rabbit::start().await;
    let table = collector.table("");
    let (mut first, mut other) = (Gateway::new(rabbit.store(), &table), Gateway::new(rabbit.store(), &table));
    other.share_data_of(&first);
    for gateway in [&first, &other] {
        gateway.merchant(
            "shop",
            &merchant.url("/"),
            "ladder = [\"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\"]",
        );
    }
    first.start();
    first.ready().await;
    rabbit.send(&record("n1", "shop", "o1")).await;
    until("the first attempt is told", async || collector.spans().iter().any(|seen| seen.name == "attempt"))
        .await;
    first.kill();
    merchant.follow(always(Answer::Confirm));
    other.start();
    let story = other.wait_for_state("n1", "ended", SOON).await;
    let made = story["attempts"].as_array().expect("attempts").len();
    assert!(made >= 2, "{story}");
    let spans = collector.trace_of("n1", "0", made).await;
    let (root, attempts) = root_and_attempts(&spans);
    assert_eq!((root.trace.clone(), root.id.clone()), ids("n1", 0));
    assert_eq!(attempts.len(), made);
    let instance = |seen: &Seen| seen.resource["service.instance.id"].clone();
    assert_ne!(instance(attempts[0]), instance(attempts[made - 1]), "each gateway says who it is");
    assert_eq!(instance(root), instance(attempts[made - 1]), "who ended it tells the root");
    assert!(collector.spans().iter().all(|seen| seen.trace == root.trace), "there is no other trace");
    assert!(other.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_a_trace_of_its_own_that_is_linked_to_the_first() {
    let collector = Collector::start().await;
    let answers = [Answer::Refuse, Answer::Refuse, Answer::Confirm];
    let merchant = StubMerchant::start(in_turn(answers)).await;
    let mut gateway = Gateway::new(Store::Embedded, &collector.table(""));
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"100ms\"]");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    let first = collector.trace_of("n1", "0", 2).await;
    let (root, attempts) = root_and_attempts(&first);
    assert_eq!((root.of("paynotify.outcome"), root.error.as_deref()), ("exhausted", Some("exhausted")));
    assert_eq!(attempts.len(), 2);
    until("it may be begun anew", async || {
        let body = r#"{"reason": "the shop was down"}"#;
        gateway.ask(Method::POST, "/v1/notifications/n1/replay", body).await.0 == 202
    })
    .await;
    let anew = collector.trace_of("n1", "1", 1).await;
    let (anew_root, attempts) = root_and_attempts(&anew);
    assert_eq!((anew_root.trace.clone(), anew_root.id.clone()), ids("n1", 1));
    assert_ne!(anew_root.trace, root.trace);
    assert_eq!((anew_root.of("paynotify.outcome"), anew_root.of("paynotify.attempts")), ("confirmed", "1"));
    let [attempt] = attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.of("paynotify.attempt"), attempt.of("paynotify.replay")), ("1", "1"));
    let links: Vec<_> = anew_root
        .raw
        .links
        .iter()
        .map(|link| (hex::encode(&link.trace_id), hex::encode(&link.span_id)))
        .collect();
    assert_eq!(links, [(root.trace.clone(), root.id.clone())]);
    assert!(gateway.stop().success());
}

/// What two gateways that know nothing of each other trace of the same notifications.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_agree_about_what_is_traced() {
    const NOTIFICATIONS: usize = 24;
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let traced = async |ratio: &str| {
        let collector = Collector::start().await;
        let mut gateway = Gateway::new(Store::Embedded, &collector.table(&format!("sample_ratio = {ratio}")));
        gateway.merchant("shop", &merchant.url("/"), "");
        gateway.start();
        gateway.ready().await;
        for number in 0..NOTIFICATIONS {
            gateway.send(&record(&format!("n{number}"), "shop", &format!("o{number}"))).await;
        }
        for number in 0..NOTIFICATIONS {
            gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        }
        assert!(gateway.stop().success());
        let spans = collector.spans();
        let traces: BTreeSet<String> = spans.iter().map(|seen| seen.trace.clone()).collect();
        assert_eq!(spans.len(), traces.len() * 8, "those that are traced are traced whole");
        if ratio == "0" {
            assert!(collector.stub.requests().is_empty());
        }
        if ratio == "0.5" {
            assert!(spans.iter().all(|seen| seen.raw.trace_state == "ot=th:8"));
        }
        traces
    };
    let (none, half, the_same, all) =
        (traced("0").await, traced("0.5").await, traced("0.5").await, traced("1").await);
    assert_eq!((none.len(), all.len()), (0, NOTIFICATIONS));
    assert_eq!(half, the_same);
    let expected =
        (0..NOTIFICATIONS).map(|number| Trace::of(&format!("n{number}").parse().expect("an id"), 0).id);
    let expected = expected.filter(|trace| Sampling::of(0.5).keeps(*trace));
    assert_eq!(half, expected.map(|trace| hex::encode(trace.bytes())).collect());
    assert!((4..20).contains(&half.len()), "{half:?}");
}
