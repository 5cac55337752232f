//! Point 5: how late a rung of 3 s is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use paynotify::domain::headers;

use crate::pipe::PREFETCH;
use crate::support::clock::Moments;
use crate::support::context::Context;
use crate::support::figures::{Percentiles, milliseconds};
use crate::support::gateway::{Gateway, Store};
use crate::support::http::Posts;
use crate::support::rabbit::{Message, Pace, Rabbit, text};
use crate::support::record::record;
use crate::support::report::Point;
use crate::support::sink::{Answer, Sink, number};

/// How long after the last was handed in all must have come.
const LONGEST: Duration = Duration::from_secs(120);
/// Due in a second, and the most that the 99th percentile should be, in milliseconds.
const RATES: &[(f64, f64)] = &[(500.0, 20.0), (3_000.0, 100.0)];
const MERCHANTS: usize = 20;
const CONNECTIONS: usize = 32;
/// Alarm rungs of more than two hours and of more than four: nothing comes back from them in this run.
const LONGER_RUNGS: [u64; 2] = [8_192_000, 16_384_000];
const BARE: [&str; 2] = ["bench.bare.park", "bench.bare.work"];

/// How the rung is climbed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// RabbitMQ alone: a queue with a TTL that dead-letters, at least once, into one with a consumer. What can be had.
    Bare,
    /// A gateway's rung, to which each message is published as the gateway would: nothing else is done then.
    Straight,
    /// A merchant refuses once and then confirms: so twice as many attempts are made as are due.
    Refused,
    /// The same on the embedded broker.
    Embedded,
}

impl Way {
    fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Straight => "amqp_straight",
            Self::Refused => "amqp_refused",
            Self::Embedded => "embedded_refused",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Bare => "RabbitMQ's dead-lettering alone",
            Self::Straight => "gateway, parked from outside",
            Self::Refused => "gateway, after a refusal",
            Self::Embedded => "embedded broker, after a refusal",
        }
    }
}

/// One way at one rate, and what its rounds have shown.
struct Series {
    way: Way,
    rate: f64,
    /// The most that is wanted of the 99th percentile.
    wanted: f64,
    parked: bool,
    lateness: Percentiles,
}

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let mut rig = Rig::start(context).await?;
    let mut all = Vec::new();
    let parked = context.pick(1_000_000, 1_000);
    let rates = context.pick(RATES, &RATES[..1]);
    let unparked = series(rates, &[Way::Bare, Way::Straight, Way::Refused, Way::Embedded], false);
    all.extend(rig.rounds(unparked, context.rounds(3)).await?);
    rig.park(parked).await?;
    all.extend(
        rig.rounds(series(rates, &[Way::Bare, Way::Straight, Way::Refused], true), context.rounds(2)).await?,
    );
    rig.clear().await?;
    let mut point = Point::new(
        5,
        "lateness of a rung of 3 s",
        format!(
            "So many are handed in evenly each second, after one for each merchant that is not measured, for {seconds:.0} s, for {MERCHANTS} merchants. After a refusal: the merchant refuses each \
             once and confirms it the second time; late is the second request from 3 s after the first one on, so what the gateway does between \
             the reply and the parking counts, too. Parked from outside: published to the rung of 3 s in the gateway's own form, 3 s \
             before it is due. RabbitMQ alone: from 3 s after the publish on, in a queue with that TTL, dead-lettered at least once into \
             another with one consumer in this process. Fewer rounds, because each takes {round:.0} s. With {parked} parked: on the gateway's rungs of \
             2.3 and 4.6 hours. The defaults, but for `log.level` and, on the embedded broker, `api.requests_per_second`.",
            seconds = rig.seconds,
            round = rig.seconds + 6.0,
        ),
    );
    for one in &all {
        one.tell(&mut point, parked);
    }
    Ok(point)
}

