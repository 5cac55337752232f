//! What the gateway is compared with, each a process of its own: this program again, told by a variable what to be.
//!
//! The **bare pipe** consumes, POSTs and acknowledges, and nothing else: no plugin, no journal, no event. It is what machine,
//! broker and client can do; the ratio is what the gateway costs. **POST only** leaves out the broker, too. The **telling pipe** does
//! one thing of the gateway's beside: before it acknowledges, an exchange has confirmed an event. So it is what the broker would allow a
//! gateway that cost nothing itself.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use tokio::task::JoinSet;

use crate::support::process::Running;
use crate::support::record::{id_of, record};

/// What holds the task: its words, a line each.
const VARIABLE: &str = "PAYNOTIFY_BENCH_TASK";

/// How many requests are under way at once: the gateway's `broker.prefetch`.
pub(crate) const PREFETCH: u16 = 256;

/// What such a process does.
pub(crate) enum Task {
    /// Carries what is in a queue to a URL, until it is ended, and tells the exchange of each, if there is one. If the URL ends with
    /// `=`, the id is put there.
    Pipe { broker: String, queue: String, url: String, exchange: Option<String> },
    /// POSTs so many records to a URL.
    PostOnly { count: usize, url: String },
}

impl Task {
    /// What the variable says; none in a process that measures.
    pub(crate) fn of_this_process() -> Result<Option<Self>> {
        let Ok(text) = std::env::var(VARIABLE) else { return Ok(None) };
        Ok(Some(match text.split('\n').collect::<Vec<_>>()[..] {
            ["pipe", broker, queue, url, exchange] => Self::Pipe {
                broker: broker.to_owned(),
                queue: queue.to_owned(),
                url: url.to_owned(),
                exchange: (!exchange.is_empty()).then(|| exchange.to_owned()),
            },
            ["post-only", count, url] => Self::PostOnly { count: count.parse()?, url: url.to_owned() },
            _ => bail!("{VARIABLE} holds no task"),
        }))
    }

    /// Starts a process that does it.
    pub(crate) fn spawn(&self) -> Result<Running> {
        let words = match self {
            Self::Pipe { broker, queue, url, exchange } => {
                let exchange = exchange.as_deref().unwrap_or_default();
                format!("pipe\n{broker}\n{queue}\n{url}\n{exchange}")
            }
            Self::PostOnly { count, url } => format!("post-only\n{count}\n{url}"),
        };
        Running::spawn(Command::new(std::env::current_exe()?).env(VARIABLE, words))
    }

    /// Does it.
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            Self::Pipe { broker, queue, url, exchange } => pipe(&broker, &queue, &url, exchange).await,
            Self::PostOnly { count, url } => post_only(count, &url).await,
        }
    }
}

/// The gateway's own client, with connections for all that is under way.
fn client() -> Result<Arc<Client>> {
    let settings = Settings { idle_connections: usize::from(PREFETCH), ..Settings::default() };
    Ok(Arc::new(Client::new(&settings, &TlsRoots::system()?, &Reach::anywhere())))
}

async fn post(client: &Client, uri: http::Uri, body: Bytes) -> Result<()> {
    let request = Request { method: Method::POST, uri, headers: HeaderMap::new(), body };
    let reply = client.send(request).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    ensure!(reply.status.is_success(), "the sink confirms");
    Ok(())
}

/// Where events go.
struct Events {
    channel: Channel,
    exchange: String,
}

impl Events {
    /// Like the gateway's: persistent, and about as long as what was consumed.
    async fn tell(&self, body: &[u8]) -> Result<()> {
        let (options, properties) =
            (BasicPublishOptions::default(), BasicProperties::default().with_delivery_mode(2));
        let (exchange, routing_key) = (self.exchange.as_str().into(), "confirmed.m0".into());
        let publish = self.channel.basic_publish(exchange, routing_key, options, body, properties);
        ensure!(publish.await?.await?.is_ack(), "the exchange takes each event");
        Ok(())
    }
}

async fn pipe(broker: &str, queue: &str, url: &str, exchange: Option<String>) -> Result<()> {
    let client = client()?;
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut events = None;
    if let Some(exchange) = exchange {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        events = Some(Arc::new(Events { channel, exchange }));
    }
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(queue.into(), "pipe".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    let uri: http::Uri = url.parse()?;
    let mut under_way = JoinSet::new();
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let (client, events) = (Arc::clone(&client), events.clone());
        let uri = if url.ends_with('=') {
            let id = id_of(&delivery.data).context("a record has an id")?;
            format!("{url}{id}").parse()?
        } else {
            uri.clone()
        };
        under_way.spawn(async move {
            post(&client, uri, Bytes::copy_from_slice(&delivery.data)).await?;
            if let Some(events) = events {
                events.tell(&delivery.data).await?;
            }
            delivery.acker.ack(BasicAckOptions::default()).await?;
            Ok::<_, anyhow::Error>(())
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    Ok(())
}

async fn post_only(count: usize, url: &str) -> Result<()> {
    let client = client()?;
    let uri: http::Uri = url.parse()?;
    let mut under_way = JoinSet::new();
    for number in 0..count {
        if under_way.len() >= usize::from(PREFETCH) {
            under_way.join_next().await.context("one is under way")???;
        }
        let (client, uri) = (Arc::clone(&client), uri.clone());
        under_way.spawn(async move {
            let body = Bytes::from(record("post", number, "m0"));
            post(&client, uri, body).await
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}
