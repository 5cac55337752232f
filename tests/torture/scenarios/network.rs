//! The network between gateways and broker: connections that are cut, refused, slow, or swallow everything.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::faults::Hits;
use crate::plan::chance;
use crate::rabbit::Rabbit;
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};
use crate::support::proxy::{Cut, Proxy};

/// One way from two gateways to one node: what is broken has to come back.
pub async fn troubles(run: Run) -> Report {
    let mut scene = Scene::start(run, "network", 1).await;
    for round in 0..run.either(1, 6) {
        for trouble in Trouble::ALL {
            scene.pause_between().await;
            scene.trouble(trouble, round).await;
        }
    }
    scene.finish().await
}

/// Two ways from two gateways to one node, as with two nodes or two networks: one swallows everything, and the gateways
/// are to find the other by themselves.
pub async fn two_ways(run: Run) -> Report {
    let mut scene = Scene::start(run, "network-two-ways", 2).await;
    for _ in 0..run.either(2, 10) {
        scene.pause_between().await;
        scene.swallow_one_of_two().await;
    }
    scene.finish().await
}

/// What befalls the network.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Reset,
    Closed,
    Refused,
    Slow,
    /// Everything is held, and goes on its way later.
    Held,
    /// Everything is held, and then the connections are gone.
    Swallowed,
}

impl Trouble {
    const ALL: [Self; 6] =
        [Self::Reset, Self::Slow, Self::Closed, Self::Held, Self::Refused, Self::Swallowed];
}

const GATEWAYS: usize = 2;

struct Scene {
    rig: Rig,
    proxies: Vec<Proxy>,
    random: StdRng,
}

impl Scene {
    async fn start(run: Run, name: &'static str, ways: usize) -> Self {
        let rabbit = Rabbit::one();
        let mut proxies = Vec::new();
        let direct = rabbit.harness_urls[0].clone();
        for _ in 0..ways {
            proxies.push(Proxy::before(&direct).await);
        }
        let urls: Vec<_> = proxies.iter().map(|proxy| format!("\"{}\"", proxy.url(&direct))).collect();
        let gateway_lines = vec![format!("url = [{}]", urls.join(", "))];
        let rabbit = Rabbit { gateway_lines, ..rabbit };
        let layout = Layout {
            name,
            rabbit: Some(rabbit),
            gateways: GATEWAYS,
            rate: 60.0,
            data: None,
            missing_after: None,
        };
        Self { rig: Rig::start(run, layout).await, proxies, random: chance(run.seed) }
    }

    async fn finish(self) -> Report {
        let report = self.rig.finish().await;
        drop(self.proxies);
        report
    }

    async fn pause_between(&mut self) {
        sleep(Duration::from_millis(self.random.random_range(500..2_000))).await;
    }

    fn some_time(&mut self) -> Duration {
        let most = self.rig.run.either(2_500, 15_000);
        Duration::from_millis(self.random.random_range(500..most))
    }

    /// The fault is over, and deliveries are to go on, when the network is whole.
    async fn trouble(&mut self, trouble: Trouble, round: u32) {
        let lasts = self.some_time();
        let proxy = &self.proxies[0];
        let what = format!("network {trouble:?}, round {round}");
        // Slowness is no excuse for anything that is done twice.
        let hits = if matches!(trouble, Trouble::Slow) { Hits::Nothing } else { Hits::CutOff(GATEWAYS) };
        let fault = self.rig.faults.begin(what, hits);
        match trouble {
            Trouble::Reset => proxy.cut(Cut::Reset),
            Trouble::Closed => proxy.cut(Cut::Close),
            Trouble::Refused => {
                proxy.refuse().await;
                proxy.cut(Cut::Reset);
                sleep(lasts).await;
                proxy.accept().await;
            }
            Trouble::Slow => {
                let delay = Duration::from_millis(self.random.random_range(20..300));
                proxy.delay(delay, delay * 2);
                proxy.throttle(Some(200_000));
                sleep(lasts).await;
                proxy.throttle(None);
                proxy.delay(Duration::ZERO, Duration::ZERO);
            }
            Trouble::Held => {
                proxy.black_hole();
                sleep(lasts).await;
                proxy.release();
            }
            Trouble::Swallowed => {
                proxy.black_hole();
                sleep(lasts).await;
                proxy.cut(Cut::Reset);
                proxy.release();
            }
        }
        match trouble {
            Trouble::Slow => self.rig.faults.over_untimed(fault),
            Trouble::Reset | Trouble::Closed | Trouble::Refused | Trouble::Held | Trouble::Swallowed => {
                self.rig.faults.over(fault);
            }
        }
        self.rig.flows().await;
    }

    /// The broker can be reached all the time, by the other way.
    async fn swallow_one_of_two(&mut self) {
        let busier = usize::from(self.proxies[1].connections() > self.proxies[0].connections());
        let lasting =
            self.rig.faults.begin(format!("way {busier} swallows, and its return"), Hits::CutOff(GATEWAYS));
        let fault = self.rig.faults.begin(format!("way {busier} swallows"), Hits::Nothing);
        self.proxies[busier].black_hole();
        self.rig.faults.over(fault);
        let lasts = Duration::from_secs(6) + self.some_time();
        sleep(lasts).await;
        self.rig.flows().await;
        self.proxies[busier].release();
        self.rig.faults.over_untimed(lasting);
        self.rig.flows().await;
    }
}
