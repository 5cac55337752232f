//! A single RabbitMQ node that is killed, blocked by its alarms, and that closes connections and channels.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::faults::Hits;
use crate::plan::chance;
use crate::rabbit::{PREFIX, Rabbit};
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

/// RabbitMQ 3.10 keeps the registration of a new quorum queue in memory for a while. A node that is killed within it comes
/// back with a queue that is listed as running, and answers nothing, for ever. No gateway can help that; so the queues
/// are given time to become durable.
const DECLARED_FOR_GOOD: Duration = Duration::from_secs(6);

/// kill -9 of the broker, and its restart.
pub async fn kills(run: Run) -> Report {
    let mut rig = Rig::start(run, layout("broker-kills")).await;
    let mut random = chance(run.seed);
    tokio::time::sleep(DECLARED_FOR_GOOD).await;
    for _ in 0..run.either(2, 12) {
        kill(&mut rig, &mut random).await;
        pause(&mut random, 500..3_000).await;
    }
    rig.finish().await
}

/// The memory alarm and the disk alarm: each passes by itself, and each has the broker restarted in its middle.
pub async fn alarms(run: Run) -> Report {
    let mut rig = Rig::start(run, layout("alarms")).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(2, 12) {
        let alarm = if turn % 2 == 0 { Alarm::Memory } else { Alarm::Disk };
        let restarts = run.either(turn % 2 == 0, turn % 4 < 2);
        block(&mut rig, &mut random, alarm, restarts).await;
        pause(&mut random, 500..2_000).await;
    }
    rig.finish().await
}

/// The broker closes connections and channels.
pub async fn closings(run: Run) -> Report {
    let mut rig = Rig::start(run, layout("closings")).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(4, 30) {
        match turn % 3 {
            0 => close_connections(&mut rig).await,
            1 => close_channels_for_cause(&mut rig).await,
            _ => kill_channels(&mut rig).await,
        }
        pause(&mut random, 500..2_500).await;
    }
    rig.finish().await
}

/// kill -9 of the only node, and its restart up to a second later.
pub async fn kill(rig: &mut Rig, random: &mut StdRng) {
    let fault = rig.faults.begin("broker killed", Hits::CutOff(rig.gateways.count()));
    rig.with_node(0, |node| node.kill_hard().expect("killed"));
    pause(random, 0..1_000).await;
    rig.with_node(0, |node| node.restart().expect("restarted"));
    rig.reachable().await;
    rig.faults.over(fault);
}

/// What RabbitMQ runs short of.
#[derive(Clone, Copy, Debug)]
pub enum Alarm {
    Memory,
    Disk,
}

/// Has the broker take no messages for a few seconds; then it is restarted, which ends the alarm, or the alarm ends.
pub async fn block(rig: &mut Rig, random: &mut StdRng, alarm: Alarm, restarts: bool) {
    let what = format!("{alarm:?} alarm{}", if restarts { " and restart" } else { "" });
    let fault = rig.faults.begin(what, Hits::CutOff(rig.gateways.count()));
    let (on, off) = match alarm {
        Alarm::Memory => {
            (["set_vm_memory_high_watermark", "0.0000001"], ["set_vm_memory_high_watermark", "0.4"])
        }
        Alarm::Disk => (["set_disk_free_limit", "1000000GB"], ["set_disk_free_limit", "50MB"]),
    };
    rig.ctl(&on);
    pause(random, 1_000..4_000).await;
    if restarts {
        rig.with_node(0, |node| node.restart().expect("restarted"));
    } else {
        rig.ctl(&off);
    }
    rig.reachable().await;
    rig.faults.over(fault);
}

/// An operator closes all connections, the harness's own too.
pub async fn close_connections(rig: &mut Rig) {
    let fault = rig.faults.begin("connections closed", Hits::CutOff(rig.gateways.count()));
    rig.ctl(&["close_all_connections", "torture"]);
    rig.reachable().await;
    rig.faults.over(fault);
}

/// An exchange is gone, and RabbitMQ closes the channels that publish to it. What lies on the rungs stays there.
pub async fn close_channels_for_cause(rig: &mut Rig) {
    let fault = rig.faults.begin("exchange deleted", Hits::CutOff(rig.gateways.count()));
    let deleting = async {
        let line = crate::rabbit::connect(&rig.urls()).await?;
        line.delete_exchange(&format!("{PREFIX}.delay")).await
    };
    deleting.await.expect("deleted");
    rig.reachable().await;
    rig.faults.over(fault);
}

/// The broker's processes of all channels end by a fault of their own.
pub async fn kill_channels(rig: &mut Rig) {
    let fault = rig.faults.begin("channels crashed", Hits::CutOff(rig.gateways.count()));
    rig.ctl(&["eval", "[exit(Channel, kill) || Channel <- rabbit_channel:list()]."]);
    rig.reachable().await;
    rig.faults.over(fault);
}

pub async fn pause(random: &mut StdRng, milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(milliseconds))).await;
}

fn layout(name: &'static str) -> Layout {
    Layout { name, rabbit: Some(Rabbit::one()), gateways: 2, rate: 60.0, data: None, missing_after: None }
}
