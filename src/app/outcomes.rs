//! The HTTP endpoint of a configuration that is told of outcomes.

use crate::config;
use crate::delivery::Endpoint;
use crate::http;

/// The endpoint, ready to be told.
///
/// # Errors
/// The trusted authorities cannot be read.
pub(super) fn endpoint(outcomes: &config::Outcomes) -> Result<Endpoint, http::InvalidRoots> {
    /// Of its answer the status counts alone.
    const LONGEST_ANSWER: usize = 4 * 1024;
    let system = http::TlsRoots::system()?;
    let roots = match &outcomes.authorities {
        None => system,
        Some(authorities) => system.and_private(authorities.as_bytes())?,
    };
    let timeouts = http::Timeouts {
        connect: outcomes.timeout.min(http::Timeouts::default().connect),
        first_byte: outcomes.timeout,
        total: outcomes.timeout,
    };
    let settings = http::Settings {
        timeouts,
        longest_reply: LONGEST_ANSWER,
        idle_connections: outcomes.side_by_side,
        ..http::Settings::default()
    };
    Ok(Endpoint {
        client: http::Client::new(&settings, &roots, &outcomes.reach),
        url: outcomes.url.clone(),
        authorization: outcomes.authorization.clone(),
        source: outcomes.source.clone(),
        queue: outcomes.queue,
        side_by_side: outcomes.side_by_side,
        longest_pause: outcomes.longest_pause,
        again_after: outcomes.again_after,
    })
}
