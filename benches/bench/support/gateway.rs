//! A gateway: its folder, its configuration, and the process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::http;
use super::process::Running;

/// How long a gateway may take to be ready: a thousand plugins are compiled before that.
const LONGEST_START: Duration = Duration::from_secs(600);

/// Where a gateway keeps its notifications.
#[derive(Clone)]
pub(crate) enum Store {
    /// In a file of its own.
    Embedded,
    /// On RabbitMQ.
    Amqp {
        /// Where that is.
        url: String,
        /// What the names of its queues begin with.
        prefix: String,
    },
}

impl Store {
    /// The name of an exchange or queue of it; nothing is called so on the embedded broker.
    pub(crate) fn name(&self, suffix: &str) -> String {
        match self {
            Self::Embedded => suffix.to_owned(),
            Self::Amqp { prefix, .. } => format!("{prefix}.{suffix}"),
        }
    }
}

/// See the module. Everything that is not set is as it is by default, but the log, which tells of warnings alone.
pub(crate) struct Gateway {
    folder: tempfile::TempDir,
    tables: BTreeMap<&'static str, String>,
    api: SocketAddr,
    process: Option<Running>,
}

impl Gateway {
    /// With the plugin `plain` and no merchant.
    pub(crate) fn new(store: &Store) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["plugins", "merchants", "data"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let [port] = xtask::ports::free()?;
        let api = SocketAddr::from(([127, 0, 0, 1], port));
        let mut gateway = Self { folder, tables: BTreeMap::new(), api, process: None };
        gateway.set("api", format!("listen = \"{api}\""));
        gateway.set("log", "level = \"warn\"");
        gateway.set("http", "allow_addresses = [\"127.0.0.0/8\"]");
        match store {
            Store::Embedded => gateway.set("broker", "kind = \"embedded\""),
            Store::Amqp { url, prefix } => {
                gateway.set("broker", "kind = \"amqp\"");
                gateway.set("broker.amqp", format!("url = {url:?}\nprefix = {prefix:?}"));
            }
        }
        let plain = fs::read(xtask::guests::built("plain")?)?;
        gateway.plugin("plain", &plain)?;
        Ok(gateway)
    }

    /// Adds lines to a table of its configuration.
    pub(crate) fn set(&mut self, table: &'static str, lines: impl AsRef<str>) {
        let text = self.tables.entry(table).or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", lines.as_ref());
    }

    /// The API takes as many requests as come.
    pub(crate) fn take_any_number(&mut self) {
        self.set("api", "requests_per_second = 1000000");
    }

    /// Compiled plugins are kept where other gateways, and later runs, find them.
    pub(crate) fn share_compiled(&self) -> Result<()> {
        let shared = shared_compiled();
        fs::create_dir_all(&shared)?;
        Ok(std::os::unix::fs::symlink(shared, self.folder.path().join("data/compiled"))?)
    }

    /// Puts a plugin into its folder.
    pub(crate) fn plugin(&self, name: &str, component: &[u8]) -> Result<()> {
        Ok(fs::write(self.folder.path().join(format!("plugins/{name}.wasm")), component)?)
    }

    /// Writes a merchant's file.
    pub(crate) fn merchant(&self, id: &str, url: &str, plugin: &str, more: &str) -> Result<()> {
        let text = format!("url = {url:?}\nplugin = {plugin:?}\n{more}\n");
        Ok(fs::write(self.folder.path().join(format!("merchants/{id}.toml")), text)?)
    }

    /// Writes a key beside the merchants' files.
    pub(crate) fn secret(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join("merchants").join(name), text)?)
    }

    /// Merchants `m0`, `m1` and so on, at one URL.
    pub(crate) fn merchants(&self, count: usize, url: &str) -> Result<()> {
        (0..count).try_for_each(|number| self.merchant(&format!("m{number}"), url, "plain", ""))
    }

    /// Where its API is.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// The process's number; an error if it does not run.
    pub(crate) fn process_id(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the gateway does not run")?.id())
    }

    /// Starts the process and does not wait for anything.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the gateway runs already");
        let mut text = format!("plugins = {:?}\n", self.folder.path().join("plugins"));
        for (name, lines) in &self.tables {
            let _ = writeln!(text, "[{name}]\n{lines}");
        }
        let file = self.folder.path().join("paynotify.toml");
        fs::write(&file, text)?;
        let log = fs::File::create(self.log())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command.args(["run", "--config"]).arg(file).stdout(Stdio::null()).stderr(log);
        self.process = Some(Running::spawn(&mut command)?);
        Ok(())
    }

    /// Starts it and waits until it is ready: how long that took.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        self.spawn()?;
        loop {
            if let Some(process) = &mut self.process {
                process.must_run().with_context(|| self.last_words())?;
            }
            if http::get(self.api, "/readyz").await.is_ok_and(|status| status == 200) {
                return Ok(begin.elapsed());
            }
            ensure!(begin.elapsed() < LONGEST_START, "the gateway is not ready: {}", self.last_words());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it in order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let process = self.process.take().context("the gateway does not run")?;
        process.stop().await.with_context(|| format!("the gateway: {}", self.last_words()))
    }

    /// Ends it at once, where nobody needs what it has in hand.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The end of its log, for an error.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" / ")
    }
}

/// Compiled plugins of gateways whose start is not measured; tests keep theirs there, too.
pub(crate) fn shared_compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-compiled")
}
