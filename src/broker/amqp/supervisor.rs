//! The supervisor: one generation after the other, for as long as the broker lives.
//!
//! lapin's own recovery stays off: it gives up, forgets what was in flight, and would settle old deliveries on new
//! channels. Two connections each time, because a blocked connection is not written to at all, and acknowledgements
//! must not wait behind publishes.
//!
//! A message with, say, a property that is no UTF-8 breaks lapin's parser, and with it the connection, each time it
//! comes: RabbitMQ does not check what producers write there. From then on messages are taken one at a time, so that
//! only that one is returned and returned, until RabbitMQ's delivery limit moves it to the poison queue, whole. When
//! nothing has broken for a while, they are taken at full speed again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::options::ConfirmSelectOptions;
use lapin::protocol::AMQPErrorKind;
use lapin::uri::AMQPUri;
use lapin::{Error, ErrorKind, Event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::READ_AHEAD;
use super::backoff::Backoff;
use super::consumer::Consumer;
use super::generation::Generation;
use super::hand_back;
use super::link::Link;
use super::mend;
use super::message;
use super::nodes;
use super::publisher::{BATCH, Publisher};
use super::pulse;
use super::state::{Phase, Shared, State};
use crate::broker::BrokerError;
use crate::domain::Lane;

/// How long the tasks and connections of a generation that has ended may take to go; then the connections are cut.
const PARTING: Duration = Duration::from_secs(1);

/// For how long nothing must break before messages are no longer taken one at a time, and before what breaks next
/// counts as new trouble.
pub(super) const PEACE: Duration = Duration::from_secs(5);

/// How long declaring may take. A first declaration of many quorum queues takes its time. This is no part of what a
/// recovery may take: a node that dies or freezes meanwhile is noticed by its heartbeat.
pub(super) const DECLARING: Duration = Duration::from_secs(30);

/// How many reasons for RabbitMQ's being away are remembered as told.
const MOST_REPORTED: usize = 16;

/// Why there is no generation: what happened, and what a person could do.
struct Trouble {
    what: String,
    advice: &'static str,
    /// It is a message that the client library cannot parse.
    is_unparsable: bool,
}

/// Keeps a generation alive until the broker closes.
pub(super) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.settings.reconnect_least, shared.settings.reconnect_most);
    let mut reported = Vec::new();
    loop {
        let mut opened_at = None;
        let node = shared.nodes.next();
        let place = nodes::place(&node);
        let trouble = tokio::select! {
            biased;
            () = shared.entered(Phase::Closing) => break,
            opened = open(&shared, &node) => match opened {
                Ok(running) => {
                    opened_at = Some(Instant::now());
                    if !shared.is_careful() {
                        info!(node = %place, "RabbitMQ is there");
                    }
                    running.run(&shared).await
                }
                Err(trouble) => trouble,
            },
        };
        let what = format!("{place}: {}", without_user(&trouble.what, &node));
        shared.state.send_replace(State::Away(what.clone()));
        let was_careful = shared.careful.swap(trouble.is_unparsable, Ordering::Relaxed);
        if trouble.is_unparsable {
            // The sooner it has been returned often enough, the better.
            backoff.reset();
        }
        // What breaks again and again soon after it was made is no better than what cannot be made.
        if opened_at.is_some_and(|opened| opened.elapsed() >= PEACE) {
            backoff.reset();
            reported.clear();
        }
        if *shared.phase.borrow() == Phase::Closing {
            break;
        }
        // Once for each kind of trouble at each node, not once for each attempt.
        if was_careful || reported.contains(&what) {
            debug!(reason = %what, "RabbitMQ is still away");
        } else {
            warn!(reason = %what, advice = trouble.advice, "RabbitMQ is away; trying again until it is back");
            // Should there be no end of new reasons, the first ones may be said again.
            reported.truncate(MOST_REPORTED - 1);
            reported.insert(0, what);
        }
        tokio::select! {
            () = shared.entered(Phase::Closing) => break,
            () = tokio::time::sleep(backoff.wait()) => {}
        }
    }
    shared.state.send_replace(State::Away("the broker is closed".to_owned()));
}

/// A generation, its tasks, and its connections.
struct Running {
    generation: Arc<Generation>,
    tasks: JoinSet<()>,
    publishing: Link,
    consuming: Link,
}

