//! Costly signatures: few in one call, and no harm to others.

use std::time::{Duration, Instant};

use paynotify::plugin::{CallError, Fault, Host, Key, KeyAlgorithm, Limit, Plugin, Settings};

use super::guest::{Algorithm, Call, Part, component, format, looping_component};
use super::{key, test_key, text};

fn rsa(bits: u32) -> Key {
    let name = if bits == 2_048 { "rsa-2048.pkcs8.pem" } else { "rsa-4096.pem" };
    key(text("k", KeyAlgorithm::RsaPkcs1v15Sha256, &test_key(name)))
}

fn sign<'a>() -> Call<'a> {
    Call::Sign(Algorithm::Rsa, &[Part::Bytes(b"hello")])
}

/// A host whose only bound here is that of the calls: on a machine with too much to do, time says nothing.
fn host_of(host_calls: u32) -> Host {
    let call_timeout = Duration::from_secs(60);
    Host::new(Settings { host_calls, call_timeout, ..Settings::default() }).expect("plugins can be run")
}

fn over_the_bound(calls: u32) -> CallError {
    CallError::Fault(Fault::OverLimit(Limit::HostCalls(calls)))
}

async fn load(host: &Host, bytes: Vec<u8>) -> Plugin {
    host.load_bytes("guest", bytes).await.expect("a plugin")
}

/// An RSA signature counts as many calls: so many that a plugin has enough for a rotation, and not enough to be a
/// burden.
#[tokio::test]
async fn a_plugin_cannot_have_thousands_of_signatures_made() {
    for (bits, one) in [(2_048, 400), (4_096, 3_200)] {
        let needed = async |calls| {
            let host = host_of(calls);
            let plugin = load(&host, component("k", &sign())).await;
            format(&plugin, vec![rsa(bits)]).await.map(drop)
        };
        assert_eq!(needed(one).await, Ok(()), "{bits}");
        assert_eq!(needed(one - 1).await, Err(over_the_bound(one - 1)), "{bits}");
        let host = host_of(10_000);
        let plugin = load(&host, looping_component("k", &sign())).await;
        let start = Instant::now();
        assert_eq!(format(&plugin, vec![rsa(bits)]).await, Err(over_the_bound(10_000)));
        println!("{bits} bits: {} signatures in {:?}", 10_000 / one, start.elapsed());
    }
}

/// The bytes are paid for too: hashing a long text again and again ends as soon.
#[tokio::test]
async fn a_plugin_cannot_have_gigabytes_hashed() {
    let host = host_of(10_000);
    let text_of_32_kib = vec![b'x'; 32 << 10];
    let parts = [Part::Bytes(&text_of_32_kib), Part::Secret];
    for (algorithm, bound, needed) in
        [(Algorithm::Md5, KeyAlgorithm::Md5, 33), (Algorithm::HmacSha256, KeyAlgorithm::HmacSha256, 33)]
    {
        let hash = || Call::Sign(algorithm, &parts);
        let plugin = load(&host, looping_component("k", &hash())).await;
        let start = Instant::now();
        let result = format(&plugin, vec![key(text("k", bound, "s"))]).await;
        assert_eq!(result, Err(over_the_bound(10_000)));
        println!("{algorithm:?}: {} MiB in {:?}", 10_000 / needed / 32, start.elapsed());
        for (calls, wanted) in [(needed, Ok(())), (needed - 1, Err(over_the_bound(needed - 1)))] {
            let host = host_of(calls);
            let plugin = load(&host, component("k", &hash())).await;
            assert_eq!(format(&plugin, vec![key(text("k", bound, "s"))]).await.map(drop), wanted);
        }
    }
}

/// Eight calls that do nothing but have RSA signatures made, all the time, beside a merchant that signs one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_merchants_calls_are_not_held_up() {
    let host = host_of(10_000);
    let attacker = load(&host, looping_component("k", &sign())).await;
    let good = load(&host, component("k", &sign())).await;
    let mut attackers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let attacker = attacker.clone();
        attackers.spawn(async move {
            loop {
                assert_eq!(format(&attacker, vec![rsa(4_096)]).await, Err(over_the_bound(10_000)));
            }
        });
    }
    let mut times = Vec::new();
    for _ in 0..100 {
        let keys = vec![rsa(2_048)];
        let start = Instant::now();
        format(&good, keys).await.expect("not harmed by others");
        times.push(start.elapsed());
    }
    attackers.shutdown().await;
    times.sort();
    println!("beside RSA: p50 {:?}, p95 {:?}, max {:?}", times[50], times[95], times[99]);
    assert!(times[95] < Duration::from_secs(1), "{times:?}");
}
