//! Processes that are measured: started, looked at through `/proc`, ended.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// How long one may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(60);

/// A process that is killed with its value.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it without an input.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).spawn().map(Self).with_context(|| format!("{name} cannot be started"))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it has ended ({status})"),
        }
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(&mut self, longest: Duration) -> Result<()> {
        let deadline = Instant::now() + longest;
        loop {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "it ended badly ({status})");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it did not end within {longest:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("a process's number")?;
        kill_process(id, Signal::TERM)?;
        self.end(STOP).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lets this process, and those that it starts, have as many files as the system allows: ten thousand merchants have a
/// connection each.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// What processors have worked for a process so far, user and system time (proc(5), `stat`: fields 14 and 15). The kernel
/// scales both to the exact running time and gives them in ticks of 10 ms.
pub(crate) fn processor_time(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after_name = text.rsplit(')').next().context("proc(5)")?;
    let ticks =
        after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// What a process has of the machine's memory, in MB (10^6 bytes).
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) resident: f64,
    /// What of it is the process's own, rather than pages of files (such as compiled plugins).
    pub(crate) own: f64,
}

/// See [`Memory`] (proc(5), `status`).
pub(crate) fn memory(id: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("proc(5)")?;
        let kibibytes: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
        Ok::<_, anyhow::Error>(kibibytes * 1_024.0 / 1e6)
    };
    Ok(Memory { resident: megabytes("VmRSS")?, own: megabytes("RssAnon")? })
}
