//! Point 3: the embedded broker, over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::support::context::Context;
use crate::support::gateway::{Gateway, Store};
use crate::support::http::Posts;
use crate::support::report::Point;
use crate::support::sink::{Laps, Sink};

const LONGEST: Duration = Duration::from_secs(120);
const CONNECTIONS: usize = 64;
const MERCHANTS: usize = 20;

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let rounds = context.rounds(5);
    let count = context.pick(20_000, 100);
    let mut point = Point::new(
        3,
        "embedded broker",
        format!(
            "{count} notifications a round for {MERCHANTS} merchants, POSTed to /v1/notifications over {CONNECTIONS} connections, each \
             of which waits for its 202 (on the disk by then). Accepted: from the first POST to the last answer. Delivered: from the first POST to \
             the last confirmation of the merchants, so both at once. The defaults, but for `api.requests_per_second` and `log.level`; \
             the producer shares the machine."
        ),
    );
    let laps = Arc::new(Laps::default());
    let sink = Sink::start(laps.script())?;
    let mut gateway = Gateway::new(&Store::Embedded)?;
    gateway.take_any_number();
    gateway.share_compiled()?;
    gateway.merchants(MERCHANTS, &sink.url("/"))?;
    gateway.start().await?;
    laps.watch(gateway.process_id()?);
    let (mut accepted, mut delivered, mut processor) = (Vec::new(), Vec::new(), Vec::new());
    // The first one is not measured: connections are made, and what a processor has not seen yet is slower.
    for round in 0..=rounds {
        laps.expect(count);
        let posts = Posts {
            address: gateway.api(),
            connections: CONNECTIONS,
            round: format!("e{round}"),
            count,
            per_second: None,
            merchants: MERCHANTS,
        };
        let begin = Instant::now();
        let took = posts.send().await?;
        let lap = laps.lap(LONGEST).await?;
        let per_second = |time: Duration| count as f64 / time.as_secs_f64();
        if round > 0 {
            accepted.push(per_second(took));
            delivered.push(per_second(lap.end - begin));
            processor.push(lap.processor);
            let (accepted, delivered) = (per_second(took), per_second(lap.end - begin));
            context.say(format!("round {round}: {accepted:.0}/s accepted, {delivered:.0}/s delivered"));
        }
    }
    gateway.stop().await?;
    point.row("accepted_per_second", "accepted", "1/s", &accepted).at_least(10_000.0);
    point.row("delivered_per_second", "accepted and delivered", "1/s", &delivered).at_least(10_000.0);
    point.row("processor", "processor time of the gateway each", "µs", &processor);
    Ok(point)
}
