//! One node of RabbitMQ: started, stopped, killed, started again on the same ports and data.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::epmd::Epmd;
use super::version::{Programs, Version};
use crate::keeper::Keeper;
use crate::ports;
use crate::process::{last_lines_of, output};

/// The package's own scripts. The ones in PATH change to the user `rabbitmq`, which cannot write a folder of ours.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// A node takes six seconds on an idle machine with two cores.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// How long a condition is left alone between two looks at it.
const POLL: Duration = Duration::from_millis(20);
/// Somebody may take a port between its being found free and the node's listening there.
const START_TRIES: usize = 3;

/// How much of the machine a node may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Two schedulers and a small write-ahead log: several nodes get along on one machine.
    Small,
    /// As RabbitMQ is by default: for measuring.
    Full,
}

/// A private node. It listens on 127.0.0.1 and is killed, and its folders are removed, when the value is dropped; it
/// dies with the process too.
pub struct Node {
    /// `None` when it was stopped or killed.
    server: Option<Child>,
    name: String,
    size: Size,
    programs: Programs,
    amqp_port: u16,
    distribution_port: u16,
    /// Of the management API, where it is enabled.
    management_port: Option<u16>,
    tls_port: Option<u16>,
    folder: PathBuf,
    epmd: Arc<Epmd>,
    // Dropped last: what it started dies with it.
    keeper: Keeper,
}

impl Node {
    /// Starts a small node of [`Version::chosen`] and waits until it accepts AMQP.
    pub fn start() -> Result<Self> {
        Self::start_sized(Size::Small)
    }

    /// Starts a node of this size, of [`Version::chosen`], and waits until it accepts AMQP.
    pub fn start_sized(size: Size) -> Result<Self> {
        Self::start_version(Version::chosen()?, size)
    }

    /// Starts a node of this version and size and waits until it accepts AMQP.
    pub fn start_version(version: Version, size: Size) -> Result<Self> {
        let programs = version.programs()?;
        Self::start_known_to(size, &programs, || Epmd::start(&programs).map(Arc::new))
    }

    /// Starts a small node with the management plugin, which takes a few seconds longer, and waits until its API answers
    /// as well.
    pub fn start_with_management() -> Result<Self> {
        let programs = Version::chosen()?.programs()?;
        let epmd = Arc::new(Epmd::start(&programs)?);
        let mut node = Self::prepare(Size::Small, programs, epmd)?;
        let [port] = ports::free()?;
        node.management_port = Some(port);
        write(&node.folder.join("plugins"), "[rabbitmq_management].\n")?;
        let file = node.folder.join("advanced.config");
        let configuration = fs::read_to_string(&file).context("the configuration cannot be read")?;
        let listener = format!(
            "[{{rabbitmq_management, [{{tcp_config, [{{port, {port}}}, {{ip, \"127.0.0.1\"}}]}}]}},\n"
        );
        write(&file, &configuration.replacen('[', &listener, 1))?;
        node.restart()?;
        Ok(node)
    }

