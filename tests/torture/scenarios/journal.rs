//! Gateways that share a journal on PostgreSQL, which is killed as they are.

use std::time::Duration;

use rand::RngExt;
use xtask::postgres::{Durability, Server};

use super::gateways::on_rabbit;
use crate::plan::chance;
use crate::report::Report;
use crate::rig::{Rig, Run};

/// Two on the same queues and the same database. In turn the database is killed with all its sessions, and comes back a
/// little later, and one of the gateways is.
pub async fn on_postgres(run: Run) -> Report {
    let server = tokio::task::block_in_place(|| Server::start(Durability::Disk)).expect("a server");
    let mut rig = Rig::start_on(Some(server), run, on_rabbit("postgres", 2), &[]).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(6, 40) {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_800))).await;
        let down = Duration::from_millis(random.random_range(0..2_500));
        if turn % 2 == 0 {
            rig.kill_the_database(down).await;
        } else {
            rig.kill_and_restart(random.random_range(0..2), down / 4).await;
        }
    }
    rig.finish().await
}
