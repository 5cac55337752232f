//! The audit: is RabbitMQ set up so that it keeps what paynotify promises? At the start, and again and again.
//!
//! Read in this order: `facts` (what is, and what should be), `judge` (what follows from it; pure), `finding` (the words),
//! `management`, `session` and `canary` (who asks), `standing` (what comes of it).
//!
//! The rule: no delivery is taken before the first audit has passed. The audit has a connection of its own, so that
//! nothing that befalls it harms a delivery; when it cannot be done, the last one counts, and the log says so.
//!
//! Deliberately absent: changing anything that an operator has set. What is missing is declared again, nothing else.

mod canary;
mod facts;
mod finding;
mod greeting;
mod judge;
mod management;
mod metrics;
mod session;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use lapin::types::AMQPValue;
use lapin::uri::AMQPUri;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

pub(super) use facts::{Binding, Expected, ExpectedQueue, Facts, Role};
pub use finding::{Check, Finding, Severity};
pub(super) use judge::judge;
pub use management::Fetch;
pub(super) use management::Management;
pub(super) use metrics::Metrics;
pub(super) use session::Session;
pub(super) use standing::Standing;

use self::canary::Canary;
use super::link::Link;
use super::state::{Phase, Shared};

/// How long the first audit waits for a management API that does not answer: it may start a little after RabbitMQ.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is from one try to the next, when something could not be asked.
const PAUSE: Duration = Duration::from_millis(500);
/// What an audit may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What closing the connection may take.
const PARTING: Duration = Duration::from_secs(1);

/// Everything as the topology has it.
pub(super) fn expected(shared: &Shared) -> Expected {
    let topology = &shared.topology;
    let queues = topology.queues().into_iter().map(|queue| {
        let name = queue.name.to_string();
        let bindings = queue.bindings.iter().map(|(exchange, key)| Binding {
            exchange: exchange.to_string(),
            queue: name.clone(),
            routing_key: key.to_string(),
        });
        let arguments = queue.arguments.iter().map(|(name, value)| (*name, json(value)));
        let (arguments, bindings) = (arguments.collect(), bindings.collect());
        ExpectedQueue { name, role: queue.role, arguments, bindings }
    });
    Expected {
        vhost: shared.nodes.vhost().to_owned(),
        prefix: topology.prefix().to_owned(),
        exchanges: topology.exchanges().map(ToString::to_string).to_vec(),
        queues: queues.collect(),
    }
}

/// An argument as the management API would show it.
fn json(value: &AMQPValue) -> Value {
    if let AMQPValue::LongString(text) = value {
        Value::from(String::from_utf8_lossy(text.as_bytes()))
    } else if let AMQPValue::LongInt(number) = value {
        Value::from(*number)
    } else if let AMQPValue::LongLongInt(number) = value {
        Value::from(*number)
    } else {
        // The topology has no others; should it, the audit says what it cannot compare.
        Value::from(format!("{value:?}"))
    }
}

