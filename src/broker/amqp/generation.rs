//! One generation: everything that lives as long as one pair of connections, and ends with it.
//!
//! Rule: whatever ends, ends the whole generation. A delivery belongs to its generation and can be settled nowhere
//! else, because a delivery tag means another message on another channel. What was unsettled when a generation ends
//! is delivered again by the broker, if its queue is there: so nothing ends because a queue was deleted (`mend`).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::ErrorKind;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::hand_back::HandBack;
use super::message::Outgoing;
use super::publisher::{Job, Settled};
use crate::broker::BrokerError;

/// The part of a generation that deliveries and publishing callers hold on to.
pub(super) struct Generation {
    /// Why it ended, once it has.
    end: watch::Sender<Option<String>>,
    /// Why the broker takes no messages, while it does not.
    blocked: watch::Sender<Option<String>>,
    /// It ended because of a message that the client library cannot parse.
    unparsable: AtomicBool,
    /// It ended because nothing came from the node any more.
    silent: AtomicBool,
    /// Changes with every batch that a quorum queue has confirmed.
    confirmed: watch::Sender<()>,
    publishers: Vec<mpsc::Sender<Job>>,
    turn: AtomicUsize,
    hand_backs: mpsc::Sender<HandBack>,
    /// Keeps one call until it is heard, and no second one.
    mending: Notify,
    /// Changes each time that everything has been declared again.
    mended: watch::Sender<()>,
}

impl Generation {
    pub(super) fn new(publishers: Vec<mpsc::Sender<Job>>, hand_backs: mpsc::Sender<HandBack>) -> Self {
        Self {
            end: watch::Sender::new(None),
            blocked: watch::Sender::new(None),
            unparsable: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            confirmed: watch::Sender::new(()),
            publishers,
            turn: AtomicUsize::new(0),
            hand_backs,
            mending: Notify::new(),
            mended: watch::Sender::new(()),
        }
    }

    /// Ends it. The first reason counts.
    pub(super) fn end_because(&self, reason: impl Into<String>) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(reason.into());
            }
            first
        });
    }

    /// Notes what an error of a connection or consumer tells about the message that was on its way.
    pub(super) fn note(&self, error: &lapin::Error) {
        if matches!(error.kind(), ErrorKind::ParsingError(_)) {
            self.unparsable.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a message that cannot be parsed has ended it.
    pub(super) fn met_an_unparsable_message(&self) -> bool {
        self.unparsable.load(Ordering::Relaxed)
    }

    /// Ends it because nothing comes from the node any more: waiting for its farewell would be in vain.
    pub(super) fn end_in_silence(&self, reason: impl Into<String>) {
        self.silent.store(true, Ordering::Relaxed);
        self.end_because(reason);
    }

    /// Whether it was ended in silence.
    pub(super) fn fell_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Waits until it ends, and says why.
    pub(super) async fn ended(&self) -> String {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Why it ended, if it has.
    pub(super) fn end(&self) -> Option<String> {
        self.end.borrow().clone()
    }

    /// Notes that queues have confirmed something.
    pub(super) fn note_confirmed(&self) {
        self.confirmed.send_replace(());
    }

    /// Changes each time that queues confirm something.
    pub(super) fn confirmed(&self) -> watch::Receiver<()> {
        self.confirmed.subscribe()
    }

    /// Notes that the broker takes no messages for now, or that it does again.
    pub(super) fn set_blocked(&self, reason: Option<String>) {
        self.blocked.send_replace(reason);
    }

    /// Why the broker takes no messages for now, if it does not.
    pub(super) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Waits until the broker takes messages, or the generation has ended.
    pub(super) async fn open_for_messages(&self) {
        let mut blocked = self.blocked.subscribe();
        tokio::select! {
            _ = self.ended() => {}
            _ = blocked.wait_for(Option::is_none) => {}
        }
    }

    /// Asks for everything to be declared again, because a queue is missing.
    pub(super) fn ask_for_mending(&self) {
        self.mending.notify_one();
    }

    /// The same, and waits until it is done.
    pub(super) async fn mend(&self) {
        let mut mended = self.mended.subscribe();
        self.ask_for_mending();
        // The sender is in `self`: it cannot be gone.
        let _ = mended.changed().await;
    }

    /// Waits until somebody asks for that.
    pub(super) async fn mending_is_asked_for(&self) {
        self.mending.notified().await;
    }

    /// Notes that everything has been declared again.
    pub(super) fn note_mended(&self) {
        self.mended.send_replace(());
    }

    /// Publishes, and waits for the broker's confirm: only that makes a [`Settled`].
    pub(super) async fn publish(&self, message: Outgoing) -> Result<Settled, BrokerError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.publishers.len().max(1);
        self.publish_by(turn, message).await
    }

    /// Has every publisher in turn prove that the broker confirms.
    pub(super) async fn probe(&self, message: &Outgoing) -> Result<(), BrokerError> {
        for index in 0..self.publishers.len() {
            let Settled { .. } = self.publish_by(index, message.clone()).await?;
        }
        Ok(())
    }

    async fn publish_by(&self, index: usize, message: Outgoing) -> Result<Settled, BrokerError> {
        let away = |reason| Err(BrokerError::Away(reason));
        let Some(publisher) = self.publishers.get(index) else {
            return away("no publisher is running".to_owned());
        };
        let (reply, answer) = oneshot::channel();
        tokio::select! {
            biased;
            reason = self.ended() => return away(reason),
            sent = publisher.send(Job { message, reply }) => {
                if sent.is_err() {
                    return away(self.end().unwrap_or_default());
                }
            }
        }
        match answer.await {
            Ok(result) => result,
            Err(_) => away(self.ended().await),
        }
    }

    /// Takes a delivery that nobody will settle. Never waits, so that it can be called while dropping.
    pub(super) fn hand_back(&self, delivery: HandBack) {
        // The queue has room for as many deliveries as the broker sends ahead. Should it be full or gone all the
        // same, ending the generation gives every delivery back.
        if self.hand_backs.try_send(delivery).is_err() {
            self.end_because("a delivery could not be handed back");
        }
    }
}

/// Why something was not waited for any longer.
pub(super) enum GaveUp {
    /// The generation ended: why.
    Ended(String),
    /// It took longer than that.
    TimedOut(Duration),
}

impl From<GaveUp> for BrokerError {
    fn from(gave_up: GaveUp) -> Self {
        match gave_up {
            GaveUp::Ended(reason) => Self::Away(reason),
            GaveUp::TimedOut(limit) => Self::Unknown(limit),
        }
    }
}

/// Waits for the broker, up to `limit`; the time in which the broker has said that it is blocked does not count,
/// because giving up on it then would only have the same work delivered and done again and again.
pub(super) async fn patiently<T>(
    generation: &Generation,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, GaveUp> {
    let mut work = std::pin::pin!(work);
    let mut was_blocked = generation.blocked().is_some();
    loop {
        tokio::select! {
            biased;
            value = &mut work => return Ok(value),
            reason = generation.ended() => return Err(GaveUp::Ended(reason)),
            () = tokio::time::sleep(limit) => {
                let blocked = generation.blocked().is_some();
                // Who was blocked until a moment ago has a whole limit from now.
                if !blocked && !was_blocked {
                    return Err(GaveUp::TimedOut(limit));
                }
                was_blocked = blocked;
            }
        }
    }
}
