//! One server: started, stopped, killed, started again on the same port and data.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::install;
use crate::keeper::Keeper;
use crate::ports;
use crate::process::{last_lines_of, output};

/// A server takes a second on an idle machine.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// How long a condition is left alone between two looks at it.
const POLL: Duration = Duration::from_millis(20);
/// Somebody may take the port between its being found free and the server's listening there.
const START_TRIES: usize = 3;
/// The one user, who may do everything.
const USER: &str = "paynotify";
/// The user's. No secret: the server is private and soon gone; but tests look for it where no password belongs.
const PASSWORD: &str = "pg-Passw0rd-of-the-tests";

/// What a commit outlasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The server's being killed, and a machine that loses power: for tests that kill.
    Disk,
    /// Nothing: for tests that do not.
    None,
}

/// A private server. It listens on 127.0.0.1 and is killed, and its folder is removed, when the value is dropped; it dies
/// with the process too.
pub struct Server {
    /// `None` when it was stopped or killed.
    process: Option<Child>,
    programs: PathBuf,
    account: Option<Account>,
    port: u16,
    folder: PathBuf,
    // Dropped last: what it started dies with it.
    keeper: Keeper,
}

impl Server {
    /// Starts a server and waits until it accepts connections.
    pub fn start(durability: Durability) -> Result<Self> {
        let mut last_error = None;
        for _ in 0..START_TRIES {
            let mut server = Self::prepare(durability)?;
            match server.launch().and_then(|()| server.wait_until_it_accepts()) {
                Ok(()) => return Ok(server),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.context("no try was made")?)
    }

    /// Where to connect to the database of that name, with user and password. `postgres` is there from the beginning.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base_url())
    }

