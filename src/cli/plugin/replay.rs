//! `paynotify plugin replay`: an attempt is made again from what the journal has of it.
//!
//! It reads the journal's database and the kept version of the plugin, so that it works beside a running gateway and without
//! one. It goes through no API, because no API gives out what is in there. It needs no merchant's file and no key.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::json;

use crate::cli::config::leave_nothing_behind;
use crate::cli::{ConfigFile, Failure};
use crate::config::{self, Config, Problem};
use crate::domain::{Notification, NotificationId};
use crate::journal::{self, Kept, Lookup};
use crate::plugin::{Host, Keys, Plugin, Versions};
use crate::replay::{Replayed, Transcript, again};

#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    /// The notification's id, and after a slash the attempt's number; without it, the last attempt of which there is a record.
    #[arg(value_name = "NOTIFICATION[/ATTEMPT]")]
    attempt: Attempt,
    /// Makes it with this plugin instead of the version that made it.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Has the merchant's keys answer what was not asked of them then. Without it, the recorded answer has its place.
    #[arg(long)]
    sign: bool,
    /// Prints JSON, for machines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

/// One attempt, or the last.
#[derive(Clone, Debug)]
struct Attempt {
    notification: NotificationId,
    number: Option<u32>,
}

impl std::str::FromStr for Attempt {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let (notification, number) = match text.split_once('/') {
            None => (text, None),
            Some((notification, number)) => {
                let number: u32 =
                    number.parse().with_context(|| format!("`{number}` is no attempt's number"))?;
                (notification, Some(number))
            }
        };
        Ok(Self { notification: notification.parse()?, number })
    }
}

pub(super) async fn replay(arguments: &Replay) -> Result<(), Failure> {
    let file = &arguments.file.config;
    let config = if arguments.sign { Config::load(file) } else { Config::load_without_merchants(file) };
    let mut config =
        config.map_err(|problems| Failure::Wrong(problems.iter().map(Problem::to_string).collect()))?;
    leave_nothing_behind(&mut config);
    let kept = look_up(&config, &arguments.attempt).await?;
    let name = format!("{}/{}", arguments.attempt.notification, kept.transcript.number);
    let transcript = Transcript::from_json(&kept.transcript.content)
        .with_context(|| format!("the record of {name} cannot be read"))?;
    let notification = Notification::parse(kept.raw).context("the notification cannot be read")?;
    let keys = match config.merchants.iter().find(|merchant| merchant.id == *notification.merchant()) {
        Some(merchant) => merchant.keys.clone(),
        None if arguments.sign => {
            let merchant = notification.merchant();
            return Err(
                anyhow!("there is no file of the merchant `{merchant}`, whose keys were to sign").into()
            );
        }
        None => Keys::default(),
    };
    let host = Host::new(config.plugin.clone())?;
    let plugin = plugin(&config, &host, arguments, &transcript).await?;
    let replayed = again(&plugin, &notification, &transcript, &keys).await;
    host.close().await;
    let replayed = replayed.with_context(|| format!("{name} cannot be made again"))?;
    let shown = Shown { name: &name, transcript: &transcript, plugin: &plugin, replayed: &replayed };
    if arguments.json {
        println!("{}", shown.json());
    } else {
        print!("{}", shown.text());
    }
    if replayed.is_same() { Ok(()) } else { Err(anyhow!("{name} is not the same any more").into()) }
}

async fn look_up(config: &Config, attempt: &Attempt) -> anyhow::Result<Kept> {
    let Attempt { notification, number } = attempt;
    let found = match &config.journal {
        config::Journal::Sqlite(settings) => journal::look_up(&settings.file, notification, *number).await?,
        config::Journal::Postgres(settings) => {
            journal::look_up_on_postgres(settings, notification, *number).await?
        }
    };
    match found {
        Lookup::Found(kept) => Ok(kept),
        Lookup::Unknown => bail!("no notification `{notification}` is known"),
        Lookup::NotKept { numbers } if numbers.is_empty() => bail!(
            "no record of an attempt of `{notification}` is kept: none was made, or `journal.transcripts` and \
             `journal.transcripts_kept` say that it is not"
        ),
        Lookup::NotKept { numbers } => {
            let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            bail!("no record of that attempt is kept, only of: {}", numbers.join(", "))
        }
    }
}

/// The plugin that is asked for, or the version that made the attempt.
async fn plugin(
    config: &Config,
    host: &Host,
    arguments: &Replay,
    transcript: &Transcript,
) -> anyhow::Result<Plugin> {
    if let Some(file) = &arguments.with {
        return Ok(host.load(file).await?);
    }
    let versions = Versions::new(config.versions_folder(), config.versions_kept);
    let content = versions.read(&transcript.plugin.hash).context("another plugin can be named by --with")?;
    Ok(host.load_bytes(&transcript.plugin.hash, content).await?)
}

/// What is printed.
struct Shown<'a> {
    name: &'a str,
    transcript: &'a Transcript,
    plugin: &'a Plugin,
    replayed: &'a Replayed,
}

impl Shown<'_> {
    fn was(&self) -> String {
        format!("{}@{}", self.transcript.plugin.name, self.transcript.plugin.hash)
    }

    fn is(&self) -> String {
        format!("{}@{}", self.plugin.description().name, self.plugin.hash())
    }

    fn text(&self) -> String {
        let Self { name, replayed, .. } = self;
        let (was, is) = (self.was(), self.is());
        let by = if was == is { format!("by {is}") } else { format!("made by {was}, now by {is}") };
        if replayed.is_same() {
            let what =
                if replayed.judge.is_some() { "request and verdict" } else { "request; there was no reply" };
            return format!("{name}, {by}: the same to the byte ({what})\n");
        }
        let mut lines = vec![format!("{name}, {by}:")];
        lines.extend(replayed.differences.iter().map(ToString::to_string));
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self) -> serde_json::Value {
        let Self { name, replayed, .. } = self;
        json!({
            "attempt": name,
            "made_by": self.was(),
            "made_again_by": self.is(),
            "same": replayed.is_same(),
            "differences": replayed.differences,
            "format": replayed.format,
            "judge": replayed.judge,
        })
    }
}
