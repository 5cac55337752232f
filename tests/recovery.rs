//! Delivering again at most five seconds after RabbitMQ can be reached, without a restart, whatever broke.
//!
//! What is measured is the time from the moment at which a plain connection can publish, by the same way that the
//! gateway takes, to the next delivery that is handed out.

#![allow(missing_docs)]

mod support;

use std::collections::HashSet;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use paynotify::broker::Broker;
use paynotify::broker::amqp::{AmqpBroker, Settings};
use paynotify::domain::Moment;
use support::amqp::{Outside, prefix, until, until_ready};
use support::conformance::{envelope, now, readable};
use support::proxy::{Cut, Proxy};
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::timeout;
use xtask::rabbitmq::Node;

/// What is promised.
const PROMISE: Duration = Duration::from_secs(5);

/// A broker under test behind a proxy, with somebody who takes and settles all that it hands out.
struct Scene {
    node: Node,
    proxy: Proxy,
    settings: Settings,
    broker: Arc<AmqpBroker>,
    /// When the last delivery was handed out.
    last: watch::Receiver<Instant>,
    taker: JoinHandle<()>,
    log: Log,
    recoveries: Vec<(&'static str, Duration)>,
}

impl Scene {
    async fn start() -> Self {
        let log = Log::start();
        let node = block_in_place(|| Node::start().expect("a node"));
        let proxy = Proxy::before(&node.amqp_url()).await;
        let urls = vec![proxy.url(&node.amqp_url())];
        let rung_delays = vec![Duration::from_secs(3)];
        let settings = Settings { urls, prefix: prefix(), rung_delays, ..Settings::default() };
        let broker = Arc::new(AmqpBroker::start(settings.clone()).expect("valid"));
        until_ready(&broker).await;
        let (handed_out, last) = watch::channel(Instant::now());
        let taker = tokio::spawn(take_all(broker.clone(), handed_out));
        let mut scene = Self { node, proxy, settings, broker, last, taker, log, recoveries: Vec::new() };
        scene.recovers("nothing, to begin with").await;
        scene.recoveries.clear();
        scene
    }

    /// Runs `rabbitmqctl`.
    fn ctl(&self, arguments: &[&str]) {
        block_in_place(|| self.node.ctl(arguments).expect("rabbitmqctl"));
    }

    /// A connection past the proxy.
    async fn outside(&self) -> Outside {
        Outside::connect(&Settings { urls: vec![self.node.amqp_url()], ..self.settings.clone() }).await
    }

    async fn until_away(&self) {
        until("the broker is seen to be away", async || self.broker.ready().is_err()).await;
    }

    /// Waits until an attempt to connect is under way that began after this.
    async fn until_tried_again(&self) {
        let before = self.proxy.taken();
        until("another attempt is made", async || self.proxy.taken() >= before + 2).await;
    }

    /// Has the broker publish something that is due at once, and does not wait for it.
    fn publish(&self, wait: Duration) -> JoinHandle<()> {
        let broker = self.broker.clone();
        tokio::spawn(async move {
            let mut envelope = envelope(&format!("from-within-{}", now().unix_milliseconds()));
            let from = if wait.is_zero() { Moment::EPOCH } else { now() };
            envelope.progress.due = from.after(wait);
            // It may be refused or fail: it is here to break something.
            let _ = broker.publish(&envelope).await;
        })
    }

    /// Notes how long it took from now on until something was delivered again.
    async fn recovers(&mut self, cause: &'static str) {
        self.recovers_when(cause, async |_| {}).await;
    }

    /// The same from the moment at which a connection can publish that is made anew until it can, while this is mended.
    async fn recovers_when(&mut self, cause: &'static str, mend: impl AsyncFnOnce(&Self)) {
        let url = self.settings.urls[0].clone();
        let reachable = tokio::spawn(until_reachable(url.clone()));
        mend(self).await;
        let reachable = reachable.await.expect("in time");
        let exchange = format!("{}.in", self.settings.prefix);
        let id = format!("n-{}", now().unix_milliseconds());
        until("a producer can publish", async || publishes(&url, &exchange, "m", &id).await).await;
        let delivered = self.last.wait_for(|last| *last >= reachable);
        let delivered = timeout(Duration::from_secs(30), delivered).await;
        let recovery = *delivered.expect("delivered again").expect("the taker lives") - reachable;
        println!("{cause:<55} {:>5} ms", recovery.as_millis());
        self.recoveries.push((cause, recovery));
    }

