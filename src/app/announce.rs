//! Tells systemd how it stands with the gateway: sd_notify(3), a datagram of lines to the socket that `NOTIFY_SOCKET` names.
//!
//! Ready is what takes notifications, as `/readyz` says it. Without the variable nobody wants to know. Nothing depends on what is
//! told: a datagram that is not taken is told of in the log and sent again, and the gateway goes on. Deliberately absent: the watchdog.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use crate::broker::Broker;
use crate::journal::Journal;

/// How often it is looked how it stands.
const PAUSE: Duration = Duration::from_millis(250);

/// Tells when the gateway is ready, what it waits for, and that it stops. Returns when it does.
pub(super) async fn until(mut stopped: Receiver<()>, broker: Arc<dyn Broker>, journal: Arc<dyn Journal>) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    let (mut told, mut failed) = (String::new(), false);
    loop {
        let now = state(broker.ready(), journal.ready());
        // What was not taken is told again: systemd waits for it.
        if now != told {
            match sent(&socket, now.as_bytes()) {
                Ok(()) => (told, failed) = (now, false),
                Err(error) if !failed => {
                    tracing::warn!(%error, ?socket, "systemd cannot be told how it stands (NOTIFY_SOCKET); it is tried again");
                    failed = true;
                }
                Err(_) => {}
            }
        }
        tokio::select! {
            _ = stopped.changed() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    // It notices by itself, a little later.
    let _ = sent(&socket, b"STOPPING=1\nSTATUS=finishes what is under way");
}

/// Both parts as a message. What was ready once stays started: what it waits for then is told beside that.
fn state(broker: Result<(), String>, journal: Result<(), String>) -> String {
    let waits: Vec<String> = [("broker", broker), ("journal", journal)]
        .into_iter()
        .filter_map(|(part, ready)| Some(format!("{part}: {}", ready.err()?)))
        .collect();
    if waits.is_empty() {
        return "READY=1\nSTATUS=takes notifications".to_owned();
    }
    // A line break would begin another assignment.
    format!("STATUS=waits for the {}", waits.join("; the ").replace(['\n', '\r'], " "))
}

fn sent(socket: &OsString, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        // The abstract namespace.
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        Some(_) | None => SocketAddr::from_pathname(socket)?,
    };
    let datagrams = UnixDatagram::unbound()?;
    // A manager that hangs must not hold the gateway up.
    datagrams.set_nonblocking(true)?;
    datagrams.send_to_addr(message, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_one_line() {
        let away = |why: &str| Err(why.to_owned());
        assert_eq!(state(Ok(()), Ok(())), "READY=1\nSTATUS=takes notifications");
        assert_eq!(
            state(away("no\nREADY=1"), away("gone")),
            "STATUS=waits for the broker: no READY=1; the journal: gone"
        );
    }
}
