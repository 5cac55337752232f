//! What a plugin costs by the language that it is written in: the same format, once in each of `examples/`.
//!
//! For each: how large the component is, how long it takes to be loaded for the first time on a machine (compiled, and asked
//! to describe itself) and the next time (with what the first has kept), and what one notification costs: a fresh instance
//! that formats, and a fresh instance that judges. A number on the command line: how many notifications.
//!
//! `cargo xtask bench` runs this with everything that it needs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paynotify::domain::{Reply, Verdict};
use paynotify::kit::Case;
use paynotify::kit::case::Given;
use paynotify::plugin::{Host, Plugin, Settings};
use xtask::examples::{Built, LANGUAGES};

/// Not measured: what a processor has not seen yet is slower.
const WARM_UP: usize = 100;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2_000);
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/acme.cases/payment.json");
    let given = Case::read(&case)?.given()?;
    println!("a fresh instance for each call; {count} notifications in each language, one after the other\n");
    println!("| language | component | first load | next load | format p50 | p99 | judge p50 | p99 |");
    println!("|---|---|---|---|---|---|---|---|");
    for language in &LANGUAGES {
        match xtask::examples::built(language.name)? {
            Built::Component(file) => println!("{}", row(language.name, &file, &given, count).await?),
            Built::Skipped(reason) => println!("| {} | {reason} | | | | | | |", language.name),
        }
    }
    Ok(())
}

async fn row(language: &str, file: &Path, given: &Given, count: usize) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let settings = Settings { cache_folder: Some(folder.path().join("compiled")), ..Settings::default() };
    let (_, first) = load(&settings, file).await?;
    let (plugin, next) = load(&settings, file).await?;
    let (mut formats, mut judges) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + count {
        let (format, judge) = notification(&plugin, given).await?;
        if number >= WARM_UP {
            formats.push(format);
            judges.push(judge);
        }
    }
    let size = std::fs::metadata(file)?.len() as f64 / 1024.0;
    let size = if size < 1024.0 { format!("{size:.0} KiB") } else { format!("{:.1} MiB", size / 1024.0) };
    Ok(format!(
        "| {language} | {size} | {} | {} | {} | {} | {} | {} |",
        shown(first),
        shown(next),
        shown(percentile(&mut formats, 50)),
        shown(percentile(&mut formats, 99)),
        shown(percentile(&mut judges, 50)),
        shown(percentile(&mut judges, 99)),
    ))
}

async fn load(settings: &Settings, file: &Path) -> Result<(Plugin, Duration)> {
    let host = Host::new(settings.clone())?;
    let start = Instant::now();
    let plugin = host.load(file).await?;
    Ok((plugin, start.elapsed()))
}

/// The two calls of one notification.
async fn notification(plugin: &Plugin, given: &Given) -> Result<(Duration, Duration)> {
    let Given { notification, endpoint, attempt } = given;
    let reply = Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"ok"),
        truncated: false,
    };
    let start = Instant::now();
    let request = plugin.format(notification, endpoint, attempt).await?;
    let format = start.elapsed();
    let verdict = plugin.judge(notification, endpoint, attempt, &reply).await?;
    let judge = start.elapsed() - format;
    ensure!(request.body.starts_with(b"{\"id\":"), "the request is the format's");
    ensure!(verdict == Verdict::Confirmed { detail: None }, "`ok` confirms");
    Ok((format, judge))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

/// To three digits or so.
fn shown(time: Duration) -> String {
    let microseconds = time.as_secs_f64() * 1e6;
    match microseconds {
        ..1_000.0 => format!("{microseconds:.0} µs"),
        ..100_000.0 => format!("{:.1} ms", microseconds / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", microseconds / 1e3),
        _ => format!("{:.1} s", microseconds / 1e6),
    }
}
