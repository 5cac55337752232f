//! `paynotify plugin run`: one record through a plugin, for people's eyes.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::super::Failure;
use crate::kit::case::{self, DEFAULT_URL};
use crate::kit::form::{CaseReply, CaseRequest, CaseVerdict, HeaderText, Judged};
use crate::kit::keys::{self, CaseKey};
use crate::kit::{Case, CaseError};
use crate::plugin::{Description, Encoding, KeyAlgorithm, Plugin};

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// The plugin.
    file: PathBuf,
    /// The file with the record, as JSON.
    #[arg(long, value_name = "R.json")]
    record: PathBuf,
    /// The plugin's settings, as a JSON object.
    #[arg(long, value_name = "S.json")]
    settings: Option<PathBuf>,
    /// The merchant's URL.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// A key of tests: the file with its text. The algorithm is told by the plugin's needs and the text's form, unless it is given, as
    /// in `signing:hmac-sha256=FILE`, or with its encoding in `signing:hmac-sha256:whsec=FILE`. A key that the plugin cannot do
    /// without is made for the moment where none is given.
    #[arg(long = "key", value_name = "ROLE=FILE")]
    keys: Vec<String>,
    /// Which attempt it is.
    #[arg(long, value_name = "N", default_value = "1")]
    attempt: u32,
    /// A merchant's reply to be judged, as JSON: `{"status": 200, "headers": [["content-type", "text/plain"]], "body": "ok"}`.
    /// Can be given several times.
    #[arg(long = "reply", value_name = "REPLY.json")]
    replies: Vec<PathBuf>,
    /// Writes all of it to this file as a recorded case, for `paynotify plugin cases`.
    #[arg(long, value_name = "CASE.json")]
    write_case: Option<PathBuf>,
    /// Prints the case instead, for machines.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Run) -> Result<(), Failure> {
    show_what_plugins_log();
    let plugin = super::load(&arguments.file).await?;
    let case = case_of(arguments, plugin.description())?;
    let seen = case.observe(&plugin).await.map_err(|error| about_record(&arguments.record, &error))?;
    if let Some(file) = &arguments.write_case {
        write(file, &seen.to_text()?).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if arguments.json {
        print!("{}", seen.to_text()?);
    } else {
        print!("{}", for_people(&plugin, &seen));
    }
    let at_fault = seen.replies.iter().any(|judged| matches!(judged.verdict, Some(CaseVerdict::Error(_))));
    match (&seen.error, at_fault) {
        (None, false) => Ok(()),
        (Some(error), _) => Err(Failure::Failed(anyhow!("the plugin made no request: {error}"))),
        (None, true) => Err(Failure::Failed(anyhow!("the plugin did not judge a reply"))),
    }
}

/// Writes a file; its folder is made if it is not there.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text)
}

/// Lines that the plugin logs go to standard error, as they would to a gateway's log.
fn show_what_plugins_log() {
    let filter = EnvFilter::new("off,paynotify::plugin::lines=debug");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.without_time().with_target(false).with_ansi(false).init();
}

fn case_of(arguments: &Run, description: &Description) -> anyhow::Result<Case> {
    let record =
        case::read_json(&arguments.record).map_err(|error| about_record(&arguments.record, &error))?;
    let mut case = Case::of_record(record);
    case.url.clone_from(&arguments.url);
    case.attempt.number = arguments.attempt;
    if let Some(file) = &arguments.settings {
        case.settings =
            case::read_json(file).with_context(|| format!("{} is no JSON object", file.display()))?;
    }
    for argument in &arguments.keys {
        case.keys.push(key(argument, description)?);
    }
    name_apart(&mut case.keys);
    for need in &description.keys {
        if need.required && !case.keys.iter().any(|key| key.role == need.role) {
            let algorithm = *keys::fitting(need).first().context("the plugin's need can be met by no key")?;
            eprintln!("paynotify: the role `{}` gets a key made for the moment ({algorithm})", need.role);
            case.keys.push(CaseKey { name: None, ..keys::throw_away(&need.role, algorithm)? });
        }
    }
    for file in &arguments.replies {
        let reply: CaseReply = case::read_json(file).with_context(|| {
            format!("{} is no reply such as {{\"status\": 200, \"body\": \"ok\"}}", file.display())
        })?;
        case.replies.push(Judged { reply, verdict: None });
    }
    Ok(case)
}

fn about_record(file: &Path, error: &CaseError) -> anyhow::Error {
    match error {
        CaseError::Record(error) => anyhow!("{}: {error}", file.display()),
        CaseError::Unreadable(error) => anyhow!("{} is no record: {error}", file.display()),
        CaseError::Field { .. } | CaseError::Busy => anyhow!("{error}"),
    }
}

