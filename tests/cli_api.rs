//! The commands that ask a running gateway: what they print, to the letter, and how they end.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, query};

use support::amqp::until;
use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, by_order};

fn paynotify(api: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
    command.args(arguments).env("PAYNOTIFY_API", api).env_remove("PAYNOTIFY_TOKEN").stdin(Stdio::null());
    command
}

async fn run(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.expect("ended").expect("run")
}

/// What it prints; it must work.
async fn printed(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = run(paynotify(&gateway.api(), arguments)).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// How it ends, and what it says then.
async fn failed(api: &str, arguments: &[&str]) -> (i32, String) {
    let output = run(paynotify(api, arguments)).await;
    let said = String::from_utf8(output.stderr).expect("text");
    (output.status.code().expect("an exit code"), said)
}

/// With every moment, hash, id and length of time in the place of which there can be another next time.
fn settled(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split_inclusive(' ').map(|word| {
            let bare = word.trim_end();
            let is_moment = bare.len() == 24 && bare.ends_with('Z') && bare.contains('T');
            let is_hash = bare.len() == 16 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            match (is_moment, is_hash) {
                (true, _) => word.replace(bare, "MOMENT"),
                (_, true) => word.replace(bare, "HASH"),
                (false, false) => word.to_owned(),
            }
        });
        lines.push(words.collect::<String>());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The first column alone.
fn first_words(text: &str) -> Vec<&str> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect()
}

/// A gateway with a merchant `shop`, which confirms the order `good` and refuses the order `bad` to the end, and with one
/// notification for each, which have ended, and one for a merchant that is not there.
async fn gateway() -> (Gateway, StubMerchant) {
    let answers = [("good", vec![Answer::Confirm]), ("bad", vec![Answer::Refuse])];
    let merchant = StubMerchant::start(by_order(|received| received.query("out_trade_no"), answers)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"100ms\"]");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n-good", "shop", "good")).await;
    gateway.send(&record("n-bad", "shop", "bad")).await;
    gateway.send(&record("n-held", "nobody", "held")).await;
    for (id, state) in [("n-good", "ended"), ("n-bad", "ended"), ("n-held", "held")] {
        gateway.wait_for_state(id, state, SOON).await;
    }
    (gateway, merchant)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_to_do() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let (code, said) = failed(&format!("http://{nobody}"), &["status"]).await;
    assert_eq!(code, 1);
    assert_eq!(
        said,
        format!(
            "paynotify: no answer from http://{nobody} (connect_failed): does the gateway run there? --api URL, or \
             PAYNOTIFY_API, says where\n"
        )
    );
    let made = String::from_utf8(run(paynotify("", &["token", "new", "--role", "read"])).await.stdout);
    let made = made.expect("text");
    let (token, lines) = made.split_once("\n\n").expect("the token stands alone");
    let mut gateway = Gateway::with_api(Store::Embedded, lines, "");
    gateway.start();
    gateway.ready().await;
    let (code, said) = failed(&gateway.api(), &["merchants"]).await;
    assert_eq!(code, 1);
    assert!(said.ends_with("put one into the environment variable PAYNOTIFY_TOKEN\n"), "{said}");
    let mut pause = paynotify(&gateway.api(), &["merchants", "pause", "shop", "--reason", "x"]);
    let output = run({
        pause.env("PAYNOTIFY_TOKEN", token);
        pause
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "paynotify: forbidden: a token of the role `read` is not for this: PAYNOTIFY_TOKEN needs one of another role; \
         `paynotify token new` makes them\n"
    );
    for wrong in [
        &["status", "not an id"][..],
        &["replay", "--reason", "x"],
        &["replay", "n1", "--merchant", "shop", "--reason", "x"],
        &["replay", "n1", "--dry-run", "--reason", "x"],
        &["replay", "n1"],
        &["list", "--since", "yesterday"],
        &["list", "--state", "lost"],
        &["completions", "cmd"],
    ] {
        let (code, said) = failed(&gateway.api(), wrong).await;
        assert_eq!((code, said.is_empty()), (2, false), "{wrong:?}: {said}");
    }
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_and_each_notification_are_told() {
    let (mut gateway, merchant) = gateway().await;
    let url = merchant.url("/");
    let overview = printed(&gateway, &["status"]).await;
    let head = "broker: ready\njournal: ready\n\nwhere                   waiting  oldest  next due\n";
    assert!(overview.starts_with(head), "{overview}");
    assert!(overview.contains("\nrung of 3 s                   0       -  -\n"), "{overview}");
    assert!(overview.contains("\nheld: unknown_merchant        1"), "{overview}");
    assert!(
        overview.ends_with("\nlast 24 h: 1 exhausted, 0 stopped, 0 abandoned\npoison queue: 0 messages\n"),
        "{overview}"
    );
    let json: Value = serde_json::from_str(&printed(&gateway, &["status", "--json"]).await).expect("JSON");
    assert_eq!((&json["ready"]["broker"], &json["ladder"]["held"][0]["count"]), (&json!("ready"), &json!(1)));
    let story = printed(&gateway, &["status", "n-bad"]).await;
    let lines: Vec<_> = story.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "n-bad  merchant shop  order bad",
            "exhausted after 2 attempts: status 200, body `fail`, wanted 200 and `success`"
        ]
    );
    assert!(
        lines[2].split_whitespace().eq(["no", "started", "took", "status", "result", "detail"]),
        "{story}"
    );
    assert_eq!(lines.len(), 5, "{story}");
    let story: Value =
        serde_json::from_str(&printed(&gateway, &["status", "n-bad", "--json"]).await).expect("JSON");
    assert_eq!(story["attempts"][0]["url"], url.as_str());
    let (code, said) = failed(&gateway.api(), &["status", "n-none"]).await;
    assert_eq!((code, said.as_str()), (1, "paynotify: not found: no notification `n-none` is known\n"));
    let merchants = format!(
        "merchant  plugin       endpoint  lane  in flight  waiting  held  paused  url\n\
         shop      plain 0.1.0  up        main          0        0     0  -       {url}\n"
    );
    assert_eq!(printed(&gateway, &["merchants"]).await, merchants);
    let plugins = settled(&printed(&gateway, &["plugins"]).await);
    assert_eq!(plugins, settled(&printed(&gateway, &["plugin", "list"]).await));
    assert_eq!(first_words(&plugins), ["plain"]);
    assert_eq!(printed(&gateway, &["poison"]).await, "none\n");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_are_listed_by_what_they_have_in_common() {
    let (mut gateway, _merchant) = gateway().await;
    let all = printed(&gateway, &["list", "--since", "1h"]).await;
    let lines: Vec<_> =
        all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "notification merchant order state attempts age next");
    assert!(
        lines[1].starts_with("n-held nobody held held 0 ") && lines[1].contains(" no merchant of that name"),
        "{all}"
    );
    assert!(
        lines[2].starts_with("n-bad shop bad exhausted 2 ")
            && lines[2].ends_with(" s status 200, body `fail`, wanted 200 and `success`"),
        "{all}"
    );
    assert!(lines[3].starts_with("n-good shop good confirmed 1 ") && lines[3].ends_with(" s"), "{all}");
    assert_eq!(lines.len(), 4, "{all}");
    for (options, expected) in [
        (&["--undelivered"][..], &["n-held", "n-bad"][..]),
        (&["--merchant", "shop"], &["n-bad", "n-good"]),
        (&["--order", "good"], &["n-good"]),
        (&["--state", "held"], &["n-held"]),
        (&["--outcome", "confirmed"], &["n-good"]),
        (&["--until", "1h"], &[]),
    ] {
        let shown = printed(&gateway, &[&["list"], options].concat()).await;
        assert_eq!(first_words(&shown), expected, "{options:?}");
    }
    assert_eq!(printed(&gateway, &["list", "--until", "1h"]).await, "none\n");
    let page = printed(&gateway, &["list", "--limit", "2"]).await;
    let (page, cursor) = page.rsplit_once("there are more: --cursor ").expect("a second page");
    assert_eq!(first_words(page), ["n-held", "n-bad"]);
    let rest = printed(&gateway, &["list", "--limit", "2", "--cursor", cursor.trim()]).await;
    assert_eq!(first_words(&rest), ["n-good"]);
    let json: Value = serde_json::from_str(&printed(&gateway, &["list", "--json"]).await).expect("JSON");
    assert_eq!(json["notifications"].as_array().map(Vec::len), Some(3));
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_notification_is_begun_anew_or_many_after_a_dry_run() {
    let (mut gateway, merchant) = gateway().await;
    until("the payment centre has been told", async || {
        let replay = paynotify(&gateway.api(), &["replay", "n-bad", "--reason", "the shop was down"]);
        run(replay).await.stdout == b"n-bad: replay 1 has begun\n"
    })
    .await;
    until("it has ended", async || {
        printed(&gateway, &["status", "n-bad"]).await.contains("\nexhausted after 2 attempts")
            && merchant.requests().len() == 5
    })
    .await;
    let story = printed(&gateway, &["status", "n-bad"]).await;
    assert!(settled(&story).contains("\nreplay 1, begun MOMENT by local: the shop was down\n"), "{story}");
    let many = ["replay", "--merchant", "shop", "--outcome", "exhausted", "--reason", "again"];
    assert_eq!(
        printed(&gateway, &many).await,
        "1 notification would be begun anew: n-bad\nnothing was done; --yes begins them\n"
    );
    let dry: Value =
        serde_json::from_str(&printed(&gateway, &[&many[..], &["--json"]].concat()).await).expect("JSON");
    assert_eq!(dry["matches"], 1);
    assert_eq!(merchant.requests().len(), 5, "a dry run told the merchant");
    until("it is begun", async || {
        let output =
            run(paynotify(&gateway.api(), &[&many[..], &["--yes", "--per-second", "5"]].concat())).await;
        output.stdout == b"1 of 1 begun anew, 0 passed over: done\n" && output.status.success()
    })
    .await;
    // What has not ended is passed over, and that is a failure.
    let held = ["replay", "--merchant", "nobody", "--reason", "again", "--yes"];
    let (code, said) = failed(&gateway.api(), &held).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("not begun: notification `n-held`"), "{said}");
    assert!(said.ends_with("paynotify: 1 notification not begun\n"), "{said}");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_is_paused_and_resumed() {
    let (mut gateway, merchant) = gateway().await;
    let pause = ["merchants", "pause", "shop", "--reason", "the shop moves"];
    let paused = settled(&printed(&gateway, &pause).await);
    assert_eq!(paused, "shop is paused since MOMENT by local: the shop moves\n");
    let again = settled(&printed(&gateway, &pause).await);
    assert_eq!(again, "shop is paused since MOMENT by local: the shop moves, as before\n");
    gateway.send(&record("n-later", "shop", "good")).await;
    gateway.wait_for_state("n-later", "held", SOON).await;
    let shown = printed(&gateway, &["merchants"]).await;
    assert!(shown.contains(" by local: the shop moves  http"), "{shown}");
    let resume = ["merchants", "resume", "shop", "--reason", "it has moved"];
    assert_eq!(printed(&gateway, &resume).await, "shop is not paused\n");
    gateway.wait_for_state("n-later", "ended", SOON).await;
    let (code, said) = failed(&gateway.api(), &["merchants", "pause", "none", "--reason", "x"]).await;
    assert_eq!((code, said.as_str()), (1, "paynotify: not found: no merchant `none` is configured\n"));
    assert_eq!(merchant.requests().len(), 4, "a request too many");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_shown_mended_and_thrown_away() {
    let (mut gateway, _merchant) = gateway().await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.folder().join("data/broker.sqlite"));
    let mut broker = SqliteConnection::connect_with(&options).await.expect("opened");
    for body in ["{\"half\":", "no JSON"] {
        query(
            "INSERT INTO poison (poisoned_at, reason, body, headers) VALUES (1000, 'unreadable', ?1, '{}')",
        )
        .bind(body.as_bytes())
        .execute(&mut broker)
        .await
        .expect("written");
    }
    let shown = printed(&gateway, &["poison"]).await;
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].split_whitespace().eq(["message", "age", "bytes", "reason", "beginning"]), "{shown}");
    assert!(lines[1].ends_with(" days      8  unreadable  {\"half\":"), "{shown}");
    let [half, other] = first_words(&shown)[..] else { panic!("{shown}") };
    let whole = printed(&gateway, &["poison", "show", half]).await;
    let expected = format!(
        "message: {half}\nsince: 1970-01-01T00:00:01.000Z\nreason: unreadable\naddressed to: -\n\n{{\"half\":\n"
    );
    assert_eq!(whole, expected);
    let (code, said) = failed(&gateway.api(), &["poison", "mend", half, "--reason", "x"]).await;
    assert!(code == 1 && said.starts_with("paynotify: not a payment result: "), "{said}");
    let file = gateway.folder().join("mended.json");
    std::fs::write(&file, record("n-mended", "shop", "good").to_string()).expect("written");
    let file = file.display().to_string();
    let mend = ["poison", "mend", half, "--body", &file, "--reason", "cut off by its producer"];
    assert_eq!(printed(&gateway, &mend).await, "n-mended is put back\n");
    gateway.wait_for_state("n-mended", "ended", SOON).await;
    let discard = ["poison", "discard", other, "--reason", "a test of theirs"];
    assert_eq!(printed(&gateway, &discard).await, format!("{other} is thrown away\n"));
    assert_eq!(printed(&gateway, &["poison"]).await, "none\n");
    assert!(gateway.stop().success());
}

