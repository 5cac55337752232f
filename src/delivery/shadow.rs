//! A plugin beside a merchant's own: it is given each attempt once that is settled, and what it makes of it is compared.
//!
//! The rule: nothing waits for it, and nothing comes of it but a count and a line in the log. It gets what the attempt's
//! transcript holds, so it cannot send; its faults are nobody's. One task makes all comparisons, one after the other, and
//! what finds no room to wait is not compared, and counted as such.
//!
//! The log says where a difference is, and not what stands there: payments do not belong into logs. Whoever wants to
//! see it makes the attempt again with the shadow's file (`paynotify plugin replay … --with`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{Merchant, Merchants};
use crate::domain::Notification;
use crate::plugin::{Endpoint, Plugin};
use crate::replay::{
    Difference, KeptReply, KeptRequest, KeptVerdict, Made, Step, Transcript, differences, of_verdicts,
};

/// Comparisons that may wait, of all merchants.
const ROOM: usize = 256;

/// Comparisons that may wait of one merchant, so that a slow shadow leaves room for others.
const ROOM_OF_ONE: usize = 64;

/// So many differences of one shadow are told in the log. All are counted.
const MOST_TOLD: u32 = 10;

/// A merchant's shadow.
pub struct Shadow {
    plugin: Plugin,
    endpoint: Endpoint,
    room: Arc<Semaphore>,
    told: AtomicU32,
}

impl Shadow {
    /// A plugin that is told this of the merchant.
    #[must_use]
    pub fn new(plugin: Plugin, endpoint: Endpoint) -> Self {
        Self { plugin, endpoint, room: Arc::new(Semaphore::new(ROOM_OF_ONE)), told: AtomicU32::new(0) }
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

/// An attempt that is to be compared.
pub(super) struct Observed {
    merchant: Arc<Merchant>,
    notification: Notification,
    transcript: Transcript,
    _room: OwnedSemaphorePermit,
}

/// All comparisons: those that wait, and the counts.
pub struct Shadows {
    waiting: mpsc::Sender<Observed>,
    taken: Mutex<mpsc::Receiver<Observed>>,
    compared: Family<Labels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    plugin: String,
    result: &'static str,
}

/// What a comparison can come to. Of several things that differ, the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Fault,
    Request,
    Verdict,
    Same,
    Skipped,
}

impl Compared {
    const ALL: [Self; 5] = [Self::Fault, Self::Request, Self::Verdict, Self::Same, Self::Skipped];

    fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Request => "request",
            Self::Verdict => "verdict",
            Self::Same => "same",
            Self::Skipped => "skipped",
        }
    }
}

impl Shadows {
    /// Puts the counts into the registry, with a zero for each shadow of these merchants.
    #[must_use]
    pub fn registered(registry: &mut Registry, merchants: &Merchants) -> Self {
        let (waiting, taken) = mpsc::channel(ROOM);
        let this = Self { waiting, taken: Mutex::new(taken), compared: Family::default() };
        let help = "Attempts that were held against a shadow plugin, by what came of it";
        registry.register("shadow", help, this.compared.clone());
        for shadow in merchants.all().values().filter_map(|merchant| merchant.shadow.as_ref()) {
            for compared in Compared::ALL {
                this.counter(&shadow.plugin, compared);
            }
        }
        this
    }

    fn counter(&self, plugin: &Plugin, compared: Compared) -> Counter {
        let labels = Labels { plugin: plugin.description().name.clone(), result: compared.name() };
        self.compared.get_or_create(&labels).clone()
    }

    /// What is needed to compare the attempt later, if the merchant has a shadow and there is room.
    pub(super) fn observe(
        &self,
        merchant: &Arc<Merchant>,
        notification: &Notification,
        transcript: Option<&Transcript>,
    ) -> Option<Observed> {
        let (shadow, transcript) = (merchant.shadow.as_ref()?, transcript?.clone());
        let Ok(room) = Arc::clone(&shadow.room).try_acquire_owned() else {
            self.counter(&shadow.plugin, Compared::Skipped).inc();
            return None;
        };
        let (merchant, notification) = (Arc::clone(merchant), notification.clone());
        Some(Observed { merchant, notification, transcript, _room: room })
    }

