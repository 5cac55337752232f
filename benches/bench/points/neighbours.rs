//! Point 6: what one of a hundred merchants can do to the other 99.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::pipe::Task;
use crate::support::clock::Moments;
use crate::support::context::Context;
use crate::support::figures::{Percentiles, milliseconds, ratios};
use crate::support::gateway::{Gateway, Store};
use crate::support::rabbit::{Message, Pace, Rabbit};
use crate::support::record::record;
use crate::support::report::Point;
use crate::support::sink::{Answer, Sink, id};

#[allow(dead_code, unreachable_pub)]
#[path = "../../../tests/support/guest.rs"]
mod guest;

/// Those whose notifications are measured.
const OTHERS: usize = 99;
/// What all of them together are sent in a second.
const OTHERS_PER_SECOND: f64 = 300.0;
/// What the hundredth is sent in a second.
const ITS_PER_SECOND: f64 = 30.0;
/// The same when it floods.
const FLOOD_PER_SECOND: f64 = 1_000.0;
/// What the bare pipe consumes from.
const PIPE_QUEUE: &str = "bench.neighbours";
/// How long after the last one was published the last one must have come.
const LONGEST: Duration = Duration::from_secs(60);

/// What the hundredth does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Good,
    Hangs,
    Floods,
    Loops,
}

impl Conduct {
    const ALL: [Self; 4] = [Self::Good, Self::Hangs, Self::Floods, Self::Loops];

    fn key(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Hangs => "hangs",
            Self::Floods => "floods",
            Self::Loops => "loops",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Good => "all well-behaved",
            Self::Hangs => "one never answers",
            Self::Floods => "one is flooded",
            Self::Loops => "one has a plugin that loops",
        }
    }

    fn per_second(self) -> f64 {
        match self {
            Self::Good | Self::Hangs | Self::Loops => ITS_PER_SECOND,
            Self::Floods => FLOOD_PER_SECOND,
        }
    }
}

/// Who carries the notifications.
enum Carrier {
    Gateway(Gateway, Store),
    /// For what the broker and the machine do to the others by themselves.
    Pipe,
}

struct Side {
    carrier: Carrier,
    conduct: Conduct,
    latency: Percentiles,
}

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let rounds = context.rounds(5);
    let (warm_up, measured) = context.pick((2.0, 6.0), (0.1, 0.3));
    let mut rig = Rig::start(context, warm_up, measured).await?;
    let mut sides = Vec::new();
    for conduct in Conduct::ALL {
        sides.push(rig.side(context, conduct)?);
    }
    for conduct in [Conduct::Good, Conduct::Floods] {
        sides.push(Side { carrier: Carrier::Pipe, conduct, latency: Percentiles::default() });
    }
    for round in 1..=rounds {
        for side in &mut sides {
            rig.round(context, side, round).await?;
            let (p50, p99) = (side.latency.p50.last(), side.latency.p99.last());
            let [p50, p99] = [p50, p99].map(|value| value.copied().unwrap_or_default());
            context.say(format!("round {round}, {}: p50 {p50:.1} ms, p99 {p99:.1} ms", side.title()));
        }
    }
    let mut point = Point::new(
        6,
        "99 merchants beside one",
        format!(
            "RabbitMQ; from just before the publish of a notification to its arrival at one of {OTHERS} merchants, which together are sent \
             {OTHERS_PER_SECOND:.0} a second. The hundredth is sent {ITS_PER_SECOND:.0} a second and behaves; or never answers (time-outs of 5 s); or has a \
             plugin that never returns from `format`; or is sent {FLOOD_PER_SECOND:.0} a second. Each round starts a gateway, measures \
             {measured:.0} s after {warm_up:.0} s, and goes through all in turn. The defaults, but for `log.level`. The bare pipe, which knows \
             no merchants, shows what the same flood does in the broker and on the machine."
        ),
    );
    for side in &sides {
        side.tell(&mut point, &sides);
    }
    Ok(point)
}

impl Side {
    fn is_pipe(&self) -> bool {
        matches!(self.carrier, Carrier::Pipe)
    }

    fn title(&self) -> String {
        let title = self.conduct.title();
        if self.is_pipe() { format!("bare pipe, {title}") } else { title.to_owned() }
    }

    /// Its rows, beside those of the one in which all behave.
    fn tell(&self, point: &mut Point, all: &[Self]) {
        let (key, title) = (self.conduct.key(), self.title());
        let key = if self.is_pipe() { format!("pipe_{key}") } else { key.to_owned() };
        point.row(format!("{key}_p50"), format!("{title}: the others' p50"), "ms", &self.latency.p50);
        point.row(format!("{key}_p99"), format!("{title}: the others' p99"), "ms", &self.latency.p99);
        let good = all.iter().find(|side| side.conduct == Conduct::Good && side.is_pipe() == self.is_pipe());
        let Some(good) = good.filter(|_| self.conduct != Conduct::Good) else { return };
        let (p50, p99) = (&self.latency.p50, &self.latency.p99);
        for (name, ratio) in
            [("p50", ratios(p50, &good.latency.p50)), ("p99", ratios(p99, &good.latency.p99))]
        {
            point.row(format!("{key}_{name}_ratio"), format!("{title}: {name} ÷ without"), "×", &ratio);
            if !self.is_pipe() {
                point.at_most(1.2);
            }
        }
    }
}

