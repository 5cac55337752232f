//! What is done with notifications, as an OpenTelemetry collector is told of it: by gateways as they run, over OTLP.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod joined;
mod otlp;
mod sending;
mod told;

use support::gateway::Gateway;

/// The value of a counter of what became of spans.
async fn counted(gateway: &Gateway, result: &str) -> u64 {
    let text = gateway.text("/metrics").await;
    let sample = format!("paynotify_trace_spans_total{{result=\"{result}\"}}");
    let value = text.lines().find_map(|line| line.strip_prefix(&sample)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {sample} in {text}"))
}

/// How often the log says that.
fn said(gateway: &Gateway, part: &str) -> usize {
    gateway
        .log_lines()
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|text| text.contains(part)))
        .count()
}