/// Ends the program when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A `tail` that listens already, and its lines.
fn tail(gateway: &Gateway, arguments: &[&str]) -> (Running, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let mut command = paynotify(&gateway.api(), &[&["tail"], arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let output = child.stdout.take().expect("its output");
    let (told, lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    (Running(child), lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_shown_as_they_happen() {
    let (mut gateway, merchant) = gateway().await;
    let (mut people, mut lines) = tail(&gateway, &["--merchant", "shop"]);
    let (mut machine, mut documents) = tail(&gateway, &["--json"]);
    // Each says something once it listens: until then, one after the other is sent.
    let mut number = 0;
    let (line, document) = loop {
        number += 1;
        gateway.send(&record(&format!("n-{number}"), "shop", "good")).await;
        gateway.wait_for_state(&format!("n-{number}"), "ended", SOON).await;
        if let (Ok(line), Ok(document)) = (lines.try_recv(), documents.try_recv()) {
            break (line, document);
        }
        assert!(number < 1_000, "nothing is shown");
    };
    let words: Vec<_> = line.split("  ").collect();
    assert_eq!((words[1], words[3]), ("shop", "order good"), "{line}");
    assert!(
        words[4].starts_with("attempt 1: 200 confirmed in ") && words[4].ends_with(" ms, confirmed"),
        "{line}"
    );
    let document: Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!((&document["merchant"], &document["next"]), (&json!("shop"), &json!("confirmed")));
    assert!(merchant.requests().len() > 3);
    assert!(gateway.stop().success());
    for tail in [&mut people.0, &mut machine.0] {
        let said = std::io::read_to_string(tail.stderr.take().expect("its errors")).expect("text");
        assert_eq!(said, "paynotify: the gateway has stopped\n");
        assert_eq!(tail.wait().expect("waited for").code(), Some(0));
    }
}

#[test]
fn shells_are_told_how_to_complete() {
    for (shell, part) in
        [("bash", "complete -F _paynotify"), ("zsh", "#compdef paynotify"), ("fish", "complete -c paynotify")]
    {
        let output = paynotify("", &["completions", shell]).output().expect("run");
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).expect("text");
        for part in [part, "undelivered", "per-second"] {
            assert!(script.contains(part), "{shell}: no {part}");
        }
    }
}

/// The commands in README.md, as they stand there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_readme_work() {
    let readme = include_str!("../README.md");
    let (_, section) = readme.split_once("### Ask a running gateway\n").expect("the section");
    let (_, block) = section.split_once("```sh\n").expect("its commands");
    let (block, _) = block.split_once("```").expect("their end");
    let commands: Vec<_> =
        block.lines().map(|line| line.split(" #").next().unwrap_or_default().trim()).collect();
    assert!(commands.len() > 9, "{commands:?}");
    let (mut gateway, _merchant) = gateway().await;
    gateway.send(&record("n-1001", "shop", "good")).await;
    gateway.wait_for_state("n-1001", "ended", SOON).await;
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_paynotify")).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    for command in commands {
        let shell = || {
            let mut shell = Command::new("timeout");
            // What has no end is ended, and that is its end.
            let long = if command.starts_with("paynotify tail") { "1" } else { "60" };
            shell.args(["--preserve-status", "--signal=KILL", long, "sh", "-c", command]);
            shell.env("PAYNOTIFY_API", gateway.api()).env("PATH", &path).stdin(Stdio::null());
            shell
        };
        if command.starts_with("paynotify tail") {
            assert!(run(shell()).await.stderr.is_empty(), "{command}");
            continue;
        }
        // The payment centre is told of an end a moment after it.
        until(command, async || run(shell()).await.status.success()).await;
    }
    assert!(gateway.stop().success());
}
