//! Plugins that fail again and again: held, left alone for the merchant that they fail for and for nobody else, and
//! taken up again the moment something has changed.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use paynotify::broker::Broker;
use paynotify::broker::embedded::{self, EmbeddedBroker};
use paynotify::clock::now;
use paynotify::delivery::{Deliverer, Merchant, Merchants, Metrics, Rules, Shadows, Way};
use paynotify::domain::{
    BreakerPolicy, Envelope, GatePolicy, Ladder, MerchantId, Notification, Policy, Withheld,
};
use paynotify::http::{Reach, TlsRoots};
use paynotify::journal::{self, Journal, SqliteJournal, State};
use paynotify::plugin::{Endpoint, Host, Keys, Settings};
use paynotify::replay::Keep;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;
use crate::support::merchant::{Answer, StubMerchant, always};

/// Judges with a trap whenever `boom` stands in what it was handed: a careless plugin, for which a merchant can make up
/// a reply.
const TOUCHY: Guest = Guest {
    judge: "(local $at i32) (local.set $at (i32.const 65536))
        (loop $more
            (if (i32.eq (i32.load (local.get $at)) (i32.const 0x6d6f6f62)) (then (unreachable)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (global.get $free))))
        (i32.const 4256)",
    ..Guest::WELL_BEHAVED
};

fn replies(body: &str) -> Answer {
    Answer::Reply(200, Vec::new(), body.as_bytes().to_vec())
}

async fn sample(gateway: &Gateway, sample: &str) -> Option<f64> {
    let text = gateway.text("/metrics").await;
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

fn lines_with(gateway: &Gateway, text: &str) -> Vec<Value> {
    let has = |line: &Value| line["message"].as_str().is_some_and(|message| message.contains(text));
    gateway.log_lines().into_iter().filter(has).collect()
}

/// The merchant `evil` sends replies over which the plugin traps, and `good` is served by the same plugin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_opens_for_the_merchant_it_is_about_and_closes_when_the_plugin_works_again() {
    let evil = StubMerchant::start(always(replies("boom"))).await;
    let good = StubMerchant::start(always(replies("fine"))).await;
    let bounds = "[plugin]\nbreaker_after = 3\nbreaker_pause = \"1s\"\nbreaker_longest = \"2s\"";
    let mut gateway = Gateway::new(Store::Embedded, bounds);
    let folder = gateway.folder().to_owned();
    std::fs::write(folder.join("plugins/touch.wasm"), TOUCHY.build_named("touch")).expect("written");
    for (id, merchant) in [("evil", &evil), ("good", &good)] {
        let text = format!("url = \"{}\"\nplugin = \"touch\"\n", merchant.url("/"));
        std::fs::write(folder.join(format!("merchants/{id}.toml")), text).expect("written");
    }
    gateway.start();
    gateway.ready().await;
    for number in 0..3 {
        gateway.send(&record(&format!("e{number}"), "evil", "o")).await;
        gateway.wait_for_state(&format!("e{number}"), "held", SOON).await;
    }
    gateway.send(&record("e3", "evil", "o")).await;
    let story = gateway.wait_for_state("e3", "held", SOON).await;
    // Either it was held at once, or, on a slow machine, it was the one call after the pause.
    assert!(matches!(story["cause"].as_str(), Some("breaker_open" | "plugin_fault")), "{story}");
    let opened = lines_with(&gateway, "breaker has opened");
    assert!(opened[0]["fault"].as_str().is_some_and(|fault| fault.starts_with("trapped: ")), "{opened:?}");
    assert_eq!(sample(&gateway, "paynotify_plugin_breaker_open{plugin=\"touch\"}").await, Some(1.0));
    let text = gateway.text("/metrics").await;
    let faults = text.lines().find_map(|line| {
        let (_, rest) = line.split_once("paynotify_plugin_faults_total{plugin=\"touch\",hash=\"")?;
        rest.split_once("\",fault=\"trapped\"} ")?.1.parse::<u64>().ok()
    });
    assert!(faults.is_some_and(|count| count >= 3), "{text}");
    // Nobody else waits for it.
    for number in 0..5 {
        gateway.send(&record(&format!("g{number}"), "good", "o")).await;
        let story = gateway.wait_for_state(&format!("g{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
    }
    assert_eq!(sample(&gateway, "paynotify_plugin_breaker_open{plugin=\"touch\"}").await, Some(1.0));
    evil.follow(always(replies("fine")));
    for number in 0..4 {
        let story = gateway.wait_for_state(&format!("e{number}"), "ended", SOON).await;
        assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(1)));
    }
    assert_eq!(sample(&gateway, "paynotify_plugin_breaker_open{plugin=\"touch\"}").await, Some(0.0));
    assert!(gateway.stop().success());
    let counts = ["breaker has opened", "breaker has closed"].map(|text| lines_with(&gateway, text).len());
    assert_eq!(counts, [1, 1]);
}

/// A gateway's core in this process, whose releases the test can ask for.
struct Core {
    broker: Arc<dyn Broker>,
    journal: Arc<dyn Journal>,
    folder: tempfile::TempDir,
}

