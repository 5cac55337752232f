//! Queues that an operator deletes.
//!
//! What lies in a deleted queue is gone by the operator's deed, and no gateway can bring it back. So it is counted apart:
//! when a queue is deleted, all notifications are noted that may lie in it by what the journal says; one of those that
//! is missing at the end counts as destroyed, any other as lost. What is asked of the gateway is that it goes on by
//! itself, with the queue declared again.

use paynotify::clock;
use paynotify::domain::Moment;
use std::time::Duration;

use crate::checker::Report;
use crate::evidence;
use crate::faults::Hits;
use crate::plan::{LADDER, chance};
use crate::rabbit::{self, PREFIX, Rabbit};
use crate::rig::{Layout, Rig, Run};

use super::broker::pause;

/// A rung, the work queue, a rung, and so on.
pub async fn deletions(run: Run) -> Report {
    let rabbit = Rabbit::one();
    // A rung that finds no way on tries again after so long: three minutes by default. Read when a rung is declared.
    let quick = "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 3000).";
    tokio::task::block_in_place(|| rabbit.nodes[0].ctl(&["eval", quick]).expect("set"));
    let layout = Layout { name: "deletions", rabbit: Some(rabbit), gateways: 2, rate: 60.0, data: None };
    let mut rig = Rig::start(run, layout).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(3, 20) {
        let rung = LADDER[turn % LADDER.len()];
        let deleted = if turn % 2 == 0 { Deleted::Rung(rung) } else { Deleted::Work };
        delete(&mut rig, deleted).await;
        pause(&mut random, 500..2_500).await;
    }
    rig.finish().await
}

/// What is deleted.
#[derive(Clone, Copy, Debug)]
pub enum Deleted {
    Work,
    Rung(u64),
}

/// Deletes a queue under way, and notes what may have been in it. Its consumers are cancelled by the broker.
pub async fn delete(rig: &mut Rig, deleted: Deleted) {
    let queue = match deleted {
        Deleted::Work => format!("{PREFIX}.work"),
        Deleted::Rung(rung) => format!("{PREFIX}.rung.{rung}"),
    };
    let fault = rig.faults.begin(format!("{queue} deleted"), Hits::CutOff(rig.gateways.count()));
    let before = clock::now();
    let line = rabbit::connect(&rig.urls()).await.expect("RabbitMQ is there");
    line.delete_queue(&queue).await.expect("deleted");
    let candidates = may_have_been_in(rig, deleted, before).await;
    rig.destroyed.extend(candidates);
    // Anybody can publish again once the gateway has declared it anew.
    rig.reachable().await;
    rig.faults.over(fault);
}

/// Everything that had not ended, and was on that rung, or due: see the module.
async fn may_have_been_in(rig: &Rig, deleted: Deleted, at: Moment) -> Vec<String> {
    const BLUR: Duration = Duration::from_millis(500);
    let stories = evidence::journal(&rig.folder.join("data")).await.expect("the journal can be read");
    let sent = rig.record.so_far().sent;
    let may_have_been = |id: &String| {
        let state = stories.get(id).map(|story| &story.state);
        let due = state.and_then(|state| serde_json::from_value::<Moment>(state["due"].clone()).ok());
        match (deleted, due) {
            (_, _) if state.is_some_and(|state| state["state"] == "ended") => false,
            (Deleted::Work, Some(due)) => due <= at.after(BLUR),
            (Deleted::Work, None) => true,
            (Deleted::Rung(rung), Some(due)) => due <= at.after(BLUR + Duration::from_millis(rung)),
            (Deleted::Rung(_), None) => true,
        }
    };
    sent.into_iter().filter(may_have_been).collect()
}