/// Audits until the broker closes. While RabbitMQ is away there is nothing to audit.
pub(super) async fn run(shared: Arc<Shared>) {
    let expected = expected(&shared);
    let mut reported = None;
    loop {
        tokio::select! {
            biased;
            () = shared.entered(Phase::Closing) => return,
            () = shared.is_there() => {}
        }
        let trouble = audit_over_one_connection(&shared, &expected).await;
        if *shared.phase.borrow() == Phase::Closing {
            return;
        }
        shared.standing.metrics.audited(false);
        if reported.as_ref() == Some(&trouble) || !shared.is_there_now() {
            debug!(reason = %trouble, "RabbitMQ could not be audited");
        } else {
            warn!(reason = %trouble, "RabbitMQ could not be audited; trying again");
            reported = Some(trouble);
        }
        tokio::select! {
            () = shared.entered(Phase::Closing) => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn audit_over_one_connection(shared: &Shared, expected: &Expected) -> String {
    let node = shared.nodes.present();
    let limit = shared.settings.connect_timeout;
    let authorities = shared.settings.authorities.as_ref();
    let connect = Link::connect(&node, format!("{} auditing", shared.settings.prefix), limit, authorities);
    let link = match timeout(limit, connect).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => return format!("connecting failed: {error}"),
        Err(_) => return "connecting took too long".to_owned(),
    };
    let trouble = tokio::select! {
        biased;
        () = shared.entered(Phase::Closing) => String::new(),
        trouble = audit_again_and_again(shared, expected, &link.connection, &node) => match trouble {
            Ok(never) => match never {},
            Err(trouble) => trouble,
        },
    };
    // What is broken already answers with an error, and what is silent not at all.
    let _ = timeout(PARTING, link.connection.close(200, "OK".into())).await;
    trouble
}

async fn audit_again_and_again(
    shared: &Shared,
    expected: &Expected,
    connection: &Connection,
    node: &AMQPUri,
) -> Result<std::convert::Infallible, String> {
    let begin = async {
        let session = Session::open(connection).await?;
        let canary = Canary::start(connection, &shared.topology, shared.settings.rung_lateness).await?;
        lapin::Result::Ok((session, canary))
    };
    let (mut session, mut canary) = within(LIMIT, begin).await?;
    let mut next = Instant::now();
    // Nothing is said before something was looked at: a probe of another gateway must not pass for an audit.
    let mut audited = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {
                let facts = within(LIMIT, look(shared, expected, &mut session, node)).await?;
                let findings = judge(expected, &facts);
                for queue in &expected.queues {
                    let short = queue.name.strip_prefix(&format!("{}.", expected.prefix)).unwrap_or(&queue.name);
                    let ready = facts.queues.get(&queue.name).map_or(0, |queue| queue.ready);
                    shared.standing.metrics.show_ready(short, ready);
                }
                shared.standing.metrics.audited(true);
                // However long that has taken, the watchdog gets its turn before the next.
                next = Instant::now() + shared.settings.audit_interval;
                canary.catch_up()?;
                note(shared, expected, &findings, &canary);
                if shared.standing.is_refused() {
                    continue;
                }
                // What could not be looked at is made sure of.
                let absent = |finding: &Finding| matches!(finding.check, Check::Missing | Check::Binding);
                if facts.bindings.is_none() || findings.iter().any(absent) {
                    within(LIMIT, shared.topology.declare(connection)).await?;
                }
                if !shared.is_blocked() {
                    within(LIMIT, canary.send(expected, &facts)).await?;
                }
                audited = Some(findings);
            }
            changed = canary.changed() => {
                changed?;
                if let Some(findings) = &audited {
                    note(shared, expected, findings, &canary);
                }
            }
        }
    }
}

/// The judge's findings, and the watchdog's.
fn note(shared: &Shared, expected: &Expected, findings: &[Finding], canary: &Canary) {
    let late = canary.findings(expected, &shared.standing.metrics);
    shared.standing.note(findings.iter().cloned().chain(late).collect());
}

/// Asks, with patience for the management API if it is the first time.
async fn look(
    shared: &Shared,
    expected: &Expected,
    session: &mut Session<'_>,
    node: &AMQPUri,
) -> lapin::Result<Facts> {
    let management = shared.management.as_ref();
    let began = Instant::now();
    loop {
        let mut facts = session.look(expected, management).await?;
        // Where the API has told of queues, it has told of their policies.
        let told = facts.queues.values().any(|queue| queue.details.is_some());
        if !told && management.is_some() && shared.standing.is_first() && began.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        // The first one waits for its turn; later ones can do without.
        if !told && (shared.standing.is_first() || !shared.is_blocked()) {
            session.try_out(expected, node, &mut facts).await?;
        }
        return Ok(facts);
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = lapin::Result<T>>) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it took longer than {limit:?}")),
    }
}
