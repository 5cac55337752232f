//! Everything at once, by seed: confirms in random order, with random frames, and a fault now and then.
//!
//! A seed draws the same decisions each time; which of the client's messages they meet depends on the moment, so a
//! seed that fails may have to be run a few times. `ADVERSARY_SEED=n` runs that one alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::BasicProperties;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use paynotify::broker::amqp::Settings;
use paynotify::broker::{Broker, Content};
use paynotify::domain::Outcome;
use paynotify::journal::{self, Journal, SqliteJournal};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::timeout;

use crate::fake_amqp::rig::{Rig, Settling, message, park};
use crate::fake_amqp::script::{Line, Script};
use crate::fake_amqp::world::{Event, Place, Publish};
use crate::fake_amqp::{Manner, Role};
use crate::support::conformance::{event, recorded};

const SEEDS: u64 = 100;
/// How many are run side by side; nearly all of their time is waiting.
const AT_ONCE: usize = 20;

/// Confirms in random order; refuses, returns and breaks now and then.
struct Chaos {
    random: StdRng,
    held: HashMap<Place, Vec<Publish>>,
    /// How many more faults there may be.
    faults: u32,
    /// How many more messages may be refused: each costs the client a pause of a second or more.
    refusals: u32,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (faults, refusals) = (random.random_range(0..6), random.random_range(0..3));
        Self { random, held: HashMap::new(), faults, refusals }
    }

    /// One thing about one message. Never an ack of everything by the tag 0, which RabbitMQ does not send: the client
    /// library would take it for a confirm of a message that it has not sent yet.
    fn act(&mut self, line: &mut Line<'_>) {
        let Some(held) = self.held.get_mut(&line.place).filter(|held| !held.is_empty()) else { return };
        let at = self.random.random_range(0..held.len());
        let publish = held[at].clone();
        match self.random.random_range(0..100) {
            0..55 => {
                line.ack(publish.tag);
                held.remove(at);
            }
            55..75 => {
                line.ack_up_to(publish.tag);
                held.retain(|other| other.tag > publish.tag);
            }
            78..82 if self.refusals > 0 => {
                self.refusals -= 1;
                line.nack(publish.tag);
                held.remove(at);
            }
            82..84 if self.refusals > 0 => {
                self.refusals -= 1;
                line.nack_up_to(publish.tag);
                held.retain(|other| other.tag > publish.tag);
            }
            84..88 if self.faults > 0 && publish.mandatory => {
                self.faults -= 1;
                self.give_back(at, line);
            }
            88..91 if self.faults > 0 => {
                self.faults -= 1;
                self.fault(at, line);
            }
            _ => {}
        }
    }

    /// A return: before its ack, long before it, or, while others of its batch are unconfirmed, after it.
    fn give_back(&mut self, at: usize, line: &mut Line<'_>) {
        let Some(held) = self.held.get_mut(&line.place) else { return };
        let publish = held[at].clone();
        match self.random.random_range(0..4) {
            0 => {
                line.give_back(&publish);
                line.ack(publish.tag);
                held.remove(at);
            }
            1 => line.give_back(&publish),
            2 => {
                line.give_back(&publish);
                line.nack(publish.tag);
                held.remove(at);
            }
            _ if held.len() > 1 => {
                line.ack(publish.tag);
                line.give_back(&publish);
                held.remove(at);
            }
            _ => {}
        }
    }

    fn fault(&mut self, at: usize, line: &mut Line<'_>) {
        let Some(held) = self.held.get_mut(&line.place) else { return };
        match self.random.random_range(0..9) {
            0 => line.close_connection(),
            1 => line.close_channel(),
            2 => line.reset(),
            3 => line.hang_up(),
            4 => {
                line.ack(held[at].tag);
                line.ack(held[at].tag);
            }
            5 => line.ack(held[at].tag + 1_000),
            6 => line.give_back_as(&held[at].clone(), &BasicProperties::default()),
            // It is never confirmed.
            7 => drop(held.remove(at)),
            _ => {
                line.block();
                line.ack(held.remove(at).tag);
                line.unblock();
            }
        }
    }
}

