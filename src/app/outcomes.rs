//! The HTTP endpoint of a configuration that is told of outcomes.

use std::time::Duration;

use crate::config;
use crate::delivery::Endpoint;
use crate::http;

/// The endpoint, ready to be told.
///
/// # Errors
/// The trusted authorities cannot be read.
pub(super) fn endpoint(outcomes: &config::Outcomes) -> Result<Endpoint, http::InvalidRoots> {
    let authorities = outcomes.authorities.as_deref();
    let client = client(outcomes.timeout, outcomes.side_by_side, authorities, &outcomes.reach)?;
    Ok(Endpoint {
        client,
        url: outcomes.url.clone(),
        authorization: outcomes.authorization.clone(),
        source: outcomes.source.clone(),
        queue: outcomes.queue,
        side_by_side: outcomes.side_by_side,
        longest_pause: outcomes.longest_pause,
        again_after: outcomes.again_after,
    })
}

/// The client of an endpoint that the gateway itself sends to: each request within that time, so many connections kept.
///
/// # Errors
/// The trusted authorities cannot be read.
pub(super) fn client(
    timeout: Duration,
    connections: usize,
    authorities: Option<&str>,
    reach: &http::Reach,
) -> Result<http::Client, http::InvalidRoots> {
    /// Of its answer hardly more than the status counts.
    const LONGEST_ANSWER: usize = 4 * 1024;
    let system = http::TlsRoots::system()?;
    let roots = match authorities {
        None => system,
        Some(authorities) => system.and_private(authorities.as_bytes())?,
    };
    let timeouts = http::Timeouts {
        connect: timeout.min(http::Timeouts::default().connect),
        first_byte: timeout,
        total: timeout,
    };
    let settings = http::Settings {
        timeouts,
        longest_reply: LONGEST_ANSWER,
        idle_connections: connections,
        ..http::Settings::default()
    };
    Ok(http::Client::new(&settings, &roots, reach))
}
