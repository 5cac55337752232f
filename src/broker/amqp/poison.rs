//! The poison queue, as an operator sees and empties it.
//!
//! A queue has no list: whoever wants to see what is in it takes the messages out, one after the other, and gives all of them
//! back. That is done on a connection of its own. A message that was given back stands where it stood, and comes back by itself when
//! the connection ends in the middle; and that queue has no delivery limit (see `topology`), so that looking wears nothing out.
//!
//! While one looks, another would find the queue empty. So each first declares an exclusive queue of one name, which RabbitMQ lets only one
//! connection have: a lock that all gateways share, and that is gone when its holder is. Whoever comes second waits a little.
//!
//! The rule: a message is acknowledged only when RabbitMQ has confirmed what was put back in its place, or when an operator threw
//! it away.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind};
use tokio::time::{Instant, timeout};

use super::link::Link;
use super::message::{self, Arrived};
use super::state::Shared;
use crate::broker::{BrokerError, PoisonMessage, PoisonPage, PoisonRow};
use crate::domain::headers;

/// How many messages are looked through. Those behind come into view when some before them are gone.
const MOST: usize = 1_000;
/// The same in bytes of their bodies.
const MOST_BYTES: usize = 64 << 20;
/// How long whoever comes second waits for the first.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it asks meanwhile.
const ASKS_AGAIN: Duration = Duration::from_millis(100);
/// What looking through the queue may take in all.
const LIMIT: Duration = Duration::from_secs(20);
/// AMQP's reply code for what another connection has for itself alone.
const RESOURCE_LOCKED: u16 = 405;

/// Somebody who looks through the queue. To be [closed](Self::close): until then what was taken is out.
pub(super) struct Browser {
    link: Link,
    channel: Channel,
    queue: lapin::types::ShortString,
    incoming: lapin::types::ShortString,
    /// The tag of the message that was taken last.
    last: Option<u64>,
}

/// A message that is out, and its tag.
pub(super) struct Found {
    pub(super) message: PoisonMessage,
    tag: u64,
}

/// How many messages there are that nobody holds.
pub(super) async fn count(shared: &Shared) -> Result<u64, BrokerError> {
    within(async {
        let link = connect(shared).await?;
        let channel = link.connection.create_channel().await.map_err(refused)?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(shared.topology.poison.clone(), passive, FieldTable::default());
        let count = declared.await.map_err(refused)?.message_count();
        close(&link).await;
        Ok(u64::from(count))
    })
    .await
}

/// Messages, without those before `skip`.
pub(super) async fn list(shared: &Shared, skip: usize, most: usize) -> Result<PoisonPage, BrokerError> {
    within(async {
        let mut browser = Browser::open(shared).await?;
        let mut page = PoisonPage::default();
        let (mut place, mut bytes) = (0, 0);
        while place < MOST && bytes < MOST_BYTES {
            let Some(found) = browser.next().await? else { break };
            (place, bytes) = (place + 1, bytes + found.message.body.len());
            if page.rows.len() == most {
                page.more = true;
                break;
            }
            if place > skip {
                page.rows.push(found.message.row);
            }
        }
        browser.close().await?;
        Ok(page)
    })
    .await
}

/// Looks for a message. It is out, and its browser open, until that is closed.
pub(super) async fn find(shared: &Shared, id: &str) -> Result<(Browser, Option<Found>), BrokerError> {
    within(async {
        let mut browser = Browser::open(shared).await?;
        let (mut place, mut bytes) = (0, 0);
        while place < MOST && bytes < MOST_BYTES {
            let Some(found) = browser.next().await? else { break };
            (place, bytes) = (place + 1, bytes + found.message.body.len());
            if found.message.row.id == id {
                return Ok((browser, Some(found)));
            }
        }
        Ok((browser, None))
    })
    .await
}

