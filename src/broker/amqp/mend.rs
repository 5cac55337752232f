//! What is missing is declared again, in place.
//!
//! An operator may delete any queue, and RabbitMQ cancels whoever consumes from it. What was taken out of that queue is in
//! nobody's queue any more, and comes from nowhere again: it is all in hand. So the generation, in which alone it can
//! be settled, goes on: the topology is declared again, consumers begin again on other channels, and what found no
//! queue is offered again.
//!
//! Deliberately absent: finding out what is missing. All of it is declared, which leaves alone what is there.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::generation::Generation;
use super::state::Shared;
use super::supervisor::{DECLARING, PEACE};

/// How long a deletion is given to reach every channel, here and at other gateways, before the queue is declared again.
/// RabbitMQ (3.10) tells a channel of the deletion, which then tries to consume from a queue of that name once more; if
/// there is one already, it does, but forgets that it does: the consumer is never cancelled, and gets nothing any more.
const DELETING: Duration = Duration::from_millis(500);

/// Declares again whenever somebody asks for it, until the generation ends or it fails for longer than
/// `confirm_timeout`; says why.
pub(super) async fn run(
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    connection: Arc<Connection>,
) -> String {
    tokio::select! {
        biased;
        reason = generation.ended() => reason,
        reason = mend(&shared, &generation, &connection) => reason,
    }
}

async fn mend(shared: &Shared, generation: &Generation, connection: &Connection) -> String {
    let mut backoff = Backoff::new(shared.settings.reconnect_least, shared.settings.reconnect_most);
    let mut last: Option<Instant> = None;
    loop {
        generation.mending_is_asked_for().await;
        // Told once, and not again as long as it goes on.
        if last.is_none_or(|last| last.elapsed() >= PEACE) {
            backoff.reset();
            warn!("a queue is missing, deleted perhaps: exchanges and queues are declared again");
        }
        tokio::time::sleep(DELETING).await;
        if let Err(reason) = declare(shared, connection, &mut backoff).await {
            return reason;
        }
        debug!("exchanges and queues were declared again");
        generation.note_mended();
        last = Some(Instant::now());
        // Whoever asks again and again is answered no faster than one who connects again and again.
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// A queue that is being deleted may be in the way for a moment; one that somebody else has declared otherwise is until it
/// is deleted. What is in hand is worth waiting for that as long as for a confirm.
async fn declare(shared: &Shared, connection: &Connection, backoff: &mut Backoff) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let failed = match timeout(DECLARING, shared.topology.declare(connection)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {DECLARING:?}"),
        };
        if began.elapsed() >= shared.settings.confirm_timeout {
            return Err(format!("declaring exchanges and queues again failed: {failed}"));
        }
        debug!(reason = %failed, "exchanges and queues could not be declared again yet");
        tokio::time::sleep(backoff.wait()).await;
    }
}
