//! Point 8: everybody is away, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::support::clock::Moments;
use crate::support::context::Context;
use crate::support::gateway::Gateway;
use crate::support::rabbit::Rabbit;
use crate::support::record::record;
use crate::support::report::Point;
use crate::support::sink::{Answer, Place, number};

/// Short, so that what waits is tried again soon; long enough that nothing is exhausted.
const LADDER: &str = "ladder = [\"5s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\", \"10s\"]";
/// Where nothing is really measured.
const QUICK: &str = "ladder = [\"500ms\", \"10s\"]
breaker_pause = \"500ms\"
breaker_longest = \"500ms\"";
const MERCHANTS: usize = 100;
/// How long it may take to send everything up the ladder, and to drain it.
const LONGEST: Duration = Duration::from_secs(300);

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let count = context.pick(100_000, 200);
    let rounds = context.rounds(2);
    let (mut drained, mut half, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let times = self::round(context, count).await?;
        let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
        context.say(format!("round {round}: half after {middle:.1} s, all after {last:.1} s"));
        half.push(middle);
        drained.push(last);
        rates.push(count as f64 / last);
    }
    let mut point = Point::new(
        8,
        "everybody is away, and comes back",
        format!(
            "RabbitMQ; {count} notifications for {MERCHANTS} merchants, none of which takes a connection. Once all have been tried or held and wait \
             on rungs, all merchants are back, and confirm: the time from then to the last one. `delivery.{LADDER}`; the breakers are as by \
             default, so a merchant that is down is tried again after 5, 10, 20, 40 and then 60 s, and what was held for it comes in that time. Fewer \
             rounds, because each takes minutes."
        ),
    );
    point.row("half_drained", "until half of them are confirmed", "s", &half);
    point.row("drained", "until all are", "s", &drained);
    point.row("drained_per_second", "confirmed in a second, on the average", "1/s", &rates);
    Ok(point)
}

/// When each of them was confirmed, in seconds from the moment when the merchants were back, in order.
async fn round(context: &Context, count: usize) -> Result<Vec<f64>> {
    let store = context.fresh_store();
    let mut gateway = Gateway::new(&store)?;
    gateway.share_compiled()?;
    gateway.set("delivery", context.pick(LADDER, QUICK));
    // Nobody listens there for now.
    let place = Place::new()?;
    gateway.merchants(MERCHANTS, &format!("http://{}/", place.address))?;
    gateway.start().await?;
    let mut rabbit = Rabbit::connect(&context.node.amqp_url()).await?;
    let message = |number: usize| {
        let merchant = format!("m{}", number % MERCHANTS);
        let body = record("drain", number, &merchant);
        (merchant, body)
    };
    rabbit.fill(&store.name("in"), count, message).await?;
    until_all_wait(&rabbit, &store.name("work"), LONGEST).await?;
    let came = Arc::new(Moments::new(count));
    let done = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let _sink = {
        let (came, done) = (Arc::clone(&came), Arc::clone(&done));
        let script = move |path: &str| {
            if number(path).is_some_and(|number| came.note(number)) {
                done.fetch_add(1, Ordering::AcqRel);
            }
            Answer::Confirm
        };
        place.open(script)?
    };
    let deadline = begin + LONGEST;
    while done.load(Ordering::Acquire) < count {
        let done = done.load(Ordering::Acquire);
        ensure!(
            Instant::now() < deadline,
            "{done} of {count} came within {LONGEST:?}: {}",
            gateway.last_words()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.stop().await?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        times.push((came.get(number).context("each of them came")? - begin).as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// What is new has left the work queue: seen empty several times in a row, since what comes back from the rungs goes through it, too.
async fn until_all_wait(rabbit: &Rabbit, work: &str, longest: Duration) -> Result<()> {
    let deadline = Instant::now() + longest;
    let mut empty = 0;
    while empty < 5 {
        ensure!(Instant::now() < deadline, "the work queue is not empty after {longest:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        empty = if rabbit.ready(work).await? < 256 { empty + 1 } else { 0 };
    }
    Ok(())
}
