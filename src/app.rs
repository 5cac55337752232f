//! The one file that names every edge: it builds them, owns their tasks, and ends them in order.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use prometheus_client::registry::Registry;

use crate::api::Api;
use crate::broker::amqp::{AmqpBroker, Operator, Surroundings};
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::{self, Broker};
use crate::config::{self, Config, LadderChoice, Problem};
use crate::delivery::{self, Deliverer, Merchant, Merchants, Rules, Shadow, Shadows};
use crate::domain::{Ladder, Reply, Request};
use crate::journal::{self, Journal, SqliteJournal};
use crate::{http, plugin};

/// Everything that can be wrong has been looked for: the plugins are loaded and know their merchants.
pub struct Prepared {
    /// The plugins that were refused, and why: wrong only for merchants that need them, and of those there are none.
    pub refused: Vec<plugin::LoadError>,
    merchants: Merchants,
    host: plugin::Host,
}

/// Loads the plugins, and puts every merchant together with its own.
///
/// # Errors
/// Everything that is wrong, by file, line and key.
pub async fn prepare(config: &Config) -> Result<Prepared, Vec<Problem>> {
    let fail = |key: &str, problem: &dyn std::fmt::Display| vec![config.wrong(key, problem)];
    let host = plugin::Host::new(config.plugin.clone()).map_err(|error| fail("plugin", &error))?;
    let (registry, refused) = plugin::Registry::load_folder(&host, &config.plugins).await;
    let roots = http::TlsRoots::system().map_err(|error| fail("http", &error))?;
    let mut problems = Vec::new();
    let mut merchants = Merchants::new();
    for merchant in &config.merchants {
        match ready_merchant(config, merchant, &registry, &roots).await {
            Ok(ready) => {
                merchants.insert(merchant.id.clone(), Arc::new(ready));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(Prepared { refused, merchants, host });
    }
    // A merchant without its plugin may be one whose plugin was refused: the reason belongs to the answer.
    problems.extend(refused.iter().map(|error| config.wrong("plugins", error)));
    Err(problems)
}

async fn ready_merchant(
    config: &Config,
    merchant: &config::Merchant,
    registry: &plugin::Registry,
    roots: &http::TlsRoots,
) -> Result<Merchant, Problem> {
    let Some(plugin) = registry.get(&merchant.plugin) else {
        let folder = config.plugins.display();
        let problem = format!("no plugin in {folder} is named `{}`", merchant.plugin);
        return Err(merchant.wrong("plugin", problem));
    };
    plugin
        .check_settings(&merchant.settings_json)
        .await
        .map_err(|error| merchant.wrong("settings", error))?;
    let shadow = shadow(config, merchant, registry).await?;
    check_keys(merchant, &plugin, shadow.as_ref().map(Shadow::plugin))?;
    let ladder = ladder(config, merchant, &plugin)?;
    let endpoint = plugin::Endpoint {
        url: merchant.url.clone(),
        origins: merchant.origins.clone(),
        settings_json: merchant.settings_json.clone(),
        keys: merchant.keys.clone(),
    };
    let mut settings = config.http;
    let theirs = merchant.timeouts;
    settings.timeouts.connect = theirs.connect.unwrap_or(settings.timeouts.connect);
    // Who gives only the total means that the reply may take as long.
    settings.timeouts.first_byte = theirs.first_byte.or(theirs.total).unwrap_or(settings.timeouts.first_byte);
    settings.timeouts.total = theirs.total.unwrap_or(settings.timeouts.total);
    let client = http::Client::new(&settings, roots);
    let in_flight = merchant.in_flight.unwrap_or(config.in_flight_per_merchant);
    let authorization = merchant.authorization.clone();
    let mut ready = Merchant::new(plugin, endpoint, ladder, client, authorization, in_flight);
    ready.shadow = shadow;
    Ok(ready)
}

/// The plugin that runs beside the merchant's own: it is told the same, but for its settings.
async fn shadow(
    config: &Config,
    merchant: &config::Merchant,
    registry: &plugin::Registry,
) -> Result<Option<Shadow>, Problem> {
    let Some(config::Shadow { plugin: name, settings_json }) = &merchant.shadow else { return Ok(None) };
    let Some(plugin) = registry.get(name) else {
        let folder = config.plugins.display();
        return Err(merchant.wrong("shadow", format!("no plugin in {folder} is named `{name}`")));
    };
    plugin.check_settings(settings_json).await.map_err(|error| merchant.wrong("shadow_settings", error))?;
    let lacks =
        |need: &&plugin::KeyNeed| need.required && !merchant.keys.iter().any(|key| key.role() == need.role);
    if let Some(need) = plugin.description().keys.iter().find(lacks) {
        let problem = format!("plugin `{name}` needs a key of the role `{}`: {}", need.role, need.summary);
        return Err(merchant.wrong("shadow", problem));
    }
    let endpoint = plugin::Endpoint {
        url: merchant.url.clone(),
        origins: merchant.origins.clone(),
        settings_json: settings_json.clone(),
        keys: merchant.keys.clone(),
    };
    Ok(Some(Shadow::new(plugin, endpoint)))
}

/// Holds the merchant's keys against what its plugin asks for. A key can be there for its shadow alone.
fn check_keys(
    merchant: &config::Merchant,
    plugin: &plugin::Plugin,
    shadow: Option<&plugin::Plugin>,
) -> Result<(), Problem> {
    let needs = &plugin.description().keys;
    let needs_of_shadow = shadow.map_or(&[][..], |shadow| &shadow.description().keys[..]);
    for (index, key) in merchant.keys.iter().enumerate() {
        let Some(need) = needs.iter().chain(needs_of_shadow).find(|need| need.role == key.role()) else {
            let roles: Vec<_> = needs.iter().map(|need| format!("`{}`", need.role)).collect();
            let roles = if roles.is_empty() { "none at all".to_owned() } else { roles.join(", ") };
            let problem = format!(
                "plugin `{}` has no use for a key of the role `{}`; its roles are: {roles}",
                merchant.plugin,
                key.role()
            );
            return Err(merchant.wrong(&format!("keys[{index}].role"), problem));
        };
        if !key.algorithm().does_for(&need.algorithms) {
            let does = |algorithm: &&plugin::KeyAlgorithm| algorithm.does_for(&need.algorithms);
            let names =
                plugin::KeyAlgorithm::ALL.iter().filter(does).map(|algorithm| format!("`{algorithm}`"));
            let problem = format!(
                "the role `{}` of plugin `{}` takes a key of {}, not of `{}`",
                need.role,
                merchant.plugin,
                names.collect::<Vec<_>>().join(" or "),
                key.algorithm()
            );
            return Err(merchant.wrong(&format!("keys[{index}].algorithm"), problem));
        }
    }
    let lacks =
        |need: &&plugin::KeyNeed| need.required && !merchant.keys.iter().any(|key| key.role() == need.role);
    match needs.iter().find(lacks) {
        Some(need) => {
            let problem = format!(
                "plugin `{}` needs a key of the role `{}`: {}",
                merchant.plugin, need.role, need.summary
            );
            Err(merchant.wrong("keys", problem))
        }
        None => Ok(()),
    }
}

fn ladder(config: &Config, merchant: &config::Merchant, plugin: &plugin::Plugin) -> Result<Ladder, Problem> {
    let delays = match &merchant.ladder {
        None => config.ladder.delays().to_vec(),
        Some(LadderChoice::Own(delays)) => delays.clone(),
        Some(LadderChoice::OfPlugin(name)) => {
            let presets = &plugin.description().ladders;
            let Some(preset) = presets.iter().find(|preset| preset.name == *name) else {
                let names: Vec<_> = presets.iter().map(|preset| preset.name.as_str()).collect();
                let problem = format!(
                    "plugin `{}` has no ladder `{name}`, only: {}",
                    merchant.plugin,
                    names.join(", ")
                );
                return Err(merchant.wrong("ladder", problem));
            };
            preset.delays.clone()
        }
    };
    let jitter = merchant.jitter.unwrap_or(config.ladder.jitter());
    Ladder::new(delays, jitter).map_err(|error| merchant.wrong("ladder", error))
}

/// Runs the gateway until `stop` is done, then drains it.
///
/// # Errors
/// Something could not be started, or ended by itself.
pub async fn run(config: Config, prepared: Prepared, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Prepared { refused, merchants, host } = prepared;
    for error in refused {
        tracing::error!(%error, "a plugin is refused; no merchant needs it");
    }
    create_private_folder(&config.data)
        .with_context(|| format!("the data folder {} cannot be made", config.data.display()))?;
    keep_versions(&config, &merchants).await?;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(journal_settings(&config)).await?);
    let mut registry = Registry::with_prefix("paynotify");
    let broker = open_broker(&config, &merchants, &mut registry).await?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("the API cannot listen on {} (key `api.listen`)", config.listen))?;
    let address = listener.local_addr()?;
    let faults = delivery::Metrics::new(&mut registry);
    let shadows = Shadows::registered(&mut registry, &merchants);
    let api = Api::new(Arc::clone(&broker), Arc::clone(&journal), registry);
    let (stopping, stopped) = tokio::sync::watch::channel(());
    let serve = axum::serve(listener, api.clone().router(config.longest_body))
        .with_graceful_shutdown(async move { drop(stopped.clone().changed().await) });
    let mut serving = tokio::spawn(serve.into_future());
    tracing::info!(%address, merchants = merchants.len(), "the gateway runs");
    let rules = Rules { ladder: config.ladder.clone(), policy: config.policy, keep: config.transcripts };
    let deliverer =
        Deliverer::new(Arc::clone(&broker), Arc::clone(&journal), merchants, rules, faults, shadows);
    let mut delivering = tokio::spawn(deliverer.run(config.drain));
    let (mut served, mut delivered, mut failed, mut refusal) = (None, None, None, None);
    tokio::select! {
        () = stop => tracing::info!("stopping: what is under way is finished"),
        result = &mut serving => served = Some(result),
        result = &mut delivering => delivered = Some(result),
        () = broker.ended() => failed = Some("the broker"),
        () = journal.ended() => failed = Some("the journal"),
        reason = broker.refusal() => refusal = Some(reason),
    }
    let by_itself = served.is_some() || delivered.is_some();
    drop(stopping);
    broker.stop_taking().await;
    if delivered.is_none() {
        delivered = Some(delivering.await);
    }
    if served.is_none() {
        served = tokio::time::timeout(LAST_ANSWERS, &mut serving).await.ok();
        serving.abort();
    }
    broker.close().await;
    // With the broker closed, none of them waits for it.
    api.finish().await;
    journal.close().await;
    host.close().await;
    if let Some(result) = delivered {
        result.context("the delivery ended by a fault")?;
    }
    if let Some(result) = served {
        result.context("the API ended by a fault")?.context("the API ended")?;
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

async fn open_broker(
    config: &Config,
    merchants: &Merchants,
    registry: &mut Registry,
) -> anyhow::Result<Arc<dyn Broker>> {
    match &config.broker {
        config::Broker::Embedded(settings) => Ok(Arc::new(EmbeddedBroker::open(settings.clone()).await?)),
        config::Broker::Amqp(settings) => {
            let surroundings = Surroundings { registry, fetch: Some(fetch()?) };
            Ok(Arc::new(AmqpBroker::start_in(surroundings, with_rungs(settings, config, merchants))?))
        }
    }
}

/// Somebody who looks after the RabbitMQ of this configuration; `None` if it has none.
///
/// # Errors
/// The trusted authorities cannot be read, or a setting is wrong.
pub fn operator(config: &Config, prepared: &Prepared) -> anyhow::Result<Option<Operator>> {
    match &config.broker {
        config::Broker::Embedded(_) => Ok(None),
        config::Broker::Amqp(settings) => {
            let settings = with_rungs(settings, config, &prepared.merchants);
            Ok(Some(Operator::new(settings, Some(fetch()?))?))
        }
    }
}

/// A rung for each delay of every ladder.
fn with_rungs(
    settings: &broker::amqp::Settings,
    config: &Config,
    merchants: &Merchants,
) -> broker::amqp::Settings {
    let ladders = merchants.values().map(|merchant| &merchant.ladder).chain([&config.ladder]);
    let delays: HashSet<Duration> = ladders.flat_map(|ladder| ladder.delays().iter().copied()).collect();
    broker::amqp::Settings { rung_delays: delays.into_iter().collect(), ..settings.clone() }
}

/// The way to RabbitMQ's management API: the merchants' kind of client, for longer answers.
fn fetch() -> anyhow::Result<Arc<dyn broker::amqp::Fetch>> {
    const LONGEST_ANSWER: usize = 16 << 20;
    let settings = http::Settings { longest_reply: LONGEST_ANSWER, ..http::Settings::default() };
    let roots = http::TlsRoots::system()?;
    Ok(Arc::new(ManagementClient(http::Client::new(&settings, &roots))))
}

struct ManagementClient(http::Client);

#[async_trait::async_trait]
impl broker::amqp::Fetch for ManagementClient {
    async fn fetch(&self, request: Request) -> Result<Reply, String> {
        self.0.send(request).await.map_err(|failure| format!("no answer ({})", failure.name()))
    }
}

fn journal_settings(config: &Config) -> journal::Settings {
    journal::Settings {
        batch: config.journal_batch,
        transcripts_kept: config.transcripts_kept,
        ..journal::Settings::new(config.journal_file())
    }
}

/// Keeps the plugins' files for whoever makes an attempt again.
async fn keep_versions(config: &Config, merchants: &Merchants) -> anyhow::Result<()> {
    let versions = plugin::Versions::new(config.versions_folder(), config.versions_kept);
    let used = |merchant: &Arc<Merchant>| {
        let shadow = merchant.shadow.as_ref().map(|shadow| shadow.plugin().clone());
        [Some(merchant.plugin.clone()), shadow].into_iter().flatten()
    };
    let plugins: Vec<_> = merchants.values().flat_map(used).collect();
    for error in tokio::task::spawn_blocking(move || versions.keep(&plugins)).await? {
        tracing::error!(%error, "a version of a plugin is not kept: its attempts cannot be made again");
    }
    Ok(())
}

/// Makes a folder that only this user can enter, if it is not there.
fn create_private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
