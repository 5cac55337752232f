//! `paynotify topology`: RabbitMQ's exchanges and queues, for whoever looks after them.

use std::path::Path;

use super::config::looked_at;
use super::{Failure, TopologyCheck, TopologyDrain};
use crate::app;
use crate::broker::amqp::{Drain, Drained, Operator, QueueRow, Report};

pub(super) async fn check(arguments: &TopologyCheck) -> Result<(), Failure> {
    let report = operator(&arguments.file.config).await?.check().await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", table(&report));
    }
    if report.is_good() {
        return Ok(());
    }
    Err(Failure::Failed(anyhow::anyhow!("RabbitMQ does not keep what paynotify promises")))
}

pub(super) async fn declare(file: &Path) -> Result<(), Failure> {
    let queues = operator(file).await?.declare().await?;
    println!("{queues} queues and their exchanges are there");
    Ok(())
}

pub(super) async fn drain(arguments: &TopologyDrain) -> Result<(), Failure> {
    let drain = Drain {
        rungs: arguments.rung.clone(),
        unused: arguments.unused,
        delete_empty: arguments.delete_empty,
    };
    let operator = operator(&arguments.file.config).await?;
    let progress = |drained: &Drained| {
        if drained.moved > 0 {
            eprintln!("{}: {} moved so far", drained.queue, drained.moved);
        }
    };
    let all = operator.drain(&drain, progress).await?;
    for drained in &all {
        println!("{}", line(drained, drain.delete_empty));
    }
    Ok(())
}

async fn operator(file: &Path) -> Result<Operator, Failure> {
    let (config, prepared) = looked_at(file).await?;
    match app::operator(&config, &prepared)? {
        Some(operator) => Ok(operator),
        None => {
            let problem = config.wrong("broker.kind", "is \"embedded\": only RabbitMQ has a topology");
            Err(Failure::Wrong(vec![problem.to_string()]))
        }
    }
}

fn line(drained: &Drained, delete_empty: bool) -> String {
    let Drained { queue, moved, probes, left, deleted } = drained;
    let mut line = format!("{queue}: {moved} moved, {left} left");
    if *probes > 0 {
        line.push_str(&format!(", {probes} probes thrown away"));
    }
    if *deleted {
        line.push_str(", deleted");
    } else if delete_empty {
        line.push_str(", not deleted (it is in use or not empty, or this RabbitMQ cannot delete a quorum queue only if it is empty)");
    }
    line
}

fn table(report: &Report) -> String {
    let mut lines =
        vec![format!("RabbitMQ {}", report.version.as_deref().unwrap_or("of an unknown version"))];
    let width = report.queues.iter().map(|row| row.name.len()).max().unwrap_or(0).max(5);
    lines.push(format!(
        "{:<width$}  {:<8}  {:>7}  {:>9}  {:>9}  policy",
        "queue", "type", "members", "ready", "messages"
    ));
    lines.extend(report.queues.iter().map(|row| queue_line(row, width)));
    for finding in &report.findings {
        lines.push(format!("{:<8}  {finding}", finding.severity.name()));
    }
    if report.findings.is_empty() {
        lines.push("nothing is wrong".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn queue_line(row: &QueueRow, width: usize) -> String {
    let unknown = || "-".to_owned();
    let kind = if row.exists { row.kind.clone().unwrap_or_else(unknown) } else { "missing".to_owned() };
    let members = row.members.map_or_else(unknown, |(members, online)| format!("{online}/{members}"));
    let messages = row.messages.map_or_else(unknown, |messages| messages.to_string());
    let policy = row.policy.as_deref().unwrap_or("-");
    format!("{:<width$}  {kind:<8}  {members:>7}  {:>9}  {messages:>9}  {policy}", row.name, row.ready)
}
