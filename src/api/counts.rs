//! How much waits where, as it was counted last.
//!
//! Counting a million rows takes a moment. So it is done once for all who ask within [`KEPT`], and never twice at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{Api, Problem, unavailable};
use crate::clock;
use crate::domain::Moment;
use crate::journal;

/// For how long a count is good.
const KEPT: Duration = Duration::from_secs(3);

/// How far back endings are counted.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A count and its moment.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) at: Moment,
    pub(super) counts: journal::Counts,
    /// How many messages lie in the poison queue; nothing while the broker is away.
    pub(super) poison: Option<u64>,
}

/// The last count.
#[derive(Default)]
pub(super) struct Latest(Mutex<Option<(Instant, Arc<Counted>)>>);

impl Api {
    /// The last count, if it is good still, or a new one.
    pub(super) async fn counted(&self) -> Result<Arc<Counted>, Problem> {
        self.counted_within(KEPT).await
    }

    /// The last count, if it is no older than that, or a new one.
    pub(super) async fn counted_within(&self, kept: Duration) -> Result<Arc<Counted>, Problem> {
        let mut last = self.counts.0.lock().await;
        if let Some((when, counted)) = &*last
            && when.elapsed() < kept
        {
            return Ok(Arc::clone(counted));
        }
        let at = clock::now();
        let since = Moment::from_unix_milliseconds(
            at.unix_milliseconds().saturating_sub(i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)),
        );
        let counts = self.journal.counts(since).await.map_err(unavailable)?;
        let poison = self.broker.poison_count().await;
        if let Err(error) = &poison {
            tracing::debug!(%error, "what lies in the poison queue could not be counted");
        }
        let counted = Arc::new(Counted { at, counts, poison: poison.ok() });
        *last = Some((Instant::now(), Arc::clone(&counted)));
        Ok(counted)
    }
}
