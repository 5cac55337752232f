//! `paynotify run`: the gateway's life, from its configuration to its drain.

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::Failure;
use super::Run;
use super::config::prepared;
use crate::app;
use crate::config::{Broker, Config, LogFormat};

pub(super) async fn run(run: &Run) -> Result<(), Failure> {
    let (mut config, prepared) = prepared(&run.file.config, start_log).await?;
    if let Broker::Amqp(settings) = &mut config.broker {
        settings.accept_weaker = run.accept_weaker;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    app::run(config, prepared, stop).await?;
    Ok(())
}

/// Logs go to standard error; standard output stays free.
fn start_log(config: &Config) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Colours are for people: a file and systemd's journal would keep their codes.
        .with_ansi(std::io::stderr().is_terminal())
        // Where the log cannot be written, the default is to say so by printing, which panics: a full disk under the
        // log must not end the gateway in the middle of its work.
        .log_internal_errors(false);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // lapin would log a returned message whole, payment data and all; what happens to it the broker module tells.
    let filter = EnvFilter::new(format!("{},lapin=off", config.log_level));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter).with_filter(filter_fn(may_be_logged)))
        .init();
}

/// What libraries say at the level `trace` can be what passes through them, byte by byte: secrets, and people's names. So whatever the
/// configuration asks for, they get no further than `debug`; and compilers, which fill disks even there, no further than `info`.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    const COMPILERS: [&str; 3] = ["cranelift", "regalloc", "wasmtime"];
    let of_compiler = COMPILERS.iter().any(|name| metadata.target().starts_with(name));
    let most = if metadata.target().starts_with("paynotify") {
        Level::TRACE
    } else if of_compiler {
        Level::INFO
    } else {
        Level::DEBUG
    };
    *metadata.level() <= most
}
