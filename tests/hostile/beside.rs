//! A well-behaved merchant beside all of the table's hostile ones, in a gateway that notifies them all the time.
//!
//! Three gateways take turns, phase by phase: one serves the well-behaved merchant alone, one beside as many that are as
//! well-behaved, and one beside the hostile ones. The last two have the same to do, so that what is between them is the
//! harm that the hostile ones do, and not what any notification costs. What is compared is the time from the acceptance of
//! a notification to its arrival at the merchant.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::guests::{Call, End, Made, all};
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};

/// How often each of the two has its turn.
const PHASES: usize = 3;
/// The well-behaved merchant's notifications in a phase.
const NOTIFICATIONS: usize = 30;

/// The names of the hostile merchants in a gateway's folder: all whose guests can be loaded and do harm in an attempt.
fn drop_in(gateway: &Gateway, url: &str) -> Vec<String> {
    let harmful = |end: &End| matches!(end, End::Fault(Call::Format | Call::Judge, ..) | End::Nothing(_));
    let mut names = Vec::new();
    for (number, hostile) in all().into_iter().filter(|hostile| harmful(&hostile.end)).enumerate() {
        let Made::Of(guest) = hostile.made else { continue };
        let format = format!("h{number:04}");
        let folder = gateway.folder();
        fs::write(folder.join(format!("plugins/{format}.wasm")), guest.build_named(&format))
            .expect("written");
        let text = format!("url = \"{url}\"\nplugin = \"{format}\"\n");
        fs::write(folder.join(format!("merchants/{}.toml", hostile.name)), text).expect("written");
        names.push(hostile.name.to_owned());
    }
    names
}

/// The times of one phase: until it arrived.
async fn phase(gateway: &Gateway, merchant: &StubMerchant, prefix: &str) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..NOTIFICATIONS {
        let before = merchant.requests().len();
        let start = tokio::time::Instant::now();
        gateway.send(&record(&format!("{prefix}-{number}"), "shop", &format!("{prefix}-{number}"))).await;
        let received = merchant.wait_for(before + 1, SOON).await;
        times.push(received[before].at.saturating_duration_since(start));
        gateway.wait_for_state(&format!("{prefix}-{number}"), "ended", SOON).await;
    }
    times
}

/// Posts notifications for the hostile merchants, one after the other, until it is told to end: how many those were.
async fn attack(gateway: Arc<Gateway>, names: Vec<String>, prefix: String, end: Arc<AtomicBool>) -> usize {
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        let name = &names[count % names.len()];
        gateway.send(&record(&format!("{prefix}-{count}"), name, &format!("{count}"))).await;
        count += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    count
}

fn percentile(times: &mut [Duration], hundredths: usize) -> Duration {
    times.sort();
    times[(times.len() * hundredths / 100).min(times.len() - 1)]
}

fn median(mut of: Vec<Duration>) -> Duration {
    percentile(&mut of, 50)
}

/// The breaker is kept out of it: each hostile notification gets its call, and its fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_well_behaved_merchants_latency_is_not_moved() {
    beside("breakers never open", "[plugin]\nbreaker_after = 1000000").await;
}

/// As it comes: easier, because most of them are left alone soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn with_breakers() {
    beside("the defaults", "").await;
}