    async fn end(self) {
        self.broker.close().await;
        self.taker.await.expect("nothing was handed out twice");
        let slow: Vec<_> = self.recoveries.iter().filter(|(_, recovery)| *recovery > PROMISE).collect();
        assert!(slow.is_empty(), "too slow: {slow:?}");
        let log = self.log.text();
        assert!(!log.contains("guest"), "a user or a password is logged: {log}");
    }
}

/// Takes and settles everything. Nothing that is held may come once more meanwhile.
async fn take_all(broker: Arc<AmqpBroker>, handed_out: watch::Sender<Instant>) {
    let held = Arc::new(Mutex::new(HashSet::new()));
    let mut settling = tokio::task::JoinSet::new();
    while let Some(delivery) = broker.next().await {
        handed_out.send_replace(Instant::now());
        let id = readable(&delivery).notification.id().to_string();
        assert!(held.lock().expect("sound").insert(id.clone()), "{id} is out twice");
        let held = held.clone();
        settling.spawn(async move {
            // If it fails, it comes again.
            let _ = delivery.receipt.poison("seen", None).await;
            held.lock().expect("sound").remove(&id);
        });
        while settling.try_join_next().is_some() {}
    }
}

/// Waits until a plain connection can publish.
async fn until_reachable(url: String) -> Instant {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !publishes(&url, "", "nobody", "n").await {
        assert!(Instant::now() < deadline, "nobody can publish");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Instant::now()
}

/// Whether a message can be published by a connection of its own, with a confirm and, if it must, to a queue.
async fn publishes(url: &str, exchange: &str, routing_key: &str, id: &str) -> bool {
    let publishing = async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions { mandatory: !exchange.is_empty(), immediate: false };
        let body = envelope(id).notification.raw;
        let properties = BasicProperties::default().with_delivery_mode(2);
        let published =
            channel.basic_publish(exchange.into(), routing_key.into(), options, &body, properties);
        let confirmation = published.await?.await?;
        connection.close(200, "OK".into()).await?;
        lapin::Result::Ok(confirmation == Confirmation::Ack(None))
    };
    matches!(timeout(Duration::from_secs(2), publishing).await, Ok(Ok(true)))
}

/// What the program logs, as it would with its own settings.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let filter = tracing_subscriber::EnvFilter::new("info,lapin=off");
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("sound")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write_all(bytes)?;
        self.0.lock().expect("sound").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How much of the processor this process has used.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    // The kernel counts hundredths of a second here.
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn own_node_whatever_an_operator_does() {
    let mut scene = Scene::start().await;

    scene.ctl(&["close_all_connections", "for maintenance"]);
    scene.recovers("connections closed by the broker").await;

    scene.outside().await.delete("work").await;
    scene.recovers("work queue deleted, consumer cancelled").await;

    scene.outside().await.delete("rung.3000").await;
    scene.publish(Duration::from_secs(3)).await.expect("refused");
    scene.recovers("rung deleted, publish unroutable").await;

    let outside = scene.outside().await;
    let deleted = outside.channel().await;
    let intake = outside.name("in").into();
    deleted.exchange_delete(intake, Default::default()).await.expect("deleted");
    scene.publish(Duration::ZERO);
    scene.until_away().await;
    scene.recovers("exchange deleted, channel closed").await;

    for (resource, cause) in [("memory", "memory alarm"), ("disk", "disk alarm")] {
        let set = format!("rabbit_alarm:set_alarm({{{{resource_limit, {resource}, node()}}, []}}).");
        scene.ctl(&["eval", &set]);
        scene.publish(Duration::ZERO);
        scene.until_away().await;
        let clear = format!("rabbit_alarm:clear_alarm({{resource_limit, {resource}, node()}}).");
        scene.recovers_when(cause, async |scene| scene.ctl(&["eval", &clear])).await;
    }
    scene.ctl(&["eval", "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})."]);
    scene.proxy.cut(Cut::Reset);
    until("it is known why nothing is delivered", async || {
        scene.broker.ready().is_err_and(|reason| reason.contains("memory"))
    })
    .await;
    let clear = "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).";
    scene.recovers_when("connected anew during an alarm", async |scene| scene.ctl(&["eval", clear])).await;

    scene.ctl(&["change_password", "guest", "another"]);
    scene.proxy.cut(Cut::Close);
    until("it is known that the password is wrong", async || {
        scene.broker.ready().is_err_and(|reason| reason.contains("ACCESS_REFUSED"))
    })
    .await;
    scene.until_tried_again().await;
    let correct = ["change_password", "guest", "guest"];
    scene.recovers_when("wrong password, corrected", async |scene| scene.ctl(&correct)).await;

    scene.ctl(&["delete_vhost", "/"]);
    scene.until_away().await;
    scene.until_tried_again().await;
    scene.ctl(&["add_vhost", "/"]);
    let permit = ["set_permissions", "guest", ".*", ".*", ".*"];
    scene.recovers_when("virtual host deleted and made again", async |scene| scene.ctl(&permit)).await;

    scene.proxy.refuse().await;
    scene.proxy.cut(Cut::Reset);
    scene.until_away().await;
    let outside = scene.outside().await;
    outside.delete("work").await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let work = outside.name("work").into();
    outside.channel().await.queue_declare(work, durable, FieldTable::default()).await.expect("declared");
    scene.proxy.accept().await;
    for _ in 0..3 {
        scene.until_tried_again().await;
    }
    // The audit has a connection of its own, meets the same error at some of its looks, and tells it for itself.
    let is_told = |line: &&str| line.contains("supervisor") && line.contains("PRECONDITION_FAILED");
    let told = scene.log.text().lines().filter(is_told).count();
    assert_eq!(told, 1, "an error that goes on is told once: {}", scene.log.text());
    assert!(scene.broker.ready().is_err_and(|reason| reason.contains("PRECONDITION_FAILED")));
    let cause = "queue declared otherwise by somebody, deleted";
    scene.recovers_when(cause, async |_| outside.delete("work").await).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_node_whatever_happens_to_the_node_or_the_network() {
    let mut scene = Scene::start().await;

    for how in [Cut::Reset, Cut::Close] {
        scene.proxy.cut(how);
        scene.recovers("connections cut on the way").await;
    }

    scene.proxy.black_hole();
    scene.until_away().await;
    scene.until_tried_again().await;
    scene.recovers_when("black hole, healed", async |scene| scene.proxy.release()).await;

    block_in_place(|| scene.node.pause().expect("paused"));
    scene.until_away().await;
    scene.until_tried_again().await;
    let resume = async |scene: &Scene| block_in_place(|| scene.node.resume().expect("resumed"));
    scene.recovers_when("node frozen, resumed during an attempt", resume).await;

    let (began, used, taken) = (Instant::now(), processor_time(), scene.proxy.taken());
    block_in_place(|| scene.node.kill_hard().expect("killed"));
    scene.until_away().await;
    block_in_place(|| scene.node.restart().expect("restarted"));
    let (outage, used, taken) = (began.elapsed(), processor_time() - used, scene.proxy.taken() - taken);
    scene.recovers("node killed and restarted").await;
    println!("{taken} connections and {used:?} of processor time in an outage of {outage:.1?}");
    // Two for each attempt; the first five come quickly, and then there is half a second between two at least.
    let most = 2.0 * (5.0 + outage.as_secs_f64() / 0.5);
    assert!((taken as f64) < most, "{taken} connections in {outage:?}");
    assert!(used < outage / 4, "{used:?} of processor time in {outage:?}");
    scene.end().await;
}

/// lapin has a thread for each connection, which ends with its socket and not before.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_speaks_costs_no_threads() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let keeper = taken.clone();
    // Ends with the process; it waits for nothing but connections.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            keeper.lock().expect("sound").push(stream);
        }
    });
    let quick = Duration::from_millis(50);
    let broker = AmqpBroker::start(Settings {
        urls: vec![format!("amqp://127.0.0.1:{port}/%2f")],
        connect_timeout: quick,
        reconnect_least: quick,
        reconnect_most: quick,
        ..Settings::default()
    })
    .expect("valid");
    until("twenty attempts", async || taken.lock().expect("sound").len() >= 40).await;
    until("threads of two attempts at most", async || threads_of_connections() <= 4).await;
    let reason = broker.ready().expect_err("nobody speaks");
    assert!(reason.contains(&format!("127.0.0.1:{port}: connecting took longer")), "{reason}");
    broker.close().await;
    until("no threads any more", async || threads_of_connections() == 0).await;
}

