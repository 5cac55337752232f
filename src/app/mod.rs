//! The one module that names every edge: it builds them, owns their tasks, and ends them in order.
//!
//! The way of a file: `watch` says that it has changed, `load` says what is in it, `catalogue` decides whether it takes effect,
//! `ready` puts a merchant together with its plugin, `kept` remembers what ran. `prepare` does it once, before the start;
//! `dropin` whenever something changes.

mod announce;
mod brokers;
mod catalogue;
mod dropin;
mod kept;
mod load;
mod merchants;
mod outcomes;
mod prepare;
mod ready;
mod replays;
mod secrets;
mod surroundings;
mod traces;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;

use crate::api::{self, Api, Upon};
use crate::config::{self, Config};
use crate::delivery::{self, Deliverer, Rules, Shadows};
use crate::journal::{Journal, JournalError, PostgresJournal, SqliteJournal};
use crate::live::Live;

pub use brokers::operator;
use dropin::Dropin;
pub use prepare::{Prepared, prepare};
use surroundings::Surroundings;

/// Runs the gateway until `stop` is done, then drains it.
///
/// # Errors
/// Something could not be started, or ended by itself.
pub async fn run(config: Config, prepared: Prepared, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Prepared { refused, merchants, catalogue, watched } = prepared;
    for error in refused {
        tracing::error!(error, "a plugin is refused; no merchant needs it");
    }
    let host = catalogue.host().clone();
    create_private_folder(&config.data)
        .with_context(|| format!("the data folder {} cannot be made", config.data.display()))?;
    let journal = open_journal(&config.journal).await?;
    let mut registry = Registry::with_prefix("paynotify");
    let broker = brokers::open(&config, &merchants, &mut registry).await?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("the API cannot listen on {} (key `api.listen`)", config.listen))?;
    let address = listener.local_addr()?;
    let tls = config.api.tls.as_ref().map(api::Tls::load).transpose()?;
    let faults = delivery::Metrics::new(&mut registry, &merchants);
    let shadows = Shadows::registered(&mut registry, &merchants);
    let (at_start, all_merchants) = (merchants.all().len(), merchants.clone());
    let secrets = Arc::new(secrets::OfMerchants(merchants.clone()));
    let rules = Rules {
        ladder: config.ladder.clone(),
        policy: config.policy,
        slots: config.prefetch,
        slow_slots: config.slow_prefetch,
        keep: config.transcripts,
    };
    let (stopping, stopped) = tokio::sync::watch::channel(());
    let live = Live::new(config.api.live_listeners, stopped.clone());
    let mut deliverer =
        Deliverer::new(Arc::clone(&broker), Arc::clone(&journal), merchants, rules, faults, shadows)
            .heard_by(live.clone());
    let told = delivery::OutcomeMetrics::registered(&mut registry);
    if let Some(outcomes) = &config.outcomes {
        deliverer = deliverer.telling(outcomes::endpoint(outcomes)?, told);
    }
    let (traced, until_traced) = tokio::sync::watch::channel(());
    let mut exporting = None;
    let spans = crate::traces::TraceMetrics::registered(&mut registry);
    if let Some(traces) = &config.traces {
        let (traces, exporter) = traces::open(traces, &*journal, spans)?;
        deliverer = deliverer.traced_by(traces);
        exporting = Some(tokio::spawn(exporter.run(until_traced)));
    }
    // Before anything is attempted, if the journal is there; otherwise by the first attempt.
    if let Err(error) = deliverer.pauses().look().await {
        tracing::warn!(%error, "whether merchants are paused is not known yet: nothing is attempted before it is");
    }
    let shown = merchants::Shown::new(all_merchants.clone(), deliverer.pauses(), &config.ladder);
    let bounds = replays::Bounds { most: config.replay_most, fastest: config.replay_per_second };
    let (replaying, desk) = replays::new(Arc::clone(&journal), Arc::clone(&broker), bounds);
    let (dropin, plugins) = Dropin::new(&config, catalogue, watched, deliverer.releases());
    let plugins: Arc<dyn api::Plugins> = Arc::new(plugins);
    let data = config.data.clone();
    let (known, pauses) = (all_merchants.clone(), deliverer.pauses());
    Surroundings { merchants: known, pauses, plugins: Arc::clone(&plugins), data }.register(&mut registry);
    let upon = Upon {
        broker: Arc::clone(&broker),
        journal: Arc::clone(&journal),
        plugins,
        merchants: Arc::new(shown),
        replays: Arc::new(desk),
        secrets,
        live,
    };
    let api = Api::new(upon, registry);
    let mut watching = tokio::spawn(dropin.run(stopped.clone()));
    let replaying = tokio::spawn(replaying.run(stopped.clone()));
    let announcing = announce::until(stopped.clone(), Arc::clone(&broker), Arc::clone(&journal));
    let announcing = tokio::spawn(announcing);
    let (router, settings) = (api.clone().router(&config.api), config.api.clone());
    let mut serving =
        tokio::spawn(async move { api::serve(listener, router, &settings, tls, stopped).await });
    tracing::info!(%address, merchants = at_start, "the gateway runs");
    let mut delivering = tokio::spawn(deliverer.run(config.drain));
    let (mut served, mut delivered, mut watched) = (None, None, None);
    let (mut failed, mut refusal) = (None, None);
    tokio::select! {
        () = stop => tracing::info!("stopping: what is under way is finished"),
        result = &mut serving => served = Some(result),
        result = &mut delivering => delivered = Some(result),
        result = &mut watching => watched = Some(result),
        () = broker.ended() => failed = Some("the broker"),
        () = journal.ended() => failed = Some("the journal"),
        reason = broker.refusal() => refusal = Some(reason),
    }
    let by_itself = served.is_some() || delivered.is_some() || watched.is_some();
    drop(stopping);
    broker.stop_taking().await;
    if delivered.is_none() {
        delivered = Some(delivering.await);
    }
    // Nothing is traced any more: what is left is sent while the rest ends.
    drop(traced);
    if served.is_none() {
        served = tokio::time::timeout(LAST_ANSWERS, &mut serving).await.ok();
        serving.abort();
    }
    if watched.is_none() {
        watched = Some(watching.await);
    }
    let replayed = replaying.await;
    let announced = announcing.await;
    broker.close().await;
    // With the broker closed, none of them waits for it.
    api.finish().await;
    journal.close().await;
    host.close().await;
    let exported = match exporting {
        Some(exporting) => exporting.await,
        None => Ok(()),
    };
    if let Some(result) = delivered {
        result.context("the delivery ended by a fault")?;
    }
    replayed.context("the replays ended by a fault")?;
    announced.context("what tells systemd ended by a fault")?;
    exported.context("the sending of traces ended by a fault")?;
    if let Some(result) = watched {
        result.context("the watch over plugins and merchants ended by a fault")?;
    }
    if let Some(result) = served {
        result.context("the API ended by a fault")?;
    }
    if let Some(part) = failed {
        // Nothing in here can mend it; whoever started the gateway starts it again.
        anyhow::bail!("{part} ended by a fault of the program; its log says more, and a new start mends it");
    }
    if let Some(reason) = refusal {
        anyhow::bail!(reason);
    }
    anyhow::ensure!(!by_itself, "the gateway ended by itself");
    tracing::info!("stopped");
    Ok(())
}

/// How long a stop waits for answers of the API that are under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

async fn open_journal(journal: &config::Journal) -> Result<Arc<dyn Journal>, JournalError> {
    Ok(match journal {
        config::Journal::Sqlite(settings) => Arc::new(SqliteJournal::open(settings.clone()).await?),
        config::Journal::Postgres(settings) => Arc::new(PostgresJournal::open((**settings).clone()).await?),
    })
}

/// Makes a folder that only this user can enter, if it is not there.
fn create_private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
