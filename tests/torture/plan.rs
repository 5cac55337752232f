//! What is sent, when, to whom, and how the merchant will answer: all of it follows from a seed.
//!
//! A notification's id says everything about it (`t-000042-3-refuse2-post`), so that producer, merchants and checker
//! agree without telling each other. How many notifications there are follows from how long a scenario takes; which
//! one is the n-th follows from the seed alone.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The delays of every merchant's ladder, in milliseconds. Past the last, the fifth attempt is the end.
pub const LADDER: [u64; 4] = [300, 600, 1_000, 2_000];
/// Attempts that one makes who never confirms.
pub const MOST_ATTEMPTS: u32 = 5;
/// How many merchants there are with the plugin `plain`, `m0` to `m7`.
pub const MERCHANTS: u32 = 8;
/// The merchant whose plugin takes any reply for the wish to hear no more: `m8`.
pub const STOPPER: u32 = MERCHANTS;
/// The merchants' `first_byte_timeout`: a merchant that hangs costs so much.
pub const PATIENCE: Duration = Duration::from_millis(800);
/// The gateways' `further_message_lag`: longer than an attempt takes, on a busy machine too.
pub const FURTHER: Duration = Duration::from_secs(4);
/// The gateways' `missing_after` where queues are deleted: so short that a scenario sees what is missing come back.
pub const MISSING: Duration = Duration::from_secs(10);
/// The same elsewhere: longer than any scenario.
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// How a merchant answers one notification, request after request; the last answer is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Refuses so often, then confirms.
    Refuse(u32),
    /// Never confirms: it ends exhausted.
    Never,
    /// Wants to hear no more: it ends stopped.
    Stop,
    /// Does not answer so often, then confirms.
    Hang(u32),
    /// Resets the connection so often, then confirms.
    Reset(u32),
}

impl Script {
    fn name(self) -> String {
        match self {
            Self::Refuse(times) => format!("refuse{times}"),
            Self::Never => "never0".to_owned(),
            Self::Stop => "stop0".to_owned(),
            Self::Hang(times) => format!("hang{times}"),
            Self::Reset(times) => format!("reset{times}"),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let (word, times) = name.split_at_checked(name.len().checked_sub(1)?)?;
        let times = times.parse().ok()?;
        match word {
            "refuse" => Some(Self::Refuse(times)),
            "never" => Some(Self::Never),
            "stop" => Some(Self::Stop),
            "hang" => Some(Self::Hang(times)),
            "reset" => Some(Self::Reset(times)),
            _ => None,
        }
    }
}

/// The ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Published to RabbitMQ, mandatory, persistent and confirmed.
    Publish,
    /// `POST /v1/notifications` at one of the gateways.
    Post,
}

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub id: String,
    /// When it is sent, from the start of the scenario.
    pub at: Duration,
    pub way: Way,
    /// It is sent once more under the same id, that much later and that way.
    pub again: Option<(Duration, Way)>,
}

/// The endless sequence of notifications that follows from a seed.
pub struct Plan {
    random: StdRng,
    number: u32,
    at: Duration,
    /// How many a second, on average.
    rate: f64,
    /// Without RabbitMQ everything is posted.
    posts_only: bool,
}

impl Plan {
    pub fn new(seed: u64, rate: f64, posts_only: bool) -> Self {
        Self { random: StdRng::seed_from_u64(seed), number: 0, at: Duration::ZERO, rate, posts_only }
    }

    fn way(&mut self) -> Way {
        if self.posts_only || self.random.random_bool(0.3) { Way::Post } else { Way::Publish }
    }

    fn script(&mut self) -> Script {
        let times = self.random.random_range(1..=3);
        match self.random.random_range(0..100) {
            0..40 => Script::Refuse(0),
            40..75 => Script::Refuse(times),
            75..86 => Script::Never,
            86..90 => Script::Stop,
            90..95 => Script::Hang(times.min(2)),
            _ => Script::Reset(times.min(2)),
        }
    }
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        self.at += Duration::from_secs_f64(self.random.random_range(0.0..2.0) / self.rate);
        let (way, script) = (self.way(), self.script());
        let merchant = if script == Script::Stop { STOPPER } else { self.random.random_range(0..MERCHANTS) };
        let again = self.random.random_bool(0.06).then(|| {
            // Sometimes at once, sometimes when the first has long ended.
            let after = Duration::from_millis(self.random.random_range(0..6_000));
            (after, self.way())
        });
        let mark = if again.is_some() { "twice" } else { "once" };
        let id = format!("t-{:06}-{merchant}-{}-{mark}", self.number, script.name());
        self.number += 1;
        Some(Planned { id, at: self.at, way, again })
    }
}

/// What an id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub merchant: u32,
    pub script: Script,
    /// It is sent twice on purpose.
    pub twice: bool,
}

/// Reads an id of ours.
pub fn meaning(id: &str) -> Option<Meaning> {
    let mut parts = id.strip_prefix("t-")?.split('-');
    let _number = parts.next()?;
    let merchant = parts.next()?.parse().ok()?;
    let script = Script::of_name(parts.next()?)?;
    let twice = parts.next()? == "twice";
    Some(Meaning { merchant, script, twice })
}

/// A source of chance for a scenario's faults, apart from the one of the notifications.
pub fn chance(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed.rotate_left(32) ^ 0x5eed_0ffa_0017)
}

#[test]
fn a_seed_gives_the_plan_and_an_id_its_meaning() {
    let ids = |seed| Plan::new(seed, 50.0, false).take(500).collect::<Vec<_>>();
    assert_eq!(ids(7), ids(7));
    assert_ne!(ids(7), ids(8));
    for planned in ids(7) {
        let meaning = meaning(&planned.id).expect("it has one");
        assert_eq!(meaning.twice, planned.again.is_some());
        assert!(planned.id.contains(&meaning.script.name()));
    }
    let seconds = ids(7).last().expect("500").at.as_secs_f64();
    assert!((8.0..12.0).contains(&seconds), "500 at 50 a second take 10 s, not {seconds}");
}
