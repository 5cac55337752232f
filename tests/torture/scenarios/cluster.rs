//! Three nodes that are one cluster, three gateways that know all of them, and the loss of a node in every way.
//!
//! RabbitMQ serves on as long as two of its nodes see each other, so what is measured is how long deliveries take to
//! go on once a plain connection to any of them has a message to a quorum queue confirmed.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use xtask::rabbitmq::{Cluster, MEMBERS};

use crate::faults::{Begun, Hits};
use crate::plan::chance;
use crate::rabbit::{PREFIX, Rabbit};
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

const GATEWAYS: usize = 3;

/// The node that leads the work queue is killed with -9, and started again when the others have gone on.
pub async fn leader_kills(run: Run) -> Report {
    let mut scene = Scene::start(run, "cluster-leader-kills").await;
    for _ in 0..run.either(1, 8) {
        scene.pause_between().await;
        scene.kill_leader().await;
    }
    scene.finish().await
}

/// The node that leads the work queue, or any, is frozen with SIGSTOP, and goes on later as if nothing had happened.
pub async fn freezes(run: Run) -> Report {
    let mut scene = Scene::start(run, "cluster-freezes").await;
    for _ in 0..run.either(1, 6) {
        scene.pause_between().await;
        scene.freeze().await;
    }
    scene.finish().await
}

/// The node that leads the work queue, or any, is cut off from the two others, but not from the gateways.
pub async fn partitions(run: Run) -> Report {
    let mut scene = Scene::start(run, "cluster-partitions").await;
    for _ in 0..run.either(1, 6) {
        scene.pause_between().await;
        scene.cut_off().await;
    }
    scene.finish().await
}

/// All nodes are restarted, one after the other, as for an upgrade.
pub async fn rolling_restart(run: Run) -> Report {
    let mut scene = Scene::start(run, "cluster-rolling-restart").await;
    for _ in 0..run.either(1, 2) {
        scene.restart_all().await;
    }
    scene.finish().await
}

/// All of it at random for a few minutes, and gateways are killed in between.
pub async fn mixed(run: Run) -> Report {
    let mut scene = Scene::start(run, "cluster-mixed").await;
    let end = Instant::now() + Duration::from_secs(run.either(60, 240));
    while Instant::now() < end {
        scene.pause_between().await;
        match scene.random.random_range(0..10) {
            0..3 => scene.kill_leader().await,
            3..5 => scene.freeze().await,
            5..8 => scene.cut_off().await,
            8 => scene.restart_all().await,
            _ => {
                let gateway = scene.random.random_range(0..GATEWAYS);
                scene.rig.kill_and_restart(gateway, Duration::from_millis(300)).await;
            }
        }
    }
    scene.finish().await
}

/// The cluster and what works with it.
struct Scene {
    rig: Rig,
    cluster: Cluster,
    random: StdRng,
}

/// Something that has befallen a node and is not yet undone.
struct Lasting(Begun);

impl Scene {
    async fn start(run: Run, name: &'static str) -> Self {
        let cluster = block_in_place(|| Cluster::start().expect("a cluster"));
        let urls = cluster.amqp_urls().to_vec();
        let listed = urls.iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>().join(", ");
        let rabbit = Rabbit {
            nodes: Vec::new(),
            gateway_lines: vec![format!("url = [{listed}]")],
            harness_urls: urls,
        };
        let layout = Layout {
            name,
            rabbit: Some(rabbit),
            gateways: GATEWAYS,
            rate: 50.0,
            data: None,
            missing_after: None,
        };
        Self { rig: Rig::start(run, layout).await, cluster, random: chance(run.seed) }
    }

    async fn finish(self) -> Report {
        let report = self.rig.finish().await;
        drop(self.cluster);
        report
    }

    async fn pause_between(&mut self) {
        let least = self.rig.run.either(1_000, 3_000);
        sleep(Duration::from_millis(self.random.random_range(least..least * 2))).await;
    }

    fn leader(&self) -> usize {
        block_in_place(|| self.cluster.leader_of(&format!("{PREFIX}.work")).expect("a leader"))
    }

    /// Mostly the leader of the work queue, which is the worst.
    fn victim(&mut self) -> usize {
        if self.random.random_bool(0.6) { self.leader() } else { self.random.random_range(0..MEMBERS) }
    }

    async fn kill_leader(&mut self) {
        let leader = self.leader();
        let lasting =
            self.befall(format!("leader {leader} killed"), |cluster| cluster.kill_hard(leader)).await;
        self.dwell().await;
        block_in_place(|| self.cluster.restart(leader).expect("restarted"));
        self.whole_again(lasting).await;
    }

    async fn freeze(&mut self) {
        let victim = self.victim();
        let lasting = self.befall(format!("node {victim} frozen"), |cluster| cluster.pause(victim)).await;
        self.dwell().await;
        block_in_place(|| {
            self.cluster.resume(victim).expect("resumed");
            self.cluster.mend(victim).expect("mended");
        });
        self.whole_again(lasting).await;
    }

    async fn cut_off(&mut self) {
        let victim = self.victim();
        let lasting = self.befall(format!("node {victim} cut off"), |cluster| cluster.cut_off(victim)).await;
        self.dwell().await;
        block_in_place(|| self.cluster.heal(victim).expect("healed"));
        self.whole_again(lasting).await;
    }

    async fn restart_all(&mut self) {
        for member in 0..MEMBERS {
            block_in_place(|| self.cluster.wait_until_dispensable(member).expect("in sync"));
            let lasting = self.befall(format!("node {member} stopped"), |cluster| cluster.stop(member)).await;
            block_in_place(|| self.cluster.restart(member).expect("restarted"));
            self.whole_again(lasting).await;
        }
    }

    /// Two faults of one cause: a short one, over when the majority serves again, which is the one that is timed; and
    /// a lasting one, over when the node is back. For as long, messages that it had in hand may still come again.
    async fn befall(
        &mut self,
        what: String,
        harm: impl FnOnce(&mut Cluster) -> anyhow::Result<()>,
    ) -> Lasting {
        let lasting = self.rig.faults.begin(format!("{what}, and its return"), Hits::CutOff(GATEWAYS));
        let interruption = self.rig.faults.begin(what, Hits::Nothing);
        block_in_place(|| harm(&mut self.cluster)).expect("done");
        self.rig.reachable().await;
        self.rig.faults.over(interruption);
        self.rig.flows().await;
        Lasting(lasting)
    }

    /// Two nodes of three work for a while.
    async fn dwell(&mut self) {
        let most = self.rig.run.either(1_500, 20_000);
        sleep(Duration::from_millis(self.random.random_range(500..most))).await;
    }

    async fn whole_again(&mut self, Lasting(fault): Lasting) {
        block_in_place(|| self.cluster.wait_until_whole().expect("whole"));
        self.rig.faults.over_untimed(fault);
        self.rig.flows().await;
    }
}
