//! What a person does by hand: look at the exchanges and queues, declare them, and bring back what lies on a rung.
//!
//! The rule of [`Operator::drain`]: a message is acknowledged on its rung only after RabbitMQ has confirmed its copy behind
//! it. Whatever breaks in between makes a second copy with the same id, which the gateway tells apart; nothing is lost.
//! Its headers go with it, so that a gateway that takes it up too early parks it again for the rest.
//!
//! What has expired and could not be routed is in the hands of RabbitMQ's own dead-lettering, out of reach. It is
//! tried again every three minutes once the way back is there, which every drain makes sure of first.
//!
//! Deliberately absent: deleting anything that has messages in it. RabbitMQ is asked to delete a queue if it is empty;
//! one that does not know how to (3.x refuses `if-empty` on quorum queues) leaves it where it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeleteOptions};
use lapin::uri::AMQPUri;
use lapin::{Acker, Connection};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::audit::{self, Expected, Facts, Fetch, Finding, Role, Session, Severity, judge};
use super::generation::Generation;
use super::link::Link;
use super::message::{self, Arrived};
use super::publisher::{BATCH, Publisher, Settled};
use super::state::Shared;
use super::topology::Address;
use super::{InvalidSettings, Settings, shared};
use crate::broker::BrokerError;
use crate::clock;

/// How many messages are moved at once.
const AT_ONCE: usize = 64;
/// What declaring everything, or looking at everything, may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Somebody who looks after RabbitMQ for a gateway with these settings.
pub struct Operator {
    shared: Arc<Shared>,
    expected: Expected,
}

/// How things are.
#[derive(Debug, Serialize)]
pub struct Report {
    /// RabbitMQ's version, where it tells.
    pub version: Option<String>,
    /// The queues.
    pub queues: Vec<QueueRow>,
    /// Everything that is not as it should be, the worst first.
    pub findings: Vec<Finding>,
}

/// A queue, for people.
#[derive(Debug, Serialize)]
pub struct QueueRow {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub exists: bool,
    /// `quorum` and the like; only the management API tells, as for all that follows.
    pub kind: Option<String>,
    /// How many nodes keep it, and how many of those are in touch.
    pub members: Option<(usize, usize)>,
    /// Messages that wait there.
    pub ready: u64,
    /// All messages, also those that somebody holds. Counted every few seconds.
    pub messages: Option<u64>,
    /// The policies over it, and what they set.
    pub policy: Option<String>,
}

/// What to drain.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// These rungs, whole, by their delay in milliseconds.
    pub rungs: Vec<u64>,
    /// All rungs that no ladder uses any more, whole.
    pub unused: bool,
    /// Delete unused rungs that are empty afterwards.
    pub delete_empty: bool,
}

/// What became of one rung, so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// The rung.
    pub queue: String,
    /// How many messages are behind it now.
    pub moved: u64,
    /// How many of the audit's own messages were thrown away.
    pub probes: u64,
    /// How many messages are still there, with the dead-lettering or not yet due.
    pub left: u64,
    /// It was deleted.
    pub deleted: bool,
}

/// A rung that is there, and its delay.
pub type RungRow = (u64, String);

/// Why an operator's command did not work.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The connection failed.
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
    /// It took too long.
    #[error("RabbitMQ did not answer within {0:?}: check that it runs and that the cluster has a majority")]
    TimedOut(Duration),
    /// A copy was not confirmed: the messages stay where they are.
    #[error("{queue}: {error}; what was not moved is still there")]
    NotMoved {
        /// The rung.
        queue: String,
        /// Why.
        error: BrokerError,
    },
    /// Unused rungs can be told only by the management API.
    #[error(
        "the unused rungs are not known without the management API: set `broker.amqp.management_url`, or name them"
    )]
    NoManagement,
    /// There is no such rung.
    #[error("there is no queue {0}")]
    NoRung(String),
}

