//! Gateways that are killed and drained, alone and beside others on the same queues.

use std::time::Duration;

use rand::RngExt;

use crate::plan::chance;
use crate::rabbit::Rabbit;
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

/// One gateway, killed with -9 at random moments.
pub async fn kills(run: Run) -> Report {
    let mut rig = Rig::start(run, on_rabbit("gateway-kills", 1)).await;
    kill_at_random(&mut rig, run.either(10, 100)).await;
    rig.finish().await
}

/// Two on the same queues, one or the other killed.
pub async fn kills_of_two(run: Run) -> Report {
    let mut rig = Rig::start(run, on_rabbit("two-gateways", 2)).await;
    kill_at_random(&mut rig, run.either(6, 40)).await;
    rig.finish().await
}

/// Three on the same queues; sometimes two of them are dead at once.
pub async fn kills_of_three(run: Run) -> Report {
    let mut rig = Rig::start(run, on_rabbit("three-gateways", 3)).await;
    kill_at_random(&mut rig, run.either(4, 40)).await;
    rig.finish().await
}

/// Two on the same queues, stopped in an orderly way and started again, one after the other: a rolling update.
pub async fn drains(run: Run) -> Report {
    let mut rig = Rig::start(run, on_rabbit("drains", 2)).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(4, 20) {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        rig.drain_and_restart(turn % 2).await;
    }
    rig.finish().await
}

/// Kills of gateways that take turns at random.
pub async fn kill_at_random(rig: &mut Rig, times: usize) {
    let mut random = chance(rig.run.seed);
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_800))).await;
        let number = random.random_range(0..rig.gateways.count());
        let down = Duration::from_millis(random.random_range(0..500));
        if rig.gateways.count() > 2 && random.random_bool(0.3) {
            rig.kill_two_and_restart(number, (number + 1) % rig.gateways.count(), down).await;
        } else {
            rig.kill_and_restart(number, down).await;
        }
    }
}

/// The same as [`kills`] with a gateway that acknowledges before the confirm, and so loses what it is killed in between.
pub async fn sabotaged(run: Run) -> Report {
    let sabotage = [("PAYNOTIFY_SABOTAGE", "ack-before-confirm")];
    let mut rig = Rig::start_with(run, on_rabbit("sabotaged", 1), &sabotage).await;
    for _ in 0..3 {
        rig.flows().await;
        rig.kill_and_restart(0, Duration::ZERO).await;
    }
    rig.gateways.environment.clear();
    rig.kill_and_restart(0, Duration::ZERO).await;
    rig.finish().await
}

/// So many on one node.
pub fn on_rabbit(name: &'static str, gateways: usize) -> Layout {
    Layout { name, rabbit: Some(Rabbit::one()), gateways, rate: 60.0, data: None, missing_after: None }
}
