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
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, Error, ErrorKind, Event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::consumer::Consumer;
use super::generation::Generation;
use super::hand_back;
use super::message;
use super::nodes;
use super::publisher::{BATCH, Publisher};
use super::state::{Phase, Shared, State};
use crate::broker::BrokerError;

/// How long the tasks and connections of a generation that has ended may take to go.
const PARTING: Duration = Duration::from_secs(1);

/// For how long nothing must break before messages are no longer taken one at a time.
const PEACE: Duration = Duration::from_secs(5);

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
    let mut wait = shared.settings.reconnect_least;
    let mut reported = Vec::new();
    loop {
        let began = Instant::now();
        let node = shared.nodes.next();
        let place = nodes::place(&node);
        let trouble = tokio::select! {
            biased;
            () = shared.entered(Phase::Closing) => break,
            opened = open(&shared, &node) => match opened {
                Ok(running) if shared.is_careful() => running.run(&shared).await,
                Ok(running) => {
                    reported.clear();
                    info!(node = %place, "RabbitMQ is there");
                    running.run(&shared).await
                }
                Err(trouble) => trouble,
            },
        };
        let what = format!("{place}: {}", trouble.what);
        shared.state.send_replace(State::Away(what.clone()));
        let was_careful = shared.careful.swap(trouble.is_unparsable, Ordering::Relaxed);
        if trouble.is_unparsable {
            // The sooner it has been returned often enough, the better.
            wait = shared.settings.reconnect_least;
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
        if began.elapsed() > shared.settings.reconnect_most {
            wait = shared.settings.reconnect_least;
        }
        // Half to whole, so that many gateways do not come back at the same moment.
        let jittered = wait.mul_f64(rand::random_range(0.5..=1.0));
        tokio::select! {
            () = shared.entered(Phase::Closing) => break,
            () = tokio::time::sleep(jittered) => {}
        }
        wait = (wait * 2).min(shared.settings.reconnect_most);
    }
    shared.state.send_replace(State::Away("the broker is closed".to_owned()));
}

/// A generation, its tasks, and its connections.
struct Running {
    generation: Arc<Generation>,
    tasks: JoinSet<()>,
    publishing: Connection,
    consuming: Connection,
}

async fn open(shared: &Arc<Shared>, node: &AMQPUri) -> Result<Running, Trouble> {
    let limit = shared.settings.connect_timeout;
    let connections =
        async { tokio::try_join!(connect(shared, node, "publishing"), connect(shared, node, "consuming")) };
    let (publishing, consuming) = match timeout(limit, connections).await {
        Ok(connections) => connections.map_err(|error| Trouble::of("connecting failed", &error, node))?,
        Err(_) => {
            let what = format!("connecting took longer than {limit:?}");
            return Err(Trouble::with(what, "check the host and port, and what is between"));
        }
    };
    let channels = async {
        shared.topology.declare(&publishing).await?;
        let mut channels = Vec::with_capacity(shared.settings.publishers);
        for _ in 0..shared.settings.publishers {
            let channel = publishing.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channels.push(channel);
        }
        lapin::Result::Ok(channels)
    };
    // A first declaration of many quorum queues takes its time; what it may take is not worth a setting.
    let channels = match timeout(limit * 6, channels).await {
        Ok(channels) => {
            channels.map_err(|error| Trouble::of("declaring exchanges and queues failed", &error, node))?
        }
        Err(_) => {
            let what = format!("declaring exchanges and queues took longer than {:?}", limit * 6);
            return Err(Trouble::with(what, "check that the cluster has a majority and is not overloaded"));
        }
    };
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.iter().map(|_| mpsc::channel(BATCH)).unzip();
    let consumers = 1 + shared.topology.sources.len();
    let (hand_backs, handed_back) = mpsc::channel(usize::from(shared.settings.prefetch) * consumers);
    let generation = Arc::new(Generation::new(senders, hand_backs));
    let mut running = Running { generation, tasks: JoinSet::new(), publishing, consuming };
    for (channel, jobs) in channels.into_iter().zip(receivers) {
        let (generation, limit) = (running.generation.clone(), shared.settings.confirm_timeout);
        running.own(Publisher { channel, jobs, generation, limit, sequence: 0 }.run());
    }
    running.own(hand_back::run(handed_back, running.generation.clone()));
    running.own(watch(running.publishing.events_listener(), running.generation.clone()));
    running.own(watch(running.consuming.events_listener(), running.generation.clone()));
    Ok(running)
}

async fn connect(shared: &Shared, node: &AMQPUri, role: &str) -> lapin::Result<Connection> {
    let name = format!("{} {role}", shared.settings.prefix);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Connection::connect_uri(node.clone(), properties).await
}

impl Running {
    /// Takes a task in: when it ends, for whatever reason, the generation ends.
    fn own(&mut self, task: impl Future<Output = String> + Send + 'static) {
        let generation = self.generation.clone();
        self.tasks.spawn(async move { generation.end_because(task.await) });
    }

    /// Lives until the generation ends or the broker closes.
    async fn run(mut self, shared: &Arc<Shared>) -> Trouble {
        let generation = self.generation.clone();
        shared.state.send_replace(State::There(generation.clone()));
        // An error before the watchers listened would have been missed.
        if !(self.publishing.status().connected() && self.consuming.status().connected()) {
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
        if *shared.phase.borrow() == Phase::Taking {
            let sources = shared.topology.sources.iter();
            let sources = sources.map(|(queue, source)| (queue.clone(), Some(source.clone())));
            let work = std::iter::once((shared.topology.work.clone(), None));
            for (queue, source) in work.chain(sources) {
                let start =
                    Consumer::start(shared.clone(), generation.clone(), &self.consuming, queue, source);
                match timeout(shared.settings.confirm_timeout, start).await {
                    Ok(Ok(consumer)) => self.own(consumer.run()),
                    Ok(Err(error)) => generation.end_because(format!("consuming failed: {error}")),
                    Err(_) => generation.end_because("starting to consume took too long"),
                }
            }
        }
        generation.ended().await
    }

    async fn part(mut self) {
        let tasks = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(PARTING, tasks).await.is_err() {
            self.tasks.shutdown().await;
        }
        // The consuming one first: what was not settled is back in its queue before anything else happens.
        for connection in [self.consuming, self.publishing] {
            // One that is broken already answers with an error, and one that is silent not at all.
            let _ = timeout(PARTING, connection.close(200, "OK".into())).await;
        }
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

impl Trouble {
    fn of(doing: &str, error: &Error, node: &AMQPUri) -> Self {
        // RabbitMQ names the user whom it refuses, in quotation marks.
        let user = format!("'{}'", node.authority.userinfo.username);
        Self::with(format!("{doing}: {error}").replace(&user, "of the URL"), advice(error))
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
