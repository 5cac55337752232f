//! The task that sends spans: in posts of many, one post at a time, each tried again for a while.
//!
//! The rule is OTLP's: a 429, 502, 503 or 504, or no reply at all, may be tried again, after the pause that the collector names or
//! one that doubles, with jitter; any other refusal is final.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::otlp::{self, Sender};
use super::span::Span;
use super::{Came, Post, Settings, TraceMetrics};
use crate::clock;
use crate::domain::{Reply, Request, Withheld};

/// How long the end waits for what is still to be sent.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// See the module.
pub struct Exporter {
    settings: Settings,
    sender: Sender,
    post: Arc<dyn Post>,
    waiting: mpsc::Receiver<Span>,
    metrics: TraceMetrics,
    /// What the collector may repeat of what it is sent, and the log must not.
    withheld: Withheld,
    /// What is being sent.
    batch: Vec<Span>,
    /// The last post was not taken.
    failing: bool,
    /// The collector has once said that it has not taken all; that is not repeated in the log.
    has_rejected: bool,
}

/// What came of one post.
enum Posted {
    /// It was taken, but for so many spans.
    Taken(Option<(u64, String)>),
    /// It may be tried again, after that pause if the collector names one.
    Later(String, Option<Duration>),
    /// It was refused for good.
    Refused(String),
}

impl Exporter {
    pub(super) fn new(
        settings: Settings,
        post: Arc<dyn Post>,
        waiting: mpsc::Receiver<Span>,
        metrics: TraceMetrics,
    ) -> Self {
        let sender = Sender {
            service: settings.service.clone(),
            instance: settings.instance.clone(),
            trace_state: settings.sampling.trace_state(),
        };
        let values = settings.headers.values().filter_map(|value| value.to_str().ok());
        // Also without the scheme before it, as in `Bearer`.
        let withheld = values.flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)]);
        let withheld = Withheld::of(withheld.map(str::to_owned));
        let batch = Vec::new();
        Self {
            settings,
            sender,
            post,
            waiting,
            metrics,
            withheld,
            batch,
            failing: false,
            has_rejected: false,
        }
    }

    /// Sends what is handed over until `ended` has lost its sender; then what still waits, while that goes well and for at
    /// most five seconds.
    pub async fn run(mut self, ended: watch::Receiver<()>) {
        let mut over = ended.clone();
        let last_word = async move {
            until_over(&mut over).await;
            sleep(LAST_WORD).await;
        };
        tokio::select! {
            () = self.work(ended) => {}
            () = last_word => {}
        }
        let left = self.batch.len() + self.waiting.len();
        if left > 0 {
            self.metrics.count(Came::Failed, left);
            tracing::warn!(left, "spans were not sent before the end");
        }
    }

    async fn work(&mut self, mut ended: watch::Receiver<()>) {
        while self.gather(&mut ended).await {
            if !self.send(&mut ended).await && is_over(&ended) {
                return;
            }
        }
    }

    /// Fills the batch. False when nothing more will come.
    async fn gather(&mut self, ended: &mut watch::Receiver<()>) -> bool {
        let Settings { batch: most, interval, .. } = self.settings;
        let mut until = None;
        while self.batch.len() < most {
            let room = most - self.batch.len();
            tokio::select! {
                biased;
                came = self.waiting.recv_many(&mut self.batch, room) => {
                    if came == 0 {
                        break;
                    }
                    until = until.or_else(|| Some(Instant::now() + interval));
                }
                () = wait_until(until) => break,
                () = until_over(ended) => break,
            }
        }
        !self.batch.is_empty()
    }

    /// Sends the batch, and lets go of it whatever comes of that. Says whether the collector took it. At the end there is one try
    /// without pauses.
    async fn send(&mut self, ended: &mut watch::Receiver<()>) -> bool {
        let body = otlp::request(&self.sender, &self.batch);
        let began = Instant::now();
        let mut tries = 0;
        let taken = loop {
            let was_over = is_over(ended);
            match self.post_once(body.clone()).await {
                Posted::Taken(rejected) => break Ok(rejected),
                Posted::Refused(why) => break Err(why),
                Posted::Later(why, after) => {
                    let pause = after.unwrap_or_else(|| pause(tries, self.settings.longest_pause));
                    tries += 1;
                    if was_over || began.elapsed().saturating_add(pause) > self.settings.patience {
                        break Err(why);
                    }
                    self.note_failure(&why, "it is tried again");
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = until_over(ended) => {}
                    }
                }
            }
        };
        let spans = self.batch.len();
        let took_it = taken.is_ok();
        match taken {
            Ok(rejected) => self.note_taken(spans, rejected),
            Err(why) => {
                self.note_failure(&why, "its spans are dropped");
                self.metrics.count(Came::Failed, spans);
            }
        }
        self.batch.clear();
        took_it
    }

    async fn post_once(&self, body: bytes::Bytes) -> Posted {
        let mut headers = self.settings.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(otlp::MEDIA_TYPE));
        let request = Request { method: Method::POST, uri: self.settings.url.clone(), headers, body };
        match self.post.post(request).await {
            Ok(reply) => judge(&reply),
            Err(failure) => Posted::Later(failure.name().to_owned(), None),
        }
    }

    fn note_taken(&mut self, spans: usize, rejected: Option<(u64, String)>) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the collector takes spans again");
        }
        let count =
            rejected.as_ref().map_or(0, |(count, _)| usize::try_from(*count).unwrap_or(spans).min(spans));
        self.metrics.count(Came::Failed, count);
        self.metrics.count(Came::Sent, spans - count);
        if let Some((_, why)) = rejected
            && !std::mem::replace(&mut self.has_rejected, true)
        {
            let why: String = self.withheld.mask(why).chars().take(256).collect();
            tracing::warn!(
                spans,
                rejected = count,
                why,
                "the collector has not taken all spans; this is said once"
            );
        }
    }

    /// One line when it begins, however long it lasts.
    fn note_failure(&mut self, why: &str, then: &str) {
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!(why, "the collector does not take spans; {then}");
        } else {
            tracing::warn!(why, "the collector does not take spans; {then}");
        }
    }
}

