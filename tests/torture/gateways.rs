//! Gateway processes that are killed and started again. All of a scenario share one data folder, so that there is one
//! journal, and one configuration but for the URL of their broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use super::merchants::{Address, stopping_plugin};
use super::plan::{FURTHER, LADDER, PATIENCE};
use super::rabbit::PREFIX;

/// How many deliveries each gateway has under way at most.
pub const PREFETCH: usize = 256;
/// A start or a drain that takes longer has failed. Machines are busy.
const PATIENT: Duration = Duration::from_secs(60);

/// Where the gateways that run listen; `None` for one that does not.
pub type Addresses = Arc<RwLock<Vec<Option<String>>>>;

/// The processes, and what they share.
pub struct Gateways {
    folder: PathBuf,
    processes: Vec<Option<Child>>,
    starts: usize,
    addresses: Addresses,
    /// Set for every process that is started from now on.
    pub environment: Vec<(String, String)>,
}

impl Gateways {
    /// Writes the files of so many gateways. `broker` has the lines of `[broker.amqp]`, the n-th for gateway n,
    /// counted round; with none it is one gateway on its embedded broker. `journal` has the lines of `[journal]`.
    pub fn new(
        folder: &Path,
        broker: &[String],
        count: usize,
        merchants: &[Address],
        missing_after: Duration,
        journal: &str,
    ) -> Self {
        for name in ["plugins", "merchants", "data"] {
            fs::create_dir_all(folder.join(name)).expect(name);
        }
        let plain = xtask::guests::built("plain").expect("the plugin is built");
        fs::copy(plain, folder.join("plugins/plain.wasm")).expect("copied");
        let ladder = LADDER.map(|delay| format!("\"{delay}ms\"")).join(", ");
        fs::write(folder.join("plugins/guest.wasm"), stopping_plugin()).expect("written");
        for Address { name, url, plugin } in merchants {
            // The bound is out of the way: what a merchant's flood does to others is another suite's business.
            let text = format!(
                "url = \"{url}\"\nplugin = \"{plugin}\"\nin_flight = 512\nfirst_byte_timeout = \"{}ms\"\n",
                PATIENCE.as_millis()
            );
            fs::write(folder.join(format!("merchants/{name}.toml")), text).expect("written");
        }
        for number in 0..count {
            let broker = match broker.get(number % broker.len().max(1)) {
                None => "kind = \"embedded\"\n".to_owned(),
                Some(lines) => format!(
                    "kind = \"amqp\"\nprefetch = {PREFETCH}\n[broker.amqp]\n{lines}\nprefix = \"{PREFIX}\"\n"
                ),
            };
            let text = format!(
                "data = \"data\"\n[api]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
                 [http]\nallow_addresses = [\"127.0.0.1\"]\n[delivery]\nladder = [{ladder}]\nfurther_message_lag = \"{}ms\"\nmissing_after = \"{}ms\"\n\
                 [journal]\n{journal}\n[broker]\n{broker}",
                FURTHER.as_millis(),
                missing_after.as_millis()
            );
            fs::write(folder.join(format!("gateway-{number}.toml")), text).expect("written");
        }
        Self {
            folder: folder.to_owned(),
            processes: (0..count).map(|_| None).collect(),
            starts: 0,
            addresses: Arc::new(RwLock::new(vec![None; count])),
            environment: Vec::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.processes.len()
    }

    pub fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    pub fn runs(&self, number: usize) -> bool {
        self.processes[number].is_some()
    }

    fn set_address(&self, number: usize, address: Option<String>) {
        self.addresses.write().expect("nobody panics while writing")[number] = address;
    }

    /// Starts a gateway and waits until it listens.
    pub async fn start(&mut self, number: usize) {
        if let Err(said) = self.try_to_start(number).await {
            panic!("gateway {number} did not start: {said}");
        }
    }

    /// The same; if it ends instead, what it said.
    pub async fn try_to_start(&mut self, number: usize) -> Result<(), String> {
        assert!(self.processes[number].is_none(), "gateway {number} runs already");
        let path = self.folder.join(format!("log-{number}-{:04}", self.starts));
        self.starts += 1;
        let log = fs::File::create(&path).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command.arg("run").arg("--config").arg(self.folder.join(format!("gateway-{number}.toml")));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("started");
        let mut child = Some(child);
        let deadline = Instant::now() + PATIENT;
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            if let Some(address) = lines.filter_map(|line| line["address"].as_str().map(str::to_owned)).next()
            {
                self.processes[number] = child.take();
                self.set_address(number, Some(address));
                return Ok(());
            }
            let running = child.as_mut().expect("not taken yet");
            if running.try_wait().expect("waited for").is_some() {
                return Err(text);
            }
            if Instant::now() > deadline {
                drop((running.kill(), running.wait()));
                return Err(format!("not within {PATIENT:?}: {text}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9.
    pub fn kill(&mut self, number: usize) {
        let mut process = self.processes[number].take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("waited for");
        self.set_address(number, None);
    }

    /// SIGTERM, and waits until it has drained and ended.
    pub async fn drain(&mut self, number: usize) -> ExitStatus {
        let mut process = self.processes[number].take().expect("it runs");
        // Its API answers while it drains what is under way, but no longer takes connections.
        self.set_address(number, None);
        let id = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let deadline = Instant::now() + PATIENT;
        loop {
            if let Some(status) = process.try_wait().expect("waited for") {
                return status;
            }
            if Instant::now() > deadline {
                drop((process.kill(), process.wait()));
                panic!("gateway {number} did not drain within {PATIENT:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The lines of all logs in which a word occurs, in the order of the starts.
    /// The ids of what was published again because it was missing.
    pub fn put_back(&self) -> Vec<String> {
        let lines = self.log_lines("is published again");
        let id =
            |line: &String| Some(line.split_once("\"notification\":\"")?.1.split('"').next()?.to_owned());
        lines.iter().filter_map(id).collect()
    }

    pub fn log_lines(&self, word: &str) -> Vec<String> {
        let mut logs: Vec<_> = fs::read_dir(&self.folder)
            .expect("the folder")
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("log-"))
            .map(|entry| entry.path())
            .collect();
        logs.sort();
        let mut lines = Vec::new();
        for log in logs {
            let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&log).unwrap_or_default();
            lines.extend(
                text.lines().filter(|line| line.contains(word)).map(|line| format!("{name}: {line}")),
            );
        }
        lines
    }
}

impl Drop for Gateways {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            drop((process.kill(), process.wait()));
        }
    }
}
