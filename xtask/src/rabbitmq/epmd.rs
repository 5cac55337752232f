//! Erlang's name server.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::version::Programs;
use crate::keeper::Keeper;
use crate::ports;

/// It takes a moment.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long the port is left alone between two looks at it.
const POLL: Duration = Duration::from_millis(20);

/// Erlang's name server, on a port of its own, for one node or a few that form a cluster. Without it a node would
/// start the machine's, and leave it running.
pub(super) struct Epmd {
    /// Where it listens.
    pub(super) port: u16,
    /// The word by which the nodes that use it know each other.
    pub(super) cookie: String,
    process: Child,
    _keeper: Keeper,
}

impl Epmd {
    /// Starts it on a free port and waits until it listens.
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let [port] = ports::free()?;
        let keeper = Keeper::new()?;
        let mut command = Keeper::command(&programs.command("epmd"));
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut epmd = Self {
            port,
            cookie: format!("paynotify-rabbitmq-{port}"),
            process: keeper.spawn(command)?,
            _keeper: keeper,
        };
        let deadline = Instant::now() + START_DEADLINE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let status = epmd.process.try_wait().context("`epmd` cannot be looked after")?;
            if status.is_some() || Instant::now() > deadline {
                bail!("Erlang's `epmd` does not start on port {port} ({status:?})");
            }
            std::thread::sleep(POLL);
        }
        Ok(epmd)
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
