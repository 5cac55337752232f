//! The gateway as a service of systemd's: what `paynotify service` writes, what systemd's own tools say of it, and what the gateway
//! tells systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::support::gateway::SOON;
use super::{both, paynotify, root};

/// What `systemd-analyze security` may say at most, in tenths: 0 is shut off from everything, 100 is not guarded at all.
const MOST_EXPOSED: u32 = 15;

/// A folder that stands for a system's root.
struct System(tempfile::TempDir);

impl System {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn service(&self, words: &[&str]) -> Output {
        let root = self.0.path().display().to_string();
        paynotify(&[&["service"], words, &["--root", &root]].concat())
    }

    /// The same; it must work. What it says of the files, word and path.
    fn done(&self, words: &[&str]) -> Vec<String> {
        let output = self.service(words);
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let said = String::from_utf8(output.stdout).expect("text");
        let files = said.split("\n\n").next().unwrap_or_default();
        files.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn mode(&self, path: &str) -> u32 {
        self.at(path).metadata().expect(path).permissions().mode() & 0o7777
    }
}

const UNIT: &str = "/etc/systemd/system/paynotify.service";
const PROGRAM: &str = "/usr/local/bin/paynotify";
const CONFIGURATION: &str = "/etc/paynotify/paynotify.toml";

/// One test for all of it, because the program that is copied is a large one.
#[test]
fn a_service_is_installed_twice_upgraded_and_taken_away() {
    let system = System::new();
    let would = system.done(&["install", "--dry-run"]);
    assert_eq!(fs::read_dir(system.0.path()).expect("read").count(), 0, "a dry run writes nothing");
    let did = system.done(&["install"]);
    assert_eq!(would, did);
    let expected = [
        "/etc/paynotify",
        "/etc/paynotify/merchants",
        "/etc/paynotify/plugins",
        "/etc/paynotify/secrets",
        PROGRAM,
        UNIT,
        "/etc/sysusers.d/paynotify.conf",
        "/etc/tmpfiles.d/paynotify.conf",
        CONFIGURATION,
    ];
    assert_eq!(did, expected.map(|path| format!("new {path}")));
    for (path, mode) in
        [(PROGRAM, 0o755), (UNIT, 0o644), (CONFIGURATION, 0o640), ("/etc/paynotify/secrets", 0o750)]
    {
        assert_eq!(system.mode(path), mode, "{path}");
    }
    let shipped = root().join("packaging/paynotify.service");
    let shipped = fs::read_to_string(shipped).expect("read");
    assert_eq!(fs::read_to_string(system.at(UNIT)).expect("read"), shipped);
    assert_eq!(String::from_utf8_lossy(&paynotify(&["service", "print"]).stdout), shipped);

    systemd_approves_of_the_unit(&system);
    let again = system.done(&["install"]);
    assert_eq!(again.last().expect("told"), &format!("kept {CONFIGURATION}"));
    assert!(again[..8].iter().all(|line| line.starts_with("unchanged ")), "{again:?}");

    // An upgrade: another program, another unit; the configuration is the operator's.
    fs::write(system.at(PROGRAM), "an older one").expect("written");
    fs::write(system.at(UNIT), "an older one").expect("written");
    fs::write(system.at(CONFIGURATION), "# an operator's").expect("written");
    let upgraded = system.done(&["install"]);
    assert_eq!(upgraded[4..6], [format!("replaced {PROGRAM}"), format!("replaced {UNIT}")]);
    assert_eq!(fs::read(system.at("/usr/local/bin/paynotify.previous")).expect("kept"), b"an older one");
    assert_eq!(fs::read(system.at(CONFIGURATION)).expect("kept"), b"# an operator's");

    let enabled = system.at("/etc/systemd/system/multi-user.target.wants/paynotify.service");
    fs::create_dir_all(enabled.parent().expect("a folder")).expect("made");
    std::os::unix::fs::symlink(UNIT, &enabled).expect("enabled");
    let refused = system.service(&["uninstall"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(both(&refused).contains("systemctl disable --now paynotify"), "{}", both(&refused));
    assert!(system.at(UNIT).exists());
    fs::remove_file(enabled).expect("disabled");
    let gone = system.done(&["uninstall"]);
    assert!(gone.len() == 5 && gone.iter().all(|line| line.starts_with("removed ")), "{gone:?}");
    assert!(!system.at(UNIT).exists() && !system.at(PROGRAM).exists());
    assert!(system.at(CONFIGURATION).exists(), "configuration and data are nobody's to take away");
    let again = system.done(&["uninstall"]);
    assert!(again.iter().all(|line| line.starts_with("not there ")), "{again:?}");
}

#[test]
fn what_cannot_be_a_service_is_refused() {
    let system = System::new();
    for prefix in ["relative", "/home/me", "/opt/a b", "/opt/../root", "/opt/100%"] {
        let refused = system.service(&["install", "--prefix", prefix]);
        assert_eq!(refused.status.code(), Some(2), "{prefix}: {}", both(&refused));
        assert!(both(&refused).contains("--prefix"), "{}", both(&refused));
    }
    let file = system.at("mine.toml");
    fs::write(&file, "data = \"data\"\n").expect("written");
    let file_name = file.display().to_string();
    let refused = system.service(&["install", "--config", &file_name]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(both(&refused).contains("`data` must be \"/var/lib/paynotify\""), "{}", both(&refused));
    assert!(!system.at(UNIT).exists(), "nothing was written");
    fs::write(&file, "data = \"/var/lib/paynotify\"\n").expect("written");
    system.done(&["install", "--config", &file_name, "--prefix", "/opt/paynotify"]);
    assert_eq!(fs::read(system.at(CONFIGURATION)).expect("read"), b"data = \"/var/lib/paynotify\"\n");
    let unit = fs::read_to_string(system.at(UNIT)).expect("read");
    assert!(unit.contains("\nExecStart=/opt/paynotify/bin/paynotify run --config"), "{unit}");
    // Without a root of its own it is the system's, which only root may change.
    if !rustix::process::geteuid().is_root() {
        let refused = paynotify(&["service", "install"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(both(&refused).contains("--root DIR"), "{}", both(&refused));
    }
}

/// One of systemd's tools, for this root; none where it cannot be had.
pub(super) fn tool(name: &str, folder: &Path) -> Option<Command> {
    let found = xtask::systemd::tool(name);
    let mut command = found.map_err(|reason| println!("left out, for want of {name}: {reason:#}")).ok()?;
    let mut root = std::ffi::OsString::from("--root=");
    root.push(folder);
    command.arg(root).stdin(Stdio::null());
    Some(command)
}

/// systemd finds nothing wrong in the unit, and little that it leaves open; and it makes the user and the folders.
fn systemd_approves_of_the_unit(system: &System) {
    for unit in ["sysinit", "basic", "shutdown", "network-online", "multi-user"] {
        let file = system.at(&format!("/usr/lib/systemd/system/{unit}.target"));
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, "[Unit]\nDescription=only here to be found\n").expect("written");
    }
    let Some(mut verify) = tool("systemd-analyze", system.0.path()) else { return };
    let verified = verify.args(["verify", "paynotify.service"]).output().expect("run");
    assert!(verified.status.success() && both(&verified).is_empty(), "{}", both(&verified));
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let Some(mut secure) = tool("systemd-analyze", system.0.path()) else { return };
    let secure = secure
        .args(["security", "--offline=true", "--no-pager", &threshold, "paynotify.service"])
        .output()
        .expect("run");
    assert!(secure.status.success(), "{}", both(&secure));
    let said = both(&secure);
    println!("{}", said.lines().last().unwrap_or_default());
    the_user_and_the_folders_are_made(system);
}

/// As the installed files say: once more by systemd's own tools.
fn the_user_and_the_folders_are_made(system: &System) {
    if !rustix::process::geteuid().is_root() {
        println!("only root can give folders to others; the rest is left out");
        return;
    }
    fs::create_dir_all(system.at("/var/lib")).expect("made");
    let Some(mut users) = tool("systemd-sysusers", system.0.path()) else { return };
    let users = users.arg("paynotify.conf").output().expect("run");
    assert!(users.status.success(), "{}", both(&users));
    let passwd = fs::read_to_string(system.at("/etc/passwd")).expect("made");
    assert!(passwd.starts_with("paynotify:") && passwd.contains(":/var/lib/paynotify:"), "{passwd}");
    let Some(mut folders) = tool("systemd-tmpfiles", system.0.path()) else { return };
    let folders = folders.args(["--create", "paynotify.conf"]).output().expect("run");
    assert!(folders.status.success(), "{}", both(&folders));
    for (path, mode) in [
        ("/etc/paynotify", 0o750),
        ("/etc/paynotify/merchants", 0o2750),
        ("/etc/paynotify/plugins", 0o2750),
        ("/etc/paynotify/secrets", 0o2750),
        (CONFIGURATION, 0o640),
    ] {
        assert_eq!(system.mode(path), mode, "{path}");
    }
}

/// The stop is given the time that it may take.
#[test]
fn the_unit_waits_for_the_drain() {
    let unit = include_str!("../../packaging/paynotify.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("the unit has no {key}"))
    };
    let stop: u64 = value("TimeoutStopSec").trim_end_matches('s').parse().expect("seconds");
    let drain =
        paynotify::config::DEFAULT.lines().find_map(|line| line.strip_prefix("drain = \"")).expect("there");
    let drain: u64 = drain.trim_end_matches("s\"").parse().expect("seconds");
    assert!(stop >= drain + 15, "a drain of {drain} s, then the API's last answers, broker and journal");
}

/// systemd, as far as the gateway talks to it.
struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
    process: Option<Child>,
}

impl Manager {
    /// Starts a gateway with this configuration.
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["merchants", "plugins"] {
            fs::create_dir(folder.path().join(name)).expect(name);
        }
        let text = text.replace("/var/lib/paynotify", &folder.path().join("data").display().to_string());
        let (config, path) = (folder.path().join("paynotify.toml"), folder.path().join("notify"));
        fs::write(&config, format!("{text}\n[api]\nlisten = \"127.0.0.1:0\"\n")).expect("written");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command.arg("run").arg("--config").arg(config).env("NOTIFY_SOCKET", path);
        let process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("started");
        Self { folder, socket, process: Some(process) }
    }

    /// The next that the gateway tells; `None` once it has ended.
    fn told(&mut self) -> Option<String> {
        let deadline = Instant::now() + SOON;
        let mut buffer = [0; 4096];
        loop {
            let process = self.process.as_mut().expect("it runs");
            // Asked first: what it told before it ended is still there to be read.
            let has_ended = process.try_wait().expect("waited for").is_some();
            if let Ok(length) = self.socket.recv(&mut buffer) {
                return Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            if has_ended {
                return None;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "nothing is told: {log}");
        }
    }

    fn stops(&self) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// With the configuration that is installed it starts, and says so; and that it stops.
#[test]
fn the_installed_configuration_starts_and_systemd_is_told() {
    let mut manager = Manager::start(include_str!("../../packaging/paynotify.toml"));
    let mut told = manager.told();
    if told.as_ref().is_some_and(|told| told.starts_with("STATUS=waits")) {
        told = manager.told();
    }
    assert_eq!(told.as_deref(), Some("READY=1\nSTATUS=takes notifications"));
    manager.stops();
    assert_eq!(manager.told().as_deref(), Some("STOPPING=1\nSTATUS=finishes what is under way"));
    assert_eq!(manager.told(), None);
    let status = manager.process.as_mut().expect("it ran").wait().expect("waited for");
    assert!(status.success(), "{status}");
}

/// While its database is away it says what it waits for, and not that it is ready.
#[test]
fn what_waits_for_its_journal_is_not_ready() {
    let [port] = xtask::ports::free().expect("a port");
    let journal = format!(
        "[journal]\nkind = \"postgres\"\nurl = \"postgres://user:hunter2@127.0.0.1:{port}/journal\"\n"
    );
    let mut manager = Manager::start(&format!("data = \"/var/lib/paynotify\"\n{journal}"));
    let told = manager.told().expect("it runs");
    assert!(told.starts_with("STATUS=waits for the journal: ") && !told.contains("hunter2"), "{told}");
    manager.stops();
    assert_eq!(manager.told().as_deref(), Some("STOPPING=1\nSTATUS=finishes what is under way"));
}
