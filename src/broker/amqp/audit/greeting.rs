//! RabbitMQ's version, as it tells everybody who connects: a field of `connection.start` (AMQP 0-9-1, section 1.4.2.1),
//! which the client library keeps to itself. Over TLS it is not asked.

use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a greeting may take, in time and in bytes.
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST: u64 = 64 * 1024;

/// The version of the server there, if it tells.
pub(super) async fn version(uri: &AMQPUri) -> Option<String> {
    if !matches!(uri.scheme, AMQPScheme::AMQP) {
        return None;
    }
    let greet = async {
        let address = (uri.authority.host.as_str(), uri.authority.port);
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"AMQP\0\0\x09\x01").await.ok()?;
        // A frame's head: type, channel, and the length of what follows.
        let mut head = [0; 7];
        stream.read_exact(&mut head).await.ok()?;
        let [_, _, _, length @ ..] = head;
        let length = u64::from(u32::from_be_bytes(length)).min(LONGEST);
        let mut payload = Vec::new();
        stream.take(length).read_to_end(&mut payload).await.ok()?;
        version_in(&payload)
    };
    timeout(PATIENCE, greet).await.ok().flatten()
}

/// The field `version`: its name as a short string, `S`, and a long string.
fn version_in(payload: &[u8]) -> Option<String> {
    const FIELD: &[u8] = b"\x07versionS";
    let at = payload.windows(FIELD.len()).position(|window| window == FIELD)?;
    let (length, rest) = payload.get(at + FIELD.len()..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_and_nothing_is_made_up() {
        let start = b"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x20\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x063.10.8....";
        assert_eq!(version_in(start).as_deref(), Some("3.10.8"));
        for end in [0, 20, start.len() - 8] {
            assert_eq!(version_in(&start[..end]), None, "cut at {end}");
        }
    }
}
