//! A real gateway process for a test: its own folder, its own files, the program itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use serde_json::Value;

/// How long a test waits for something that should come soon. Generous, because machines are busy.
pub const SOON: Duration = Duration::from_secs(30);

/// Where a gateway under test keeps its notifications.
#[derive(Clone, Debug)]
pub enum Store {
    Embedded,
    Amqp { url: String, prefix: String },
}

/// A gateway's folder, from which it can be started again and again.
pub struct Gateway {
    folder: tempfile::TempDir,
    store: Store,
    process: Option<Child>,
    address: String,
    client: Client,
    /// What `run` is given beside its configuration.
    pub arguments: Vec<String>,
}

impl Gateway {
    /// A folder with the plugin `plain` in it and no merchant yet. `more` is added to the gateway's file.
    pub fn new(store: Store, more: &str) -> Self {
        Self::with_api(store, "", more)
    }

    /// The same, with keys of its API's table. The merchants of tests are on this machine, and the file allows that.
    pub fn with_api(store: Store, api: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["plugins", "merchants"] {
            fs::create_dir(folder.path().join(name)).expect(name);
        }
        let plain = xtask::guests::built("plain").expect("the plugin is built");
        fs::copy(plain, folder.path().join("plugins/plain.wasm")).expect("copied");
        let broker = match &store {
            Store::Embedded => "kind = \"embedded\"\n".to_owned(),
            Store::Amqp { url, prefix } => {
                format!("kind = \"amqp\"\n[broker.amqp]\nurl = \"{url}\"\nprefix = \"{prefix}\"\n")
            }
        };
        let text = format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n{api}\n[log]\nformat = \"json\"\n\
             [http]\nallow_addresses = [\"127.0.0.0/8\"]\n[broker]\n{broker}\n{more}\n"
        );
        fs::write(folder.path().join("paynotify.toml"), text).expect("written");
        let client =
            Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
        Self { folder, store, process: None, address: String::new(), client, arguments: Vec::new() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From its next start on, keeps its data where the other one does.
    pub fn share_data_of(&self, other: &Self) {
        let file = self.folder().join("paynotify.toml");
        let text = fs::read_to_string(&file).expect("its configuration");
        let data = other.folder().join("data");
        fs::write(file, format!("data = \"{}\"\n{text}", data.display())).expect("written");
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes a merchant's file. It counts from the next start on.
    pub fn merchant(&self, id: &str, url: &str, more: &str) {
        let text = format!("url = \"{url}\"\nplugin = \"plain\"\n{more}\n");
        fs::write(self.folder.path().join(format!("merchants/{id}.toml")), text).expect("written");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command
            .arg("run")
            .arg("--config")
            .arg(self.folder.path().join("paynotify.toml"))
            .args(&self.arguments);
        command
    }

    /// The program with another of its verbs, upon this gateway's configuration.
    pub fn verb(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
        command.args(words).arg("--config").arg(self.folder.path().join("paynotify.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The body of a page that is no JSON.
    pub async fn text(&self, path: &str) -> String {
        let uri = format!("http://{}{path}", self.address).parse().expect("a URL");
        let request = Request { method: Method::GET, uri, headers: HeaderMap::new(), body: Bytes::new() };
        let reply = self.client.send(request).await.expect("an answer");
        String::from_utf8(reply.body.to_vec()).expect("text")
    }

    /// Starts the program and waits until it says where it listens.
    pub fn start(&mut self) {
        self.start_within(SOON);
    }

    /// The same for one that has much to read.
    pub fn start_within(&mut self, time: Duration) {
        assert!(self.process.is_none(), "it runs already");
        let log = fs::File::create(self.log_file()).expect("a log");
        let child = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(child.expect("started"));
        let deadline = Instant::now() + time;
        loop {
            if let Some(address) =
                self.log_lines().iter().find_map(|line| line["address"].as_str().map(str::to_owned))
            {
                self.address = address;
                return;
            }
            let ended = self.process.as_mut().and_then(|child| child.try_wait().expect("waited for"));
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "it did not start ({ended:?}): {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the program with a log that cannot be written, as on a full disk.
    pub fn start_with_a_full_log(&mut self) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        self.address = port.to_string();
        let file = self.folder.path().join("paynotify.toml");
        let text = fs::read_to_string(&file).expect("written").replace("127.0.0.1:0", &self.address);
        fs::write(&file, text).expect("written");
        let log = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let child = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(child.expect("started"));
    }

    /// Runs the program where it is expected to end by itself: its status and what it says.
    pub fn run_to_its_end(&self) -> (ExitStatus, String) {
        let log = fs::File::create(self.log_file()).expect("a log");
        let child = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut child = child.expect("started");
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = child.try_wait().expect("waited for") {
                return (status, self.log());
            }
            if Instant::now() > deadline {
                child.kill().expect("killed");
                child.wait().expect("waited for");
                panic!("it does not end: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process's number.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Ends the program without warning.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("waited for");
    }

    /// Asks the program to end, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let id = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = process.try_wait().expect("waited for") {
                return status;
            }
            if Instant::now() > deadline {
                process.kill().expect("killed");
                panic!("it did not stop: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The API's address, for the program's other commands.
    pub fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (u16, Value) {
        let uri = format!("http://{}{path}", self.address).parse().expect("a URL");
        let request = Request { method, uri, headers: HeaderMap::new(), body: body.into() };
        let reply = self.client.send(request).await.expect("an answer");
        let value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        (reply.status.as_u16(), value)
    }

    /// Waits until the gateway can take notifications.
    pub async fn ready(&self) {
        let deadline = Instant::now() + SOON;
        loop {
            let uri = format!("http://{}/readyz", self.address).parse().expect("a URL");
            let headers = HeaderMap::new();
            let request = Request { method: Method::GET, uri, headers, body: Bytes::new() };
            if self.client.send(request).await.is_ok_and(|reply| reply.status.is_success()) {
                return;
            }
            assert!(Instant::now() < deadline, "it is not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Hands in a payment result, which must be accepted.
    pub async fn send(&self, record: &Value) {
        let answer = self.ask(Method::POST, "/v1/notifications", record.to_string()).await;
        assert_eq!(answer.0, 202, "{answer:?}");
    }

    /// The story of a notification once it is in that state.
    pub async fn wait_for_state(&self, id: &str, state: &str, within: Duration) -> Value {
        let deadline = Instant::now() + within;
        loop {
            let (status, story) = self.ask(Method::GET, &format!("/v1/notifications/{id}"), "").await;
            if status == 200 && story["state"] == state {
                return story;
            }
            assert!(Instant::now() < deadline, "{id} is not {state}: {story}; {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn log_lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

/// A payment result of ten yuan for a merchant's order.
pub fn record(id: &str, merchant: &str, order: &str) -> Value {
    serde_json::json!({
        "schema": "payment-result/1",
        "notification_id": id,
        "merchant_id": merchant,
        "kind": "payment",
        "status": "succeeded",
        "payment_id": format!("p-{order}"),
        "merchant_order_id": order,
        "amount": {"minor": 1_000, "currency": "CNY"},
        "created_at": "2026-11-22T08:00:00Z",
    })
}