    /// Starts a small node that speaks AMQP over TLS as well, with this certificate and key (PEM), and waits until it accepts AMQP.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Result<Self> {
        let programs = Version::chosen()?.programs()?;
        let epmd = Arc::new(Epmd::start(&programs)?);
        let mut node = Self::prepare(Size::Small, programs, epmd)?;
        let [port] = ports::free()?;
        node.tls_port = Some(port);
        let file = node.folder.join("advanced.config");
        let configuration = fs::read_to_string(&file).context("the configuration cannot be read")?;
        let listener = format!(
            "{{ssl_listeners, [{{\"127.0.0.1\", {port}}}]}}, {{ssl_options, [{{certfile, {certificate:?}}}, {{keyfile, {key:?}}}, \
             {{verify, verify_none}}]}}, {{tcp_listeners,"
        );
        write(&file, &configuration.replacen("{tcp_listeners,", &listener, 1))?;
        node.restart()?;
        Ok(node)
    }

    /// Where AMQP is spoken over TLS. Fails if the node was started without.
    pub fn amqps_url(&self) -> Result<String> {
        let port = self.tls_port.context("the node has no TLS")?;
        Ok(format!("amqps://guest:guest@127.0.0.1:{port}/%2f"))
    }

    /// The management API's address, with user and password. Fails if the node was started without.
    pub fn management_url(&self) -> Result<String> {
        let port = self.management_port.context("the node has no management API")?;
        Ok(format!("http://guest:guest@127.0.0.1:{port}"))
    }

    /// Starts another node that can reach this one, so that `ctl(&["join_cluster", first.name()])` works after
    /// `ctl(&["stop_app"])`.
    pub fn start_beside(&self) -> Result<Self> {
        Self::start_known_to(self.size, &self.programs, || Ok(Arc::clone(&self.epmd)))
    }

    /// Starts so many small nodes at once, which form one cluster while they start for the first time.
    pub(super) fn start_together(version: Version, count: usize) -> Result<Vec<Self>> {
        let programs = version.programs()?;
        let mut last_error = None;
        for _ in 0..START_TRIES {
            let epmd = Arc::new(Epmd::start(&programs)?);
            let prepare = |_| Self::prepare(Size::Small, programs.clone(), Arc::clone(&epmd));
            let mut nodes = (0..count).map(prepare).collect::<Result<Vec<_>>>()?;
            let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
            for node in &mut nodes {
                node.configure(&names)?;
                node.launch()?;
            }
            // A member answers in the cluster's name, which is that of one of them.
            let ours = format!("{PREFIX}{}-", std::process::id());
            match nodes.iter_mut().try_for_each(|node| node.wait_until_it_accepts(Some(&ours))) {
                Ok(()) => return Ok(nodes),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.context("no try was made")?)
    }

    /// The node's Erlang name: `paynotify-…@localhost`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to connect, as the default user on the default virtual host.
    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp_port)
    }

    /// The port of 127.0.0.1 that AMQP is spoken on; it stays the same over restarts.
    pub fn amqp_port(&self) -> u16 {
        self.amqp_port
    }

    /// Runs `rabbitmqctl --quiet` with these arguments against this node, and returns what it wrote.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        self.tool("rabbitmqctl", arguments)
    }

    /// The same with another of the package's tools, such as `rabbitmq-queues`.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.programs.command(&format!("{SCRIPTS}/{program}"));
        command.arg("--quiet").args(arguments);
        self.set_environment(&mut command);
        output(&mut command).with_context(|| format!("{program} {arguments:?} on {}", self.name))
    }

    /// Stops it in an orderly way and waits until it is gone. The data stays. Nothing happens if it does not run.
    pub fn stop(&mut self) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        self.signal("TERM")?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                bail!(
                    "{} did not stop within {STOP_DEADLINE:?}; its log is in {}",
                    self.name,
                    self.folder.display()
                );
            }
            std::thread::sleep(POLL);
        }
        self.server = None;
        Ok(())
    }

    /// Kills it at once, as a power cut would. The data stays.
    pub fn kill_hard(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill().with_context(|| format!("{} cannot be killed", self.name))?;
        server.wait().with_context(|| format!("{} cannot be waited for", self.name))?;
        Ok(())
    }

    /// Stops it, if it runs, and starts it on the same ports and data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()?;
        // In a cluster it answers in the cluster's name, and nobody else knows these ports by now.
        self.wait_until_it_accepts(None)
    }

    /// Freezes it: it holds its connections and does nothing, as a machine that hangs.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Ends a [`Node::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn start_known_to(size: Size, programs: &Programs, epmd: impl Fn() -> Result<Arc<Epmd>>) -> Result<Self> {
        let mut last_error = None;
        for _ in 0..START_TRIES {
            let mut node = Self::prepare(size, programs.clone(), epmd()?)?;
            node.launch()?;
            // Before the @: the host that it tells is the machine's, not the one in its name.
            let own_name = node.name.trim_end_matches("localhost").to_owned();
            match node.wait_until_it_accepts(Some(&own_name)) {
                Ok(()) => return Ok(node),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.context("no try was made")?)
    }

    /// Makes its folders and files.
    fn prepare(size: Size, programs: Programs, epmd: Arc<Epmd>) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let word = format!("{PREFIX}{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&word);
        let [amqp_port, distribution_port] = ports::free()?;
        fs::create_dir_all(folder.join("home"))
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        write(&folder.join("plugins"), "[].\n")?;
        let cookie = folder.join("home/.erlang.cookie");
        write(&cookie, &epmd.cookie)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))
            .context("the cookie cannot be protected")?;
        let keeper = Keeper::new()?;
        let name = format!("{word}@localhost");
        let node = Self {
            server: None,
            name,
            size,
            programs,
            amqp_port,
            distribution_port,
            management_port: None,
            tls_port: None,
            folder,
            epmd,
            keeper,
        };
        node.configure(&[])?;
        Ok(node)
    }

    /// Writes its configuration. Started for the first time, it joins the first of these nodes that is there.
    fn configure(&self, cluster: &[String]) -> Result<()> {
        let amqp_port = self.amqp_port;
        let log_size = match self.size {
            Size::Small => "{wal_max_size_bytes, 64000000}",
            Size::Full => "",
        };
        let names: Vec<String> = cluster.iter().map(|name| format!("'{name}'")).collect();
        // What the README tells operators to set, and why.
        let patience = "{dead_letter_worker_publisher_confirm_timeout, 2000},";
        let (tick, members) = match cluster {
            [] => ("", String::new()),
            _ => (
                "{kernel, [{net_ticktime, 12}]},",
                format!("{{cluster_nodes, {{[{}], disc}}}},", names.join(", ")),
            ),
        };
        // Erlang terms are read half a second quicker than the newer format, which is translated into them.
        let configuration = format!(
            "[{tick} {{rabbit, [{patience} {members} {{tcp_listeners, [{{\"127.0.0.1\", {amqp_port}}}]}}, {{disk_free_limit, 50000000}},\n\
             {{log, [{{console, [{{enabled, false}}]}}, {{file, [{{level, info}}]}}]}}]}},\n {{ra, [{log_size}]}}].\n"
        );
        write(&self.folder.join("advanced.config"), &configuration)
    }

    fn launch(&mut self) -> Result<()> {
        let mut command = Keeper::command(&self.programs.command(&format!("{SCRIPTS}/rabbitmq-server")));
        self.set_environment(&mut command);
        let out = fs::File::create(self.folder.join("out")).context("the node's output cannot be written")?;
        let error = out.try_clone().context("the node's output cannot be written")?;
        command.stdin(Stdio::null()).stdout(out).stderr(error);
        self.server = Some(self.keeper.spawn(command)?);
        Ok(())
    }

    /// The same for the server and for rabbitmqctl. Nothing of the caller's environment is let through but PATH.
    fn set_environment(&self, command: &mut Command) {
        const LOOPBACK: &str = "-kernel inet_dist_use_interface {127,0,0,1}";
        let schedulers = match self.size {
            Size::Small => "+S 2:2",
            Size::Full => "",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8");
        let folder = |name: &str| self.folder.join(name);
        for (name, path) in [
            ("HOME", folder("home")),
            ("RABBITMQ_MNESIA_BASE", folder("data")),
            ("RABBITMQ_LOG_BASE", folder("log")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", folder("plugins")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", folder("advanced.config")),
            // There is none, so that the machine's own is not read.
            ("RABBITMQ_CONFIG_FILE", folder("none")),
            ("RABBITMQ_CONF_ENV_FILE", folder("none")),
        ] {
            command.env(name, path);
        }
        for (name, value) in [
            ("ERL_EPMD_PORT", self.epmd.port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", self.amqp_port.to_string()),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            // With input "allowed" the script becomes the server, rather than starting it as a child.
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            // Schedulers bound to cores would bind those of all nodes to the same ones.
            ("RABBITMQ_SCHEDULER_BIND_TYPE", "u".to_owned()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", format!("-noinput {LOOPBACK} {schedulers}")),
            ("RABBITMQ_CTL_ERL_ARGS", LOOPBACK.to_owned()),
            // By default eleven ports serve all of a machine's rabbitmqctl.
            ("RABBITMQ_CTL_DIST_PORT_MIN", "10000".to_owned()),
            ("RABBITMQ_CTL_DIST_PORT_MAX", "19999".to_owned()),
        ] {
            command.env(name, value);
        }
    }

    /// With `own_name` it must also answer under that name: whoever took the port in between is somebody else.
    fn wait_until_it_accepts(&mut self, own_name: Option<&str>) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if self.has_ended()? {
                self.server = None;
                bail!("{} ended while starting: {}", self.name, self.last_output());
            }
            let serves = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            if accepts_amqp(self.amqp_port, own_name.unwrap_or_default())
                && self.management_port.is_none_or(serves)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} does not accept AMQP after {START_DEADLINE:?}: {}", self.name, self.last_output());
            }
            std::thread::sleep(POLL);
        }
    }

    fn has_ended(&mut self) -> Result<bool> {
        let Some(server) = self.server.as_mut() else { return Ok(true) };
        Ok(server.try_wait().with_context(|| format!("{} cannot be looked after", self.name))?.is_some())
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let server = self.server.as_ref().with_context(|| format!("{} does not run", self.name))?;
        output(Command::new("kill").arg(format!("-{signal}")).arg(server.id().to_string())).map(drop)
    }

    /// The end of what it wrote, for an error.
    fn last_output(&self) -> String {
        last_lines_of(&self.folder.join("out"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Its children end when it does. What cannot be removed, the next node removes.
        let _ = self.kill_hard();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a node's name and its folder in the temporary folder begin with; the id of our process follows.
const PREFIX: &str = "paynotify-rabbitmq-";

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

/// Whether a server on the port answers the protocol header with a Connection.Start in which the word occurs: among
/// the server's properties there is the cluster's name, which is the node's own until it joins others.
fn accepts_amqp(port: u16, word: &str) -> bool {
    const PATIENCE: Duration = Duration::from_secs(2);
    const METHOD_CONNECTION_START: [u8; 4] = [0, 10, 0, 10];
    let greet = || -> std::io::Result<Vec<u8>> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        // A frame's head: type, channel, and the length of what follows.
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        let [kind, _, _, length @ ..] = head;
        let mut payload = Vec::new();
        if kind == 1 {
            stream.take(u32::from_be_bytes(length).into()).read_to_end(&mut payload)?;
        }
        Ok(payload)
    };
    let holds = |payload: &[u8]| {
        word.is_empty() || payload.windows(word.len()).any(|window| window == word.as_bytes())
    };
    greet().is_ok_and(|payload| payload.starts_with(&METHOD_CONNECTION_START) && holds(&payload))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
