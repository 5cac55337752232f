//! The embedded broker: kills, a file whose last write was torn, and a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngExt;

use crate::disk::{self, SmallDisk};
use crate::faults::Hits;
use crate::plan::chance;
use crate::report::Report;
use crate::rig::{Layout, Rig, Run};

use super::broker::pause;
use super::gateways::kill_at_random;

/// The gateway is killed with -9 at random moments.
pub async fn kills(run: Run) -> Report {
    let mut rig = Rig::start(run, layout("embedded-kills", None)).await;
    kill_at_random(&mut rig, run.either(8, 100)).await;
    rig.finish().await
}

/// After each kill the files look as a power cut leaves them that tears the last write in two: a part of a frame at the
/// end of the write-ahead log, or half of a page that was being copied from there. And once the file is damaged for
/// good: the gateway must say so and touch nothing, and go on with a copy that is put back.
pub async fn torn_file(run: Run) -> Report {
    let mut rig = Rig::start(run, layout("embedded-torn-file", None)).await;
    let mut random = chance(run.seed);
    let times = run.either(5, 40);
    for turn in 0..times {
        pause(&mut random, 500..2_000).await;
        let fault = rig.faults.begin("gateway killed, write torn", Hits::Killed(1));
        rig.gateways.kill(0);
        for name in ["broker.sqlite", "journal.sqlite"] {
            disk::tear(&rig.folder.join("data").join(name), &mut random);
        }
        if turn == times / 2 {
            damage_and_mend(&mut rig).await;
        }
        if !rig.gateways.runs(0) {
            rig.gateways.start(0).await;
        }
        rig.faults.over(fault);
    }
    rig.finish().await
}

async fn damage_and_mend(rig: &mut Rig) {
    let data = rig.folder.join("data");
    let copy = rig.folder.join("copy");
    copy_files(&data, &copy);
    let file = data.join("broker.sqlite");
    let length = usize::try_from(fs::metadata(&file).expect("it is there").len()).expect("small");
    fs::write(&file, vec![0x55; length]).expect("written");
    fs::write(data.join("broker.sqlite-wal"), b"").expect("written");
    match rig.gateways.try_to_start(0).await {
        Err(said) if said.contains("broker.sqlite") && said.contains("move this one away") => {}
        Err(said) => rig.record.strange(format!("a damaged file is reported as: {said}")),
        Ok(()) => rig.record.strange("a gateway has started on a damaged file".to_owned()),
    }
    copy_files(&copy, &data);
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for end in ["", "-wal"] {
        let name = format!("broker.sqlite{end}");
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

/// The disk is full for a few seconds; half of the times the gateway is killed in the meantime, and started again while
/// the disk is still full: that may fail, with a clear error.
pub async fn full_disk(run: Run) -> Report {
    let Some(disk) = SmallDisk::mount(run.either("24m", "96m")) else {
        println!("embedded-full-disk: left out, because no small file system can be mounted here");
        return Report { scenario: "embedded-full-disk (left out)".to_owned(), ..Report::default() };
    };
    let mut rig = Rig::start(run, layout("embedded-full-disk", Some(disk.folder().to_owned()))).await;
    let mut random = chance(run.seed);
    for turn in 0..run.either(3, 15) {
        pause(&mut random, 500..2_000).await;
        let fault = rig.faults.begin("disk full", Hits::CutOff(1));
        let filler = disk.fill();
        pause(&mut random, 1_000..3_000).await;
        if turn % 2 == 1 {
            rig.gateways.kill(0);
            if let Err(said) = rig.gateways.try_to_start(0).await
                && !(said.contains("full") || said.contains("No space") || said.contains("space left"))
            {
                rig.record.strange(format!("a full disk is reported as: {said}"));
            }
            pause(&mut random, 200..1_500).await;
        }
        drop(filler);
        if !rig.gateways.runs(0) {
            rig.gateways.start(0).await;
        }
        rig.faults.over(fault);
        tokio::time::sleep(Duration::from_millis(random.random_range(500..2_000))).await;
    }
    rig.finish().await
}

/// Without RabbitMQ everything is posted; slower than over RabbitMQ, because each has its own commit.
fn layout(name: &'static str, data: Option<PathBuf>) -> Layout {
    Layout { name, rabbit: None, gateways: 1, rate: 50.0, data, missing_after: None }
}
