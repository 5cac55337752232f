//! Where notifications wait: the trait that both brokers implement, and the words they share.
//!
//! [`amqp`] is RabbitMQ, for production; [`embedded`] is one SQLite file, for a first try and for one small machine.
//! `tests/broker.rs` holds both to the same conformance suite.
//!
//! The rule that every implementation keeps: a message leaves the broker only when its successor is durable there,
//! or when its ending is recorded. A [`Delivery`] is settled by exactly one of the five functions of its [`Receipt`],
//! each of which consumes it; one that is dropped instead is handed back and delivered again.
//!
//! A broker decides nothing: it holds what it is given until the moment that [`Progress::due`] names, and gives it back in
//! the [lane](crate::domain::Lane) that [`Envelope::lane`] names. What is new comes in the main lane.
//!
//! [`Progress::due`]: crate::domain::Progress::due

pub mod amqp;
pub mod embedded;
mod poison;

use async_trait::async_trait;

pub use poison::{PoisonMessage, PoisonPage, PoisonRow};

use crate::domain::{Envelope, MerchantId, OutcomeEvent, Recorded, Unreadable};

/// A place where notifications wait until they are due.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Takes a new notification. When this returns, it is durable.
    ///
    /// # Errors
    /// Nothing is known to be durable; the caller may publish the same again.
    async fn publish(&self, envelope: &Envelope) -> Result<(), BrokerError>;

    /// Brings a notification forward that waits for something that is there now: a message of it is there as the
    /// envelope says, whatever waits of it besides. A broker that cannot reach what waits publishes a further message.
    ///
    /// # Errors
    /// As [`publish`](Self::publish). What waits comes when it is due.
    async fn hasten(&self, envelope: &Envelope) -> Result<(), BrokerError> {
        self.publish(envelope).await
    }

    /// Tells the payment centre once more how a notification ended, of which there is no message any more. When this
    /// returns, the event is durable.
    ///
    /// # Errors
    /// Nothing is known to be durable; the caller may tell it again.
    async fn tell(&self, event: &OutcomeEvent) -> Result<(), BrokerError>;

    /// The next message that has come due, of any lane. Waits for one; waits, too, while the broker is away. Hands out at
    /// most as many unsettled deliveries of each lane as its configured prefetch. `None` once [`stop_taking`](Self::stop_taking) was
    /// called, and then for ever.
    ///
    /// A message may come back a little before it is due, when the waits that a broker offers do not add up to the
    /// one asked for: the caller looks at `due`.
    async fn next(&self) -> Option<Delivery>;

    /// Hands out no more deliveries. Those that are out can still be settled.
    async fn stop_taking(&self);

    /// How many messages lie in the poison queue.
    ///
    /// # Errors
    /// It cannot be looked into.
    async fn poison_count(&self) -> Result<u64, BrokerError>;

    /// Some of them, without the first so many. A broker may bound how far it looks.
    ///
    /// # Errors
    /// It cannot be looked into.
    async fn poisoned(&self, skip: usize, most: usize) -> Result<PoisonPage, BrokerError>;

    /// One of them, whole.
    ///
    /// # Errors
    /// It cannot be looked into.
    async fn poison_message(&self, id: &str) -> Result<Option<PoisonMessage>, BrokerError>;

    /// Takes the message of that id out of the poison queue, once the envelope is durable in its place. False if it is not there.
    ///
    /// # Errors
    /// It may be there still, and the envelope, too.
    async fn put_back(&self, id: &str, envelope: &Envelope) -> Result<bool, BrokerError>;

    /// Throws the message of that id away. False if it is not there.
    ///
    /// # Errors
    /// It may be there still.
    async fn discard(&self, id: &str) -> Result<bool, BrokerError>;

    /// Whether the broker can be reached and used just now; if not, why.
    fn ready(&self) -> Result<(), String>;

    /// Waits until it turns out that the broker is not fit to be used, and says why and what to do; for ever, if it never
    /// does. Nothing has been delivered by then.
    async fn refusal(&self) -> String {
        std::future::pending().await
    }

    /// Ends every task and connection. Deliveries that are still out are handed back.
    async fn close(&self);

    /// Waits until it has ended: after [`close`](Self::close), or by a fault of the program, which only a new start
    /// of the program mends.
    async fn ended(&self);
}

/// A message, and the duty to settle it.
pub struct Delivery {
    /// What came.
    pub content: Content,
    /// Whether the message may have been handed out before, here or elsewhere. `false` is certain.
    pub redelivered: bool,
    /// How to settle it.
    pub receipt: Box<dyn Receipt>,
}

/// What a message turned out to be.
#[derive(Debug)]
pub enum Content {
    /// A notification and its progress.
    Readable(Box<Envelope>),
    /// Something that cannot be read; it belongs into the poison queue.
    Unreadable(Unreadable),
}

/// The duty to settle one delivery. Dropping it hands the message back, to be delivered again.
#[async_trait]
pub trait Receipt: Send + Sync {
    /// Replaces the message with `next`, which waits until it is due.
    ///
    /// # Errors
    /// The successor is not known to be durable. The message will be delivered again.
    async fn park(self: Box<Self>, next: &Envelope) -> Result<(), BrokerError>;

    /// Forgets the message, whose ending is recorded, once the payment centre's event is durable.
    ///
    /// # Errors
    /// The message may be delivered again.
    async fn finish(self: Box<Self>, event: &OutcomeEvent, recorded: Recorded) -> Result<(), BrokerError>;

    /// Forgets a further message of a notification whose ending is recorded: another message brings the event.
    ///
    /// # Errors
    /// The message may be delivered again.
    async fn forget(self: Box<Self>, recorded: Recorded) -> Result<(), BrokerError>;

    /// Moves the message, whole, to the poison queue with the reason beside it; for a notification that is abandoned,
    /// the payment centre's event is made durable as well.
    ///
    /// # Errors
    /// It is not known to be durable there. The message will be delivered again.
    async fn poison(self: Box<Self>, reason: &str, event: Option<&OutcomeEvent>) -> Result<(), BrokerError>;

    /// Gives the message back untouched, to be delivered again, here or by another gateway.
    async fn hand_back(self: Box<Self>);
}

/// Why a broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It cannot be reached, or is closing.
    #[error("the broker is not there: {0}")]
    Away(String),
    /// It was reached and refused.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// It did not answer in time: whether it did it is not known.
    #[error("the broker did not answer within {0:?}; whether the message is durable is not known")]
    Unknown(std::time::Duration),
}

/// A queue of somebody else's messages in a form of their own, bound to one merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The topic exchange that the producers publish to. It is declared durable if it is not there.
    pub exchange: String,
    /// The routing key (or topic pattern) to bind.
    pub routing_key: String,
    /// Whose notifications they are.
    pub merchant: MerchantId,
    /// What the messages look like.
    pub format: SourceFormat,
}

/// What a source's messages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFormat {
    /// A bare URL: [`crate::domain::notification_from_url`].
    Url,
}
