//! A reply whose end is not waited for.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::failure;
use crate::domain::TransportFailure;

/// A reply that goes on: what there is of it is handed out piece by piece, and nothing is kept.
#[derive(Debug)]
pub struct Opened {
    /// The reply's status.
    pub status: StatusCode,
    pub(super) body: Incoming,
}

impl Opened {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// Nothing came within that time, or the connection broke.
    pub async fn next(&mut self, within: Duration) -> Result<Option<Bytes>, TransportFailure> {
        loop {
            let frame = tokio::time::timeout(within, self.body.frame());
            match frame.await.map_err(|_| TransportFailure::TotalTimedOut)? {
                None => return Ok(None),
                Some(Err(error)) => return Err(failure::of(&error)),
                // Frames are data or trailers.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