fn judge(reply: &Reply) -> Posted {
    match reply.status {
        status if status.is_success() => Posted::Taken(otlp::rejected(&reply.body)),
        status @ (StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT) => {
            Posted::Later(format!("it answered {status}"), reply.retry_after(clock::now()))
        }
        status => Posted::Refused(format!("it answered {status}")),
    }
}

/// The pause after so many failures before this one.
fn pause(failures: u32, longest: Duration) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(20)).min(longest);
    doubled.mul_f64(rand::random_range(0.5..1.0))
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Whether its sender is gone.
fn is_over(ended: &watch::Receiver<()>) -> bool {
    ended.has_changed().is_err()
}

async fn until_over(ended: &mut watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest = Duration::from_secs(3);
        for (failures, most) in [(0, 500), (1, 1_000), (2, 2_000), (3, 3_000), (40, 3_000)] {
            let (most, pause) = (Duration::from_millis(most), pause(failures, longest));
            assert!((most / 2..=most).contains(&pause), "{failures}: {pause:?}");
        }
    }

    #[test]
    fn only_what_otlp_says_is_tried_again() {
        for (status, expected) in [
            (200, "taken"),
            (202, "taken"),
            (301, "refused"),
            (400, "refused"),
            (408, "refused"),
            (429, "later"),
            (500, "refused"),
            (502, "later"),
            (503, "later"),
            (504, "later"),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let headers = [(http::header::RETRY_AFTER, HeaderValue::from_static("7"))].into_iter().collect();
            let reply = Reply { status, headers, body: bytes::Bytes::new(), truncated: false };
            let came = match judge(&reply) {
                Posted::Taken(rejected) => {
                    assert_eq!(rejected, None);
                    "taken"
                }
                Posted::Later(_, after) => {
                    assert_eq!(after, Some(Duration::from_secs(7)));
                    "later"
                }
                Posted::Refused(_) => "refused",
            };
            assert_eq!(came, expected, "{status}");
        }
    }
}
