//! Everything at random, for as long as wanted: rounds of about two minutes, each with a rig of its own, so that each is
//! checked for itself and no record grows without bound. No queues are deleted, because that destroys messages. Each round's seed follows from the run's.

use std::time::{Duration, Instant};

use rand::RngExt;

use crate::plan::chance;
use crate::rabbit::Rabbit;
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

use super::broker::{self, Alarm, pause};
use super::cluster;
use super::gateways::kill_at_random;

/// How long a round breaks things; what follows is its rest.
const ROUND: Duration = Duration::from_secs(100);

pub async fn mixed(run: Run) -> Report {
    let until = Instant::now() + Duration::from_secs(60 * run.minutes);
    let mut all = Report { scenario: "mixed".to_owned(), ..Report::default() };
    let mut round = 0;
    while round == 0 || Instant::now() < until {
        let run = Run { seed: run.seed.wrapping_add(round), ..run };
        let report = match round % 4 {
            1 => cluster::mixed(run).await,
            3 => without_rabbit(run).await,
            _ => with_rabbit(run).await,
        };
        println!("{}", crate::table::markdown(&[crate::table::row(&report, run.seed)]));
        all.add(report);
        round += 1;
    }
    all
}

async fn with_rabbit(run: Run) -> Report {
    let mut random = chance(run.seed);
    let gateways = random.random_range(1..=3);
    let rabbit = Some(Rabbit::one());
    let mut rig = Rig::start(
        run,
        Layout { name: "mixed", rabbit, gateways, rate: 50.0, data: None, missing_after: None },
    )
    .await;
    let began = Instant::now();
    while began.elapsed() < ROUND {
        let number = random.random_range(0..gateways);
        match random.random_range(0..100) {
            0..50 => rig.kill_and_restart(number, Duration::from_millis(random.random_range(0..500))).await,
            50..62 => rig.drain_and_restart(number).await,
            62..69 => broker::kill(&mut rig, &mut random).await,
            69..73 => broker::block(&mut rig, &mut random, Alarm::Memory, false).await,
            73..77 => broker::block(&mut rig, &mut random, Alarm::Disk, true).await,
            77..84 => broker::close_connections(&mut rig).await,
            84..90 => broker::close_channels_for_cause(&mut rig).await,
            90..96 => broker::kill_channels(&mut rig).await,
            _ => broker::block(&mut rig, &mut random, Alarm::Memory, true).await,
        }
        pause(&mut random, 200..3_000).await;
    }
    rig.finish().await
}

async fn without_rabbit(run: Run) -> Report {
    let layout =
        Layout { name: "mixed", rabbit: None, gateways: 1, rate: 50.0, data: None, missing_after: None };
    let mut rig = Rig::start(run, layout).await;
    kill_at_random(&mut rig, 60).await;
    rig.finish().await
}
