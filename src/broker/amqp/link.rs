//! A connection whose socket can be cut.
//!
//! lapin gives every connection a thread of its own, which ends when the socket does and not before: a peer that takes
//! the connection and then says nothing would hold one such thread for each attempt, for ever, and so would a
//! connection that was given up. So a second handle on the socket is kept here, and whoever gives up on the
//! connection, or on making it, shuts the socket down.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::TLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use tokio::time::timeout;

/// A connection. Dropping it cuts its socket.
pub(super) struct Link {
    /// Shared with those who open channels on it later. The socket is cut with the link, whoever still has this.
    pub(super) connection: Arc<Connection>,
    _cut: CutWhenDropped,
}

impl Link {
    /// Connects, and shows up at the broker under that name. With `amqps` the node must prove who it is by an authority of the
    /// system's or of `authorities`, a PEM text. TCP and TLS together take at most `limit`; the AMQP
    /// handshake that follows has the caller's bound: dropping this future ends everything that it began.
    pub(super) async fn connect(
        node: &AMQPUri,
        name: String,
        limit: Duration,
        authorities: Option<&Arc<str>>,
    ) -> lapin::Result<Self> {
        let authorities = authorities.cloned();
        let cut = CutWhenDropped(Arc::default());
        let socket = Arc::clone(&cut.0);
        let runtime = lapin::runtime::default_runtime()?;
        let reactor = runtime.clone();
        // Runs on lapin's thread, which nothing but its own bound ends before there is a socket.
        let dial = async move |uri: AMQPUri, _| {
            let host = uri.authority.host;
            let dialling = async {
                let addresses = reactor.to_socket_addrs((host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&reactor, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let handle = plain.get_ref().as_fd().try_clone_to_owned()?;
                    socket.keep(handle.into())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => {
                        let config = TLSConfig { cert_chain: authorities.as_deref(), ..TLSConfig::default() };
                        stream.into_tls(&host, config).await
                    }
                }
            };
            match timeout(limit, dialling).await {
                Ok(stream) => Ok(stream?),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connector(node.clone(), runtime, dial, properties).await?;
        Ok(Self { connection: Arc::new(connection), _cut: cut })
    }
}

/// Our handle on a connection's socket.
#[derive(Default)]
struct Socket(Mutex<Life>);

#[derive(Default)]
enum Life {
    #[default]
    NotYet,
    Open(TcpStream),
    Cut,
}

impl Socket {
    /// Takes the handle. Fails if the socket was to be cut before it was there.
    fn keep(&self, handle: TcpStream) -> io::Result<()> {
        let mut life = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*life, Life::Cut) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        *life = Life::Open(handle);
        Ok(())
    }
}

struct CutWhenDropped(Arc<Socket>);

impl Drop for CutWhenDropped {
    fn drop(&mut self) {
        let mut life = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Life::Open(handle) = std::mem::replace(&mut *life, Life::Cut) {
            // One that the peer has closed already needs no cutting.
            let _ = handle.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Instant;

    use futures_util::StreamExt;
    use lapin::{ErrorKind, Event};

    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[1, 0, 0][..], &size, payload, &[0xce]].concat()
    }

    fn payload(stream: &mut TcpStream) -> Vec<u8> {
        let mut head = [0; 7];
        stream.read_exact(&mut head).expect("a frame");
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; usize::try_from(size).expect("short") + 1];
        stream.read_exact(&mut payload).expect("a frame");
        payload
    }

    /// Answers as far as Connection.OpenOk, says what heartbeat was asked for, and is silent from then on, until the
    /// connection is closed.
    fn greet_and_fall_silent(stream: &mut TcpStream) -> u16 {
        stream.read_exact(&mut [0; 8]).expect("the protocol's header");
        let start =
            [&[0, 10, 0, 10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5][..], b"PLAIN", &[0, 0, 0, 5], b"en_US"].concat();
        stream.write_all(&frame(&start)).expect("sent");
        payload(stream);
        // The broker's own wish is a minute, as RabbitMQ's.
        stream.write_all(&frame(&[0, 10, 0, 30, 7, 255, 0, 2, 0, 0, 0, 60])).expect("sent");
        let tune_ok = payload(stream);
        payload(stream);
        stream.write_all(&frame(&[0, 10, 0, 41, 0])).expect("sent");
        u16::from_be_bytes([tune_ok[10], tune_ok[11]])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_that_falls_silent_is_told_of_and_one_that_is_dropped_is_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let heartbeat = greet_and_fall_silent(&mut stream);
            // Heartbeats, and then the end.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).expect("an end");
            (heartbeat, rest)
        });
        let mut node: AMQPUri = format!("amqp://127.0.0.1:{port}/%2f").parse().expect("valid");
        node.query.heartbeat = Some(1);
        let link =
            Link::connect(&node, "test".to_owned(), Duration::from_secs(5), None).await.expect("connected");
        let silent_since = Instant::now();
        let mut events = Box::pin(link.connection.events_listener());
        let error = loop {
            if let Event::Error(error) = events.next().await.expect("an event") {
                break error;
            }
        };
        let noticed = silent_since.elapsed();
        assert!(matches!(error.kind(), ErrorKind::MissingHeartbeatError), "{error}");
        // Twice the interval, and up to half of one more.
        assert!((1_900..=4_000).contains(&noticed.as_millis()), "{noticed:?}");
        drop(link);
        let (heartbeat, rest) = peer.join().expect("it ends when the connection is cut");
        assert_eq!(heartbeat, 1);
        assert_eq!(rest[..8], [8, 0, 0, 0, 0, 0, 0, 0xce], "a heartbeat");
    }
}
