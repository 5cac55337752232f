//! `cargo xtask demo`: the main job, shown. A merchant that refuses twice and then confirms, three payment results, and the climb.
//!
//! Everything shown is what the real program does: the gateway runs on its embedded broker, and the lines are its log.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::guests;
use crate::process::{cargo, run as run_to_its_end, say};
use crate::workspace;

/// The demo's ladder, in seconds: short enough to watch.
const LADDER: [u32; 6] = [1, 3, 5, 10, 20, 30];
/// How often the merchant refuses each order before it confirms.
const REFUSALS: &str = "2";
/// The orders that are paid.
const ORDERS: [(&str, i64); 3] = [("order-1001", 12_950), ("order-1002", 800), ("order-1003", 99_900)];
/// How long the climb may take before the demo has failed.
const LONGEST: Duration = Duration::from_secs(60);

/// Shows it. With `once` it ends when every notification has ended; without, the gateway stays up.
pub fn run(once: bool) -> Result<()> {
    guests::build_all(None)?;
    let program = build()?;
    let (_merchant, merchant_url) = start_merchant(&program)?;
    let folder = write_configuration(&merchant_url)?;
    let (mut gateway, events, address) = start_gateway(&program, &folder)?;
    println!();
    println!("  the gateway's API   {address}");
    println!("  the console         {address}/console");
    println!("  the merchant        {merchant_url}, which refuses {REFUSALS} times and then confirms");
    println!("  the ladder          {}", LADDER.map(|seconds| format!("{seconds} s")).join(", "));
    println!();
    let start = Instant::now();
    for (order, minor) in ORDERS {
        hand_in(&program, &folder, &address, order, minor)?;
    }
    follow(&events, start)?;
    println!();
    println!("  all {} notifications are confirmed", ORDERS.len());
    println!("  the whole story of one:  {} status demo-order-1001 --api {address}", program.display());
    println!();
    if once {
        return Ok(());
    }
    println!(
        "  the gateway stays up; Ctrl-C ends it. Its folder, to drop merchants into: {}",
        folder.display()
    );
    // Its pipe is read on, so that it never fills.
    for _ in events {}
    gateway.0.wait().context("the gateway cannot be waited for")?;
    Ok(())
}

/// Builds the gateway and the merchant. The whole workspace is selected, as the tests do, so that both commands
/// build each dependency with the same features and the second finds what the first has built.
fn build() -> Result<PathBuf> {
    say("demo: building the gateway and a merchant, which takes minutes the first time");
    run_to_its_end(cargo().args(["build", "--workspace", "--bins", "--examples", "--locked"]))?;
    Ok(workspace::target_dir().join("debug").join("paynotify"))
}

/// A process that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start_merchant(program: &Path) -> Result<(Running, String)> {
    let merchant = program.with_file_name("examples").join("stub_merchant");
    let mut child = Command::new(&merchant)
        .args(["127.0.0.1:0", REFUSALS])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", merchant.display()))?;
    let output = child.stdout.take().context("the merchant has no output")?;
    let running = Running(child);
    let mut lines = BufReader::new(output).lines();
    let first = lines.next().context("the merchant ended at once")??;
    let address = first.rsplit(' ').next().unwrap_or_default().to_owned();
    // What it says of each request the gateway's log tells as well; its pipe is read so that it never fills. The
    // thread ends with the merchant.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((running, format!("http://{address}/notify")))
}

