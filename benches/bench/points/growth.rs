//! Point 7: memory and warm starts with many plugins and merchants, and what a notification costs as merchants grow.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::support::context::Context;
use crate::support::figures::ratios;
use crate::support::gateway::{Gateway, Store};
use crate::support::process::memory;
use crate::support::rabbit::{Message, Pace, Rabbit};
use crate::support::record::record;
use crate::support::report::Point;
use crate::support::sink::{Lap, Laps, Sink};

const LONGEST: Duration = Duration::from_secs(120);
/// How fast each merchant is sent its first, which is not measured.
const WARM_UP_PER_SECOND: f64 = 2_500.0;
/// What they are sent then, all together.
const PER_SECOND: f64 = 2_000.0;

/// A gateway of a size, which takes turns with the others.
struct Sized {
    key: String,
    title: String,
    gateway: Gateway,
    /// The most that is wanted of memory (MB) and of a warm start (s).
    wanted: (Option<f64>, Option<f64>),
    cold: f64,
    warm: Vec<f64>,
    resident: Vec<f64>,
    own: Vec<f64>,
}

/// Measures it.
pub(super) async fn measure(context: &Context) -> Result<Point> {
    let mut point = Point::new(7, "growth", "");
    let mut sized = Vec::new();
    for plugins in context.pick(&[1, 100, 1_000][..], &[1, 2]) {
        sized.push(Sized::of_plugins(*plugins)?);
    }
    for merchants in context.pick(&[1_000, 10_000][..], &[]) {
        sized.push(Sized::of_merchants(*merchants)?);
    }
    for one in &mut sized {
        one.cold = one.gateway.start().await?.as_secs_f64();
        one.gateway.stop().await?;
        context.say(format!("{}: first start {:.2} s", one.title, one.cold));
    }
    for round in 1..=context.rounds(5) {
        for one in &mut sized {
            one.warm_start().await?;
            let (warm, resident) = (one.warm.last(), one.resident.last());
            let [warm, resident] = [warm, resident].map(|value| value.copied().unwrap_or_default());
            context.say(format!("round {round}, {}: {warm:.2} s, {resident:.0} MB", one.title));
        }
    }
    for one in &sized {
        one.tell(&mut point);
    }
    drop(sized);
    let cost = Cost::measure(context).await?;
    cost.tell(&mut point);
    point.about(format!(
        "On the embedded broker: resident memory once the gateway is ready, idle, and the time from its start to that, with compiled plugins \
         kept from a first start, which is told, too. Plugins are as many different files of `plain`, each under a name of its own with a merchant of its \
         own (and 10 merchants at least); merchants share one. Then, on RabbitMQ, {rate:.0} notifications a second, {count} in a round, spread evenly over so \
         many merchants at one address: the gateway's processor time for each, once every merchant has been told one. A merchant has connections \
         of its own. The defaults, but for `log.level`.",
        rate = cost.per_second,
        count = cost.count,
    ));
    Ok(point)
}

/// The plugin under another name of five letters.
fn named(plain: &[u8], name: &str) -> Result<Vec<u8>> {
    const NAME_AND_VERSION: &[u8] = b"plain0.1.0";
    let mut windows = plain.windows(NAME_AND_VERSION.len());
    let at = windows.position(|window| window == NAME_AND_VERSION).context("the plugin's name is in it")?;
    let mut named = plain.to_vec();
    named[at..at + name.len()].copy_from_slice(name.as_bytes());
    Ok(named)
}

impl Sized {
    fn of_plugins(count: usize) -> Result<Self> {
        let gateway = Gateway::new(&Store::Embedded)?;
        let plain = fs::read(xtask::guests::built("plain")?)?;
        for number in 1..count {
            let name = format!("p{number:04}");
            gateway.plugin(&name, &named(&plain, &name)?)?;
            gateway.merchant(&name, "http://127.0.0.1:9/", &name, "")?;
        }
        gateway.merchants(if count < 10 { 10 } else { 1 }, "http://127.0.0.1:9/")?;
        // What is wanted of one, and of a thousand.
        let wanted = match count {
            1 => (Some(40.0), None),
            1_000 => (Some(500.0), Some(3.0)),
            _ => (None, None),
        };
        Ok(Self::new(
            format!("plugins_{count}"),
            match count {
                1 => "1 plugin".to_owned(),
                _ => format!("{count} plugins"),
            },
            gateway,
            wanted,
        ))
    }

