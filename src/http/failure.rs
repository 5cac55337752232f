//! Which failure an error of the HTTP libraries is: by the types in its chain of causes, never by its text.

use std::error::Error;
use std::io;

use super::connect::NotConnected;
use crate::domain::TransportFailure;

/// The name of a failed exchange.
pub(super) fn of(error: &(dyn Error + 'static)) -> TransportFailure {
    if let Some(not_connected) = Causes(Some(error)).find_map(|error| error.downcast_ref::<NotConnected>()) {
        return not_connected.failure;
    }
    // The innermost cause that says something is the most exact: the outermost may be "the body has failed".
    // Where nobody says anything, the peer has gone: that is hyper's `IncompleteMessage`, `Canceled` or `ChannelClosed`.
    Causes(Some(error)).filter_map(named).last().unwrap_or(TransportFailure::ConnectionLost)
}

/// What one error says on its own, without its causes.
fn named(error: &(dyn Error + 'static)) -> Option<TransportFailure> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        of_hyper(error)
    } else if let Some(error) = error.downcast_ref::<h2::Error>() {
        Some(of_h2(error))
    } else if let Some(error) = error.downcast_ref::<io::Error>() {
        Some(of_io(error))
    } else if error.is::<rustls::Error>() {
        // With TLS 1.3 a server may refuse the handshake after we took it for completed.
        Some(TransportFailure::TlsFailed)
    } else {
        None
    }
}

fn of_hyper(error: &hyper::Error) -> Option<TransportFailure> {
    if error.is_parse_too_large() {
        Some(TransportFailure::HeadersTooLarge)
    } else if error.is_parse() {
        Some(TransportFailure::InvalidResponse)
    } else {
        None
    }
}

fn of_h2(error: &h2::Error) -> TransportFailure {
    if error.is_remote() || error.is_io() {
        TransportFailure::ConnectionLost
    } else {
        // Our side has refused what came. A header section that is too large is among the reasons, but h2 calls it a
        // protocol error like the others, and there is no telling them apart.
        TransportFailure::InvalidResponse
    }
}

fn of_io(error: &io::Error) -> TransportFailure {
    // How hyper reports chunks that are no chunks.
    if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) {
        TransportFailure::InvalidResponse
    } else {
        TransportFailure::ConnectionLost
    }
}

/// An error, its cause, the cause's cause and so on.
struct Causes<'a>(Option<&'a (dyn Error + 'static)>);

impl<'a> Iterator for Causes<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        self.0 = match error.downcast_ref::<io::Error>() {
            // An `io::Error` names as its source not the error that it wraps, but that one's source.
            Some(wrapper) => wrapper.get_ref().map(|wrapped| wrapped as _),
            None => error.source(),
        };
        Some(error)
    }
}
