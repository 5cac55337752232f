//! What is installed: the files of `packaging/`, which are good as they are for the usual prefix.

use std::path::{Path, PathBuf};

/// The unit. Units that no package brings belong there: systemd.unit(5), "Unit File Load Path".
pub(super) const UNIT: &str = "/etc/systemd/system/paynotify.service";
/// What `systemctl enable` makes.
pub(super) const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/paynotify.service";
/// The gateway's configuration.
pub(super) const CONFIGURATION: &str = "/etc/paynotify/paynotify.toml";
/// The one folder that the service may write.
pub(super) const STATE: &str = "/var/lib/paynotify";
/// The folders of the configuration. systemd-tmpfiles gives them their group; until then nobody but root looks into them.
pub(super) const FOLDERS: [(&str, u32); 4] = [
    ("/etc/paynotify", 0o750),
    ("/etc/paynotify/merchants", 0o750),
    ("/etc/paynotify/plugins", 0o750),
    ("/etc/paynotify/secrets", 0o750),
];
/// The configuration to begin with.
pub(super) const INITIAL: &str = include_str!("../../../packaging/paynotify.toml");

/// A text and where it goes.
pub(super) struct Piece {
    pub(super) path: &'static str,
    pub(super) text: String,
}

/// Where the program is.
pub(super) struct Prefix(PathBuf);

/// The usual one, which the files name.
const USUAL: &str = "/usr/local/bin/paynotify";

impl Prefix {
    /// # Errors
    /// A unit cannot name the folder, or the service could not see it.
    pub(super) fn new(folder: &Path) -> Result<Self, &'static str> {
        let text = folder.to_str().unwrap_or_default();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._+-".contains(letter);
        if !text.starts_with('/') || !text.chars().all(plain) || text.split('/').any(|part| part == "..") {
            return Err("an absolute path of letters, digits and . _ + - is needed");
        }
        // ProtectHome= and PrivateTmp= of the unit.
        let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
        if hidden.iter().any(|hidden| folder.starts_with(hidden)) {
            return Err("the service does not see home folders and temporary ones");
        }
        Ok(Self(folder.to_owned()))
    }

    /// The program's path.
    pub(super) fn program(&self) -> PathBuf {
        self.0.join("bin/paynotify")
    }

    /// The unit.
    pub(super) fn unit(&self) -> String {
        let unit = include_str!("../../../packaging/paynotify.service");
        unit.replace(USUAL, &self.program().display().to_string())
    }

    /// All that each installation writes anew.
    pub(super) fn pieces(&self) -> [Piece; 3] {
        [
            Piece { path: UNIT, text: self.unit() },
            Piece {
                path: "/etc/sysusers.d/paynotify.conf",
                text: include_str!("../../../packaging/sysusers.conf").to_owned(),
            },
            Piece {
                path: "/etc/tmpfiles.d/paynotify.conf",
                text: include_str!("../../../packaging/tmpfiles.conf").to_owned(),
            },
        ]
    }
}