/// When each of the others' notifications was published and came.
struct Board {
    /// What their ids begin with: of an earlier round some may come again.
    tag: String,
    sent: Moments,
    came: Moments,
    done: AtomicUsize,
}

impl Board {
    fn new(tag: String, count: usize) -> Self {
        Self { tag, sent: Moments::new(count), came: Moments::new(count), done: AtomicUsize::new(0) }
    }

    async fn until_all(&self) -> Result<()> {
        let deadline = Instant::now() + LONGEST;
        while self.done.load(Ordering::Acquire) < self.came.len() {
            ensure!(Instant::now() < deadline, "only {:?} of {} came", self.done, self.came.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

struct Rig {
    /// The others' and the hundredth's producers.
    producers: [Rabbit; 2],
    board: Arc<RwLock<Arc<Board>>>,
    sink: Sink,
    warm_up: f64,
    measured: f64,
}

impl Rig {
    async fn start(context: &Context, warm_up: f64, measured: f64) -> Result<Self> {
        let board = Arc::new(RwLock::new(Arc::new(Board::new(String::new(), 0))));
        let sink = {
            let board = Arc::clone(&board);
            let script = move |path: &str| {
                let board = Arc::clone(&board.read().unwrap_or_else(PoisonError::into_inner));
                if path.starts_with("/hang") {
                    return Answer::Hang;
                }
                let (tag, number) = id(path).and_then(|id| id.rsplit_once('-')).unwrap_or_default();
                if let Ok(number) = number.parse()
                    && tag == board.tag
                    && board.came.note(number)
                {
                    board.done.fetch_add(1, Ordering::AcqRel);
                }
                Answer::Confirm
            };
            Sink::start(script)?
        };
        let url = context.node.amqp_url();
        let producers = [Rabbit::connect(&url).await?, Rabbit::connect(&url).await?];
        let [others, _] = &producers;
        others.quorum_queue(PIPE_QUEUE, &[]).await?;
        others.exchange_to(PIPE_QUEUE, PIPE_QUEUE).await?;
        Ok(Self { producers, board, sink, warm_up, measured })
    }

    fn side(&self, context: &Context, conduct: Conduct) -> Result<Side> {
        let store = context.fresh_store();
        let gateway = Gateway::new(&store)?;
        gateway.share_compiled()?;
        gateway.merchants(OTHERS, &self.sink.url("/"))?;
        let url = self.sink.url(if conduct == Conduct::Hangs { "/hang" } else { "/" });
        let plugin = if conduct == Conduct::Loops { "loops" } else { "plain" };
        if conduct == Conduct::Loops {
            let format = "(loop $forever (br $forever)) (unreachable)";
            let guest = guest::Guest { format, ..guest::Guest::WELL_BEHAVED };
            gateway.plugin("loops", &guest.build_named("loops"))?;
        }
        gateway.merchant("one", &url, plugin, "")?;
        Ok(Side { carrier: Carrier::Gateway(gateway, store), conduct, latency: Percentiles::default() })
    }

    async fn round(&mut self, context: &Context, side: &mut Side, round: usize) -> Result<()> {
        let seconds = self.warm_up + self.measured;
        let count = (OTHERS_PER_SECOND * seconds) as usize;
        let (tag, its_tag) = (format!("others{round}"), format!("one{round}"));
        let board = Arc::new(Board::new(tag.clone(), count));
        *self.board.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&board);
        let (incoming, pipe) = match &mut side.carrier {
            Carrier::Gateway(gateway, store) => {
                gateway.start().await?;
                (store.name("in"), None)
            }
            Carrier::Pipe => {
                let (broker, queue) = (context.node.amqp_url(), PIPE_QUEUE.to_owned());
                let url = self.sink.url("/?notify_id=");
                (PIPE_QUEUE.to_owned(), Some(Task::Pipe { broker, queue, url, exchange: None }.spawn()?))
            }
        };
        let [others, one] = &mut self.producers;
        let to_others = async {
            let mut pace = Pace::new(OTHERS_PER_SECOND, count);
            while let Some(number) = pace.next().await {
                let merchant = format!("m{}", number % OTHERS);
                let body = record(&tag, number, &merchant);
                board.sent.note(number);
                others.publish(Message::plain(&incoming, &merchant, body.as_bytes())).await?;
            }
            others.confirmed(0).await
        };
        let to_one = async {
            let rate = side.conduct.per_second();
            let mut pace = Pace::new(rate, (rate * seconds) as usize);
            while let Some(number) = pace.next().await {
                let body = record(&its_tag, number, "one");
                one.publish(Message::plain(&incoming, "one", body.as_bytes())).await?;
            }
            one.confirmed(0).await
        };
        tokio::try_join!(to_others, to_one)?;
        board.until_all().await?;
        // What the hundredth still waits for needs no patience.
        drop(pipe);
        if let Carrier::Gateway(gateway, _) = &mut side.carrier {
            gateway.kill();
        }
        let first = (OTHERS_PER_SECOND * self.warm_up) as usize;
        let took = |number| {
            let (sent, came) = (board.sent.get(number)?, board.came.get(number)?);
            Some(milliseconds(came.saturating_duration_since(sent)))
        };
        let mut times: Vec<f64> = (first..count).filter_map(took).collect();
        side.latency.add(&mut times);
        Ok(())
    }
}