impl Operator {
    /// For these settings; connects to nothing yet.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn new(settings: Settings, fetch: Option<Arc<dyn Fetch>>) -> Result<Self, InvalidSettings> {
        let (taken, _) = mpsc::channel(1);
        let metrics = audit::Metrics::registered(&mut Registry::default());
        let shared = Arc::new(shared(settings, fetch, metrics, taken)?);
        Ok(Self { expected: audit::expected(&shared), shared })
    }

    /// Declares every exchange and queue that is not there.
    ///
    /// # Errors
    /// RabbitMQ cannot be reached, or has one of them with other arguments.
    pub async fn declare(&self) -> Result<usize, OperatorError> {
        let (link, _) = self.connect().await?;
        within(self.shared.topology.declare(&link.connection)).await?;
        close(&link.connection).await;
        Ok(self.expected.queues.len())
    }

    /// Looks at everything, changes nothing (where the management API is not there, a queue for trying out is made).
    ///
    /// # Errors
    /// RabbitMQ cannot be reached.
    pub async fn check(&self) -> Result<Report, OperatorError> {
        let (link, node) = self.connect().await?;
        let facts = self.look(&link.connection, &node).await?;
        close(&link.connection).await;
        let findings = judge(&self.expected, &facts);
        let names = self.expected.queues.iter().map(|queue| queue.name.clone());
        let unused = self.expected.unused_rungs(&facts).into_iter().map(|(_, name)| name);
        let queues = names.chain(unused).map(|name| row(&facts, name)).collect();
        Ok(Report { version: facts.version, queues, findings })
    }

    /// Moves messages from rungs to the work queue. Without a named rung and without `unused`: what is over its delay, on
    /// every rung. `progress` is called after each batch.
    ///
    /// # Errors
    /// Something could not be moved; it is still where it was.
    pub async fn drain(
        &self,
        drain: &Drain,
        mut progress: impl FnMut(&Drained),
    ) -> Result<Vec<Drained>, OperatorError> {
        let (link, node) = self.connect().await?;
        let connection = &link.connection;
        // Without the way back, nothing could be moved; and with it, what the dead-lettering holds moves by itself.
        within(self.shared.topology.declare(connection)).await?;
        let facts = self.look(connection, &node).await?;
        let unused = self.expected.unused_rungs(&facts);
        let whole = !drain.rungs.is_empty() || drain.unused;
        let rungs = self.rungs_to_drain(drain, &facts, &unused)?;
        let publishing = within(connection.create_channel()).await?;
        within(publishing.confirm_select(lapin::options::ConfirmSelectOptions::default())).await?;
        let (sender, jobs) = mpsc::channel(BATCH);
        let (hand_backs, _) = mpsc::channel(1);
        let generation = Arc::new(Generation::new(vec![sender], hand_backs));
        let limit = self.shared.settings.confirm_timeout;
        let publisher =
            Publisher { channel: publishing, jobs, generation: generation.clone(), limit, sequence: 0 };
        let publisher = tokio::spawn(publisher.run());
        let mut all = Vec::new();
        let mut result = Ok(());
        for (delay, queue) in rungs {
            let mut rung =
                Rung { connection, generation: &generation, shared: &self.shared, queue, delay, whole };
            match rung.drain(&mut progress).await {
                Ok(mut drained) => {
                    if drain.delete_empty && unused.iter().any(|(unused, _)| *unused == delay) {
                        drained.deleted = self.delete_if_empty(&drained.queue).await?;
                    }
                    all.push(drained);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        generation.end_because("the drain is over");
        // It has nothing left to say.
        let _ = publisher.await;
        close(connection).await;
        result.map(|()| all)
    }

    fn rungs_to_drain(
        &self,
        drain: &Drain,
        facts: &Facts,
        unused: &[RungRow],
    ) -> Result<Vec<RungRow>, OperatorError> {
        let mut rungs: Vec<RungRow> =
            drain.rungs.iter().map(|delay| (*delay, self.shared.topology.rung(*delay).to_string())).collect();
        if drain.unused {
            // With an answer about queues, every one of them has details.
            if !facts.queues.values().any(|queue| queue.details.is_some()) {
                return Err(OperatorError::NoManagement);
            }
            rungs.extend_from_slice(unused);
        }
        if drain.rungs.is_empty() && !drain.unused {
            rungs.extend(self.expected.queues.iter().filter_map(|queue| match queue.role {
                Role::Rung(delay) => Some((delay, queue.name.clone())),
                Role::Work | Role::Source | Role::Poison => None,
            }));
            rungs.extend_from_slice(unused);
        }
        Ok(rungs)
    }

    /// On a connection of its own, because a refusal closes it.
    async fn delete_if_empty(&self, queue: &str) -> Result<bool, OperatorError> {
        let (link, _) = self.connect().await?;
        let channel = within(link.connection.create_channel()).await?;
        let options = QueueDeleteOptions { if_empty: true, ..QueueDeleteOptions::default() };
        let deleted = timeout(LIMIT, channel.queue_delete(queue.into(), options)).await;
        close(&link.connection).await;
        Ok(matches!(deleted, Ok(Ok(_))))
    }

    async fn look(&self, connection: &Connection, node: &AMQPUri) -> Result<Facts, OperatorError> {
        let management = self.shared.management.as_ref();
        within(async {
            let mut session = Session::open(connection).await?;
            let mut facts = session.look(&self.expected, management).await?;
            if !facts.queues.values().any(|queue| queue.details.is_some()) {
                session.try_out(&self.expected, node, &mut facts).await?;
            }
            Ok(facts)
        })
        .await
    }

    async fn connect(&self) -> Result<(Link, AMQPUri), OperatorError> {
        let limit = self.shared.settings.connect_timeout;
        let node = self.shared.nodes.next();
        let name = format!("{} operator", self.shared.settings.prefix);
        let authorities = self.shared.settings.authorities.as_ref();
        match timeout(limit, Link::connect(&node, name, limit, authorities)).await {
            Ok(link) => Ok((link?, node)),
            Err(_) => Err(OperatorError::TimedOut(limit)),
        }
    }
}

impl Report {
    /// Whether nothing breaks the guarantee.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Breaks)
    }
}

/// One rung that is being drained.
struct Rung<'a> {
    connection: &'a Connection,
    generation: &'a Generation,
    shared: &'a Shared,
    queue: String,
    /// In milliseconds.
    delay: u64,
    /// Not only what is over its delay.
    whole: bool,
}

