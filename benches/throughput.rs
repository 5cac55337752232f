//! The gateway against the bare pipe: notifications per second over the same RabbitMQ node and the same sink, in turn.
//!
//! The bare pipe consumes, POSTs and acknowledges, and nothing else: no plugin, no journal, no event. It is what the
//! machine can do; the ratio is what the gateway costs. Each round fills a queue first, then starts the process and
//! takes the time from the sink's first request to its last.
//!
//! `cargo xtask bench` runs this with everything that it needs. Numbers on the command line: notifications a round,
//! rounds.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use xtask::rabbitmq::Node;

/// Tells the program that it is to be the bare pipe: the broker's URL, the queue and the sink's URL.
const PIPE: &str = "PAYNOTIFY_BENCH_PIPE";
/// The same for both.
const PREFETCH: u16 = 256;
const PREFIX: &str = "bench";
const PIPE_QUEUE: &str = "bench.pipe";
/// A round that takes longer has failed.
const LONGEST_ROUND: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    if let Ok(arguments) = std::env::var(PIPE) {
        let [url, queue, sink] = arguments.split('\n').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{PIPE} holds three lines");
        };
        return bare_pipe(url, queue, sink).await;
    }
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (count, rounds) = (numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(5));
    let node = Node::start()?;
    let sink = Sink::start().await?;
    // A port that is free now, and whose use nobody else waits for.
    let api = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let bench = Bench { url: node.amqp_url(), sink, api, count };
    let folder = bench.configure()?;
    bench.declare(folder.path()).await?;
    println!("{count} notifications a round, {rounds} rounds of each, in turn");
    let (mut pipe, mut gateway) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        pipe.push(bench.pipe_round().await?);
        gateway.push(bench.gateway_round(folder.path(), round).await?);
        println!("round {round}: {} | {}", pipe[round - 1], gateway[round - 1]);
    }
    print_table(&pipe, &gateway);
    Ok(())
}

/// What a round measured.
struct Measured {
    per_second: f64,
    processor_microseconds: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.0}/s, {:.0} µs of processor each", self.per_second, self.processor_microseconds)
    }
}

fn print_table(pipe: &[Measured], gateway: &[Measured]) {
    let row = |name: &str, values: Vec<f64>| {
        let (least, median, most) = spread(values);
        println!("{name:<44} {median:>9.2} {least:>9.2} {most:>9.2}");
    };
    println!("\n{:<44} {:>9} {:>9} {:>9}", "", "median", "least", "most");
    row("bare pipe, notifications per second", pipe.iter().map(|round| round.per_second).collect());
    row("gateway, notifications per second", gateway.iter().map(|round| round.per_second).collect());
    let pairs = || pipe.iter().zip(gateway);
    row(
        "ratio gateway / bare pipe",
        pairs().map(|(pipe, gateway)| gateway.per_second / pipe.per_second).collect(),
    );
    row("bare pipe, µs of processor each", pipe.iter().map(|round| round.processor_microseconds).collect());
    row("gateway, µs of processor each", gateway.iter().map(|round| round.processor_microseconds).collect());
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

struct Bench {
    url: String,
    sink: Sink,
    /// Where the gateway's API listens.
    api: std::net::SocketAddr,
    count: usize,
}

impl Bench {
    fn configure(&self) -> Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        let merchants = folder.path().join("merchants");
        std::fs::create_dir(&merchants)?;
        let plain = xtask::guests::built("plain")?;
        let plugins = plain.parent().context("the plugin lies in a folder")?;
        let gateway = format!(
            "plugins = {plugins:?}\n[api]\nlisten = \"{}\"\n[log]\nlevel = \"warn\"\n[delivery]\n\
             in_flight_per_merchant = {PREFETCH}\n[http]\nidle_connections_per_merchant = {PREFETCH}\n[broker]\n\
             kind = \"amqp\"\nprefetch = {PREFETCH}\n[broker.amqp]\nurl = {:?}\nprefix = \"{PREFIX}\"\n",
            self.api, self.url
        );
        std::fs::write(folder.path().join("paynotify.toml"), gateway)?;
        let shop =
            format!("url = {:?}\nplugin = \"plain\"\nallow_addresses = [\"127.0.0.1\"]\n", self.sink.url);
        std::fs::write(merchants.join("shop.toml"), shop)?;
        Ok(folder)
    }

    async fn channel(&self) -> Result<(Connection, Channel)> {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok((connection, channel))
    }

    /// The gateway makes its topology by itself, and is ready when that is done; the pipe's queue is of the same kind.
    async fn declare(&self, folder: &std::path::Path) -> Result<()> {
        let (_connection, channel) = self.channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(PIPE_QUEUE.into(), durable, arguments).await?;
        let _gateway = start_gateway(folder)?;
        let client = Client::new(&Settings::default(), &TlsRoots::system()?, &Reach::anywhere());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let uri = format!("http://{}/readyz", self.api).parse()?;
            let request = Request { method: Method::GET, uri, headers: HeaderMap::new(), body: Bytes::new() };
            if client.send(request).await.is_ok_and(|reply| reply.status.is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the gateway is not ready");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn fill(&self, exchange: &str, routing_key: &str, round: &str) -> Result<()> {
        let (_connection, channel) = self.channel().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let mut confirms = Vec::new();
        for number in 0..self.count {
            let record = json!({
                "schema": "payment-result/1",
                "notification_id": format!("{round}-{number}"),
                "merchant_id": "shop",
                "kind": "payment",
                "status": "succeeded",
                "payment_id": format!("p-{number}"),
                "merchant_order_id": format!("o-{number}"),
                "amount": {"minor": 1_000, "currency": "CNY"},
                "created_at": "2026-11-22T08:00:00Z",
                "subject": "Two tickets for a concert",
            });
            let properties = BasicProperties::default().with_delivery_mode(2);
            let body = record.to_string();
            let confirm = channel
                .basic_publish(exchange.into(), routing_key.into(), options, body.as_bytes(), properties)
                .await?;
            confirms.push(confirm);
            if confirms.len() == 500 || number + 1 == self.count {
                for confirm in confirms.drain(..) {
                    let confirmation = confirm.await?;
                    let taken = confirmation.is_ack() && confirmation.take_message().is_none();
                    ensure!(taken, "a queue takes each message");
                }
            }
        }
        Ok(())
    }

    async fn pipe_round(&self) -> Result<Measured> {
        self.fill("", PIPE_QUEUE, "pipe").await?;
        let arguments = format!("{}\n{PIPE_QUEUE}\n{}", self.url, self.sink.url);
        let program = std::env::current_exe()?;
        self.measure(Command::new(program).env(PIPE, arguments).stdin(Stdio::null())).await
    }

    async fn gateway_round(&self, folder: &std::path::Path, round: usize) -> Result<Measured> {
        self.fill(&format!("{PREFIX}.in"), "shop", &format!("round-{round}")).await?;
        self.measure(&mut gateway(folder)).await
    }

    async fn measure(&self, command: &mut Command) -> Result<Measured> {
        self.sink.heard.store(0, Ordering::Relaxed);
        let process = Running(command.spawn()?);
        let begin = self.sink.wait_for(1).await?;
        let end = self.sink.wait_for(self.count).await?;
        let processor = processor_time(process.0.id())?;
        // What is still to be acknowledged would come again in the next round.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Measured {
            per_second: self.count as f64 / (end - begin).as_secs_f64(),
            processor_microseconds: processor.as_secs_f64() * 1e6 / self.count as f64,
        })
    }
}

