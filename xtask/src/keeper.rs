//! Processes that die with ours.
//!
//! Linux can send a process a signal when its parent is gone, even by `kill -9`. But the parent in this sense is the
//! *thread* that started it: a server started on a short-lived thread of a test runner would die in the middle of the
//! test. So one thread starts all processes of a server, and lives as long as the server.

use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

type Request = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// The thread that starts processes. Dropping it ends the thread, and with it whatever process still runs.
pub(crate) struct Keeper {
    /// `None` only while it is dropped.
    requests: Option<mpsc::SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn new() -> Result<Self> {
        let (requests, received) = mpsc::sync_channel::<Request>(1);
        let serve = move || {
            for (mut command, answer) in received {
                // Whoever asked waits for the answer, so it is taken.
                let _ = answer.send(command.spawn());
            }
        };
        let thread = thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(serve)
            .context("no thread can be started")?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// The same command for a process that is killed when the keeper's thread, or our whole process, ends. It may
    /// become another program; children of its own are not killed.
    pub(crate) fn command(of: &Command) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(of.get_program()).args(of.get_args());
        command
    }

    /// Starts it on the keeper's thread.
    pub(crate) fn spawn(&self, command: Command) -> Result<Child> {
        let name = format!("{:?}", command.get_args().nth(2).unwrap_or_default());
        let (answer, answered) = mpsc::sync_channel(1);
        let requests = self.requests.as_ref().context("the keeper has ended")?;
        requests.send((command, answer)).ok().context("the keeper has ended")?;
        answered
            .recv()
            .context("the keeper has ended")?
            .with_context(|| format!("{name} cannot be started by `setpriv`"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and an error would be no reason to panic here.
            let _ = thread.join();
        }
    }
}