async fn beside(what: &str, bounds: &str) {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let elsewhere = StubMerchant::start_forgetful(always(Answer::Confirm)).await;
    let gateway = || {
        let gateway = Gateway::new(Store::Embedded, bounds);
        gateway.merchant("shop", &merchant.url("/"), "");
        gateway
    };
    let (mut alone, mut in_company, mut attacked) = (gateway(), gateway(), gateway());
    let names = drop_in(&attacked, &elsewhere.url("/"));
    assert!(names.len() >= 20, "{}", names.len());
    for name in &names {
        in_company.merchant(name, &elsewhere.url("/"), "");
    }
    let mut times = [(); 3].map(|()| Vec::new());
    let (mut attacks, mut faults) = (0, 0);
    for number in 0..PHASES {
        let [quiet, beside_good, beside_bad] = &mut times;
        alone.start();
        alone.ready().await;
        quiet.push(phase(&alone, &merchant, &format!("quiet{number}")).await);
        assert!(alone.stop().success());

        let good = phase_beside(in_company, &merchant, &names, &format!("good{number}")).await;
        in_company = good.gateway;
        beside_good.push(good.times);

        let bad = phase_beside(attacked, &merchant, &names, &format!("bad{number}")).await;
        (attacks, faults) = (attacks + bad.sent, faults + bad.faults);
        attacked = bad.gateway;
        beside_bad.push(bad.times);
    }
    let of = |phases: &[Vec<Duration>], hundredths| {
        median(phases.iter().map(|times| percentile(&mut times.clone(), hundredths)).collect())
    };
    let [quiet, good, bad] = times.map(|phases| (of(&phases, 50), of(&phases, 99)));
    println!(
        "{what}: p50 and p99 alone {:?} and {:?}; beside {} well-behaved merchants {:?} and {:?}; beside as many hostile ones \
         {:?} and {:?} ({PHASES} phases of {NOTIFICATIONS} each; {attacks} hostile notifications, {faults} faults)",
        quiet.0,
        quiet.1,
        names.len(),
        good.0,
        good.1,
        bad.0,
        bad.1,
    );
    // Other tests run on the same processors, which moves a few.
    assert!(bad.0 < 2 * good.0 + Duration::from_millis(20), "{bad:?}, not {good:?}");
    assert!(bad.1 < 2 * good.1 + Duration::from_millis(1_000), "{bad:?}, not {good:?}");
}

/// What came of a phase beside others.
struct Beside {
    gateway: Gateway,
    times: Vec<Duration>,
    /// The others' notifications.
    sent: usize,
    /// The faults of all plugins.
    faults: u64,
}

/// A phase beside merchants that are notified all the time. It begins once they are at it.
async fn phase_beside(
    mut gateway: Gateway,
    merchant: &StubMerchant,
    names: &[String],
    prefix: &str,
) -> Beside {
    gateway.start();
    gateway.ready().await;
    let end = Arc::new(AtomicBool::new(false));
    let shared = Arc::new(gateway);
    let others = attack(Arc::clone(&shared), names.to_vec(), format!("{prefix}h"), Arc::clone(&end));
    let others = tokio::spawn(others);
    let start = Instant::now();
    while attempts(&shared).len() < names.len() {
        assert!(start.elapsed() < SOON, "the others do nothing: {}", shared.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let times = phase(&shared, merchant, prefix).await;
    end.store(true, Ordering::Relaxed);
    worst(&shared);
    let sent = others.await.expect("no panic");
    let faults = all_faults(&shared.text("/metrics").await);
    let mut gateway = Arc::into_inner(shared).expect("nobody else has it");
    // What it has in hand needs no patience.
    gateway.kill();
    Beside { gateway, times, sent, faults }
}

/// What the gateway's log tells of attempts.
fn attempts(gateway: &Gateway) -> Vec<serde_json::Value> {
    let mut lines = gateway.log_lines();
    lines.retain(|line| line["message"] == "attempt");
    lines
}

/// The slowest of the well-behaved merchant's attempts, as the gateway's log tells of them: which part took long.
fn worst(gateway: &Gateway) {
    let mut lines = attempts(gateway);
    lines.retain(|line| line["merchant"] == "shop");
    let took = |line: &serde_json::Value| line["late_ms"].as_u64().max(line["duration_ms"].as_u64());
    lines.sort_by_key(|line| std::cmp::Reverse(took(line)));
    for line in lines.iter().take(3) {
        println!("  late {} ms, attempt {} ms, then {}", line["late_ms"], line["duration_ms"], line["next"]);
    }
}

/// All faults in the metrics.
fn all_faults(metrics: &str) -> u64 {
    let faults = metrics.lines().filter(|line| line.starts_with("paynotify_plugin_faults_total"));
    faults.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
