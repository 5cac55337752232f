//! Points 1 and 2: the gateway beside the bare pipe, on RabbitMQ.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use xtask::examples::{self, Built};

use crate::pipe::{PREFETCH, Task};
use crate::support::context::Context;
use crate::support::figures::ratios;
use crate::support::gateway::{Gateway, Store};
use crate::support::rabbit::Rabbit;
use crate::support::record::record;
use crate::support::report::Point;
use crate::support::sink::{Lap, Laps, Sink};

/// A round that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(180);
const PIPE_QUEUE: &str = "bench.pipe";
/// Whom the telling pipe tells: a topic exchange like the gateway's, to which nobody listens, as to that one.
const EVENTS: &str = "bench.pipe.events";
/// What the examples ask for.
const KEY: &str = "[[keys]]\nrole = \"signing\"\nalgorithm = \"hmac-sha256\"\nsecret = \"file:acme.key\"\n";
/// The languages of point 2, and how many notifications of each a round has: the last takes a millisecond for one.
const LANGUAGES: [(&str, usize); 3] = [("rust", 10_000), ("js", 10_000), ("python", 3_000)];
/// What svix-server delivered in a second where the bare pipe had 21,400, fifteen times.
const FIFTEEN_TIMES_SVIX: f64 = 15.0 * 948.0;

/// One that takes its turn.
struct Variant {
    key: String,
    title: String,
    count: usize,
    kind: Kind,
    laps: Vec<Lap>,
}

enum Kind {
    /// And the exchange that it tells.
    Pipe(Option<&'static str>),
    PostOnly,
    Gateway(Box<Gateway>, Store),
}

impl Variant {
    fn new(key: impl Into<String>, title: impl Into<String>, count: usize, kind: Kind) -> Self {
        Self { key: key.into(), title: title.into(), count, kind, laps: Vec::new() }
    }

    fn per_second(&self) -> Vec<f64> {
        self.laps.iter().map(|lap| lap.per_second).collect()
    }

    fn processor(&self) -> Vec<f64> {
        self.laps.iter().map(|lap| lap.processor).collect()
    }
}

/// Measures both, or one of them; the bare pipe in any case.
pub(super) async fn measure(context: &Context, pipe: bool, languages: bool) -> Result<Vec<Point>> {
    let rounds = context.rounds(5);
    let count = context.pick(20_000, 200);
    let laps = Arc::new(Laps::default());
    let sink = Sink::start(laps.script())?;
    let mut variants = vec![Variant::new("pipe", "bare pipe", count, Kind::Pipe(None))];
    let mut skipped = String::new();
    if pipe {
        variants.push(Variant::new("post_only", "POST only, without a broker", count, Kind::PostOnly));
        let title = "bare pipe that tells an exchange of each";
        variants.push(Variant::new("telling_pipe", title, count, Kind::Pipe(Some(EVENTS))));
        let plain = gateway(context, &sink, None).await?;
        variants.push(Variant::new("gateway", "gateway, `plain` in Rust", count, plain));
    }
    // A compiler that is not optimised takes a minute for the others.
    let some = LANGUAGES.into_iter().filter(|_| languages).take(context.pick(usize::MAX, 2));
    for (language, count) in some {
        match examples::built(language)? {
            Built::Skipped(reason) => skipped += &format!(" No {language}: {reason}."),
            Built::Component(file) => {
                let kind = gateway(context, &sink, Some(fs::read(file)?)).await?;
                let title = format!("gateway, `acme` in {language}");
                variants.push(Variant::new(language, title, context.pick(count, 50), kind));
            }
        }
    }
    let rabbit = Rabbit::connect(&context.node.amqp_url()).await?;
    rabbit.quorum_queue(PIPE_QUEUE, &[]).await?;
    rabbit.topic_exchange(EVENTS).await?;
    let mut rig = Rig { context, rabbit, laps, sink };
    for round in 1..=rounds {
        for variant in &mut variants {
            let lap = rig.round(variant, round).await?;
            let Lap { per_second, processor, .. } = lap;
            context.say(format!("round {round}, {}: {per_second:.0}/s, {processor:.0} µs", variant.title));
            variant.laps.push(lap);
        }
    }
    let mut points = Vec::new();
    if pipe {
        points.push(against_the_pipe(&variants, count));
    }
    if languages {
        points.push(by_language(&variants, &skipped));
    }
    Ok(points)
}

/// A gateway for one merchant, which has been ready once: its queues are there, and its plugins compiled.
async fn gateway(context: &Context, sink: &Sink, acme: Option<Vec<u8>>) -> Result<Kind> {
    let store = context.fresh_store();
    let mut gateway = Gateway::new(&store)?;
    gateway.share_compiled()?;
    gateway.set("delivery", format!("in_flight_per_merchant = {PREFETCH}"));
    gateway.set("http", format!("idle_connections_per_merchant = {PREFETCH}"));
    match acme {
        None => gateway.merchant("m0", &sink.url("/"), "plain", "")?,
        Some(component) => {
            gateway.plugin("acme", &component)?;
            gateway.secret("acme.key", "a-key-for-tests")?;
            gateway.merchant("m0", &sink.url("/acme"), "acme", KEY)?;
        }
    }
    gateway.start().await?;
    gateway.stop().await?;
    Ok(Kind::Gateway(Box::new(gateway), store))
}

struct Rig<'a> {
    context: &'a Context,
    rabbit: Rabbit,
    laps: Arc<Laps>,
    sink: Sink,
}

