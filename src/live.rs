//! What happens, told while it happens to those who listen.
//!
//! The rule: telling never waits and costs nothing while nobody listens. Everything is bounded: how many listen, how many
//! events are kept for one that is slow (it misses the older ones, and is told how many), and how long a listener is there,
//! which is until the gateway stops. Nothing is told twice, and nothing that is over: that is the journal's.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use crate::domain::{MerchantId, Moment, NotificationId};

/// How many events are kept for a listener that is slow. A power of two, and at a thousand attempts in a second one second;
/// an event is about half a KiB, and the longest, with every text at its bound, about 3 KiB.
const KEPT: usize = 1_024;

/// The wide event: one attempt or one hold, with all that is known of it. The line in the log and what listeners are told are
/// made of this one value.
///
/// What is in it is what the journal shows of an attempt: no body, no query of a URL, no header.
#[derive(Debug, Serialize)]
pub struct WideEvent<'a> {
    /// When it was over.
    pub at: Moment,
    /// The notification's id.
    pub notification: &'a NotificationId,
    /// Whose it is.
    pub merchant: &'a MerchantId,
    /// The merchant's number of the order.
    pub order: Option<&'a str>,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Which replay it was made in; 0 before the first.
    pub replay: u32,
    /// How much later than due it was taken up, in milliseconds.
    pub late_ms: u64,
    /// The plugin that formatted the request: name and content hash. None when no request went out, as below.
    pub plugin: Option<&'a str>,
    /// The request's URL without its query.
    pub url: Option<&'a str>,
    /// The reply's status, if there was a reply.
    pub status: Option<u16>,
    /// What it came to, as in the journal's attempts.
    pub result: Option<&'a str>,
    /// How long it took, with both plugin calls, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What follows: `retry`, `hold`, or how the notification ended.
    pub next: &'static str,
    /// When that is due, unless it has ended.
    pub due: Option<Moment>,
    /// Why it is held, or has ended so.
    pub reason: Option<Cow<'a, str>>,
}

impl WideEvent<'_> {
    /// Writes the one line of the log.
    pub fn log(&self) {
        tracing::info!(
            notification = %self.notification,
            merchant = %self.merchant,
            order = self.order,
            attempt = self.attempt,
            replay = self.replay,
            late_ms = self.late_ms,
            plugin = self.plugin,
            url = self.url,
            status = self.status,
            result = self.result,
            duration_ms = self.duration_ms,
            next = self.next,
            due = self.due.map(tracing::field::display),
            reason = self.reason.as_deref(),
            "attempt"
        );
    }
}

/// Where events are told, and listened to.
#[derive(Clone, Debug)]
pub struct Live {
    events: broadcast::Sender<Arc<Told>>,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<()>,
}

/// An event as all listeners share it.
#[derive(Debug)]
struct Told {
    merchant: MerchantId,
    json: String,
}

impl Live {
    /// With places for so many listeners, until `stopped` has lost its sender.
    #[must_use]
    pub fn new(listeners: usize, stopped: watch::Receiver<()>) -> Self {
        let places = Arc::new(Semaphore::new(listeners.min(Semaphore::MAX_PERMITS)));
        Self { events: broadcast::Sender::new(KEPT), places, stopped }
    }

    /// Tells all who listen. Without any, nothing is even written out.
    pub fn tell(&self, event: &WideEvent<'_>) {
        if self.events.receiver_count() == 0 {
            return;
        }
        match serde_json::to_string(event) {
            Ok(json) => {
                // The last one may have left just now.
                let _ = self.events.send(Arc::new(Told { merchant: event.merchant.clone(), json }));
            }
            Err(error) => tracing::error!(%error, "an event cannot be written: this is a bug"),
        }
    }

    /// Listens from now on: to what is of one merchant, or to all. `None` when all places are taken.
    #[must_use]
    pub fn listen(&self, merchant: Option<MerchantId>) -> Option<Listener> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (events, stopped) = (self.events.subscribe(), self.stopped.clone());
        Some(Listener { events, stopped, merchant, _place: place })
    }
}

/// One that listens. It has its place until it is dropped.
#[derive(Debug)]
pub struct Listener {
    events: broadcast::Receiver<Arc<Told>>,
    stopped: watch::Receiver<()>,
    merchant: Option<MerchantId>,
    _place: OwnedSemaphorePermit,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A [`WideEvent`], as JSON.
    Event(String),
    /// It was too slow: so many events, of whichever merchant, have been dropped before the next one.
    Missed(u64),
}

impl Listener {
    /// The next event; `None` once the gateway stops. Can be dropped at any time without losing one.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let heard = tokio::select! {
                biased;
                _ = self.stopped.changed() => return None,
                heard = self.events.recv() => heard,
            };
            match heard {
                Ok(told) => {
                    if self.merchant.as_ref().is_none_or(|merchant| *merchant == told.merchant) {
                        return Some(Heard::Event(told.json.clone()));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => return Some(Heard::Missed(missed)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn tell(live: &Live, merchant: &str, attempt: u32) {
        let (notification, merchant) = ("n1".parse().expect("an id"), merchant.parse().expect("an id"));
        live.tell(&WideEvent {
            at: Moment::EPOCH,
            notification: &notification,
            merchant: &merchant,
            order: None,
            attempt,
            replay: 0,
            late_ms: 0,
            plugin: None,
            url: None,
            status: None,
            result: None,
            duration_ms: None,
            next: "retry",
            due: Some(Moment::EPOCH),
            reason: Some("why".into()),
        });
    }

    fn event(merchant: &str, attempt: u32) -> Option<Heard> {
        let time = "1970-01-01T00:00:00.000Z";
        Some(Heard::Event(format!(
            r#"{{"at":"{time}","notification":"n1","merchant":"{merchant}","order":null,"attempt":{attempt},"replay":0,"late_ms":0,"plugin":null,"url":null,"status":null,"result":null,"duration_ms":null,"next":"retry","due":"{time}","reason":"why"}}"#
        )))
    }

    #[tokio::test]
    async fn each_hears_what_is_its_own_and_how_much_it_has_missed() {
        let (stopping, stopped) = watch::channel(());
        let live = Live::new(2, stopped);
        // Before anybody listens it is told to nobody, and not kept.
        tell(&live, "shop", 1);
        let mut all = live.listen(None).expect("a place");
        let mut shop = live.listen(Some("shop".parse().expect("an id"))).expect("a place");
        assert!(live.listen(None).is_none(), "all places are taken");
        tell(&live, "other", 2);
        tell(&live, "shop", 3);
        assert_eq!(all.next().await, event("other", 2));
        assert_eq!(all.next().await, event("shop", 3));
        assert_eq!(shop.next().await, event("shop", 3));
        assert!(shop.next().now_or_never().is_none(), "nothing is told twice");
        drop(all);
        let mut slow = live.listen(None).expect("the place is free again");
        let more = 7;
        for attempt in 0..u32::try_from(KEPT).expect("few") + more {
            tell(&live, "shop", attempt);
        }
        assert_eq!(slow.next().await, Some(Heard::Missed(more.into())));
        assert_eq!(slow.next().await, event("shop", more));
        drop(stopping);
        assert_eq!(slow.next().await, None);
        assert_eq!(shop.next().await, None);
    }
}