fn threads_of_connections() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "lapin-io-loop").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_one_that_is_there_is_enough() {
    let node = support::amqp::url();
    let (first, second) = (Proxy::before(&node).await, Proxy::before(&node).await);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let silent = format!("amqp://{}/%2f", silent.local_addr().expect("an address"));
    let settings = Settings {
        urls: vec![first.url(&node), silent, second.url(&node)],
        prefix: prefix(),
        rung_delays: Vec::new(),
        ..Settings::default()
    };
    let outside = Outside::connect(&Settings { urls: vec![node], ..settings.clone() }).await;
    let broker = AmqpBroker::start(settings).expect("valid");
    until_ready(&broker).await;
    let mut proxies = [&first, &second];
    for round in 0..2 {
        // All connections are on one node: two that carry messages, and the audit's.
        until("it is connected", async || proxies.iter().any(|proxy| proxy.connections() == 3)).await;
        if proxies[0].connections() == 0 {
            proxies.reverse();
        }
        assert_eq!(proxies.map(Proxy::connections), [3, 0]);
        proxies[0].refuse().await;
        proxies[0].cut(Cut::Reset);
        let died = Instant::now();
        until("it is noticed", async || broker.ready().is_err()).await;
        outside
            .publish(
                &outside.name("in"),
                "m",
                &envelope(&format!("n{round}")).notification.raw,
                BasicProperties::default(),
            )
            .await;
        let delivery = broker.next().await.expect("it comes");
        let took = died.elapsed();
        println!("delivering again after {took:?} from another node");
        assert!(took <= PROMISE, "{took:?}");
        delivery.receipt.poison("seen", None).await.expect("settled");
        proxies[0].accept().await;
    }
    broker.close().await;
    outside.clean_up().await;
}