/// A process that is asked to end with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        drop(Command::new("kill").args(["-TERM", &id]).status());
        drop(self.0.wait());
    }
}

fn gateway(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paynotify"));
    command.args(["run", "--config"]).arg(folder.join("paynotify.toml")).stdin(Stdio::null());
    command
}

fn start_gateway(folder: &std::path::Path) -> Result<Running> {
    Ok(Running(gateway(folder).spawn()?))
}

/// User and system time of a process so far, start-up included (proc(5): fields 14 and 15, in ticks of 10 ms).
fn processor_time(id: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after_name = text.rsplit(')').next().context("proc(5)")?;
    let ticks =
        after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// A merchant that confirms everything and counts.
struct Sink {
    url: String,
    heard: Arc<AtomicUsize>,
    more: Arc<Notify>,
    _server: JoinSet<()>,
}

impl Sink {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/notify", listener.local_addr()?);
        let (heard, more) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let count = {
            let (heard, more) = (Arc::clone(&heard), Arc::clone(&more));
            move || {
                heard.fetch_add(1, Ordering::Relaxed);
                more.notify_waiters();
                std::future::ready("success")
            }
        };
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let mut server = JoinSet::new();
        server.spawn(async move { drop(axum::serve(listener, Router::new().fallback(count)).await) });
        Ok(Self { url, heard, more, _server: server })
    }

    async fn wait_for(&self, count: usize) -> Result<Instant> {
        let wait = async {
            loop {
                let more = self.more.notified();
                if self.heard.load(Ordering::Relaxed) >= count {
                    return Instant::now();
                }
                more.await;
            }
        };
        tokio::time::timeout(LONGEST_ROUND, wait).await.with_context(|| {
            format!(
                "after {LONGEST_ROUND:?} the sink had heard {} of {count}",
                self.heard.load(Ordering::Relaxed)
            )
        })
    }
}

async fn bare_pipe(url: &str, queue: &str, sink: &str) -> Result<()> {
    let settings = Settings { idle_connections: usize::from(PREFETCH), ..Settings::default() };
    let client = Arc::new(Client::new(&settings, &TlsRoots::system()?, &Reach::anywhere()));
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(queue.into(), "pipe".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    let uri: http::Uri = sink.parse()?;
    let mut under_way = JoinSet::new();
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let (client, uri) = (Arc::clone(&client), uri.clone());
        under_way.spawn(async move {
            let body = Bytes::copy_from_slice(&delivery.data);
            let request = Request { method: Method::POST, uri, headers: HeaderMap::new(), body };
            let reply = client.send(request).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
            ensure!(reply.status.is_success(), "the sink confirms");
            delivery.acker.ack(BasicAckOptions::default()).await?;
            Ok(())
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    Ok(())
}
