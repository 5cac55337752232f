//! Point 4: what a plugin's calls cost by the language that it is written in: the same format, once in each of `examples/`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paynotify::domain::{Reply, Verdict};
use paynotify::kit::Case;
use paynotify::kit::case::Given;
use paynotify::plugin::{Conditions, Host, Plugin, Settings};
use xtask::examples::{self, Built, LANGUAGES};

use crate::support::context::Context;
use crate::support::figures::{Percentiles, microseconds, milliseconds};
use crate::support::gateway::shared_compiled;
use crate::support::report::Point;

/// A language that takes turns with the others.
struct Language {
    name: &'static str,
    file: PathBuf,
    plugin: Plugin,
    first_load: Vec<f64>,
    next_load: Vec<f64>,
    /// Format and judge together, then each, in microseconds.
    both: Percentiles,
    format: Percentiles,
    judge: Percentiles,
}

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let rounds = context.rounds(5);
    let count = context.pick(2_000, 10);
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/acme.cases/payment.json");
    let given = Case::read(&case)?.given()?;
    let (mut languages, mut skipped) = (Vec::new(), String::new());
    // A compiler that is not optimised takes a minute for the others.
    let some = LANGUAGES.iter().filter(|language| !context.quick || ["rust", "js"].contains(&language.name));
    for language in some {
        match examples::built(language.name)? {
            Built::Skipped(reason) => skipped += &format!(" No {}: {reason}.", language.name),
            Built::Component(file) => {
                languages.push(Language::load(language.name, file, context.quick).await?)
            }
        }
    }
    for round in 1..=rounds {
        for language in &mut languages {
            // A tenth first, which is not measured: what a processor has not seen yet is slower.
            let (mut both, mut format, mut judge) = (Vec::new(), Vec::new(), Vec::new());
            for number in 0..count + count / 10 {
                let (one, other) = notification(&language.plugin, &given).await?;
                if number >= count / 10 {
                    both.push(microseconds(one + other));
                    format.push(microseconds(one));
                    judge.push(microseconds(other));
                }
            }
            language.both.add(&mut both);
            language.format.add(&mut format);
            language.judge.add(&mut judge);
            let p50 = language.both.p50.last().copied().unwrap_or_default();
            context.say(format!("round {round}, {}: {p50:.0} µs", language.name));
        }
    }
    let about = format!(
        "`acme` in each language, within one process and one after the other: a request formatted (with an HMAC-SHA256 of the host's) \
         and a reply judged, as for an attempt (by the same instance, where it is kept), {count} times a round. First load: compiled, and asked to describe itself; next load: with what the first has \
         kept.{skipped}"
    );
    let mut point = Point::new(4, "format and judge, by language", about);
    for language in &languages {
        language.tell(&mut point)?;
    }
    Ok(point)
}

impl Language {
    /// Loads it twice. Where nothing is really measured, what tests have compiled will do.
    async fn load(name: &'static str, file: PathBuf, quick: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = if quick { shared_compiled() } else { folder.path().join("compiled") };
        let settings = Settings { cache_folder: Some(cache), ..Settings::default() };
        let (_, first) = load(&settings, &file).await?;
        let (plugin, next) = load(&settings, &file).await?;
        Ok(Self {
            name,
            file,
            plugin,
            first_load: vec![milliseconds(first)],
            next_load: vec![milliseconds(next)],
            both: Percentiles::default(),
            format: Percentiles::default(),
            judge: Percentiles::default(),
        })
    }

    fn tell(&self, point: &mut Point) -> Result<()> {
        let name = self.name;
        let parts = [
            ("", "format and judge", &self.both),
            ("_format", "format", &self.format),
            ("_judge", "judge", &self.judge),
        ];
        for (key, title, times) in parts {
            point.row(format!("{name}{key}_p50"), format!("{name}: {title}, p50"), "µs", &times.p50);
            match (key, name) {
                ("", "rust") => point.at_most(40.0),
                ("", "js") => point.at_most(300.0),
                _ => {}
            }
            point.row(format!("{name}{key}_p99"), format!("{name}: {title}, p99"), "µs", &times.p99);
        }
        point.row(format!("{name}_first_load"), format!("{name}: first load"), "ms", &self.first_load);
        point.row(format!("{name}_next_load"), format!("{name}: next load"), "ms", &self.next_load);
        let size = std::fs::metadata(&self.file)?.len() as f64 / 1e3;
        point.row(format!("{name}_size"), format!("{name}: component"), "kB", &[size]);
        Ok(())
    }
}

async fn load(settings: &Settings, file: &Path) -> Result<(Plugin, Duration)> {
    let host = Host::new(settings.clone())?;
    let start = Instant::now();
    let plugin = host.load(file).await?;
    Ok((plugin, start.elapsed()))
}

/// The two calls of one notification: how long each took.
async fn notification(plugin: &Plugin, given: &Given) -> Result<(Duration, Duration)> {
    let Given { notification, endpoint, attempt } = given;
    let reply = Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"ok"),
        truncated: false,
    };
    let conditions = Conditions::from(endpoint);
    let start = Instant::now();
    let (formatted, kept) = plugin.format_and_keep(notification, conditions.clone(), attempt).await;
    let request = formatted.result?;
    let format = start.elapsed();
    let judged = plugin.judge_with(kept, notification, conditions, attempt, &reply).await;
    let verdict = judged.result?;
    let judge = start.elapsed() - format;
    ensure!(request.body.starts_with(b"{\"id\":"), "the request is the format's");
    ensure!(verdict == Verdict::Confirmed { detail: None }, "`ok` confirms");
    Ok((format, judge))
}
