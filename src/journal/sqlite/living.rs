//! Which of the gateways that share the journal live.
//!
//! Each holds a lock on a file of its own beside the journal. The system lets go of it when the process ends, however
//! it ends, and not before: so one that was killed is known to be dead at once, and one that only stands still is
//! known to live. No clock is asked, and nobody has to be written to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// This gateway's own lock, and the folder with everybody's.
#[derive(Debug)]
pub(super) struct Living {
    folder: PathBuf,
    gateway: u64,
    /// Locked for as long as it is open.
    _own: File,
}

impl Living {
    /// Counts this process among the living, until the value is dropped. Clears away what the dead have left.
    pub(super) fn join(journal: &Path) -> io::Result<Self> {
        let mut folder = journal.as_os_str().to_owned();
        folder.push(".gateways");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        // Nobody clears away a file that is there and not locked yet.
        let door = open(&folder.join("lock"))?;
        door.lock()?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "gateway") && !is_locked(&path) {
                fs::remove_file(path)?;
            }
        }
        let gateway = rand::random();
        let own = open(&file(&folder, gateway))?;
        own.try_lock()?;
        Ok(Self { folder, gateway, _own: own })
    }

    /// A number that each process draws for itself.
    pub(super) fn gateway(&self) -> u64 {
        self.gateway
    }

    /// Whether that one lives.
    pub(super) fn lives(&self, gateway: u64) -> bool {
        is_locked(&file(&self.folder, gateway))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        // Should it stay, the next one clears it away.
        let _ = fs::remove_file(file(&self.folder, self.gateway));
    }
}

fn file(folder: &Path, gateway: u64) -> PathBuf {
    folder.join(format!("{gateway:016x}.gateway"))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// A file that is there and cannot be asked counts as locked: to wait in vain costs time, and not to wait may cost a
/// request too many.
fn is_locked(path: &Path) -> bool {
    match File::open(path) {
        // Shared, so that two who ask do not take each other for the owner.
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
        },
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_does_not_live_and_leaves_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        let journal = home.path().join("journal.sqlite");
        let (one, other) = (Living::join(&journal).expect("joined"), Living::join(&journal).expect("joined"));
        let gone = other.gateway();
        assert!(one.lives(one.gateway()) && one.lives(gone) && other.lives(one.gateway()));
        assert!(!one.lives(gone ^ 1), "there never was such a one");
        drop(other);
        assert!(!one.lives(gone));
        let left = fs::read_dir(one.folder.clone()).expect("a folder").count();
        assert_eq!(left, 2, "the door's and its own");
    }

    #[test]
    fn what_the_dead_have_left_is_cleared_away() {
        let home = tempfile::tempdir().expect("a folder");
        let journal = home.path().join("journal.sqlite");
        let one = Living::join(&journal).expect("joined");
        // As a killed process leaves it: there, and not locked.
        let left = file(&one.folder, 7);
        fs::write(&left, "").expect("written");
        assert!(!one.lives(7));
        let other = Living::join(&journal).expect("joined");
        assert!(!left.exists() && other.lives(one.gateway()));
    }
}
