//! The producer: sends what the plan says, and keeps exact record of what was confirmed to it. Those notifications, and
//! only those, are accepted. One whose confirm was lost may be there or not: as real producers do, it sends the same
//! again, under the same id, until it has the confirm.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::gateways::Addresses;
use super::plan::{self, Plan, Way};
use super::rabbit::{self, Line, PREFIX};
use super::record::Record;
use super::support::gateway::record as payment;

/// How many may wait to be sent while nobody takes them; then the plan waits, and catches up afterwards.
const BACKLOG: usize = 100;
/// How many send side by side, each way.
const HANDS: usize = 3;
/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(100);

type Waiting = Arc<Mutex<mpsc::Receiver<String>>>;

/// The producer's tasks. It is stopped by [`Producer::stop`]; dropping it ends it at once.
pub struct Producer {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Producer {
    /// Begins to send. Without URLs nothing is published.
    pub fn start(plan: Plan, urls: &[String], addresses: Addresses, record: &Arc<Record>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (publish, to_publish) = mpsc::channel(BACKLOG);
        let (post, to_post) = mpsc::channel(BACKLOG);
        let (to_publish, to_post) = (Arc::new(Mutex::new(to_publish)), Arc::new(Mutex::new(to_post)));
        let mut tasks = JoinSet::new();
        tasks.spawn(dispatch(plan, publish, post, stopped));
        for hand in 0..HANDS {
            let record = Arc::clone(record);
            tasks.spawn(keep_posting(hand, addresses.clone(), to_post.clone(), record.clone()));
            if !urls.is_empty() {
                tasks.spawn(keep_publishing(urls.to_vec(), to_publish.clone(), record));
            }
        }
        Self { stop, tasks }
    }

    /// Plans nothing more, and waits until all that was planned is accepted, at most that long. Whether it is.
    pub async fn stop(&mut self, within: Duration) -> bool {
        self.stop.send_replace(true);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.expect("the producer does not fail");
            }
        };
        tokio::time::timeout(within, all).await.is_ok()
    }
}

/// Hands out what is due. What is to be sent twice comes here twice.
async fn dispatch(
    plan: Plan,
    publish: mpsc::Sender<String>,
    post: mpsc::Sender<String>,
    mut stopped: watch::Receiver<bool>,
) {
    let start = Instant::now();
    let mut again = BinaryHeap::new();
    for planned in plan {
        again.push(Reverse((planned.at, planned.id.clone(), planned.way == Way::Post)));
        if let Some((after, way)) = planned.again {
            again.push(Reverse((planned.at + after, planned.id, way == Way::Post)));
        }
        let mut stopping = false;
        while let Some(Reverse((at, ..))) = again.peek() {
            if *at > planned.at && !stopping {
                break;
            }
            if !stopping {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stop| *stop) => stopping = true,
                    () = tokio::time::sleep_until(start + *at) => {}
                }
            }
            let Some(Reverse((_, id, by_post))) = again.pop() else { break };
            let way = if by_post { &post } else { &publish };
            if way.send(id).await.is_err() {
                return;
            }
        }
        if stopping {
            return;
        }
    }
}

/// The record of a notification of that id.
pub fn body(id: &str) -> Vec<u8> {
    let merchant = plan::meaning(id).map_or(0, |meaning| meaning.merchant);
    payment(id, &format!("m{merchant}"), &format!("o-{id}")).to_string().into_bytes()
}

async fn next(waiting: &Waiting) -> Option<String> {
    waiting.lock().await.recv().await
}

async fn keep_publishing(urls: Vec<String>, waiting: Waiting, record: Arc<Record>) {
    let exchange = format!("{PREFIX}.in");
    let mut line: Option<Line> = None;
    while let Some(id) = next(&waiting).await {
        let merchant = plan::meaning(&id).map_or(0, |meaning| meaning.merchant);
        let (routing_key, body) = (format!("m{merchant}"), body(&id));
        loop {
            let connected = match line.take() {
                Some(line) => Ok(line),
                None => rabbit::connect(&urls).await,
            };
            if let Ok(there) = connected {
                record.sent(&id);
                if there.publish(&exchange, &routing_key, &body).await.is_ok() {
                    record.accepted(&id);
                    line = Some(there);
                    break;
                }
                // A line on which something went wrong is not used again.
                record.unanswered();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn keep_posting(hand: usize, addresses: Addresses, waiting: Waiting, record: Arc<Record>) {
    let client = Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
    let mut turn = hand;
    while let Some(id) = next(&waiting).await {
        loop {
            turn += 1;
            let there: Vec<String> =
                addresses.read().expect("nobody panics while writing").iter().flatten().cloned().collect();
            if let Some(address) = there.get(turn % there.len().max(1)) {
                record.sent(&id);
                let uri = format!("http://{address}/v1/notifications").parse().expect("a URL");
                let body = Bytes::from(body(&id));
                let request = Request { method: Method::POST, uri, headers: HeaderMap::new(), body };
                match client.send(request).await.map(|reply| reply.status.as_u16()) {
                    Ok(202) => {
                        record.accepted(&id);
                        break;
                    }
                    Ok(503) => {}
                    Ok(status) => record.strange(format!("{id} was answered {status} when it was posted")),
                    Err(_) => record.unanswered(),
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