async fn open(shared: &Arc<Shared>, node: &AMQPUri) -> Result<Running, Trouble> {
    let limit = shared.settings.connect_timeout;
    let authorities = shared.settings.authorities.as_ref();
    let connect =
        |role| Link::connect(node, format!("{} {role}", shared.settings.prefix), limit, authorities);
    let connections = async { tokio::try_join!(connect("publishing"), connect("consuming")) };
    let (publishing, consuming) = match timeout(limit, connections).await {
        Ok(connections) => connections.map_err(|error| Trouble::of("connecting failed", &error))?,
        Err(_) => {
            let what = format!("connecting took longer than {limit:?}");
            return Err(Trouble::with(what, "check the host and port, and what is between"));
        }
    };
    let channels = async {
        shared.topology.declare(&publishing.connection).await?;
        let mut channels = Vec::with_capacity(shared.settings.publishers);
        for _ in 0..shared.settings.publishers {
            let channel = publishing.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channels.push(channel);
        }
        lapin::Result::Ok(channels)
    };
    let channels = match timeout(DECLARING, channels).await {
        Ok(channels) => {
            channels.map_err(|error| Trouble::of("declaring exchanges and queues failed", &error))?
        }
        Err(_) => {
            let what = format!("declaring exchanges and queues took longer than {DECLARING:?}");
            return Err(Trouble::with(what, "check that the cluster has a majority and is not overloaded"));
        }
    };
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.iter().map(|_| mpsc::channel(BATCH)).unzip();
    let consumers = 1 + shared.topology.sources.len();
    // What is handed out, and what was sent ahead to each consumer: after a consumer has begun again, more than it
    // alone may have unsettled.
    let unsettled = usize::from(shared.settings.prefetch) * (1 + consumers)
        + usize::from(shared.settings.slow_prefetch) * 2
        + READ_AHEAD
        + consumers
        + 1;
    let (hand_backs, handed_back) = mpsc::channel(unsettled);
    let generation = Arc::new(Generation::new(senders, hand_backs));
    let mut running = Running { generation, tasks: JoinSet::new(), publishing, consuming };
    for (channel, jobs) in channels.into_iter().zip(receivers) {
        let (generation, limit) = (running.generation.clone(), shared.settings.confirm_timeout);
        running.own(Publisher { channel, jobs, generation, limit, sequence: 0 }.run());
    }
    running.own(hand_back::run(handed_back, running.generation.clone()));
    running.own(pulse::watch(shared.clone(), running.generation.clone()));
    let declaring = running.publishing.connection.clone();
    running.own(mend::run(shared.clone(), running.generation.clone(), declaring));
    for events in running.links().map(|link| link.connection.events_listener()) {
        running.own(watch(events, running.generation.clone()));
    }
    Ok(running)
}

impl Running {
    /// Takes a task in: when it ends, for whatever reason, the generation ends.
    fn own(&mut self, task: impl Future<Output = String> + Send + 'static) {
        let ends = EndsWhenDropped(self.generation.clone());
        self.tasks.spawn(async move { ends.0.end_because(task.await) });
    }

    /// Lives until the generation ends or the broker closes.
    async fn run(mut self, shared: &Arc<Shared>) -> Trouble {
        let generation = self.generation.clone();
        shared.state.send_replace(State::There(generation.clone()));
        // An error before the watchers listened would have been missed.
        if !self.links().iter().all(|link| link.connection.status().connected()) {
            generation.end_because("a connection broke at once");
        }
        let what = tokio::select! {
            biased;
            () = shared.entered(Phase::Closing) => {
                generation.end_because("the broker is closing");
                generation.ended().await
            }
            () = tokio::time::sleep(PEACE), if shared.is_careful() => {
                generation.end_because("messages are taken at full speed again");
                generation.ended().await
            }
            what = self.consume(shared) => what,
        };
        self.part().await;
        if generation.met_an_unparsable_message() {
            let advice = "mend the producer of what will be in the poison queue in a minute; till then messages are \
                          taken one at a time";
            return Trouble { is_unparsable: true, ..Trouble::with(what, advice) };
        }
        Trouble::with(what, "if it stays away, look into RabbitMQ's own log")
    }

