//! A message that is out: what it holds, and the duty to settle it.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::engine::{Command, Settlement};
use super::store::{Event, Message, Stored};
use super::{away, clock};
use crate::broker::{BrokerError, Content, Delivery, Receipt};
use crate::domain::{Envelope, OutcomeEvent, Recorded, Unreadable};

/// A delivery on its way to whoever asks for the next one.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: Stored,
    pub(super) redelivered: bool,
    pub(super) lease: Lease,
}

impl Waiting {
    /// Reads the message.
    pub(super) fn open(self) -> Delivery {
        let lane = self.message.lane;
        let content = match read(self.message) {
            Ok(envelope) => Content::Readable(Box::new(Envelope { lane, ..envelope })),
            Err(unreadable) => Content::Unreadable(unreadable),
        };
        Delivery { content, redelivered: self.redelivered, receipt: Box::new(self.lease) }
    }
}

fn read(message: Stored) -> Result<Envelope, Unreadable> {
    let headers: HashMap<String, String> = serde_json::from_str(&message.headers).map_err(|_| {
        Unreadable::Header { name: "headers", value: message.headers.chars().take(40).collect() }
    })?;
    Envelope::read(message.body.into(), |name| headers.get(name).map(String::as_str), clock::now())
}

/// The receipt. One that is dropped goes back.
#[derive(Debug)]
pub(super) struct Lease {
    number: i64,
    asking: mpsc::Sender<Command>,
    returning: Option<mpsc::Sender<Returned>>,
}

/// A lease that was dropped.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) number: i64,
    /// Whether the message rests before it is handed out again.
    pub(super) rests: bool,
}

impl Lease {
    pub(super) fn new(number: i64, asking: mpsc::Sender<Command>, returning: mpsc::Sender<Returned>) -> Self {
        Self { number, asking, returning: Some(returning) }
    }

    async fn settle(mut self: Box<Self>, settlement: Settlement) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Settle(self.number, settlement, answer);
        self.asking.send(command).await.map_err(|_| away())?;
        // From here on the engine knows what becomes of it, even if nobody waits for the answer.
        self.returning = None;
        answered.await.map_err(|_| away())?
    }
}

#[async_trait]
impl Receipt for Lease {
    async fn park(self: Box<Self>, next: &Envelope) -> Result<(), BrokerError> {
        self.settle(Settlement::Park(Message::new(next))).await
    }

    async fn finish(self: Box<Self>, event: &OutcomeEvent, _: Recorded) -> Result<(), BrokerError> {
        self.settle(Settlement::Finish(Some(Event::new(event)))).await
    }

    async fn forget(self: Box<Self>, _: Recorded) -> Result<(), BrokerError> {
        self.settle(Settlement::Finish(None)).await
    }

    async fn poison(self: Box<Self>, reason: &str, event: Option<&OutcomeEvent>) -> Result<(), BrokerError> {
        self.settle(Settlement::Poison(reason.to_owned(), event.map(Event::new))).await
    }

    async fn hand_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(returning) = self.returning.take() {
            // What made the program panic will do so again: it rests first. There is room for all that can be out. An
            // engine that has ended has no use for it.
            let _ = returning.try_send(Returned { number: self.number, rests: std::thread::panicking() });
        }
    }
}
