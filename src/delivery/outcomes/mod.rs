//! An HTTP endpoint is told how notifications end, beside the broker's outcomes exchange: at least once.
//!
//! The rule: the journal notes an ending as told once all who listen have been told, and what it has not as told is sought and told again. So
//! nothing here has to last: an event for which there is no room, or which a crash takes away, is found again.
//! Whoever finishes a delivery hands its event over and goes on; no delivery ever waits for the endpoint.
//!
//! An event that was sought is told to the broker's exchange as well, after the endpoint has taken it: whether that was done before
//! is not known of it.
//!
//! Deliberately absent: an order among events, and giving up.

mod event;
mod hand;

use std::pin::pin;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderValue, Method, Uri, header};
use futures_util::future::{Fuse, FusedFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{sleep_until, timeout};

use super::Deliverer;
use crate::domain::{OutcomeEvent, Request};
use crate::journal::Search;
use crate::{clock, http};
use hand::{Bounds, Hand, Held};

/// The most that are sought at once.
const BATCH: usize = 256;
/// Events on their way from deliveries into the hand.
const ON_THEIR_WAY: usize = 256;
/// How long the end waits for what is in hand.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Who is told, and how.
pub struct Endpoint {
    /// The way there, whose time-outs and reach count.
    pub client: http::Client,
    /// Where events are posted.
    pub url: Uri,
    /// The `authorization` header, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// The events' `source`.
    pub source: String,
    /// How many events may be in hand.
    pub queue: usize,
    /// How many are told side by side.
    pub side_by_side: usize,
    /// The longest pause while the endpoint takes none.
    pub longest_pause: Duration,
    /// How long after its end a notification that is not known to have been told of is sought. Longer than telling takes.
    pub again_after: Duration,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct OutcomeMetrics {
    events: Family<Result, Counter>,
    in_hand: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

impl OutcomeMetrics {
    /// Puts them into the registry.
    #[must_use]
    pub fn registered(registry: &mut Registry) -> Self {
        let this = Self::default();
        let help = "Outcome events for the HTTP endpoint, each time, by what came of it";
        registry.register("outcome_events", help, this.events.clone());
        let help = "Outcome events that wait for the HTTP endpoint in memory";
        registry.register("outcome_events_in_hand", help, this.in_hand.clone());
        for result in ["told", "failed", "left"] {
            drop(this.events.get_or_create(&Result { result }));
        }
        this
    }

    fn count(&self, result: &'static str) {
        self.events.get_or_create(&Result { result }).inc();
    }
}

/// The deliverer's way to the endpoint.
pub(super) struct Outcomes {
    endpoint: Endpoint,
    metrics: OutcomeMetrics,
    events: mpsc::Sender<OutcomeEvent>,
    /// Held by the task that tells.
    handed_over: Mutex<mpsc::Receiver<OutcomeEvent>>,
}

impl Outcomes {
    pub(super) fn new(endpoint: Endpoint, metrics: OutcomeMetrics) -> Self {
        let (events, handed_over) = mpsc::channel(ON_THEIR_WAY);
        Self { endpoint, metrics, events, handed_over: Mutex::new(handed_over) }
    }

    /// Hands an event over that the broker's exchange has been told. If there is no room, the journal keeps it.
    pub(super) fn hand_over(&self, event: OutcomeEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.count("left");
        }
    }

    /// Posts the event.
    async fn post(&self, event: &OutcomeEvent) -> std::result::Result<(), String> {
        let Endpoint { client, url, authorization, source, .. } = &self.endpoint;
        let body = event::text(event, source).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(event::MEDIA_TYPE));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let request = Request { method: Method::POST, uri: url.clone(), headers, body };
        match client.send(request).await {
            Ok(reply) if reply.status.is_success() => Ok(()),
            Ok(reply) => Err(format!("it answered {}", reply.status)),
            Err(failure) => Err(failure.name().to_owned()),
        }
    }
}

/// What came of telling one event.
enum Told {
    /// All have been told.
    All,
    /// The endpoint took it, the broker did not: it is sought again.
    NotTheBroker,
    /// The endpoint did not take it, and why.
    NotTaken(String),
}

impl Deliverer {
    /// Tells the endpoint, if there is one, until the deliveries have ended; then what is still in hand, while the endpoint takes it.
    pub(super) async fn tell_the_endpoint(&self, mut ended: watch::Receiver<bool>) {
        let Some(outcomes) = &self.outcomes else { return };
        let Endpoint { queue, side_by_side, longest_pause, again_after, .. } = outcomes.endpoint;
        let mut hand = Hand::new(Bounds { most: queue, side_by_side, longest_pause });
        let mut handed_over = outcomes.handed_over.lock().await;
        let mut telling = FuturesUnordered::new();
        let mut seeking = pin!(Fuse::terminated());
        let ended = async move { drop(ended.wait_for(|ended| *ended).await) };
        let mut ended = pin!(ended.fuse());
        let mut seek_at = Instant::now() + again_after;
        let mut last_word: Option<Instant> = None;
        loop {
            while let Some(held) = hand.next(Instant::now()) {
                telling.push(self.tell_one(outcomes, held));
            }
            outcomes.metrics.in_hand.set(i64::try_from(hand.len()).unwrap_or(i64::MAX));
            let done = hand.len() == 0 && handed_over.is_empty();
            if last_word.is_some() && (done || !hand.endpoint_takes()) {
                return;
            }
            let next_at = hand.next_at();
            let may_seek = seeking.is_terminated() && last_word.is_none();
            let may_seek = may_seek && hand.endpoint_takes() && hand.room() >= BATCH.min(queue);
            tokio::select! {
                Some((held, told)) = telling.next() => self.note(outcomes, &mut hand, held, told).await,
                Some(event) = handed_over.recv(), if hand.room() > 0 => {
                    hand.put(event, true, Instant::now());
                }
                found = &mut seeking => {
                    let found: Vec<OutcomeEvent> = found;
                    let all = found.len() < BATCH.min(queue);
                    seek_at = Instant::now() + if all { again_after } else { Duration::ZERO };
                    for event in found {
                        hand.put(event, false, Instant::now());
                    }
                }
                () = until(Some(seek_at)), if may_seek => {
                    seeking.set(self.untold(again_after, BATCH.min(queue)).fuse());
                }
                () = until(next_at), if next_at.is_some() => {}
                () = until(last_word), if last_word.is_some() => return,
                () = &mut ended => last_word = Some(Instant::now() + LAST_WORD),
            }
        }
    }

    async fn tell_one(&self, outcomes: &Outcomes, held: Held) -> (Held, Told) {
        if let Err(reason) = outcomes.post(&held.event).await {
            return (held, Told::NotTaken(reason));
        }
        if held.by_broker {
            return (held, Told::All);
        }
        match self.broker.tell(&held.event).await {
            Ok(()) => (held, Told::All),
            Err(error) => {
                let notification = &held.event.notification_id;
                tracing::warn!(%notification, %error, "the outcomes exchange may not know how it ended, and could not be told");
                (held, Told::NotTheBroker)
            }
        }
    }

    async fn note(&self, outcomes: &Outcomes, hand: &mut Hand, held: Held, told: Told) {
        let was_away = !hand.endpoint_takes();
        match told {
            Told::NotTaken(reason) => {
                outcomes.metrics.count("failed");
                let notification = held.event.notification_id.clone();
                if hand.not_taken(held, Instant::now()) {
                    tracing::warn!(%notification, reason, "the outcomes endpoint did not take an event; it is told again");
                } else {
                    tracing::debug!(%notification, reason, "the outcomes endpoint did not take an event");
                }
            }
            Told::All | Told::NotTheBroker => {
                outcomes.metrics.count("told");
                let is_last = hand.taken(&held);
                if was_away {
                    tracing::info!("the outcomes endpoint takes events again");
                }
                if is_last && matches!(told, Told::All) {
                    // A journal that is away may miss the note; then all are told again.
                    let _ =
                        timeout(LAST_WORD, self.journal.told(&held.event.notification_id, held.event.replay))
                            .await;
                }
            }
        }
    }

    /// Some of the endings of which not all are known to have been told for so long.
    async fn untold(&self, again_after: Duration, most: usize) -> Vec<OutcomeEvent> {
        let search = Search { now: clock::now(), missing_after: again_after, most };
        match self.journal.untold(search).await {
            Ok(found) => {
                if !found.is_empty() {
                    tracing::info!(
                        found = found.len(),
                        "endings that not all may have been told of are told (again)"
                    );
                }
                found
            }
            Err(error) => {
                tracing::warn!(%error, "endings that nobody was told of were not sought");
                Vec::new()
            }
        }
    }
}

/// Waits until that moment; for ever, if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