    /// Starts the consumers once the broker is known to take messages, and waits for the end.
    async fn consume(&mut self, shared: &Arc<Shared>) -> String {
        let generation = self.generation.clone();
        // Without this, each generation in a time of alarm would hand out deliveries that nobody could settle.
        let probe = message::probe(&shared.topology.delay);
        match generation.probe(&probe).await {
            Ok(()) => {}
            Err(BrokerError::Away(_)) => return generation.ended().await,
            Err(error) => generation.end_because(format!("publishing failed: {error}")),
        }
        tokio::select! {
            biased;
            reason = generation.ended() => return reason,
            admitted = shared.standing.admits() => if !admitted {
                return generation.ended().await;
            },
        }
        if *shared.phase.borrow() == Phase::Taking {
            let sources = shared.topology.sources.iter();
            let sources = sources.map(|(queue, source)| (queue.clone(), Some(source.clone()), Lane::Main));
            let topology = &shared.topology;
            let lanes =
                [(topology.work.clone(), None, Lane::Main), (topology.slow.clone(), None, Lane::Slow)];
            for (queue, source, lane) in lanes.into_iter().chain(sources) {
                let start = Consumer::start(
                    shared.clone(),
                    generation.clone(),
                    self.consuming.connection.clone(),
                    queue,
                    source,
                    lane,
                );
                let started = tokio::select! {
                    biased;
                    // A message for the first of them may have broken the connection on which the next ones are to start.
                    reason = generation.ended() => return reason,
                    started = timeout(shared.settings.confirm_timeout, start) => started,
                };
                match started {
                    Ok(Ok(consumer)) => self.own(consumer.run()),
                    Ok(Err(error)) => generation.end_because(format!("consuming failed: {error}")),
                    Err(_) => generation.end_because("starting to consume took too long"),
                }
            }
        }
        generation.ended().await
    }

    fn links(&self) -> [&Link; 2] {
        [&self.publishing, &self.consuming]
    }

    async fn part(mut self) {
        let mut tasks = std::mem::take(&mut self.tasks);
        let ended = async { while tasks.join_next().await.is_some() {} };
        let closed = self.links().map(|link| link.connection.close(200, "OK".into()));
        let silent = self.generation.fell_silent();
        let parted = async {
            ended.await;
            if silent {
                return;
            }
            futures_util::future::join_all(closed).await;
        };
        if timeout(PARTING, parted).await.is_err() {
            debug!("the connections to RabbitMQ are cut: closing them took too long");
        }
    }
}

/// Ends the generation also when what holds it is dropped by a fault of the program.
struct EndsWhenDropped(Arc<Generation>);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        self.0.end_because("a task of the connection has failed: this is a bug");
    }
}

/// Follows a connection's events; returns why it broke.
async fn watch(events: impl Stream<Item = Event>, generation: Arc<Generation>) -> String {
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            biased;
            reason = generation.ended() => return reason,
            event = events.next() => event,
        };
        match event {
            None => return "a connection is gone".to_owned(),
            // Whoever uses that channel is told as well, and knows whether all must end because of it.
            Some(Event::Error(error)) if is_of_a_channel(&error) => {}
            Some(Event::Error(error)) => {
                generation.note(&error);
                return format!("a connection broke: {error}");
            }
            Some(Event::ConnectionBlocked(reason)) => {
                warn!(
                    %reason,
                    "RabbitMQ takes no messages for now, and nothing is delivered until it does: \
                     give it memory or disk space"
                );
                generation.set_blocked(Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                info!("RabbitMQ takes messages again");
                generation.set_blocked(None);
            }
            Some(_) => {}
        }
    }
}

/// Whether it has closed a channel, and not the connection. (RabbitMQ keeps to the split that AMQP makes.)
fn is_of_a_channel(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)))
}

/// RabbitMQ names the user whom it refuses, in quotation marks.
fn without_user(what: &str, node: &AMQPUri) -> String {
    what.replace(&format!("'{}'", node.authority.userinfo.username), "of the URL")
}

impl Trouble {
    fn of(doing: &str, error: &Error) -> Self {
        Self::with(format!("{doing}: {error}"), advice(error))
    }

    fn with(what: String, advice: &'static str) -> Self {
        Self { what, advice, is_unparsable: false }
    }
}

fn advice(error: &Error) -> &'static str {
    const ACCESS_REFUSED: u16 = 403;
    const NOT_FOUND: u16 = 404;
    const PRECONDITION_FAILED: u16 = 406;
    const NOT_ALLOWED: u16 = 530;
    if error.is_io_error() {
        return "check that RabbitMQ runs and listens where the URL says";
    }
    let ErrorKind::ProtocolError(refusal) = error.kind() else { return "look into RabbitMQ's own log" };
    match refusal.get_id() {
        ACCESS_REFUSED => "check the user, the password and the user's permissions",
        NOT_FOUND | NOT_ALLOWED => "check the virtual host in the URL",
        PRECONDITION_FAILED => {
            "an exchange or queue of that name was declared otherwise: choose another prefix, or drain and delete it"
        }
        _ => "look into RabbitMQ's own log",
    }
}