fn series(rates: &[(f64, f64)], ways: &[Way], parked: bool) -> Vec<Series> {
    let rates = rates.iter().flat_map(|rate| ways.iter().map(move |way| (*way, *rate)));
    let series =
        |(way, (rate, wanted))| Series { way, rate, wanted, parked, lateness: Percentiles::default() };
    rates.map(series).collect()
}

impl Series {
    fn tell(&self, point: &mut Point, parked: usize) {
        let Self { way, rate, lateness, .. } = self;
        let prefix = if self.parked { "parked_" } else { "" };
        let beside = if self.parked { format!(", with {parked} parked") } else { String::new() };
        let key = |what: &str| format!("{prefix}{}_{rate:.0}_{what}", way.key());
        let title = |what: &str| format!("{rate:.0}/s{beside}, {}: {what}", way.title());
        point.row(key("p50"), title("p50"), "ms", &lateness.p50);
        point.row(key("p99"), title("p99"), "ms", &lateness.p99);
        if *way != Way::Bare {
            point.at_most(self.wanted);
        }
        point.row(key("most"), title("most"), "ms", &lateness.most);
    }
}

/// What the sink does just now.
struct Board {
    /// When each was refused, or when it was parked.
    first: Moments,
    /// When each came in the end.
    second: Moments,
    /// Whether each is to be refused once.
    refuses: bool,
    done: AtomicUsize,
}

impl Board {
    fn new(count: usize, refuses: bool) -> Self {
        let (first, second) = (Moments::new(count), Moments::new(count));
        Self { first, second, refuses, done: AtomicUsize::new(0) }
    }

    fn answer(&self, number: usize) -> Answer {
        if self.refuses && self.first.note(number) {
            return Answer::Refuse;
        }
        self.arrive(number);
        Answer::Confirm
    }

    fn arrive(&self, number: usize) {
        if self.second.note(number) {
            self.done.fetch_add(1, Ordering::AcqRel);
        }
    }

