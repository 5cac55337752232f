//! Queues that an operator deletes.
//!
//! What lies in a deleted queue is gone by the operator's deed. Of that, what the journal knows has to come back; what no
//! gateway had seen yet is counted apart, as destroyed. Any other that is missing at the end is lost, and one that comes
//! back though it was not missing is unexplained. What a gateway had taken out of the queue is not in it any more, and
//! has to go on as if nothing had happened.

use crate::faults::Hits;
use crate::plan::{LADDER, MISSING, chance};
use crate::rabbit::{self, PREFIX, Rabbit};
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

use super::broker::pause;

/// A rung, the work queue, a rung, and so on.
pub async fn deletions(run: Run) -> Report {
    let layout = Layout {
        name: "deletions",
        rabbit: Some(Rabbit::one()),
        gateways: 2,
        rate: 60.0,
        data: None,
        missing_after: Some(MISSING),
    };
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
    let line = rabbit::connect(&rig.urls()).await.expect("RabbitMQ is there");
    let stories = rig.journal.stories().await.expect("the journal can be read");
    line.delete_queue(&queue).await.expect("deleted");
    // After: one may have come in until then. What the journal did not know before may have been in the queue unseen.
    for id in rig.record.so_far().sent {
        match stories.get(&id) {
            None => rig.destroyed.push(id),
            Some(story) if story.state["state"] != "ended" => rig.missing.push(id),
            Some(_) => {}
        }
    }
    // Anybody can publish again once the gateway has declared it anew.
    rig.reachable().await;
    rig.faults.over(fault);
}
