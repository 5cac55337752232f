//! Writing below a root: each file is there whole or as it was before, and each step says what it did.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was not there.
    New,
    /// It was another one.
    Replaced,
    /// It was the very same.
    Same,
    /// It was there, and is an operator's own.
    Kept,
    /// It was there, and is no more.
    Removed,
    /// It was not there to be removed.
    Absent,
}

impl Done {
    /// A word for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replaced => "replaced",
            Self::Same => "unchanged",
            Self::Kept => "kept",
            Self::Removed => "removed",
            Self::Absent => "not there",
        }
    }
}

/// The folder that stands for `/`.
pub(super) struct Root {
    folder: PathBuf,
    dry: bool,
}

impl Root {
    /// With `dry`, nothing is changed; what is said is what would be done.
    pub(super) fn new(folder: &Path, dry: bool) -> Self {
        Self { folder: folder.to_owned(), dry }
    }

    /// Whether it is the running system's.
    pub(super) fn is_system(&self) -> bool {
        self.folder == Path::new("/")
    }

    /// Whether something is at this path, be it a link to nowhere.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// A folder, with this mode if it is new.
    pub(super) fn folder(&self, path: &Path, mode: u32) -> Result<Done> {
        let at = self.at(path);
        if at.is_dir() {
            return Ok(Done::Same);
        }
        if !self.dry {
            make_parent(&at)?;
            fs::DirBuilder::new().mode(mode).create(&at).with_context(|| cannot(&at, "made"))?;
        }
        Ok(Done::New)
    }

    /// A file with this text, whatever was there.
    pub(super) fn file(&self, path: &Path, text: &str, mode: u32) -> Result<Done> {
        let at = self.at(path);
        let done = match fs::read(&at) {
            Ok(there) if there == text.as_bytes() => return Ok(Done::Same),
            Ok(_) => Done::Replaced,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Done::New,
            Err(error) => return Err(error).with_context(|| cannot(&at, "read")),
        };
        self.write(&at, &mut text.as_bytes(), mode)?;
        Ok(done)
    }

    /// A file with this text, unless there is one.
    pub(super) fn new_file(&self, path: &Path, text: &str, mode: u32) -> Result<Done> {
        if self.has(path) {
            return Ok(Done::Kept);
        }
        self.file(path, text, mode)
    }

    /// A copy of the program. The one that was there before is kept beside it, as [`previous`].
    pub(super) fn program(&self, own: &Path, path: &Path) -> Result<Done> {
        let at = self.at(path);
        let there = at.is_file();
        if there && same(own, &at).with_context(|| cannot(&at, "compared"))? {
            return Ok(Done::Same);
        }
        if there && !self.dry {
            let before = previous(&at);
            drop(fs::remove_file(&before));
            fs::hard_link(&at, &before).with_context(|| cannot(&before, "made"))?;
        }
        let mut bytes = File::open(own).with_context(|| cannot(own, "read"))?;
        self.write(&at, &mut bytes, 0o755)?;
        Ok(if there { Done::Replaced } else { Done::New })
    }

    /// Takes a file away.
    pub(super) fn remove(&self, path: &Path) -> Result<Done> {
        if !self.has(path) {
            return Ok(Done::Absent);
        }
        if !self.dry {
            let at = self.at(path);
            fs::remove_file(&at).with_context(|| cannot(&at, "removed"))?;
        }
        Ok(Done::Removed)
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Under another name first, so that a reader has the old one or the new one.
    fn write(&self, at: &Path, content: &mut dyn Read, mode: u32) -> Result<()> {
        if self.dry {
            return Ok(());
        }
        make_parent(at)?;
        let draft = beside(at, ".new");
        drop(fs::remove_file(&draft));
        let mut written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
            io::copy(content, &mut file)?;
            // What the umask has taken from it.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.flush()?;
            file.sync_all()?;
            fs::rename(&draft, at)
        };
        written().with_context(|| cannot(at, "written"))
    }
}

/// Where the program that was replaced is kept.
pub(super) fn previous(program: &Path) -> PathBuf {
    beside(program, ".previous")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn cannot(path: &Path, what: &str) -> String {
    format!("{} cannot be {what}", path.display())
}

fn make_parent(at: &Path) -> Result<()> {
    let parent = at.parent().unwrap_or(at);
    fs::create_dir_all(parent).with_context(|| cannot(parent, "made"))
}

/// Whether two files have the same content; read in pieces, because a program can be large.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    const LENGTH: usize = 1 << 16;
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::with_capacity(LENGTH, one), other);
    let mut there = vec![0; LENGTH];
    loop {
        let piece = one.fill_buf()?;
        let there = &mut there[..piece.len()];
        other.read_exact(there)?;
        if piece != there {
            return Ok(false);
        }
        if piece.is_empty() {
            return Ok(true);
        }
        let length = piece.len();
        one.consume(length);
    }
}
