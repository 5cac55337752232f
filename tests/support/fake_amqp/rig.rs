//! A real `AmqpBroker` against the fake server, and what a test does with both.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use futures_util::future::join_all;
use paynotify::broker::amqp::{AmqpBroker, Settings};
use paynotify::broker::{Broker, BrokerError, Content, Delivery};
use paynotify::domain::Envelope;
use tokio::time::timeout;

use super::check::check;
use super::script::{Gather, Line, Plain};
use super::world::{Event, Message, Publish};
use super::{FakeAmqp, Manner, Role};
use crate::support::conformance::{envelope, now};

/// The most that anything may take here; only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// The names of everything begin with it.
pub const PREFIX: &str = "fake";

/// A broker on a server.
pub struct Rig {
    pub server: FakeAmqp,
    pub broker: Arc<AmqpBroker>,
}

/// A delivery being settled.
pub type Settling<'a> = Pin<Box<dyn Future<Output = Result<(), BrokerError>> + Send + 'a>>;

/// Settings that make a test quick, with a single publisher, so that what is published at once is one batch.
pub fn settings(server: &FakeAmqp) -> Settings {
    Settings {
        urls: vec![format!("amqp://guest:guest@{}/%2f", server.address)],
        prefix: PREFIX.to_owned(),
        publishers: 1,
        connect_timeout: Duration::from_secs(2),
        confirm_timeout: Duration::from_millis(500),
        reconnect_least: Duration::from_millis(5),
        reconnect_most: Duration::from_millis(50),
        ..Settings::default()
    }
}

/// A message in the work queue, as the gateway itself would have published it.
pub fn message(id: &str) -> Message {
    let envelope = envelope(id);
    let mut table = FieldTable::default();
    for (name, value) in envelope.progress.to_headers() {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    Message {
        id: id.to_owned(),
        exchange: format!("{PREFIX}.return"),
        routing_key: "rung.3000.work".to_owned(),
        properties: BasicProperties::default().with_message_id(id.into()).with_headers(table),
        body: envelope.notification.raw.to_vec(),
        redelivered: false,
        piece: None,
    }
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(Manner::default(), |_| {}).await
    }

    pub async fn with(manner: Manner, change: impl FnOnce(&mut Settings)) -> Self {
        let server = FakeAmqp::start(manner).await;
        let mut settings = settings(&server);
        change(&mut settings);
        let broker = Arc::new(AmqpBroker::start(settings).expect("valid settings"));
        Self { server, broker }
    }

    pub fn enqueue(&self, message: Message) {
        self.server.world().enqueue(&format!("{PREFIX}.work"), message);
    }

    /// The next delivery.
    pub async fn take(&self) -> Delivery {
        let next = timeout(PATIENCE, self.broker.next()).await;
        next.expect("a message comes").expect("the broker is taking")
    }

    /// The next delivery of that one, after those of others have been handed back.
    pub async fn take_readable(&self) -> (Envelope, Delivery) {
        let delivery = self.take().await;
        match &delivery.content {
            Content::Readable(envelope) => ((**envelope).clone(), delivery),
            Content::Unreadable(reason) => panic!("unreadable: {reason}"),
        }
    }

    /// So many messages, delivered.
    pub async fn deliveries(&self, count: usize, name: &str) -> Vec<(Envelope, Delivery)> {
        for number in 0..count {
            self.enqueue(message(&format!("{name}-{number}")));
        }
        let mut deliveries = Vec::new();
        while deliveries.len() < count {
            deliveries.push(self.take_readable().await);
        }
        deliveries
    }

    /// Parks so many deliveries in one batch, of which the server gets to see `seen` before it acts; the answers come in
    /// the order of the publishes.
    pub async fn batch(
        &self,
        (count, seen): (usize, usize),
        name: &str,
        act: impl FnOnce(&[Publish], &mut Line<'_>) + Send + 'static,
    ) -> Vec<Result<(), BrokerError>> {
        let deliveries = self.deliveries(count, name).await;
        // The publisher is kept busy with one message until all the others stand in its queue.
        self.server.follow(Gather::hold());
        let plug = envelope(&format!("{name}-plug"));
        let world = self.server.world();
        let published = world.count(|event| matches!(event, Event::Published(_)));
        let plugging = self.broker.publish(&plug);
        let parking = async {
            world
                .until("the first one is out", |world| {
                    world.count(|event| matches!(event, Event::Published(_))) > published
                })
                .await;
            let mut parks: Vec<Settling<'_>> = deliveries.into_iter().map(park).collect();
            for park in &mut parks {
                let first = tokio::task::unconstrained(std::future::poll_fn(|context| {
                    std::task::Poll::Ready(park.as_mut().poll(context).is_pending())
                }));
                assert!(first.await, "it waits for its confirm");
            }
            self.server.follow(Gather::new(seen, act));
            self.server.on(Role::Publishing, release).await;
            timeout(PATIENCE, join_all(parks)).await.expect("nothing hangs")
        };
        let (plugged, answers) = tokio::join!(plugging, parking);
        plugged.expect("that one was confirmed");
        answers
    }

    /// From now on the server behaves: everything that is left comes, and is settled. Then the record is checked.
    pub async fn settle_the_rest(&self) {
        self.server.follow(Plain);
        self.server.treat(|manner| *manner = Manner::default());
        let world = self.server.world();
        let settle = async {
            loop {
                let delivery = self.broker.next().await.expect("the broker is taking");
                let _it_comes_again = match &delivery.content {
                    Content::Readable(envelope) => park(((**envelope).clone(), delivery)).await,
                    Content::Unreadable(reason) => {
                        let reason = reason.to_string();
                        delivery.receipt.poison(&reason, None).await
                    }
                };
            }
        };
        tokio::select! {
            () = settle => {}
            () = world.until("everything is settled", |world| world.unsettled() == 0) => {}
        }
        self.check();
    }

    /// Holds the record to the promises.
    pub fn check(&self) {
        let broken = check(&self.server.world().record());
        assert!(broken.is_empty(), "{broken:#?}");
    }

    /// Waits for so many acknowledgements.
    pub async fn until_acknowledged(&self, count: usize) {
        let all = |event: &Event| matches!(event, Event::Acknowledged { .. });
        self.server.world().until("all is acknowledged", |world| world.count(all) >= count).await;
    }

    /// How often that message was acknowledged.
    pub fn acknowledged(&self, name: &str) -> usize {
        self.server.world().count(|event| matches!(event, Event::Acknowledged { id, .. } if id == name))
    }

    /// How many generations there have been.
    pub fn generations(&self) -> usize {
        let consuming = |name: &str| name.ends_with("consuming");
        self.server.world().count(|event| matches!(event, Event::Opened { name, .. } if consuming(name)))
    }
}

/// Parks a delivery on the rung of three seconds, as its next attempt.
pub fn park((mut envelope, delivery): (Envelope, Delivery)) -> Settling<'static> {
    envelope.progress.attempt = envelope.progress.attempt.next();
    envelope.progress.due = now().after(Duration::from_secs(3));
    Box::pin(async move { delivery.receipt.park(&envelope).await })
}

/// Confirms everything that is out.
fn release(line: &mut Line<'_>) {
    line.ack_up_to(0);
}