fn write_configuration(merchant_url: &str) -> Result<PathBuf> {
    let folder = workspace::target_dir().join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    let merchants = folder.join("merchants");
    fs::create_dir_all(&merchants).with_context(|| format!("{} cannot be made", merchants.display()))?;
    let plugins = guests::components_dir();
    let gateway = format!(
        "data = \"data\"\nplugins = {plugins:?}\n[api]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n"
    );
    let ladder = LADDER.map(|seconds| format!("\"{seconds}s\"")).join(", ");
    let shop = format!(
        "url = \"{merchant_url}\"\nplugin = \"plain\"\nallow_addresses = [\"127.0.0.1\"]\nladder = [{ladder}]\n"
    );
    for (file, text) in [(folder.join("paynotify.toml"), gateway), (merchants.join("shop.toml"), shop)] {
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(folder)
}

/// The lines of the gateway's log, as they come. Ends with the gateway.
type Events = Receiver<String>;

/// How many lines may wait to be read; then the reader waits, and with it the gateway's log.
const LINES_AHEAD: usize = 1_000;

/// Reads on a thread, so that waiting for a line can end before one comes. The thread ends with the gateway.
fn read(log: ChildStderr) -> Events {
    let (sender, events) = sync_channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let lines = BufReader::new(log).lines().map_while(Result::ok);
        // Who listens no more has ended the demo.
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    events
}

fn start_gateway(program: &Path, folder: &Path) -> Result<(Running, Events, String)> {
    say("demo: starting the gateway on its embedded broker");
    let mut child = Command::new(program)
        .args(["run", "--config"])
        .arg(folder.join("paynotify.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let errors = child.stderr.take().context("the gateway has no log")?;
    let running = Running(child);
    let events = read(errors);
    while let Ok(line) = events.recv_timeout(LONGEST) {
        match serde_json::from_str::<Value>(&line) {
            Ok(event) => {
                if let Some(address) = event["address"].as_str() {
                    return Ok((running, events, format!("http://{address}")));
                }
            }
            Err(_) => eprintln!("{line}"),
        }
    }
    bail!("the gateway does not listen; what it said is above")
}

fn hand_in(program: &Path, folder: &Path, address: &str, order: &str, minor: i64) -> Result<()> {
    let record = json!({
        "schema": "payment-result/1",
        "notification_id": format!("demo-{order}"),
        "merchant_id": "shop",
        "kind": "payment",
        "status": "succeeded",
        "payment_id": format!("pay-{order}"),
        "merchant_order_id": order,
        "amount": {"minor": minor, "currency": "CNY"},
        "created_at": "2026-11-22T08:00:00Z",
    });
    let file = folder.join(format!("{order}.json"));
    fs::write(&file, record.to_string()).with_context(|| format!("{} cannot be written", file.display()))?;
    run_to_its_end(
        Command::new(program).arg("send").arg(&file).args(["--api", address]).stdout(Stdio::null()),
    )
}

/// Prints each attempt as it happens, until all notifications have ended.
fn follow(events: &Events, start: Instant) -> Result<()> {
    let mut left = ORDERS.len();
    while left > 0 {
        let rest = LONGEST.saturating_sub(start.elapsed());
        let Ok(line) = events.recv_timeout(rest) else {
            bail!("{left} notifications had not ended after {:.0?}", start.elapsed());
        };
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if event["message"] == "attempt" {
            println!("{}", picture(&event, start.elapsed()));
            match event["next"].as_str() {
                Some("retry" | "hold") => {}
                Some("confirmed") => left -= 1,
                other => bail!("a notification ended as {other:?}, and all should be confirmed"),
            }
        }
    }
    Ok(())
}

/// One line: when, whose, how far up the ladder, and what came of it.
fn picture(event: &Value, elapsed: Duration) -> String {
    let attempt = usize::try_from(event["attempt"].as_u64().unwrap_or_default()).unwrap_or_default();
    let rungs: String = (1..=LADDER.len()).map(|rung| if rung < attempt { '■' } else { '□' }).collect();
    let status = event["status"].as_u64().map_or_else(|| "no reply".to_owned(), |status| status.to_string());
    let next = match event["next"].as_str() {
        Some("retry") => {
            format!(
                "refused    next on the rung of {} s",
                LADDER.get(attempt.saturating_sub(1)).copied().unwrap_or(0)
            )
        }
        Some("confirmed") => "confirmed  ✔".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    format!(
        "  {:>5.1} s  {}  {rungs}  attempt {attempt}  late {:>3} ms  {status}  {next}",
        elapsed.as_secs_f32(),
        event["order"].as_str().unwrap_or_default(),
        event["late_ms"],
    )
}
