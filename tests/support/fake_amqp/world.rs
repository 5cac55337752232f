//! What the fake server knows: its queues, which confirms are due, and the record of everything that happened, in
//! one order for all its connections. What stands earlier in the record was written to the socket, or read off it,
//! before the later could have been caused by it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use amq_protocol::protocol::BasicProperties;
use tokio::sync::watch;
use tokio::time::timeout;

/// One channel of one connection; connections are numbered from 0 as they are accepted.
pub type Place = (usize, u16);

/// A message as it came from the client.
#[derive(Clone, Debug)]
pub struct Publish {
    pub place: Place,
    /// The publishing sequence number: what a confirm names.
    pub tag: u64,
    pub exchange: String,
    pub routing_key: String,
    pub mandatory: bool,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
}

/// A message for the client.
#[derive(Clone, Debug)]
pub struct Message {
    /// By what the test knows it: its notification's id, if it is readable.
    pub id: String,
    pub exchange: String,
    pub routing_key: String,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
    pub redelivered: bool,
    /// The most bytes of a frame of its body, if not as many as the connection allows.
    pub piece: Option<usize>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection is open; the client calls it that.
    Opened {
        connection: usize,
        name: String,
    },
    /// A connection is over.
    Ended {
        connection: usize,
    },
    /// A consumer has been told that it is one.
    Consuming {
        place: Place,
        queue: String,
    },
    Published(Box<Publish>),
    /// The server confirmed or refused a message that was not yet: one event for each that a frame covers.
    Confirmed {
        place: Place,
        tag: u64,
        ack: bool,
    },
    /// The server gave a message back.
    Returned {
        place: Place,
        tag: u64,
    },
    Delivered {
        place: Place,
        tag: u64,
        id: String,
        body: Vec<u8>,
    },
    Acknowledged {
        place: Place,
        tag: u64,
        id: String,
    },
    HandedBack {
        place: Place,
        tag: u64,
        id: String,
    },
    /// The client did what no client may.
    Breach(String),
}

/// Shared by all connections and the test.
pub struct World {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    record: Vec<Event>,
    ready: HashMap<String, VecDeque<Message>>,
    out: HashMap<(Place, u64), (String, Message)>,
    unconfirmed: HashMap<Place, BTreeSet<u64>>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), changes: watch::Sender::new(0) })
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The record so far.
    pub fn record(&self) -> Vec<Event> {
        self.inner().record.clone()
    }

    /// How many events of the record are such.
    pub fn count(&self, such: impl Fn(&Event) -> bool) -> usize {
        self.inner().record.iter().filter(|event| such(event)).count()
    }

    /// Messages in queues and with the client, together.
    pub fn unsettled(&self) -> usize {
        let inner = self.inner();
        inner.ready.values().map(VecDeque::len).sum::<usize>() + inner.out.len()
    }

    /// Messages with the client on a channel.
    pub fn out_at(&self, place: Place) -> usize {
        self.inner().out.keys().filter(|(at, _)| *at == place).count()
    }

    /// Waits until it is so, for at most 20 s.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let mut changes = self.changes();
        let so = async {
            while !holds(self) {
                changes.changed().await.expect("it is in `self`");
            }
        };
        if timeout(Duration::from_secs(20), so).await.is_err() {
            panic!("waited in vain: {what}; the record ends with {:#?}", self.last_events());
        }
    }

    fn last_events(&self) -> Vec<String> {
        let inner = self.inner();
        let tail = inner.record.iter().rev().take(30).map(|event| format!("{event:?}"));
        tail.map(|line| line.chars().take(200).collect()).collect()
    }

    pub fn note(&self, event: Event) {
        self.change(|inner| inner.record.push(event));
    }

    pub fn enqueue(&self, queue: &str, message: Message) {
        self.change(|inner| inner.ready.entry(queue.to_owned()).or_default().push_back(message));
    }

    /// Hands out the next message of a queue on a channel under that tag.
    pub fn hand_out(&self, queue: &str, place: Place, tag: u64) -> Option<Message> {
        if self.inner().ready.get(queue).is_none_or(VecDeque::is_empty) {
            return None;
        }
        self.change(|inner| {
            let message = inner.ready.get_mut(queue)?.pop_front()?;
            inner.out.insert((place, tag), (queue.to_owned(), message.clone()));
            let (id, body) = (message.id.clone(), message.body.clone());
            inner.record.push(Event::Delivered { place, tag, id, body });
            Some(message)
        })
    }

    /// The client settled a delivery.
    pub fn settle(&self, place: Place, tag: u64, multiple: bool, ack: bool) {
        self.change(|inner| {
            let found = inner.out.remove(&(place, tag));
            let event = match found {
                _ if multiple => Event::Breach(format!("several settled at once on {place:?} at {tag}")),
                None => Event::Breach(format!("{tag} is not out on {place:?}, and was settled")),
                Some((_, Message { id, .. })) if ack => Event::Acknowledged { place, tag, id },
                Some((queue, message)) => {
                    let id = message.id.clone();
                    let back = Message { redelivered: true, ..message };
                    inner.ready.entry(queue).or_default().push_front(back);
                    Event::HandedBack { place, tag, id }
                }
            };
            inner.record.push(event);
        });
    }

    /// A message came in: its publishing sequence number, if the channel confirms.
    pub fn published(&self, publish: Publish) {
        self.change(|inner| {
            inner.unconfirmed.entry(publish.place).or_default().insert(publish.tag);
            inner.record.push(Event::Published(Box::new(publish)));
        });
    }

    /// The server confirms, or refuses: what of its messages that frame covers.
    pub fn confirm(&self, place: Place, tag: u64, multiple: bool, ack: bool) {
        self.change(|inner| {
            let Some(open) = inner.unconfirmed.get_mut(&place) else { return };
            let covered = |open: &u64| match (multiple, tag) {
                (true, 0) => true,
                (true, _) => *open <= tag,
                (false, _) => *open == tag,
            };
            for tag in open.extract_if(.., covered) {
                inner.record.push(Event::Confirmed { place, tag, ack });
            }
        });
    }

    /// A channel is over: what was out on it is ready again.
    pub fn close(&self, place: Place) {
        self.change(|inner| {
            let gone: Vec<_> = inner.out.keys().filter(|(at, _)| *at == place).copied().collect();
            for key in gone {
                if let Some((queue, message)) = inner.out.remove(&key) {
                    let back = Message { redelivered: true, ..message };
                    inner.ready.entry(queue).or_default().push_front(back);
                }
            }
            inner.unconfirmed.remove(&place);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let changed = change(&mut self.inner());
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("sound")
    }
}