/// A key as the command line names it: `ROLE[:ALGORITHM[:ENCODING]]=FILE`.
fn key(argument: &str, description: &Description) -> anyhow::Result<CaseKey> {
    let (what, file) = argument
        .split_once('=')
        .with_context(|| format!("--key {argument}: is to be ROLE=FILE, such as signing=key.pem"))?;
    let mut words = what.split(':');
    let role = words.next().unwrap_or_default();
    let algorithm: Option<KeyAlgorithm> = words.next().map(word).transpose()?;
    let encoding: Option<Encoding> = words.next().map(word).transpose()?;
    let need = description.keys.iter().find(|need| need.role == role).with_context(|| {
        let roles: Vec<_> = description.keys.iter().map(|need| format!("`{}`", need.role)).collect();
        let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
        format!("--key {argument}: the plugin asks for no key `{role}`; its roles are: {roles}")
    })?;
    let text = super::read(&PathBuf::from(file))?;
    // As with `file:` in a merchant's file, the last line break is no part of the key.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let key = match algorithm {
        None => keys::recognised(need, text).map_err(|problem| anyhow!("{file} {problem}"))?,
        Some(algorithm) => CaseKey {
            role: role.to_owned(),
            name: None,
            algorithm,
            encoding,
            text: text.to_owned(),
            id: None,
            certificate: None,
        },
    };
    key.decode().map_err(|problem| anyhow!("{file}: `{}` {problem}", problem.key()))?;
    Ok(key)
}

/// One of the words that a merchant's file has for such a thing.
fn word<T: serde::de::DeserializeOwned>(word: &str) -> anyhow::Result<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|error| anyhow!("--key: {error}"))
}

/// Several keys of one role: the first keeps the role's name, the others are numbered.
fn name_apart(keys: &mut [CaseKey]) {
    for index in 1..keys.len() {
        let (earlier, rest) = keys.split_at_mut(index);
        if let Some(key) = rest.first_mut() {
            let number = earlier.iter().filter(|other| other.role == key.role).count() + 1;
            if number > 1 {
                key.name = Some(format!("{}-{number}", key.role));
            }
        }
    }
}

/// The request as it would go over the wire, without what HTTP adds, and the verdicts.
fn for_people(plugin: &Plugin, seen: &Case) -> String {
    let mut text = String::new();
    if let Some(request) = &seen.request {
        text.push_str(&request_text(request));
    }
    for judged in &seen.replies {
        let verdict = match &judged.verdict {
            Some(verdict) => verdict_text(verdict),
            None => "none".to_owned(),
        };
        text.push_str(&format!("=> reply {}: {verdict}\n", judged.reply.status));
    }
    let description = plugin.description();
    text.push_str(&format!("=> {} {} ({})\n", description.name, description.version, plugin.hash()));
    text
}

fn request_text(request: &CaseRequest) -> String {
    let mut text = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        let value = match value {
            HeaderText::Text(value) => value.clone(),
            HeaderText::Bytes { base64 } => format!("(bytes, as base64) {base64}"),
        };
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push('\n');
    match (&request.body, request.body_bytes()) {
        (Some(body), _) if body.is_empty() => {}
        (Some(body), _) => {
            text.push_str(body);
            text.push_str("\n\n");
        }
        (None, Ok(bytes)) => text.push_str(&format!("{}\n", hex_dump(&bytes))),
        (None, Err(error)) => text.push_str(&format!("{error}\n")),
    }
    text
}

fn verdict_text(verdict: &CaseVerdict) -> String {
    match verdict {
        CaseVerdict::Confirmed(None) => "confirmed".to_owned(),
        CaseVerdict::Confirmed(Some(detail)) => format!("confirmed: {detail}"),
        CaseVerdict::Retry { after_seconds: None, reason } => format!("retry: {reason}"),
        CaseVerdict::Retry { after_seconds: Some(seconds), reason } => {
            format!("retry, not before {seconds} s from now: {reason}")
        }
        CaseVerdict::Stop(reason) => format!("stop: {reason}"),
        CaseVerdict::Error(error) => format!("not judged: {error}"),
    }
}

/// Sixteen bytes a line: where, which, and as characters.
fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, row) in bytes.chunks(16).enumerate() {
        let digits: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String =
            row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        text.push_str(&format!("{:08x}  {:<47}  {shown}\n", line * 16, digits.join(" ")));
    }
    text
}
