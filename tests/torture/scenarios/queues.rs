//! Queues that an operator deletes.
//!
//! What lies in a deleted queue, and what a gateway has taken out of it and not settled yet, is gone by the operator's
//! deed. So it is counted apart: when a queue is deleted, everything that was sent and has not ended by then is noted,
//! because any of it may be there (what waits for long may spend a part of the wait on a short rung). One of those that
//! is missing at the end counts as destroyed, any other as lost. What is asked of the gateways is that they go on by
//! themselves, with the queue declared again.

use paynotify::clock;
use paynotify::domain::Moment;

use crate::evidence;
use crate::faults::{AFTERMATH, Hits};
use crate::plan::{LADDER, chance};
use crate::rabbit::{self, PREFIX, Rabbit};
use crate::report::Report;
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
    let began = clock::now();
    let fault = rig.faults.begin(format!("{queue} deleted"), Hits::CutOff(rig.gateways.count()));
    let line = rabbit::connect(&rig.urls()).await.expect("RabbitMQ is there");
    // Before: one may be recorded as ended in the moment of the deletion, and its event be lost with its message. So may
    // one that has ended a little earlier, if the deletion before this one has cut it off: its message came back.
    let stories = evidence::journal(&rig.folder.join("data")).await.expect("the journal can be read");
    line.delete_queue(&queue).await.expect("deleted");
    // After: one may have come in until then.
    let told = |id: &String| {
        let ended_at =
            stories.get(id).and_then(|story| story.state["ended_at"].as_str()?.parse::<Moment>().ok());
        ended_at.is_some_and(|moment| moment.after(AFTERMATH) < began)
    };
    let sent = rig.record.so_far().sent;
    rig.destroyed.extend(sent.into_iter().filter(|id| !told(id)));
    // Anybody can publish again once the gateway has declared it anew.
    rig.reachable().await;
    rig.faults.over(fault);
}