    /// Has it compared, when its turn comes.
    pub(super) fn submit(&self, observed: Observed) {
        if let Err(error) = self.waiting.try_send(observed) {
            self.skip(error.into_inner());
        }
    }

    fn skip(&self, observed: Observed) {
        if let Some(shadow) = &observed.merchant.shadow {
            self.counter(&shadow.plugin, Compared::Skipped).inc();
        }
    }

    /// Compares what is submitted, until the gateway stops; what waits then is not compared any more.
    pub(super) async fn run(&self, mut draining: watch::Receiver<bool>) {
        let mut taken = self.taken.lock().await;
        loop {
            let next = tokio::select! {
                _ = draining.wait_for(|draining| *draining) => None,
                next = taken.recv() => next,
            };
            let Some(observed) = next else { break };
            if let Some(shadow) = &observed.merchant.shadow {
                let (compared, found) = compare(shadow, &observed).await;
                self.counter(&shadow.plugin, compared).inc();
                tell(shadow, &observed, compared, &found);
            }
        }
        taken.close();
        while let Some(observed) = taken.recv().await {
            self.skip(observed);
        }
    }
}

async fn compare(shadow: &Shadow, observed: &Observed) -> (Compared, Vec<Difference>) {
    let Observed { notification, transcript, .. } = observed;
    let Some(attempt) = transcript.attempt.context() else { return (Compared::Skipped, Vec::new()) };
    let conditions = || (&shadow.endpoint).into();
    let formatted = shadow.plugin.format_under(notification, conditions(), &attempt).await;
    let Some(format) = Step::<KeptRequest>::of(&formatted) else { return (Compared::Skipped, Vec::new()) };
    let mut found = differences(&transcript.format.made, &format.made);
    let mut compared = match format.made {
        _ if found.is_empty() => Compared::Same,
        Made::Fault(_) => Compared::Fault,
        Made::Result(_) => Compared::Request,
    };
    let reply = transcript.reply.as_ref().and_then(KeptReply::reply);
    if let (Some(before), Some(reply)) = (&transcript.judge, reply) {
        let judged = shadow.plugin.judge_under(notification, conditions(), &attempt, &reply).await;
        let Some(judge) = Step::<KeptVerdict>::of(&judged) else { return (Compared::Skipped, Vec::new()) };
        if let Some(difference) = of_verdicts(Some(&before.made), Some(&judge.made)) {
            found.push(difference);
            compared = match (compared, judge.made) {
                (_, Made::Fault(_)) => Compared::Fault,
                (Compared::Same, Made::Result(_)) => Compared::Verdict,
                (other, Made::Result(_)) => other,
            };
        }
    }
    (compared, found)
}

/// Tells the first differences, by the parts that differ.
fn tell(shadow: &Shadow, observed: &Observed, compared: Compared, found: &[Difference]) {
    if found.is_empty() || shadow.told.fetch_add(1, Ordering::Relaxed) >= MOST_TOLD {
        return;
    }
    let place = |difference: &Difference| match difference.at {
        Some(at) => format!("{} from byte {at} on", difference.part),
        None => difference.part.to_string(),
    };
    let places: Vec<_> = found.iter().map(place).collect();
    tracing::info!(
        notification = %observed.notification.id(),
        merchant = %observed.notification.merchant(),
        attempt = observed.transcript.attempt.number(),
        plugin = %observed.transcript.plugin,
        shadow = %format_args!("{}@{}", shadow.plugin.description().name, shadow.plugin.hash()),
        result = compared.name(),
        differs = places.join(", "),
        "a shadow plugin would have done otherwise"
    );
}
