//! The plugin under test, and what its calls took.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{Notification, Reply, Request, Verdict};
use crate::plugin::{AttemptContext, CallError, Endpoint, Plugin};

/// A plugin whose calls are measured.
pub(super) struct Subject {
    pub(super) plugin: Plugin,
    measured: Mutex<Measured>,
}

/// The most of each, over all calls so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) calls: u64,
    pub(super) longest_call: Duration,
    pub(super) longest_body: usize,
    pub(super) longest_url: usize,
}

impl Subject {
    pub(super) fn new(plugin: Plugin) -> Self {
        Self { plugin, measured: Mutex::default() }
    }

    pub(super) fn measured(&self) -> Measured {
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn format(
        &self,
        notification: &Notification,
        endpoint: &Endpoint,
        attempt: &AttemptContext,
    ) -> Result<Request, CallError> {
        let start = Instant::now();
        let result = self.plugin.format(notification, endpoint, attempt).await;
        self.note(start.elapsed(), result.as_ref().ok());
        result
    }

    pub(super) async fn judge(
        &self,
        notification: &Notification,
        endpoint: &Endpoint,
        attempt: &AttemptContext,
        reply: &Reply,
    ) -> Result<Verdict, CallError> {
        let start = Instant::now();
        let result = self.plugin.judge(notification, endpoint, attempt, reply).await;
        self.note(start.elapsed(), None);
        result
    }

    fn note(&self, took: Duration, request: Option<&Request>) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.calls += 1;
        measured.longest_call = measured.longest_call.max(took);
        if let Some(request) = request {
            measured.longest_body = measured.longest_body.max(request.body.len());
            measured.longest_url = measured.longest_url.max(request.uri.to_string().len());
        }
    }
}
