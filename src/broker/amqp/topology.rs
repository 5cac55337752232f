//! The exchanges and queues: their names, what a message needs to get into them, and their declaration.
//!
//! ```text
//!  producers ─► <prefix>.in ──#──► <prefix>.work ─► gateway ─► <prefix>.outcomes   <outcome>.<merchant>
//!                                    ▲    │         ▲       └► <prefix>.delay      rung.<ms>.work, rung.<ms>.slow
//!                          *.*.work  │    │ delivery limit          │ rung.<ms>.#
//!                             <prefix>.return ◄──── TTL ──── <prefix>.rung.<ms>
//!                          *.*.slow  └────│──► <prefix>.slow ─► the same gateway
//!                                         ▼
//!                                    <prefix>.dead ──#──► <prefix>.poison
//!
//!  gateway ─► <prefix>.delay ──pulse──► <prefix>.pulse   (vanishes after a second; see `pulse`)
//! ```
//!
//! Every queue is a quorum queue, and every dead-lettering is at-least-once, which only quorum queues offer. A rung
//! keeps the routing key of what expires in it, so that one set of rungs serves both lanes' queues. The
//! arguments are spelled out where the versions' defaults differ (3.10 to 4.x): above all the delivery limit, at
//! which 4.x would drop a message after 20 returns.
//!
//! Nothing here is ever edited in place: RabbitMQ refuses a queue that is declared with other arguments, and the
//! refusal keeps the broker away and is logged. A new delay is a new rung; an old rung drains by itself.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::audit::Role;
use super::rungs::Rungs;
use super::settings::Settings;
use crate::broker::Source;
use crate::domain::{Lane, Moment, NotificationId};

/// After so many returns RabbitMQ itself moves a message to the poison queue. That is the only way out for one that the
/// client library cannot even parse (see `supervisor`); any other would have to be under way in as many crashes in a
/// row, between two attempts, because each parking makes a new message of it.
pub(super) const DELIVERY_LIMIT: i32 = 100;

/// In the poison queue there is none: from there the next place would be nowhere, and whoever looks at a message by
/// taking it and giving it back uses up one return. This is the highest that every version takes; -1 is not known to
/// 3.10, and without an argument 4.x has one of 20.
const NO_DELIVERY_LIMIT: i32 = i32::MAX;

/// What the queue of the pulse is called, and what is routed to it.
pub(super) const PULSE: &str = "pulse";

/// How long a message lies in that queue, in milliseconds: nobody reads it.
const PULSE_LASTS: i64 = 1_000;

/// The names, and the rungs.
pub(super) struct Topology {
    /// The exchange that producers publish to.
    pub(super) incoming: ShortString,
    /// The exchange that the payment centre's events go to.
    pub(super) outcomes: ShortString,
    /// The exchange before the rungs.
    pub(super) delay: ShortString,
    /// The exchange behind the rungs.
    pub(super) returning: ShortString,
    /// The exchange before the poison queue.
    pub(super) dead: ShortString,
    /// The queue that gateways compete for.
    pub(super) work: ShortString,
    /// The same of the slow lane.
    pub(super) slow: ShortString,
    /// Where unreadable and abandoned messages end.
    pub(super) poison: ShortString,
    /// Where probes of the publishers' confirms go, and vanish.
    pub(super) pulse: ShortString,
    /// The sources, each with its queue.
    pub(super) sources: Vec<(ShortString, Source)>,
    rungs: Rungs,
    prefix: String,
}

/// Where a message is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
}

impl Topology {
    /// For settings that have been checked.
    pub(super) fn new(settings: &Settings) -> Self {
        let prefix = &settings.prefix;
        let name = |suffix: &str| ShortString::from(format!("{prefix}.{suffix}"));
        let queue = |source: &Source| name(&format!("source.{}.{}", source.exchange, source.routing_key));
        Self {
            incoming: name("in"),
            outcomes: name("outcomes"),
            delay: name("delay"),
            returning: name("return"),
            dead: name("dead"),
            work: name("work"),
            slow: name("slow"),
            poison: name("poison"),
            pulse: name(PULSE),
            sources: settings.sources.iter().map(|source| (queue(source), source.clone())).collect(),
            rungs: Rungs::new(&settings.rung_delays),
            prefix: prefix.clone(),
        }
    }

    /// Where a message waits that is due then: on a rung, or at once behind the rungs if it is all but due.
    pub(super) fn waiting_place(&self, due: Moment, lane: Lane, now: Moment) -> Address {
        let (exchange, rung) = match self.rungs.pick(due, now) {
            Some(rung) => (&self.delay, rung),
            None => (&self.returning, 0),
        };
        let lane = match lane {
            Lane::Main => "work",
            Lane::Slow => "slow",
        };
        Address { exchange: exchange.clone(), routing_key: format!("rung.{rung}.{lane}").into() }
    }