    async fn until_all(&self) -> Result<()> {
        let deadline = Instant::now() + LONGEST;
        while self.done.load(Ordering::Acquire) < self.second.len() {
            let done = self.done.load(Ordering::Acquire);
            ensure!(Instant::now() < deadline, "{done} of {} came within {LONGEST:?}", self.second.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// In milliseconds; one that came early is not late.
    fn lateness(&self, rung: Duration) -> Vec<f64> {
        let late = |number| {
            let due = self.first.get(number)? + rung;
            Some(milliseconds(self.second.get(number)?.saturating_duration_since(due)))
        };
        (0..self.first.len()).filter_map(late).collect()
    }
}

struct Rig<'a> {
    context: &'a Context,
    /// For how long notifications are handed in.
    seconds: f64,
    rung: Duration,
    rabbit: Rabbit,
    board: Arc<RwLock<Arc<Board>>>,
    amqp: Gateway,
    store: Store,
    embedded: Gateway,
    _sink: Sink,
}

impl<'a> Rig<'a> {
    async fn start(context: &'a Context) -> Result<Self> {
        let board = Arc::new(RwLock::new(Arc::new(Board::new(0, false))));
        let sink = {
            let board = Arc::clone(&board);
            let script = move |path: &str| {
                let board = Arc::clone(&board.read().unwrap_or_else(PoisonError::into_inner));
                number(path).map_or(Answer::Refuse, |number| board.answer(number))
            };
            Sink::start(script)?
        };
        let store = context.fresh_store();
        let mut amqp = Gateway::new(&store)?;
        let mut embedded = Gateway::new(&Store::Embedded)?;
        embedded.take_any_number();
        // Where nothing is really measured, nobody waits for 3 s.
        let rung = context.pick(Duration::from_secs(3), Duration::from_millis(300));
        for gateway in [&mut amqp, &mut embedded] {
            if context.quick {
                gateway.set("delivery", "ladder = [\"300ms\"]");
            }
            gateway.share_compiled()?;
            gateway.merchants(MERCHANTS, &sink.url("/"))?;
        }
        // It makes its queues.
        amqp.start().await?;
        amqp.stop().await?;
        let rabbit = Rabbit::connect(&context.node.amqp_url()).await?;
        declare_bare(&rabbit, rung).await?;
        let seconds = context.pick(6.0, 0.2);
        Ok(Self { context, seconds, rung, rabbit, board, amqp, store, embedded, _sink: sink })
    }

    /// All of them in turn, so many times.
    async fn rounds(&mut self, mut all: Vec<Series>, rounds: usize) -> Result<Vec<Series>> {
        for round in 1..=rounds {
            for one in &mut all {
                let tag = format!("{}{:.0}p{}r{round}", one.way.key(), one.rate, usize::from(one.parked));
                let tag = tag.replace('_', "");
                let mut times = self.round(one, &tag).await.with_context(|| tag.clone())?;
                one.lateness.add(&mut times);
                let p99 = one.lateness.p99.last().copied().unwrap_or_default();
                let parked = if one.parked { ", others parked" } else { "" };
                let title = one.way.title();
                self.context
                    .say(format!("round {round}, {:.0}/s{parked}, {title}: p99 {p99:.1} ms", one.rate));
            }
        }
        Ok(all)
    }

    async fn round(&mut self, series: &Series, tag: &str) -> Result<Vec<f64>> {
        let count = ((series.rate * self.seconds) as usize).max(1);
        let refuses = matches!(series.way, Way::Refused | Way::Embedded);
        let board = Arc::new(Board::new(count, refuses));
        match series.way {
            Way::Bare => self.bare(series.rate, &board).await?,
            Way::Straight | Way::Refused => {
                self.amqp.start().await?;
                let warm_up = self.show(Board::new(MERCHANTS, false));
                self.publish(Way::Refused, series.rate, &format!("{tag}w"), &warm_up).await?;
                warm_up.until_all().await.with_context(|| self.amqp.last_words())?;
                self.show(Arc::clone(&board));
                self.publish(series.way, series.rate, tag, &board).await?;
                board.until_all().await.with_context(|| self.amqp.last_words())?;
                self.amqp.stop().await?;
            }
            Way::Embedded => {
                self.embedded.start().await?;
                let warm_up = self.show(Board::new(MERCHANTS, false));
                self.posts(series.rate, &format!("{tag}w"), MERCHANTS).send().await?;
                warm_up.until_all().await.with_context(|| self.embedded.last_words())?;
                self.show(Arc::clone(&board));
                self.posts(series.rate, tag, count).send().await?;
                board.until_all().await.with_context(|| self.embedded.last_words())?;
                self.embedded.stop().await?;
            }
        }
        Ok(board.lateness(self.rung))
    }

    /// What the sink does from now on.
    fn show(&self, board: impl Into<Arc<Board>>) -> Arc<Board> {
        let board = board.into();
        *self.board.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&board);
        board
    }

    fn posts(&self, rate: f64, tag: &str, count: usize) -> Posts {
        Posts {
            address: self.embedded.api(),
            connections: CONNECTIONS,
            round: tag.to_owned(),
            count,
            per_second: Some(rate),
            merchants: MERCHANTS,
        }
    }

    /// To the gateway: as new ones, or straight to the rung.
    async fn publish(&mut self, way: Way, rate: f64, tag: &str, board: &Board) -> Result<()> {
        let (incoming, delay) = (self.store.name("in"), self.store.name("delay"));
        let rung = format!("rung.{}.work", self.rung.as_millis());
        let mut pace = Pace::new(rate, board.first.len());
        while let Some(number) = pace.next().await {
            let merchant = format!("m{}", number % MERCHANTS);
            let body = record(tag, number, &merchant);
            if way == Way::Refused {
                self.rabbit.publish(Message::plain(&incoming, &merchant, body.as_bytes())).await?;
            } else {
                let headers = progress(self.rung)?;
                board.first.note(number);
                let message =
                    Message { exchange: &delay, routing_key: &rung, body: body.as_bytes(), headers };
                self.rabbit.publish(message).await?;
            }
        }
        self.rabbit.confirmed(0).await
    }

    /// RabbitMQ alone: this process publishes and consumes.
    async fn bare(&mut self, rate: f64, board: &Arc<Board>) -> Result<()> {
        let [park, work] = BARE;
        let consumer = Rabbit::connect(&self.context.node.amqp_url()).await?;
        let channel = consumer.channel();
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut deliveries = channel.basic_consume(work.into(), "bare".into(), options, none).await?;
        let count = board.first.len();
        let arrive = async {
            for _ in 0..count {
                let delivery = deliveries.next().await.context("the consumer was cancelled")??;
                board.arrive(std::str::from_utf8(&delivery.data)?.trim_end().parse()?);
                delivery.acker.ack(BasicAckOptions::default()).await?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let publish = async {
            let mut pace = Pace::new(rate, count);
            while let Some(number) = pace.next().await {
                // As long as a notification.
                let body = format!("{number:<340}");
                board.first.note(number);
                self.rabbit.publish(Message::plain("", park, body.as_bytes())).await?;
            }
            self.rabbit.confirmed(0).await
        };
        let both = async { tokio::try_join!(arrive, publish) };
        let longest = LONGEST + Duration::from_secs_f64(self.seconds);
        tokio::time::timeout(longest, both).await.context("the bare queues took too long")??;
        Ok(())
    }

    /// Fills the gateway's longer rungs.
    async fn park(&mut self, count: usize) -> Result<()> {
        let delay = self.store.name("delay");
        let begin = Instant::now();
        for number in 0..count {
            let rung = LONGER_RUNGS[number % LONGER_RUNGS.len()];
            let body = record("parked", number, &format!("m{}", number % MERCHANTS));
            let routing_key = format!("rung.{rung}.work");
            let headers = progress(Duration::from_millis(rung))?;
            let message =
                Message { exchange: &delay, routing_key: &routing_key, body: body.as_bytes(), headers };
            self.rabbit.publish(message).await?;
        }
        self.rabbit.confirmed(0).await?;
        let queues = LONGER_RUNGS.map(|rung| self.store.name(&format!("rung.{rung}")));
        self.rabbit.until_ready(&queues, |ready| ready == count, LONGEST).await?;
        self.context.say(format!("{count} are parked, which took {:.0} s", begin.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Takes everything away that other points would feel.
    async fn clear(&self) -> Result<()> {
        for rung in LONGER_RUNGS {
            self.rabbit.delete(&self.store.name(&format!("rung.{rung}"))).await?;
        }
        for queue in BARE {
            self.rabbit.delete(queue).await?;
        }
        Ok(())
    }
}

/// A queue in which messages lie for so long, and the one that they come to then.
async fn declare_bare(rabbit: &Rabbit, rung: Duration) -> Result<()> {
    let [park, work] = BARE;
    rabbit.quorum_queue(work, &[("x-overflow", text("reject-publish"))]).await?;
    rabbit.exchange_to("bench.bare", work).await?;
    let parking = [
        ("x-message-ttl", AMQPValue::LongLongInt(i64::try_from(rung.as_millis())?)),
        ("x-dead-letter-exchange", text("bench.bare")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    rabbit.quorum_queue(park, &parking).await
}

/// The gateway's headers for a second attempt that is due so much later.
fn progress(later: Duration) -> Result<FieldTable> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut table = FieldTable::default();
    for (name, value) in [
        (headers::ATTEMPT, "2".to_owned()),
        (headers::DUE, (now + later).as_millis().to_string()),
        (headers::FIRST_SEEN, now.as_millis().to_string()),
    ] {
        table.insert(name.into(), text(&value));
    }
    Ok(table)
}
