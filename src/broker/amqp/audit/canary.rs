//! The rung watchdog: a small message of our own climbs onto a rung and must be back in time.
//!
//! RabbitMQ does not tell how old the oldest message of a quorum queue is, and looking at it with `basic.get` counts as
//! a delivery. A rung is first in, first out: a probe that has come back proves that everything that was on the rung
//! before it has left, and that the delay, the dead-lettering and the exchange behind it work. One that is overdue proves that
//! something on that rung is. So the shortest rung gets a probe at each audit, and any other one while messages lie there
//! and no probe of ours does.
//!
//! ```text
//!  <prefix>.delay ─ rung.<ms>.probe.<id> ─► <prefix>.rung.<ms> ─ TTL ─► <prefix>.return ─┬─► a queue of this connection
//!                                                                                        └─► <prefix>.probe
//! ```
//!
//! An at-least-once dead-lettering stalls when it cannot route. The queue of this connection vanishes with it, so each
//! probe goes to the durable `<prefix>.probe` as well: it takes everything, drops the oldest, forgets after a minute,
//! and is emptied by whichever gateways run. A probe is never the one that cannot be routed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer};
use tokio::time::Instant;
use uuid::Uuid;

use super::facts::{Expected, Facts, Role};
use super::finding::{Check, Finding, Severity};
use super::metrics::Metrics;
use crate::broker::amqp::message::PROBE;
use crate::broker::amqp::topology::{self, Topology, text};

/// How many probes wait in the durable queue at most, and for how long, in milliseconds.
const KEPT: i32 = 1_000;
const KEPT_FOR: i32 = 60_000;

/// The probes of one connection.
pub(super) struct Canary {
    channel: Channel,
    exchange: ShortString,
    queues: Queues,
    ours: Consumer,
    /// Copies, of every gateway.
    copies: Consumer,
    /// When the probe was sent that is on the way, by rung.
    under_way: BTreeMap<u64, Instant>,
    lateness: Duration,
}

impl Canary {
    /// Makes the queues that probes come back to.
    pub(super) async fn start(
        connection: &Connection,
        topology: &Topology,
        lateness: Duration,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (id, copies) = (Uuid::now_v7().simple().to_string(), format!("{}.probe", topology.prefix()));
        // Named by us, so that RabbitMQ's user needs no permission beyond the prefix.
        let ours = ShortString::from(format!("{copies}.{id}"));
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(ours.clone(), options, FieldTable::default()).await?;
        let queues = Queues { ours, copies: copies.into(), returning: topology.returning.clone(), id };
        queues.make_sure(&channel).await?;
        let (ours, copies) =
            (consume(&channel, queues.ours.clone()).await?, consume(&channel, queues.copies.clone()).await?);
        let exchange = topology.delay.clone();
        Ok(Self { channel, exchange, queues, ours, copies, under_way: BTreeMap::new(), lateness })
    }

    /// Sends a probe onto the shortest rung, and onto each other that is in use, unless one is there.
    pub(super) async fn send(&mut self, expected: &Expected, facts: &Facts) -> lapin::Result<()> {
        // Whoever deleted an exchange has deleted its bindings, and a probe without a way back would stall its rung.
        self.queues.make_sure(&self.channel).await?;
        let mut is_first = true;
        for queue in &expected.queues {
            let Role::Rung(delay) = queue.role else { continue };
            let Some(found) = facts.queues.get(&queue.name) else { continue };
            let in_use =
                found.ready > 0 || found.details.as_ref().is_some_and(|details| details.messages > 0);
            if (is_first || in_use) && !self.under_way.contains_key(&delay) && self.publish(delay).await? {
                self.under_way.insert(delay, Instant::now());
            }
            is_first = false;
        }
        Ok(())
    }

    /// Whether the rung has taken it. One at a time: the client library mixes up the confirms of several.
    async fn publish(&self, delay: u64) -> lapin::Result<bool> {
        let key = format!("rung.{delay}.probe.{}", self.queues.id);
        let mut headers = FieldTable::default();
        headers.insert(PROBE.into(), text(&delay.to_string()));
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let sent =
            self.channel.basic_publish(self.exchange.clone(), key.into(), options, &[], properties).await?;
        Ok(matches!(sent.await?, Confirmation::Ack(None)))
    }