impl Browser {
    async fn open(shared: &Shared) -> Result<Self, BrokerError> {
        let link = connect(shared).await?;
        let lock = format!("{}.poison.lock", shared.topology.prefix());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let channel = link.connection.create_channel().await.map_err(refused)?;
            let alone = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            match channel.queue_declare(lock.as_str().into(), alone, FieldTable::default()).await {
                Ok(_) => {
                    let topology = &shared.topology;
                    let (queue, incoming) = (topology.poison.clone(), topology.incoming.clone());
                    return Ok(Self { link, channel, queue, incoming, last: None });
                }
                Err(error) if is_locked(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(ASKS_AGAIN).await;
                }
                Err(error) if is_locked(&error) => {
                    let busy = "somebody else is looking through the poison queue: ask again in a moment";
                    return Err(BrokerError::Refused(busy.to_owned()));
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Found>, BrokerError> {
        let get = self.channel.basic_get(self.queue.clone(), BasicGetOptions { no_ack: false });
        let Some(got) = get.await.map_err(refused)? else { return Ok(None) };
        let tag = got.delivery.delivery_tag;
        self.last = Some(tag);
        let message = read(&Arrived::of(got.delivery), &self.incoming);
        Ok(Some(Found { message, tag }))
    }

    /// Forgets the message.
    pub(super) async fn remove(&self, found: &Found) -> Result<(), BrokerError> {
        let ack = self.channel.basic_ack(found.tag, BasicAckOptions { multiple: false });
        within(async { ack.await.map_err(refused) }).await
    }

    /// Gives back what is out, and lets others look.
    pub(super) async fn close(self) -> Result<(), BrokerError> {
        if let Some(last) = self.last {
            let all = BasicNackOptions { multiple: true, requeue: true };
            self.channel.basic_nack(last, all).await.map_err(refused)?;
        }
        close(&self.link).await;
        Ok(())
    }
}

/// What people see of it.
fn read(arrived: &Arrived, incoming: &lapin::types::ShortString) -> PoisonMessage {
    let mut beside = message::texts(arrived);
    let mut digest = Context::new(&SHA256);
    digest.update(&arrived.body);
    let mut sorted: Vec<_> = beside.iter().collect();
    sorted.sort();
    for (name, value) in sorted {
        digest.update(&[0]);
        digest.update(name.as_bytes());
        digest.update(&[0]);
        digest.update(value.as_bytes());
    }
    let mut id = hex::encode(digest.finish());
    id.truncate(32);
    let (exchange, routing_key) = message::way_of(&mut beside);
    let addressed = routing_key.filter(|_| exchange.as_deref() == Some(incoming.as_str()));
    let since = beside.remove(headers::POISONED_AT).and_then(|text| text.parse().ok());
    let since = since.map(crate::domain::Moment::from_unix_milliseconds);
    let by_itself = "RabbitMQ moved it here, after it had been given back too often";
    let reason = beside.remove(headers::POISON_REASON).unwrap_or_else(|| by_itself.to_owned());
    let row = PoisonRow::new(id, since, reason, &arrived.body);
    PoisonMessage { row, body: arrived.body.clone(), headers: beside, addressed }
}

async fn connect(shared: &Shared) -> Result<Link, BrokerError> {
    let limit = shared.settings.connect_timeout;
    let name = format!("{} poison", shared.settings.prefix);
    let authorities = shared.settings.authorities.as_ref();
    match timeout(limit, Link::connect(&shared.nodes.present(), name, limit, authorities)).await {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(error)) => Err(BrokerError::Away(error.to_string())),
        Err(_) => Err(BrokerError::Unknown(limit)),
    }
}

async fn close(link: &Link) {
    // A connection that is gone is closed.
    let _ = timeout(Duration::from_secs(1), link.connection.close(200, "OK".into())).await;
}

fn is_locked(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == RESOURCE_LOCKED)
}

fn refused(error: lapin::Error) -> BrokerError {
    BrokerError::Refused(error.to_string())
}

async fn within<T>(work: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    timeout(LIMIT, work).await.unwrap_or(Err(BrokerError::Unknown(LIMIT)))
}
