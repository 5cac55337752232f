//! A thousand plugins dropped in at once: how long it takes, what it takes of memory, and a start with all of them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::*;
use crate::support::gateway::Gateway;

const MANY: usize = 1_000;

/// The guest under a name of its own, with the same number of letters.
fn named(guest: &[u8], number: usize) -> Vec<u8> {
    let name = format!("g{number:04}");
    let at = guest.windows(10).position(|window| window == b"guest1.0.0").expect("its name");
    let mut named = guest.to_vec();
    named[at..at + 5].copy_from_slice(name.as_bytes());
    named
}

/// What the process has of the machine's memory, in MB.
fn memory(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process_id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1_024
}

async fn until_all_run(gateway: &Gateway) {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        // By the command, which takes an answer of any length.
        let list = ["plugin", "list", "--json", "--api", &gateway.api()];
        let output = Command::new(env!("CARGO_BIN_EXE_paynotify")).args(list).output().expect("run");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let (running, refused) = (report["plugins"].as_array(), report["refused"].as_array());
        assert_eq!(refused.map(Vec::len), Some(0), "{}", report["refused"]);
        if running.map(Vec::len) == Some(MANY + 1) {
            return;
        }
        assert!(Instant::now() < deadline, "only {:?} of them", running.map(Vec::len));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_plugins_are_dropped_in_at_once() {
    let mut gateway = gateway("");
    gateway.start();
    gateway.ready().await;
    let before = memory(&gateway);
    let guest = guest();
    let began = Instant::now();
    for number in 0..MANY {
        let path = gateway.folder().join(format!("plugins/g{number:04}.wasm"));
        fs::write(path, named(&guest, number)).expect("written");
    }
    let written = began.elapsed();
    until_all_run(&gateway).await;
    let loaded = began.elapsed();
    let with_all = memory(&gateway);
    assert!(gateway.stop().success());
    let began = Instant::now();
    gateway.start();
    gateway.ready().await;
    let warm = began.elapsed();
    until_all_run(&gateway).await;
    let after_start = memory(&gateway);
    println!(
        "{MANY} plugins of {} bytes: written in {written:.1?}, all run after {loaded:.1?}; memory {before} MB before, \
         {with_all} MB with all; a warm start takes {warm:.1?} and {after_start} MB",
        guest.len()
    );
    assert!(with_all < before + 1_000 && after_start < before + 1_000);
}