impl Rig<'_> {
    /// Fills the queue, starts the process, and takes the time from the sink's first request to its last.
    async fn round(&mut self, variant: &mut Variant, round: usize) -> Result<Lap> {
        let count = variant.count;
        let record = |number| ("m0".to_owned(), record(&format!("{}{round}", variant.key), number, "m0"));
        let (rabbit, laps) = (&mut self.rabbit, &self.laps);
        match &mut variant.kind {
            Kind::Pipe(exchange) => {
                rabbit.fill("", count, |number| (PIPE_QUEUE.to_owned(), record(number).1)).await?;
                laps.expect(count);
                let (broker, queue) = (self.context.node.amqp_url(), PIPE_QUEUE.to_owned());
                let (url, exchange) = (self.sink.url("/"), exchange.map(str::to_owned));
                let process = Task::Pipe { broker, queue, url, exchange }.spawn()?;
                laps.watch(process.id());
                let lap = laps.lap(LONGEST).await?;
                // What is still to be acknowledged would come again in the next round.
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(lap)
            }
            Kind::PostOnly => {
                laps.expect(count);
                let mut process = Task::PostOnly { count, url: self.sink.url("/") }.spawn()?;
                laps.watch(process.id());
                let lap = laps.lap(LONGEST).await?;
                process.end(LONGEST).await?;
                Ok(lap)
            }
            Kind::Gateway(gateway, store) => {
                rabbit.fill(&store.name("in"), count, record).await?;
                laps.expect(count);
                gateway.spawn()?;
                laps.watch(gateway.process_id()?);
                let lap = laps.lap(LONGEST).await;
                gateway.stop().await?;
                lap
            }
        }
    }
}

fn against_the_pipe(variants: &[Variant], count: usize) -> Point {
    let mut point = Point::new(
        1,
        "gateway and bare pipe",
        format!(
            "RabbitMQ quorum queues, {count} notifications a round. The queue is filled first; the time is from the sink's first \
             request to its last, and so is the processor time of the one process (start-up is in neither). The bare pipe consumes, \
             POSTs and acknowledges, with the gateway's own client; the one that tells an exchange waits for a publisher confirm before it \
             acknowledges, as the gateway does, and shows what a gateway that cost nothing would reach. The gateway has its journal (SQLite, transcripts of all attempts), \
             its outcome events, and the defaults, but for one merchant with `in_flight_per_merchant` = \
             `idle_connections_per_merchant` = {PREFETCH}, which is the pipe's prefetch, too, and `log.level` = \"warn\"."
        ),
    );
    let found = |key: &str| variants.iter().find(|variant| variant.key == key);
    let (Some(pipe), Some(post_only), Some(telling), Some(gateway)) =
        (found("pipe"), found("post_only"), found("telling_pipe"), found("gateway"))
    else {
        return point;
    };
    for variant in [pipe, post_only, telling, gateway] {
        point.row(format!("{}_per_second", variant.key), &variant.title, "1/s", &variant.per_second());
    }
    point.at_least(FIFTEEN_TIMES_SVIX);
    let ratio = ratios(&gateway.per_second(), &pipe.per_second());
    point.row("throughput_ratio", "gateway ÷ bare pipe", "×", &ratio).at_least(0.75);
    let ratio = ratios(&gateway.per_second(), &post_only.per_second());
    point.row("post_only_ratio", "gateway ÷ POST only", "×", &ratio);
    let ratio = ratios(&telling.per_second(), &pipe.per_second());
    point.row("telling_ratio", "bare pipe that tells an exchange ÷ bare pipe", "×", &ratio);
    for variant in [pipe, post_only, telling, gateway] {
        let title = format!("{}: processor time each", variant.title);
        point.row(format!("{}_processor", variant.key), title, "µs", &variant.processor());
    }
    let ratio = ratios(&gateway.processor(), &pipe.processor());
    point.row("processor_ratio", "processor time, gateway ÷ bare pipe", "×", &ratio).at_most(2.0);
    point
}

fn by_language(variants: &[Variant], skipped: &str) -> Point {
    let about = format!(
        "As point 1, in turn with it; the plugin is `acme` (a JSON body with an HMAC-SHA256 of the gateway's) in three languages. \
         Fewer notifications a round where it is slower.{skipped}"
    );
    let mut point = Point::new(2, "gateway and bare pipe, by the plugin's language", about);
    let Some(pipe) = variants.iter().find(|variant| variant.key == "pipe") else { return point };
    let of_point = |variant: &&Variant| LANGUAGES.iter().any(|(language, _)| *language == variant.key);
    for variant in variants.iter().filter(of_point) {
        let Variant { key, title, .. } = variant;
        point.row(format!("{key}_per_second"), title, "1/s", &variant.per_second());
        let ratio = ratios(&variant.per_second(), &pipe.per_second());
        point.row(format!("{key}_throughput_ratio"), format!("{title} ÷ bare pipe"), "×", &ratio);
        point.row(
            format!("{key}_processor"),
            format!("{title}: processor time each"),
            "µs",
            &variant.processor(),
        );
        let ratio = ratios(&variant.processor(), &pipe.processor());
        point.row(
            format!("{key}_processor_ratio"),
            format!("processor time, {title} ÷ bare pipe"),
            "×",
            &ratio,
        );
    }
    point
}
