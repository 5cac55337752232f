//! On what was measured: the machine, and the versions of what took part.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row};

use super::context::Context;

/// See the module.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gigabytes: f64,
    kernel: String,
    paynotify: String,
    rustc: String,
    rabbitmq: String,
    erlang: String,
    sqlite: String,
}

impl Machine {
    /// Asks for all of it.
    pub(crate) async fn look(context: &Context) -> Result<Self> {
        let memory = proc("meminfo", "MemTotal")?;
        let memory: f64 = memory.trim_end_matches(" kB").parse().context("proc(5), meminfo")?;
        let commit = said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
        let sqlite = "sqlite::memory:".parse::<sqlx::sqlite::SqliteConnectOptions>()?;
        let row = sqlx::query("SELECT sqlite_version()").fetch_one(&mut sqlite.connect().await?).await?;
        Ok(Self {
            processor: proc("cpuinfo", "model name").unwrap_or_else(|_| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_gigabytes: memory * 1_024.0 / 1e9,
            kernel: said("uname", &["-sr"]),
            paynotify: format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
            rustc: said("rustc", &["--version"]).trim_start_matches("rustc ").to_owned(),
            rabbitmq: context.node.ctl(&["version"])?.trim().to_owned(),
            erlang: context
                .node
                .ctl(&["eval", "erlang:system_info(otp_release)."])?
                .trim()
                .trim_matches('"')
                .to_owned(),
            sqlite: row.try_get(0)?,
        })
    }

    /// In one line.
    pub(crate) fn sentence(&self) -> String {
        let Self { processor, cores, memory_gigabytes, kernel, paynotify, rustc, rabbitmq, erlang, sqlite } =
            self;
        format!(
            "{processor}, {cores} cores, {memory_gigabytes:.0} GB, {kernel}; paynotify {paynotify}, rustc {rustc}, \
             RabbitMQ {rabbitmq} on Erlang {erlang}, SQLite {sqlite}"
        )
    }

    /// The two objects of the document.
    pub(crate) fn json(&self) -> (Value, Value) {
        let machine = json!({
            "processor": self.processor,
            "cores": self.cores,
            "memory_gigabytes": self.memory_gigabytes,
            "kernel": self.kernel,
        });
        let versions = json!({
            "paynotify": self.paynotify,
            "rustc": self.rustc,
            "rabbitmq": self.rabbitmq,
            "erlang": self.erlang,
            "sqlite": self.sqlite,
        });
        (machine, versions)
    }
}

/// What stands behind the first of these names in a file of `/proc`.
fn proc(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{file}"))?;
    let line = text.lines().find(|line| line.starts_with(name)).context("proc(5)")?;
    Ok(line.split_once(':').context("proc(5)")?.1.trim().to_owned())
}

/// What a program says, or that it is unknown.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.ok().filter(|output| output.status.success());
    said.map_or_else(|| "unknown".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
