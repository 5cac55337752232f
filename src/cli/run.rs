//! `paynotify run`: the gateway's life, from its configuration to its drain.

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    // lapin would log a returned message whole, payment data and all; what happens to it the broker module tells.
    let filter = format!("{},lapin=off", config.log_level);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        // Where the log cannot be written, the default is to say so by printing, which panics: a full disk under the
        // log must not end the gateway in the middle of its work.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
