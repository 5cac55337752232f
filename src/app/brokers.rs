//! The broker of a configuration, with what it needs of the rest.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use super::Prepared;
use crate::broker::amqp::{AmqpBroker, Operator, Surroundings};
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::{self, Broker};
use crate::config::{self, Config};
use crate::delivery::Merchants;
use crate::domain::{Reply, Request};
use crate::http;

/// Opens what the configuration names.
pub(super) async fn open(
    config: &Config,
    merchants: &Merchants,
    registry: &mut Registry,
) -> anyhow::Result<Arc<dyn Broker>> {
    match &config.broker {
        config::Broker::Embedded(settings) => Ok(Arc::new(EmbeddedBroker::open(settings.clone()).await?)),
        config::Broker::Amqp(settings) => {
            let surroundings = Surroundings { registry, fetch: Some(fetch(settings)?) };
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
            let fetch = fetch(settings)?;
            let settings = with_rungs(settings, config, &prepared.merchants);
            Ok(Some(Operator::new(settings, Some(fetch))?))
        }
    }
}

/// A rung for each delay of every ladder that there is at the start. A delay that comes later has none until the next
/// start, and is waited for as any wait that is no rung.
fn with_rungs(
    settings: &broker::amqp::Settings,
    config: &Config,
    merchants: &Merchants,
) -> broker::amqp::Settings {
    let merchants = merchants.all();
    let ladders = merchants.values().map(|merchant| &merchant.ladder).chain([&config.ladder]);
    let delays: HashSet<Duration> = ladders.flat_map(|ladder| ladder.delays().iter().copied()).collect();
    broker::amqp::Settings { rung_delays: delays.into_iter().collect(), ..settings.clone() }
}

/// The way to RabbitMQ's management API: the merchants' kind of client, for longer answers.
fn fetch(amqp: &broker::amqp::Settings) -> anyhow::Result<Arc<dyn broker::amqp::Fetch>> {
    const LONGEST_ANSWER: usize = 16 << 20;
    let settings = http::Settings { longest_reply: LONGEST_ANSWER, ..http::Settings::default() };
    let system = http::TlsRoots::system()?;
    let roots = match &amqp.authorities {
        None => system,
        Some(authorities) => system.and_private(authorities.as_bytes())?,
    };
    Ok(Arc::new(ManagementClient(http::Client::new(&settings, &roots, &http::Reach::anywhere()))))
}

struct ManagementClient(http::Client);

#[async_trait::async_trait]
impl broker::amqp::Fetch for ManagementClient {
    async fn fetch(&self, request: Request) -> Result<Reply, String> {
        self.0.send(request).await.map_err(|failure| format!("no answer ({})", failure.name()))
    }
}
