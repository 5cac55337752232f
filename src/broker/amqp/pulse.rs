//! The pulse: whether the node that a generation is connected to can still serve it.
//!
//! A node that is cut off from the majority of its cluster keeps its clients: heartbeats come, publishes are taken, and
//! nothing is confirmed or delivered any more, for as long as it lasts. An idle gateway would notice nothing. Nor would
//! it, for twenty seconds, notice a node that is frozen, or a network that swallows everything.
//!
//! So a probe is published to a quorum queue whenever nothing else was confirmed for a moment. Silence alone proves
//! little: the disk under the queue's leader may be slow, and then leaving would only have deliveries repeated. The
//! generation is given up when it is silent *and* another connection, to any of the nodes, has its probe confirmed.
//! Without such a one it goes on until `confirm_timeout`, as every publish does.

use std::sync::Arc;
use std::time::Duration;

use lapin::Confirmation;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::generation::Generation;
use super::link::Link;
use super::message::{self, Outgoing};
use super::nodes;
use super::state::Shared;

/// After so long without a confirm, one is asked for.
const REST: Duration = Duration::from_secs(1);
/// After so long without a confirm, others are asked. Longer than [`REST`] by what a confirm may well take.
const SILENCE: Duration = Duration::from_millis(2_500);
/// How long another node may take to connect and to confirm.
const LOOK: Duration = Duration::from_secs(1);

/// Watches over a generation until it ends or is better replaced; says why.
pub(super) async fn watch(shared: Arc<Shared>, generation: Arc<Generation>) -> String {
    let probe = message::probe(&shared.topology.delay);
    tokio::select! {
        biased;
        reason = generation.ended() => reason,
        reason = listen(&shared, &generation, &probe) => {
            generation.end_in_silence(reason.clone());
            reason
        }
        () = ask(&generation, &probe) => generation.ended().await,
    }
}

/// Has something confirmed at least every [`REST`], as far as the node does confirm.
async fn ask(generation: &Generation, probe: &Outgoing) {
    let mut confirmed = generation.confirmed();
    loop {
        if !is_quiet(&mut confirmed, REST).await {
            continue;
        }
        generation.open_for_messages().await;
        // An answer that is none ends the generation or, as a refusal by a queue without a leader, counts as silence.
        if generation.publish(probe.clone()).await.is_err() {
            sleep(REST).await;
        }
    }
}

/// Listens for silence; says when it is time to leave.
async fn listen(shared: &Shared, generation: &Generation, probe: &Outgoing) -> String {
    let mut confirmed = generation.confirmed();
    loop {
        // While RabbitMQ says that it takes nothing, nothing can be confirmed, and nowhere else either.
        generation.open_for_messages().await;
        if !is_quiet(&mut confirmed, SILENCE).await || generation.blocked().is_some() {
            continue;
        }
        tokio::select! {
            biased;
            _ = confirmed.changed() => {}
            place = find_better(shared, probe) => {
                return format!("nothing was confirmed for {SILENCE:?}, and {place} does confirm");
            }
        }
    }
}

/// Whether nothing is confirmed for that long from now on.
async fn is_quiet(confirmed: &mut watch::Receiver<()>, span: Duration) -> bool {
    timeout(span, confirmed.changed()).await.is_err()
}

/// Asks the nodes in turn, the present one last and by a new connection, until one confirms; that one is next.
async fn find_better(shared: &Shared, probe: &Outgoing) -> String {
    loop {
        for node in shared.nodes.ahead() {
            if let Ok(Ok(true)) = timeout(LOOK, confirms(shared, &node.uri, probe)).await {
                let place = nodes::place(&node.uri);
                shared.nodes.go_on_with(node);
                return place;
            }
        }
        sleep(REST).await;
    }
}

/// Whether that node confirms a message to a quorum queue.
async fn confirms(shared: &Shared, node: &AMQPUri, probe: &Outgoing) -> lapin::Result<bool> {
    let authorities = shared.settings.authorities.as_ref();
    let link = Link::connect(node, format!("{} probing", shared.settings.prefix), LOOK, authorities).await?;
    let channel = link.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let Outgoing { address, properties, body, must_arrive } = probe.clone();
    let options = BasicPublishOptions { mandatory: must_arrive, immediate: false };
    let published =
        channel.basic_publish(address.exchange, address.routing_key, options, &body, properties).await?;
    let confirmation = published.await?;
    link.connection.close(200, "OK".into()).await?;
    Ok(matches!(confirmation, Confirmation::Ack(None)))
}
