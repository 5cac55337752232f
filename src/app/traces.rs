//! The way to the OpenTelemetry collector of a configuration.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config;
use crate::domain::{Reply, Request, TransportFailure};
use crate::http;
use crate::journal::Journal;
use crate::traces::{Exporter, Post, Sampling, Settings, TraceMetrics, Traces};

#[async_trait]
impl Post for http::Client {
    async fn post(&self, request: Request) -> Result<Reply, TransportFailure> {
        self.send(request).await
    }
}

/// Where spans are handed over, and the task that sends them, to be run.
///
/// # Errors
/// The trusted authorities cannot be read.
pub(super) fn open(
    traces: &config::Traces,
    journal: &dyn Journal,
    metrics: TraceMetrics,
) -> Result<(Traces, Exporter), http::InvalidRoots> {
    /// One post at a time.
    const CONNECTIONS: usize = 1;
    let authorities = traces.authorities.as_deref();
    let client = super::outcomes::client(traces.timeout, CONNECTIONS, authorities, &traces.reach)?;
    let settings = Settings {
        url: traces.url.clone(),
        headers: traces.headers.clone(),
        sampling: Sampling::of(traces.sample_ratio),
        service: traces.service.clone(),
        // By which the other gateways know it, too.
        instance: format!("{:016x}", journal.gateway()),
        queue: traces.queue,
        batch: traces.batch,
        interval: traces.interval,
        longest_pause: traces.longest_pause,
        patience: traces.patience,
    };
    Ok(Traces::new(settings, Arc::new(client), metrics))
}
