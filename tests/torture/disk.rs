//! What disks do to files: they fill up, and they tear a write in two when the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::RngExt;
use rand::rngs::StdRng;

/// A small file system in memory, mounted for a scenario. That takes the right to mount, which root has.
pub struct SmallDisk(tempfile::TempDir);

/// What fills a disk, until it is dropped.
pub struct Filler(PathBuf);

impl SmallDisk {
    /// One of that size; none where mounting is forbidden.
    pub fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left of it.
    pub fn fill(&self) -> Filler {
        let path = self.folder().join("filler");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Filler(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.folder()).status());
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Leaves a SQLite file and its write-ahead log (<https://www.sqlite.org/fileformat.html>, section 4) as a torn write
/// does: nothing that was committed is touched, because a commit is on the disk before it returns.
pub fn tear(file: &Path, random: &mut StdRng) {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    let Ok(bytes) = fs::read(&log) else { return };
    match random.random_range(0..3) {
        0 => append(&log, &garbage(random.random_range(1..9_000), random)),
        1 => {
            // The beginning of a frame that was about to be written: like the last one, but cut off.
            let frame = bytes.len().saturating_sub(FRAME);
            append(&log, &bytes[frame..][..random.random_range(1..FRAME).min(bytes.len() - frame)]);
        }
        _ => tear_a_page(file, &bytes, random),
    }
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4_096;
const FRAME: usize = FRAME_HEADER + PAGE;

/// Half of a page is something else, as when the power goes while it is copied from the log. The log has it whole.
fn tear_a_page(file: &Path, log: &[u8], random: &mut StdRng) {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four"));
    let Some(salts) = log.get(16..24) else { return };
    let frames = log[HEADER..].chunks_exact(FRAME).take_while(|frame| frame[8..16] == *salts);
    let frames: Vec<&[u8]> = frames.collect();
    let committed = frames.iter().rposition(|frame| number(&frame[4..]) != 0).map_or(0, |last| last + 1);
    let pages: Vec<u32> =
        frames[..committed].iter().map(|frame| number(frame)).filter(|page| *page > 1).collect();
    if pages.is_empty() {
        return;
    }
    let page = u64::from(pages[random.random_range(0..pages.len())]);
    let mut open = OpenOptions::new().read(true).write(true).open(file).expect("the file");
    let half = (page - 1) * PAGE as u64 + PAGE as u64 / 2;
    if half + PAGE as u64 / 2 > open.metadata().expect("the file").len() {
        return;
    }
    open.seek(SeekFrom::Start(half)).expect("there");
    open.write_all(&garbage(PAGE / 2, random)).expect("written");
}

fn append(file: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(file).and_then(|mut file| file.write_all(bytes)).expect("appended");
}

fn garbage(length: usize, random: &mut StdRng) -> Vec<u8> {
    (0..length).map(|_| random.random()).collect()
}
