//! What may not take a place: it leaves what was good, and says so in the log, by the API and to `plugin list`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::folder::*;
use crate::support::merchant::{Answer, StubMerchant, always};

fn paynotify(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_last_good_one_also_over_a_restart() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let good = format!("plain@{}", hash(&plain()));
    assert_eq!(served_by(&gateway, "n1", "shop").await, good);

    drop_in(&gateway, "plugins/plain.wasm", b"no component");
    let report = until_refused(&gateway, "plain.wasm", "is no WebAssembly component").await;
    let refused = &row(&report, "plain")["refused"];
    assert_eq!(refused["hash"], hash(b"no component").as_str());
    assert!(refused["at"].is_string() && refused["reason"].is_string());
    assert_eq!(row(&report, "plain")["file"], Value::Null, "the file has another content");
    assert_eq!(served_by(&gateway, "n2", "shop").await, good);

    let table = paynotify(&["plugin", "list", "--api", &gateway.api()]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].starts_with("plain ") && lines[1].contains(&hash(&plain())), "{table}");
    assert!(lines[1].ends_with("  kept"), "{table}");
    assert!(lines[2].starts_with("refused ") && lines[2].contains("is no WebAssembly component"), "{table}");
    let json = paynotify(&["plugin", "list", "--json", "--api", &gateway.api()]);
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON"), report);

    // It is told once for each content, however often it is looked at; also when it is touched.
    drop_in(&gateway, "plugins/plain.wasm", b"no component");
    drop_in(&gateway, "plugins/other.wasm", b"nor this");
    until_refused(&gateway, "other.wasm", "is no WebAssembly component").await;
    assert_eq!(logged(&gateway, "refused: what was good before stays in effect"), 2, "{}", gateway.log());

    assert!(gateway.stop().success());
    gateway.start();
    gateway.ready().await;
    assert_eq!(served_by(&gateway, "n3", "shop").await, good, "the last good one is kept over a restart");

    let next = variant(&plain(), 1);
    drop_in(&gateway, "plugins/plain.wasm", &next);
    let report = until_runs(&gateway, "plain", &next).await;
    assert_eq!(row(&report, "plain")["refused"], Value::Null);
    assert_eq!(row(&report, "plain")["before"], hash(&plain()).as_str());
    assert_eq!(served_by(&gateway, "n4", "shop").await, format!("plain@{}", hash(&next)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_does_not_fit_each_of_its_merchants_waits_until_it_does() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    drop_in(&gateway, "plugins/guest.wasm", guest());
    merchant(&gateway, "fits", "guest", &stub.url("/"), "");
    merchant(&gateway, "fits-not", "guest", &stub.url("/"), "[settings]\ncolour = \"red\"");
    gateway.start();
    gateway.ready().await;
    let old = format!("guest@{}", hash(&guest()));
    drop_in(&gateway, "plugins/guest.wasm", strict_guest());
    let report = until_refused(&gateway, "guest.wasm", "does not fit a merchant").await;
    let refused = &row(&report, "guest")["refused"];
    let reason = refused["reason"].as_str().expect("a text");
    assert!(reason.contains("fits-not.toml:3: `settings`"), "{reason}");
    assert_eq!(refused["hash"], hash(&strict_guest()).as_str());
    for (id, shop) in [("n1", "fits"), ("n2", "fits-not")] {
        assert_eq!(served_by(&gateway, id, shop).await, old);
    }
    // A merchant that is new and fits the old version only counts as much.
    merchant(&gateway, "late", "guest", &stub.url("/"), "[settings]\ncolour = \"blue\"");
    until(&gateway, "late is served", |report| row(report, "guest")["merchants"][2] == "late").await;
    merchant(&gateway, "fits-not", "guest", &stub.url("/"), "");
    until_refused(&gateway, "guest.wasm", "late.toml").await;
    // The last obstacle goes, and what was refused takes effect by itself.
    merchant(&gateway, "late", "guest", &stub.url("/"), "");
    let report = until_runs(&gateway, "guest", &strict_guest()).await;
    assert_eq!(report["refused"], json!([]));
    for (id, shop) in [("n3", "fits"), ("n4", "fits-not"), ("n5", "late")] {
        assert_eq!(served_by(&gateway, id, shop).await, format!("guest@{}", hash(&strict_guest())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_and_its_merchants_may_change_together() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    drop_in(&gateway, "plugins/guest.wasm", guest());
    merchant(&gateway, "shop", "guest", &stub.url("/"), "[settings]\ncolour = \"red\"");
    gateway.start();
    gateway.ready().await;
    // Neither fits what was there: the new version not the old file, and the file names a plugin that is new.
    drop_in(&gateway, "plugins/guest.wasm", strict_guest());
    merchant(&gateway, "shop", "guest", &stub.url("/"), "");
    let report = until_runs(&gateway, "guest", &strict_guest()).await;
    assert_eq!(report["refused"], json!([]));
    assert_eq!(logged(&gateway, "refused"), 0, "not even for a moment: {}", gateway.log());
    assert_eq!(served_by(&gateway, "n1", "shop").await, format!("guest@{}", hash(&strict_guest())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_in_use_stays_when_its_file_is_gone_and_of_two_files_the_one_that_runs() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    drop_in(&gateway, "plugins/guest.wasm", guest());
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    // In use by nobody: it goes.
    fs::remove_file(gateway.folder().join("plugins/guest.wasm")).expect("removed");
    until(&gateway, "guest is gone", |report| row(report, "guest").is_null()).await;
    // In use: it stays.
    fs::remove_file(gateway.folder().join("plugins/plain.wasm")).expect("removed");
    let report = until_refused(&gateway, "plain.wasm", "the file is gone").await;
    assert_eq!(row(&report, "plain")["hash"], hash(&plain()).as_str());
    assert_eq!(served_by(&gateway, "n1", "shop").await, format!("plain@{}", hash(&plain())));
    // Under another name it is the same one; and a second file for it is refused.
    drop_in(&gateway, "plugins/renamed.wasm", plain());
    let report = until(&gateway, "it is there", |report| report["refused"] == json!([])).await;
    assert!(row(&report, "plain")["file"].as_str().is_some_and(|file| file.ends_with("renamed.wasm")));
    let second = variant(&plain(), 2);
    drop_in(&gateway, "plugins/second.wasm", &second);
    let report = until_refused(&gateway, "second.wasm", "is for the format `plain`, as").await;
    assert_eq!(row(&report, "plain")["hash"], hash(&plain()).as_str());
    // The file that runs may be replaced beside it; and once it is alone, the second one takes the place.
    let third = variant(&plain(), 3);
    drop_in(&gateway, "plugins/renamed.wasm", &third);
    until_runs(&gateway, "plain", &third).await;
    fs::remove_file(gateway.folder().join("plugins/renamed.wasm")).expect("removed");
    let report = until_runs(&gateway, "plain", &second).await;
    assert_eq!(report["refused"], json!([]));
    assert_eq!(served_by(&gateway, "n2", "shop").await, format!("plain@{}", hash(&second)));
}

/// At the start there is no version that runs: of two files for one format neither is taken, and everything is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_refused_files_says_so() {
    let mut gateway = gateway("");
    drop_in(&gateway, "plugins/twin-a.wasm", guest());
    drop_in(&gateway, "plugins/twin-b.wasm", variant(&guest(), 1));
    drop_in(&gateway, "plugins/broken.wasm", b"no");
    drop_in(&gateway, "plugins/.half-copied.wasm", b"no");
    drop_in(&gateway, "plugins/readme.txt", b"no");
    let checked = gateway.verb(&["config", "check"]).output().expect("run");
    assert_eq!(checked.status.code(), Some(2));
    let said = String::from_utf8_lossy(&checked.stderr).replace(&gateway.folder().display().to_string(), "");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "plugin `/plugins/broken.wasm` is no WebAssembly component",
            "plugin `/plugins/twin-a.wasm` is for the format `guest`, as `/plugins/twin-b.wasm` is: remove one of them",
            "plugin `/plugins/twin-b.wasm` is for the format `guest`, as `/plugins/twin-a.wasm` is: remove one of them",
        ]
    );
    gateway.start();
    gateway.ready().await;
    let report = until(&gateway, "it runs", |report| row(report, "plain").is_object()).await;
    assert_eq!(report["plugins"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["refused"].as_array().map(Vec::len), Some(3));
    fs::remove_file(gateway.folder().join("plugins/twin-a.wasm")).expect("removed");
    until_runs(&gateway, "guest", &variant(&guest(), 1)).await;
}

/// A folder that cannot be looked at is not an empty one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_away_takes_nothing_away() {
    let stub = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = gateway("");
    merchant(&gateway, "shop", "plain", &stub.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let (merchants, away) = (gateway.folder().join("merchants"), gateway.folder().join("away"));
    fs::rename(&merchants, &away).expect("renamed");
    fs::rename(gateway.folder().join("plugins"), gateway.folder().join("plugins-away")).expect("renamed");
    until_refused(&gateway, "/merchants", "cannot be read").await;
    assert_eq!(served_by(&gateway, "n1", "shop").await, format!("plain@{}", hash(&plain())));
    fs::rename(gateway.folder().join("plugins-away"), gateway.folder().join("plugins")).expect("renamed");
    fs::rename(&away, &merchants).expect("renamed");
    until(&gateway, "it is back", |report| report["refused"] == json!([])).await;
    assert_eq!(logged(&gateway, "is gone"), 0, "{}", gateway.log());
}
