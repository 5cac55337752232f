//! Gateways that are killed and drained.

use std::time::Duration;

use rand::RngExt;

use crate::checker::Report;
use crate::plan::chance;
use crate::rabbit::Rabbit;
use crate::rig::{Layout, Rig, Run};

/// One gateway, killed with -9 at random moments.
pub async fn kills(run: Run) -> Report {
    let mut rig = Rig::start(run, alone("gateway-kills")).await;
    let mut random = chance(run.seed);
    for _ in 0..run.either(10, 100) {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_800))).await;
        rig.kill_and_restart(0, Duration::from_millis(random.random_range(0..500))).await;
    }
    rig.finish().await
}

/// The same with a gateway that acknowledges before the confirm, and so loses what it is killed in between.
pub async fn sabotaged(run: Run) -> Report {
    let sabotage = [("PAYNOTIFY_SABOTAGE", "ack-before-confirm")];
    let mut rig = Rig::start_with(run, alone("sabotaged"), &sabotage).await;
    for _ in 0..3 {
        rig.flows().await;
        rig.kill_and_restart(0, Duration::ZERO).await;
    }
    rig.gateways.environment.clear();
    rig.kill_and_restart(0, Duration::ZERO).await;
    rig.finish().await
}

fn alone(name: &'static str) -> Layout {
    Layout { name, rabbit: Some(Rabbit::one()), gateways: 1, rate: 60.0, data: None }
}