    /// Every queue with its arguments and bindings, in an order in which they can be declared: a rung never comes before
    /// the way behind it.
    pub(super) fn queues(&self) -> Vec<QueuePlan> {
        let plan =
            |name: &ShortString, role, more: &[(&'static str, AMQPValue)], bindings: &[(&str, &str)]| {
                // At-least-once dead-lettering needs reject-publish, and for the others it is right as well: refuse,
                // never drop.
                let mut arguments = vec![
                    ("x-queue-type", text("quorum")),
                    ("x-overflow", text("reject-publish")),
                    ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)),
                ];
                arguments.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
                arguments.extend_from_slice(more);
                let bindings =
                    bindings.iter().map(|(exchange, key)| ((*exchange).into(), (*key).into())).collect();
                QueuePlan { name: name.clone(), role, arguments, bindings }
            };
        let unlimited = [("x-delivery-limit", AMQPValue::LongInt(NO_DELIVERY_LIMIT))];
        let dead = dead_lettered_to(&self.dead);
        let ways_in = [(self.returning.as_str(), "*.*.work"), (self.incoming.as_str(), "#")];
        let mut queues = vec![
            plan(&self.poison, Role::Poison, &unlimited, &[(self.dead.as_str(), "#")]),
            plan(&self.work, Role::Work, &dead, &ways_in),
            plan(&self.slow, Role::Work, &dead, &[(self.returning.as_str(), "*.*.slow")]),
        ];
        for rung in self.rungs.milliseconds() {
            let mut arguments = dead_lettered_to(&self.returning);
            let delay = AMQPValue::LongLongInt(i64::try_from(*rung).unwrap_or(i64::MAX));
            arguments.push(("x-message-ttl", delay));
            let key = format!("rung.{rung}.#");
            let bindings = [(self.delay.as_str(), key.as_str())];
            queues.push(plan(&self.rung(*rung), Role::Rung(*rung), &arguments, &bindings));
        }
        for (queue, source) in &self.sources {
            queues.push(plan(queue, Role::Source, &dead, &[(&source.exchange, &source.routing_key)]));
        }
        queues
    }

    /// The exchanges that are ours.
    pub(super) fn exchanges(&self) -> [&ShortString; 5] {
        [&self.incoming, &self.outcomes, &self.delay, &self.returning, &self.dead]
    }

    /// The name of the rung with that delay in milliseconds.
    pub(super) fn rung(&self, milliseconds: u64) -> ShortString {
        format!("{}.rung.{milliseconds}", self.prefix).into()
    }

    /// What the names of all exchanges and queues begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Declares everything. What is there already, with the same arguments, stays as it is.
    pub(super) async fn declare(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        for exchange in self.exchanges() {
            declare_exchange(&channel, exchange, false).await?;
        }
        for (_, source) in &self.sources {
            ensure_exchange(connection, &ShortString::from(source.exchange.as_str())).await?;
        }
        let mut ways_in = Vec::new();
        for queue in self.queues() {
            declare_queue(&channel, &queue.name, queue.arguments).await?;
            for (exchange, key) in queue.bindings {
                if exchange == self.incoming {
                    ways_in.push((queue.name.clone(), exchange, key));
                } else {
                    bind(&channel, &queue.name, &exchange, key.as_str()).await?;
                }
            }
        }
        // Not among the queues that are audited: nothing in it is of value.
        let vanishing =
            vec![("x-queue-type", text("quorum")), ("x-message-ttl", AMQPValue::LongLongInt(PULSE_LASTS))];
        declare_queue(&channel, &self.pulse, vanishing).await?;
        bind(&channel, &self.pulse, &self.delay, PULSE).await?;
        // Producers find their way last: what they publish is never taken before it can be parked.
        for (queue, exchange, key) in ways_in {
            bind(&channel, &queue, &exchange, key.as_str()).await?;
        }
        channel.close(200, "OK".into()).await
    }
}

/// A queue as it should be.
pub(super) struct QueuePlan {
    pub(super) name: ShortString,
    pub(super) role: Role,
    pub(super) arguments: Vec<(&'static str, AMQPValue)>,
    /// Exchange and routing key.
    pub(super) bindings: Vec<(ShortString, ShortString)>,
}

fn dead_lettered_to(exchange: &ShortString) -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-dead-letter-exchange", text(exchange.as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]
}

/// Declares a durable queue with these arguments.
pub(super) async fn declare_queue(
    channel: &Channel,
    queue: &ShortString,
    arguments: Vec<(&'static str, AMQPValue)>,
) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), durable, table).await?;
    Ok(())
}

/// The address of an outcome event.
pub(super) fn outcome_address(topology: &Topology, routing_key: String) -> Address {
    // An outcome's name and a merchant's are both short.
    Address { exchange: topology.outcomes.clone(), routing_key: routing_key.into() }
}

/// A notification's id as an AMQP message id.
pub(super) fn message_id(id: &NotificationId) -> ShortString {
    id.as_str().into()
}

/// A text as the value of an argument.
pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Binds a queue; nothing happens if it is bound so already.
pub(super) async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &ShortString,
    routing_key: &str,
) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(queue.clone(), exchange.clone(), routing_key.into(), options, FieldTable::default())
        .await
}

async fn declare_exchange(channel: &Channel, exchange: &ShortString, passive: bool) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, passive, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, options, FieldTable::default()).await
}

/// Somebody else's exchange: it is bound to as it is, whatever its kind, and declared only if it is not there.
async fn ensure_exchange(connection: &Connection, exchange: &ShortString) -> lapin::Result<()> {
    const NOT_FOUND: u16 = 404;
    // A refused declaration closes its channel, so each has one of its own.
    let channel = connection.create_channel().await?;
    match declare_exchange(&channel, exchange, true).await {
        Ok(()) => channel.close(200, "OK".into()).await,
        Err(error) if matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND) =>
        {
            let channel = connection.create_channel().await?;
            declare_exchange(&channel, exchange, false).await?;
            channel.close(200, "OK".into()).await
        }
        Err(error) => Err(error),
    }
}
