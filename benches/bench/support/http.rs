//! A client of the gateway's API that costs little, because it runs beside what is measured: requests written once as bytes,
//! over connections that each wait for their answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::record::record;

/// One connection, kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends these bytes and reads the answer to its end: its status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let text = std::str::from_utf8(&self.buffer[..head])?.to_ascii_lowercase();
        let status = text.get(9..12).context("a status line")?.parse()?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        Ok(status)
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the connection was closed");
        Ok(())
    }
}

/// The status of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    Connection::open(address).await?.exchange(request.as_bytes()).await
}

/// What is handed in over HTTP.
pub(crate) struct Posts {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) round: String,
    pub(crate) count: usize,
    /// So many a second, evenly; or as fast as they are taken.
    pub(crate) per_second: Option<f64>,
    /// Notification n is for merchant `m<n mod merchants>`.
    pub(crate) merchants: usize,
}

impl Posts {
    /// Hands them in, each connection its part in turn, and gives the time from the first to the last answer.
    pub(crate) async fn send(self) -> Result<Duration> {
        let Self { address, connections, round, count, per_second, merchants } = self;
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for (first, mut connection) in open.into_iter().enumerate() {
            let round = round.clone();
            tasks.spawn(async move {
                for number in (first..count).step_by(connections) {
                    if let Some(rate) = per_second {
                        let due = begin + Duration::from_secs_f64(number as f64 / rate);
                        tokio::time::sleep_until(due.into()).await;
                    }
                    let body = record(&round, number, &format!("m{}", number % merchants));
                    let request = format!(
                        "POST /v1/notifications HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                         content-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let status = connection.exchange(request.as_bytes()).await?;
                    ensure!(status == 202, "a notification was answered with {status}");
                }
                Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(begin.elapsed())
    }
}