impl Core {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = journal::Settings::new(folder.path().join("journal.sqlite"));
        let journal = Arc::new(SqliteJournal::open(journal).await.expect("a journal"));
        let broker = embedded::Settings::new(folder.path().join("broker.sqlite"));
        let broker = Arc::new(EmbeddedBroker::open(broker).await.expect("a broker"));
        Self { broker, journal, folder }
    }

    async fn publish(&self, id: &str) {
        let text = record(id, "shop", "o").to_string();
        let notification = Notification::parse(text.into()).expect("a record");
        self.broker.publish(&Envelope::new(notification, now())).await.expect("published");
    }

    async fn state(&self, id: &str) -> Option<State> {
        self.journal.story(&id.parse().expect("an id")).await.expect("readable").map(|story| story.state)
    }

    async fn rows(&self, count: &str) -> i64 {
        use sqlx::Connection;
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.folder.path().join("broker.sqlite"));
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.expect("opened");
        sqlx::query_scalar(sqlx::AssertSqlSafe(count.to_owned()))
            .fetch_one(&mut other)
            .await
            .expect("readable")
    }
}

/// More notifications than are released at once wait for a breaker that is open for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_goes_on_the_moment_it_is_released() {
    const MANY: usize = 300;
    let merchant = StubMerchant::start(always(replies("boom"))).await;
    let core = Core::new().await;
    let host = Host::new(Settings::default()).expect("plugins can be run");
    let plugin = host.load_bytes("touch.wasm", TOUCHY.build_named("touch")).await.expect("a plugin");
    let endpoint = Endpoint {
        url: merchant.url("/"),
        origins: vec![merchant.url("").parse().expect("an origin")],
        settings_json: "{}".to_owned(),
        keys: Keys::default(),
    };
    let roots = TlsRoots::system().expect("roots");
    let bounds = GatePolicy { in_flight: 256, ..GatePolicy::default() };
    let way = Way::new(&Default::default(), &Reach::anywhere(), bounds, &roots, None);
    let ladder = Ladder::default();
    let shop: MerchantId = "shop".parse().expect("an id");
    let (ladder_of_it, withheld) = (ladder.clone(), Withheld::default());
    let ready =
        Merchant { plugin, endpoint, ladder: ladder_of_it, authorization: None, withheld, shadow: None, way };
    let merchants = Merchants::default();
    drop(merchants.replace(HashMap::from([(shop.clone(), Arc::new(ready))])));
    let hour = Duration::from_secs(3_600);
    let breaker = BreakerPolicy { after: NonZeroU32::MIN, pause: hour, longest: hour };
    let policy = Policy { breaker, ..Policy::default() };
    let mut registry = Registry::default();
    let (metrics, shadows) =
        (Metrics::new(&mut registry, &merchants), Shadows::registered(&mut registry, &merchants));
    let rules = Rules { ladder, policy, slots: 256, slow_slots: 64, keep: Keep::None };
    let (broker, journal) = (Arc::clone(&core.broker), Arc::clone(&core.journal));
    let deliverer = Deliverer::new(broker, journal, merchants, rules, metrics, shadows);
    let releases = deliverer.releases();
    let running = tokio::spawn(deliverer.run(Duration::from_secs(20)));
    core.publish("first").await;
    until("the breaker is open", async || matches!(core.state("first").await, Some(State::Held { .. })))
        .await;
    let names: Vec<_> = (0..MANY).map(|number| format!("n{number}")).collect();
    join_all(names.iter().map(|name| core.publish(name))).await;
    let last = format!("n{}", MANY - 1);
    let held_long = async |id: &str| match core.state(id).await {
        Some(State::Held { due, cause, .. }) => {
            cause == "breaker_open" && due.since(now()) > Duration::from_secs(1_800)
        }
        _ => false,
    };
    until("the first and the last are held", async || held_long(&last).await && held_long("n0").await).await;
    until("all are parked", async || {
        core.rows(&format!("SELECT count(*) FROM message WHERE due > {}", now().unix_milliseconds())).await
            >= MANY as i64
    })
    .await;
    assert_eq!(merchant.requests().len(), 1, "the breaker lets nothing through");
    // Another merchant's change is no reason.
    releases.release(["other".parse().expect("an id")]).await;
    merchant.follow(always(replies("fine")));
    let start = Instant::now();
    releases.release([shop]).await;
    merchant.wait_for(1 + MANY, SOON).await;
    println!("{MANY} released and told within {:?}", start.elapsed());
    until("the first, too, and nothing waits any more", async || {
        core.rows("SELECT count(*) FROM message").await == 0
    })
    .await;
    assert_eq!(core.rows("SELECT count(*) FROM outcome").await, 1 + MANY as i64);
    assert_eq!(merchant.requests().len(), 2 + MANY, "each once, and the first once more");
    let state = core.state(&last).await;
    assert!(matches!(&state, Some(State::Ended { attempts_made: 1, .. })), "{state:?}");
    core.broker.stop_taking().await;
    running.await.expect("no panic");
    core.broker.close().await;
    core.journal.close().await;
    host.close().await;
}
