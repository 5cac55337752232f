//! A well-behaved merchant beside all of the table's hostile ones, in a gateway that notifies them all the time.
//!
//! Two gateways take turns, phase by phase: one serves the well-behaved merchant alone, the other beside the hostile
//! ones. What is compared is the time from the acceptance of a notification to its arrival at the merchant, and to
//! its confirmation in the journal.

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
    let mut alone = Gateway::new(Store::Embedded, bounds);
    alone.merchant("shop", &merchant.url("/"), "");
    let mut beside = Gateway::new(Store::Embedded, bounds);
    beside.merchant("shop", &merchant.url("/"), "");
    let names = drop_in(&beside, &elsewhere.url("/"));
    assert!(names.len() >= 20, "{}", names.len());
    let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
    let (mut attacks, mut faults) = (0, 0);
    for number in 0..PHASES {
        alone.start();
        alone.ready().await;
        quiet.push(phase(&alone, &merchant, &format!("quiet{number}")).await);
        assert!(alone.stop().success());

        beside.start();
        beside.ready().await;
        let end = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(beside);
        let attacking = attack(Arc::clone(&shared), names.clone(), format!("h{number}"), Arc::clone(&end));
        let attacking = tokio::spawn(attacking);
        // Once they are at it.
        let start = Instant::now();
        while count(&shared.text("/metrics").await) < names.len() as u64 {
            assert!(start.elapsed() < SOON, "no faults: {}", shared.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        attacked.push(phase(&shared, &merchant, &format!("beside{number}")).await);
        end.store(true, Ordering::Relaxed);
        worst(&shared);
        attacks += attacking.await.expect("no panic");
        faults += count(&shared.text("/metrics").await);
        beside = Arc::into_inner(shared).expect("nobody else has it");
        // What they have in hand needs no patience.
        beside.kill();
    }
    let of = |phases: &[Vec<Duration>], hundredths| {
        median(phases.iter().map(|times| percentile(&mut times.clone(), hundredths)).collect())
    };
    let [quiet_50, quiet_99, beside_50, beside_99] =
        [of(&quiet, 50), of(&quiet, 99), of(&attacked, 50), of(&attacked, 99)];
    println!(
        "{what}: alone p50 {quiet_50:?}, p99 {quiet_99:?}; beside {} hostile merchants p50 {beside_50:?}, p99 {beside_99:?} \
         ({PHASES} phases of {NOTIFICATIONS} each; {attacks} hostile notifications, {faults} faults)",
        names.len()
    );
    // A call that starves waits for a second, and is then held for another one, again and again: that moves the median.
    // Other tests run on the same processors, which moves a few.
    assert!(beside_50 < quiet_50 + Duration::from_millis(500), "{beside_50:?}");
    assert!(beside_99 < quiet_99 + Duration::from_secs(10), "{beside_99:?}");
}

/// The slowest of the well-behaved merchant's attempts, as the gateway's log tells of them: which part took long.
fn worst(gateway: &Gateway) {
    let mut lines = gateway.log_lines();
    lines.retain(|line| line["message"] == "attempt" && line["merchant"] == "shop");
    let took = |line: &serde_json::Value| line["late_ms"].as_u64().max(line["duration_ms"].as_u64());
    lines.sort_by_key(|line| std::cmp::Reverse(took(line)));
    for line in lines.iter().take(3) {
        println!("  late {} ms, attempt {} ms, then {}", line["late_ms"], line["duration_ms"], line["next"]);
    }
}

/// All faults in the metrics.
fn count(metrics: &str) -> u64 {
    let faults = metrics.lines().filter(|line| line.starts_with("paynotify_plugin_faults_total"));
    faults.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