    /// Waits for the next probe that comes back, or for one to become overdue. Nothing is lost when it is dropped.
    pub(super) async fn changed(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let overdue = self.under_way.iter().map(|(delay, sent)| *sent + self.allowed(*delay));
        // What is overdue already has been told.
        let next = overdue.filter(|moment| *moment > now).min();
        let wait = async {
            match next {
                Some(moment) => tokio::time::sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        let (ours, delivery) = tokio::select! {
            delivery = self.ours.next() => (true, delivery),
            delivery = self.copies.next() => (false, delivery),
            () = wait => return Ok(()),
        };
        self.take_in(ours, delivery)
    }

    /// Takes in what has come back by now, without waiting.
    pub(super) fn catch_up(&mut self) -> Result<(), String> {
        while let Some(delivery) = self.ours.next().now_or_never() {
            self.take_in(true, delivery)?;
        }
        Ok(())
    }

    fn take_in(&mut self, ours: bool, delivery: Option<lapin::Result<Delivery>>) -> Result<(), String> {
        let Some(delivery) = delivery else { return Err("the queue of the probes is gone".to_owned()) };
        let delivery = delivery.map_err(|error| format!("a probe could not be taken: {error}"))?;
        if ours && let Some(delay) = rung_of(&delivery) {
            self.under_way.remove(&delay);
        }
        Ok(())
    }

    /// A finding for each rung that holds a probe for too long; the metric is for all of them.
    pub(super) fn findings(&self, expected: &Expected, metrics: &Metrics) -> Vec<Finding> {
        let mut findings = Vec::new();
        for queue in &expected.queues {
            let Role::Rung(delay) = queue.role else { continue };
            let age = self.under_way.get(&delay).map_or(Duration::ZERO, Instant::elapsed);
            let short = queue.name.strip_prefix(&format!("{}.", expected.prefix)).unwrap_or(&queue.name);
            metrics.show_overdue(short, age.saturating_sub(Duration::from_millis(delay)));
            if age < self.allowed(delay) {
                continue;
            }
            findings.push(Finding {
                severity: Severity::Breaks,
                check: Check::Rung,
                object: queue.name.clone(),
                problem: format!(
                    "gives nothing back: a probe is more than {} over its delay, so what waits here is late or stuck",
                    humantime::format_duration(self.lateness)
                ),
                remedy: "paynotify topology check, which looks at the way back; then paynotify topology drain".to_owned(),
            });
        }
        findings
    }

    fn allowed(&self, delay: u64) -> Duration {
        Duration::from_millis(delay) + self.lateness
    }
}

/// Where probes come back to.
struct Queues {
    /// Of this connection alone.
    ours: ShortString,
    /// The durable one.
    copies: ShortString,
    returning: ShortString,
    /// The end of the routing keys of our probes.
    id: String,
}

impl Queues {
    /// Declares and binds what is not. The one that takes everything comes first.
    async fn make_sure(&self, channel: &Channel) -> lapin::Result<()> {
        let arguments = vec![
            ("x-queue-type", text("quorum")),
            ("x-max-length", AMQPValue::LongInt(KEPT)),
            ("x-overflow", text("drop-head")),
            ("x-message-ttl", AMQPValue::LongInt(KEPT_FOR)),
        ];
        topology::declare_queue(channel, &self.copies, arguments).await?;
        topology::bind(channel, &self.copies, &self.returning, "*.*.probe.#").await?;
        topology::bind(channel, &self.ours, &self.returning, &format!("*.*.probe.{}", self.id)).await
    }
}

/// Without acknowledgements: a probe that is lost on the way is sent again, and there are never many.
async fn consume(channel: &Channel, queue: ShortString) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
}

fn rung_of(delivery: &Delivery) -> Option<u64> {
    delivery.routing_key.as_str().split('.').nth(1)?.parse().ok()
}