    /// The same without a database.
    pub fn base_url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The password in the URL, for tests that look for it where it does not belong.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its data and its log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops it in an orderly way, which cuts all connections, and waits until it is gone. The data stays.
    pub fn stop(&mut self) -> Result<()> {
        let Some(process) = self.process.as_ref() else { return Ok(()) };
        // "Fast": https://www.postgresql.org/docs/current/server-shutdown.html
        output(Command::new("kill").arg("-INT").arg(process.id().to_string()))?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                bail!(
                    "PostgreSQL did not stop within {STOP_DEADLINE:?}; its log is in {}",
                    self.folder.display()
                );
            }
            std::thread::sleep(POLL);
        }
        self.process = None;
        Ok(())
    }

    /// Kills it at once, with all its sessions. The data stays, as far as it was written.
    pub fn kill_hard(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let id = process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        process.kill().context("PostgreSQL cannot be killed")?;
        process.wait().context("PostgreSQL cannot be waited for")?;
        let children: Vec<&str> = children.split_whitespace().collect();
        if !children.is_empty() {
            // Those that have seen its end are gone already, of which `kill` complains.
            let _ = Command::new("kill").arg("-KILL").args(&children).stderr(Stdio::null()).status();
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        while children.iter().any(|child| Path::new("/proc").join(child).exists()) {
            if Instant::now() > deadline {
                bail!("PostgreSQL was killed, and its sessions live on");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops it, if it runs, and starts it on the same port and data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()?;
        self.wait_until_it_accepts()
    }

    /// From now on it speaks TLS with that certificate and key (PEM), and with nobody in plain text. Starts it anew.
    pub fn use_tls(&mut self, certificate: &str, key: &str) -> Result<()> {
        let data = self.data();
        let written = || format!("{} cannot be written", data.display());
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = data.join(name);
            fs::write(&file, text).with_context(written)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).with_context(written)?;
            if let Some(Account { user, group }) = self.account {
                chown(&file, Some(user), Some(group)).with_context(written)?;
            }
        }
        let file = data.join("postgresql.conf");
        let text = fs::read_to_string(&file).context("the server's configuration cannot be read")?;
        fs::write(&file, format!("{text}\nssl = on\n")).with_context(written)?;
        fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n")
            .with_context(written)?;
        self.restart()
    }

    /// Makes its folder and files.
    fn prepare(durability: Durability) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let word = format!("{PREFIX}{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(word);
        let [port] = ports::free()?;
        let account = Account::for_servers()?;
        let made = || format!("{} cannot be made", folder.display());
        fs::create_dir_all(&folder).with_context(made)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).with_context(made)?;
        let password = folder.join("password");
        fs::write(&password, PASSWORD).with_context(made)?;
        if let Some(Account { user, group }) = account {
            for path in [&folder, &password] {
                chown(path, Some(user), Some(group)).with_context(made)?;
            }
        }
        let programs = install::programs()?;
        let server = Self { process: None, programs, account, port, folder, keeper: Keeper::new()? };
        let mut initdb = Command::new(server.programs.join("initdb"));
        initdb.arg("--pgdata").arg(server.data()).arg("--pwfile").arg(&password).args(["--username", USER]);
        initdb.args(["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]);
        output(server.as_account(&initdb).current_dir("/"))?;
        server.configure(durability)?;
        Ok(server)
    }

    fn configure(&self, durability: Durability) -> Result<()> {
        let file = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&file).context("the server's configuration cannot be read")?;
        text.push_str(&format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nmax_connections = 200\n\
             shared_buffers = '32MB'\n",
            self.port
        ));
        if durability == Durability::None {
            text.push_str("fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n");
        }
        fs::write(&file, text).context("the server's configuration cannot be written")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn launch(&mut self) -> Result<()> {
        let mut server = Command::new(self.programs.join("postgres"));
        server.arg("-D").arg(self.data());
        // In this order: a change of the user takes the wish to die with the parent back.
        let mut command = self.as_account(&Keeper::command(&server));
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.context("the server's log cannot be written")?;
        let error = log.try_clone().context("the server's log cannot be written")?;
        command.current_dir("/").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(log).stderr(error);
        self.process = Some(self.keeper.spawn(command)?);
        Ok(())
    }

    /// The server itself says so in its data folder, so that nobody else on the port is taken for it.
    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if self.has_ended()? {
                self.process = None;
                bail!("PostgreSQL ended while starting: {}", self.last_output());
            }
            let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let own = self.process.as_ref().map(|process| process.id().to_string());
            let mut lines = status.lines();
            if lines.next().map(str::to_owned) == own
                && lines.last().is_some_and(|last| last.trim() == "ready")
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "PostgreSQL does not accept connections after {START_DEADLINE:?}: {}",
                    self.last_output()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    fn has_ended(&mut self) -> Result<bool> {
        let Some(process) = self.process.as_mut() else { return Ok(true) };
        Ok(process.try_wait().context("PostgreSQL cannot be looked after")?.is_some())
    }

    /// The same command as the account that servers run as.
    fn as_account(&self, of: &Command) -> Command {
        let Some(Account { user, group }) = self.account else {
            let mut same = Command::new(of.get_program());
            same.args(of.get_args());
            return same;
        };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        command.arg(of.get_program()).args(of.get_args());
        command
    }

    /// The end of what it wrote, for an error.
    fn last_output(&self) -> String {
        last_lines_of(&self.folder.join("log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What cannot be removed, the next server removes.
        let _ = self.kill_hard();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// PostgreSQL refuses to run as root; the package makes a user for it.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// `None` for anybody but root: servers run as the same user.
    fn for_servers() -> Result<Option<Self>> {
        let number = |arguments: &[&str]| -> Result<u32> {
            let text = output(Command::new("id").args(arguments))?;
            text.trim().parse().context("`id` does not tell a number")
        };
        if number(&["-u"])? != 0 {
            return Ok(None);
        }
        Ok(Some(Self { user: number(&["-u", "postgres"])?, group: number(&["-g", "postgres"])? }))
    }
}

/// What a server's folder in the temporary folder begins with; the id of our process follows.
const PREFIX: &str = "paynotify-postgres-";

/// Removes the folders of processes that were killed before they could do it.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