/// What to do with a message at the head of a rung.
enum Head {
    Move(Box<Arrived>, Acker),
    /// The audit's own.
    Probe(Acker),
    /// It waits rightly, and so do all behind it.
    InTime(Acker),
}

impl Rung<'_> {
    async fn drain(&mut self, progress: &mut impl FnMut(&Drained)) -> Result<Drained, OperatorError> {
        let queue = self.queue.clone();
        let mut drained = Drained { queue, moved: 0, probes: 0, left: 0, deleted: false };
        let mut session = within(Session::open(self.connection)).await?;
        // A rung that is not there is asked for on a channel that may be closed for it.
        let Some(found) = within(session.ready(&self.queue)).await? else {
            return Err(OperatorError::NoRung(self.queue.clone()));
        };
        // What comes after that is none of ours: a rung in use would never be done.
        let mut most = usize::try_from(found).unwrap_or(usize::MAX);
        let channel = within(self.connection.create_channel()).await?;
        while most > 0 {
            let mut batch = Vec::new();
            let mut is_over = false;
            while batch.len() < most.min(AT_ONCE) && !is_over {
                let get = channel.basic_get(self.queue.as_str().into(), BasicGetOptions { no_ack: false });
                let Some(message) = within(get).await? else {
                    is_over = true;
                    break;
                };
                match self.head(message) {
                    Head::Move(arrived, acker) => batch.push((arrived, acker)),
                    Head::Probe(acker) => {
                        within(acker.ack(BasicAckOptions::default())).await?;
                        drained.probes += 1;
                    }
                    Head::InTime(acker) => {
                        is_over = true;
                        within(acker.nack(BasicNackOptions { requeue: true, multiple: false })).await?;
                    }
                }
            }
            most = most.saturating_sub(batch.len());
            drained.moved += self.move_on(batch).await?;
            progress(&drained);
            if is_over {
                break;
            }
        }
        // Counting again would miss what has just been given back.
        drained.left = found.saturating_sub(drained.moved + drained.probes);
        within(channel.close(200, "OK".into())).await?;
        Ok(drained)
    }

    fn head(&self, message: BasicGetMessage) -> Head {
        let lapin::message::Delivery { exchange, routing_key, properties, data, acker, .. } =
            message.delivery;
        let address = Address { exchange, routing_key };
        let arrived = Arrived { address, properties, body: Bytes::from(data) };
        if message::is_probe(&arrived) {
            return Head::Probe(acker);
        }
        let late = self.shared.settings.rung_lateness;
        // A message without a due moment was never put here by a gateway: it goes on.
        let overdue = message::due(&arrived).is_none_or(|due| clock::now().since(due) > late);
        if self.whole || overdue { Head::Move(Box::new(arrived), acker) } else { Head::InTime(acker) }
    }

    /// All out and confirmed, then acknowledged, each by its own confirm.
    async fn move_on(&self, batch: Vec<(Box<Arrived>, Acker)>) -> Result<u64, OperatorError> {
        let place = Address {
            exchange: self.shared.topology.returning.clone(),
            routing_key: format!("rung.{}.work", self.delay).into(),
        };
        let published = batch
            .iter()
            .map(|(arrived, _)| self.generation.publish(message::taken_back(arrived, place.clone())));
        let published = futures_util::future::join_all(published).await;
        let mut moved = 0;
        let mut failed = None;
        for ((_, acker), published) in batch.into_iter().zip(published) {
            match published {
                Ok(Settled { .. }) => {
                    within(acker.ack(BasicAckOptions::default())).await?;
                    moved += 1;
                }
                // What is not acknowledged goes back when the connection ends.
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => Ok(moved),
            Some(error) => Err(OperatorError::NotMoved { queue: self.queue.clone(), error }),
        }
    }
}

fn row(facts: &Facts, name: String) -> QueueRow {
    let found = facts.queues.get(&name);
    let details = found.and_then(|queue| queue.details.as_ref());
    let policy = details.and_then(|details| {
        let names: Vec<&str> =
            [&details.policy, &details.operator_policy].into_iter().flatten().map(String::as_str).collect();
        let set = serde_json::Value::Object(details.effective.clone());
        (!names.is_empty()).then(|| format!("{} {set}", names.join("+")))
    });
    QueueRow {
        exists: found.is_some(),
        kind: details.map(|details| details.kind.clone()),
        members: details.map(|details| (details.members.len(), details.online.len())),
        ready: found.map_or(0, |queue| queue.ready),
        messages: details.map(|details| details.messages),
        policy,
        name,
    }
}

async fn within<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T, OperatorError> {
    match timeout(LIMIT, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(OperatorError::TimedOut(LIMIT)),
    }
}

async fn close(connection: &Connection) {
    // A connection that is gone is closed.
    let _ = timeout(Duration::from_secs(1), connection.close(200, "OK".into())).await;
}