impl Script for Chaos {
    fn published(&mut self, publish: &Publish, line: &mut Line<'_>) {
        self.held.entry(line.place).or_default().push(publish.clone());
        if self.random.random_bool(0.3) {
            self.act(line);
        }
    }

    fn tick(&mut self, line: &mut Line<'_>) {
        for _ in 0..self.random.random_range(1..8) {
            self.act(line);
        }
    }
}

/// How many deliveries there were beyond one for each message, and how many generations.
async fn run(seed: u64, journal: Arc<SqliteJournal>) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(!seed);
    let ignores_prefetch = seed.is_multiple_of(10);
    let manner = Manner { tick: Duration::from_millis(4), ignores_prefetch, ..Manner::default() };
    let rig = Rig::with(manner, |settings: &mut Settings| {
        settings.publishers = 1 + usize::try_from(seed % 3).expect("small");
        settings.prefetch = random.random_range(1..40);
    })
    .await;
    rig.server.follow(Chaos::new(seed));
    let count = random.random_range(20..=50);
    for number in 0..count {
        rig.enqueue(message(&format!("s{seed}-{number}")));
    }
    let mut settling: FuturesUnordered<Settling<'_>> = FuturesUnordered::new();
    // Most are settled under fire; what fails comes again, and the last are settled in peace.
    let mut begun = 0;
    while begun < count {
        let delivery = tokio::select! {
            delivery = rig.broker.next() => delivery.expect("the broker is taking"),
            Some(_) = settling.next() => continue,
        };
        begun += 1;
        let Content::Readable(envelope) = &delivery.content else { panic!("seed {seed}: unreadable") };
        let envelope = (**envelope).clone();
        match random.random_range(0..20) {
            0 => drop(delivery),
            1 => delivery.receipt.hand_back().await,
            2..4 => {
                let journal = journal.clone();
                settling.push(Box::pin(async move {
                    let event = event(&envelope, &Outcome::Confirmed { detail: None });
                    let recorded = recorded(&journal, &envelope, &event).await;
                    delivery.receipt.finish(&event, recorded).await
                }));
            }
            4..6 => settling.push(Box::pin(async move {
                let event = event(&envelope, &Outcome::Abandoned { reason: "chaos".to_owned() });
                delivery.receipt.poison("chaos", Some(&event)).await
            })),
            _ => settling.push(park((envelope, delivery))),
        }
        if random.random_bool(0.01) {
            let end: fn(&mut Line<'_>) = match random.random_range(0..4) {
                0 => |line| line.close_connection(),
                1 => |line| line.close_channel(),
                2 => |line| line.reset(),
                _ => |line| line.cancel_consumers(),
            };
            rig.server.on(Role::Consuming, end).await;
        }
    }
    let rest = async { while settling.next().await.is_some() {} };
    timeout(Duration::from_secs(30), rest).await.expect("nothing hangs");
    rig.settle_the_rest().await;
    let world = rig.server.world();
    let acknowledged = world.count(|event| matches!(event, Event::Acknowledged { .. }));
    assert_eq!(acknowledged, count, "each message leaves the queue once");
    (world.count(|event| matches!(event, Event::Delivered { .. })) - count, rig.generations())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_orderings_and_faults_lose_nothing() {
    let seeds = match std::env::var("ADVERSARY_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (0..SEEDS).collect::<Vec<u64>>(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let settings = journal::Settings::new(folder.path().join("journal.db"));
    let journal = Arc::new(SqliteJournal::open(settings).await.expect("a journal"));
    let runs = seeds.into_iter().map(async |seed| {
        let ran = tokio::spawn(timeout(Duration::from_secs(60), run(seed, journal.clone()))).await;
        let said = match &ran {
            Ok(Ok(more)) => return *more,
            Ok(Err(_)) => "it hangs".to_owned(),
            Err(error) => error.to_string(),
        };
        panic!("ADVERSARY_SEED={seed}: {said}");
    });
    let ran: Vec<(usize, usize)> = futures_util::stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
    let [again, generations] = [|run: &(usize, usize)| run.0, |run: &(usize, usize)| run.1]
        .map(|of| ran.iter().map(of).sum::<usize>());
    println!("{} runs, {generations} generations, {again} deliveries came again", ran.len());
    journal.close().await;
}