    fn of_merchants(count: usize) -> Result<Self> {
        let gateway = Gateway::new(&Store::Embedded)?;
        gateway.merchants(count, "http://127.0.0.1:9/")?;
        let (key, title) = (format!("merchants_{count}"), format!("1 plugin, {count} merchants"));
        Ok(Self::new(key, title, gateway, (None, None)))
    }

    fn new(key: String, title: String, gateway: Gateway, wanted: (Option<f64>, Option<f64>)) -> Self {
        Self { key, title, gateway, wanted, cold: 0.0, warm: vec![], resident: vec![], own: vec![] }
    }

    async fn warm_start(&mut self) -> Result<()> {
        let took = self.gateway.start().await?;
        let memory = memory(self.gateway.process_id()?)?;
        self.gateway.stop().await?;
        self.warm.push(took.as_secs_f64());
        self.resident.push(memory.resident);
        self.own.push(memory.own);
        Ok(())
    }

    fn tell(&self, point: &mut Point) {
        let Self { key, title, .. } = self;
        point.row(format!("{key}_resident"), format!("{title}: resident"), "MB", &self.resident);
        self.wanted.0.into_iter().for_each(|bound| point.at_most(bound));
        point.row(format!("{key}_own"), format!("{title}: of that not mapped from files"), "MB", &self.own);
        point.row(format!("{key}_warm_start"), format!("{title}: warm start"), "s", &self.warm);
        self.wanted.1.into_iter().for_each(|bound| point.at_most(bound));
        point.row(format!("{key}_first_start"), format!("{title}: first start"), "s", &[self.cold]);
    }
}

/// What a notification costs with ever more merchants.
struct Cost {
    per_second: f64,
    count: usize,
    /// How many merchants, and microseconds of each round.
    sizes: Vec<(usize, Vec<f64>)>,
}

impl Cost {
    async fn measure(context: &Context) -> Result<Self> {
        let (per_second, count) = (PER_SECOND, context.pick(10_000, 60));
        let laps = Arc::new(Laps::default());
        let sink = Sink::start(laps.script())?;
        let mut rabbit = Rabbit::connect(&context.node.amqp_url()).await?;
        let mut gateways = Vec::new();
        for merchants in context.pick(&[10, 1_000, 10_000][..], &[2, 5]).iter().copied() {
            let store = context.fresh_store();
            let gateway = Gateway::new(&store)?;
            gateway.share_compiled()?;
            gateway.merchants(merchants, &sink.url("/"))?;
            gateways.push((merchants, gateway, store, Vec::new()));
        }
        for round in 1..=context.rounds(5) {
            for (merchants, gateway, store, costs) in &mut gateways {
                gateway.start().await?;
                laps.watch(gateway.process_id()?);
                let incoming = store.name("in");
                for (part, rate, count) in [("w", WARM_UP_PER_SECOND, *merchants), ("c", per_second, count)] {
                    laps.expect(count);
                    let mut pace = Pace::new(rate, count);
                    while let Some(number) = pace.next().await {
                        let merchant = format!("m{}", number % *merchants);
                        let body = record(&format!("{part}{round}"), number, &merchant);
                        rabbit.publish(Message::plain(&incoming, &merchant, body.as_bytes())).await?;
                    }
                    rabbit.confirmed(0).await?;
                    let Lap { processor, .. } =
                        laps.lap(LONGEST).await.with_context(|| gateway.last_words())?;
                    if part == "c" {
                        context.say(format!("round {round}, {merchants} merchants: {processor:.0} µs each"));
                        costs.push(processor);
                    }
                }
                gateway.stop().await?;
            }
        }
        let sizes = gateways.into_iter().map(|(merchants, _, _, costs)| (merchants, costs)).collect();
        Ok(Self { per_second, count, sizes })
    }

    fn tell(&self, point: &mut Point) {
        for (merchants, costs) in &self.sizes {
            let title = format!("{merchants} merchants: processor time each");
            point.row(format!("cost_{merchants}"), title, "µs", costs);
        }
        if let (Some((few, least)), Some((many, most))) = (self.sizes.first(), self.sizes.last()) {
            let title = format!("processor time, {many} merchants ÷ {few}");
            point.row("cost_ratio", title, "×", &ratios(most, least)).at_most(1.05);
        }
    }
}
