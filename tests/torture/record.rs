//! What happened, seen from outside: what was accepted, and what each merchant was asked. Written down as it happens.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use paynotify::clock;
use paynotify::domain::Moment;

/// A request at a merchant.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Moment,
    /// It was answered with a confirmation.
    pub confirmed: bool,
    /// The merchant whose address it came to.
    pub merchant: String,
}

/// What is known of an accepted notification's way in.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// When it was first confirmed to the producer.
    pub at: Moment,
    /// How often it was confirmed.
    pub copies: u32,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub accepted: HashMap<String, Accepted>,
    /// Sent at least once, whether or not an answer came. Only those may turn up anywhere.
    pub sent: HashSet<String>,
    /// How often a confirm was lost: such a notification is sent again until it is accepted.
    pub unanswered: u32,
    pub requests: HashMap<String, Vec<Request>>,
    pub requests_in_all: usize,
    /// What should never have come.
    pub strange: Vec<String>,
}

/// The record of one scenario, shared by producer and merchants.
#[derive(Default)]
pub struct Record(Mutex<Seen>);

impl Record {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nobody panics while writing")
    }

    pub fn sent(&self, id: &str) {
        self.seen().sent.insert(id.to_owned());
    }

    pub fn accepted(&self, id: &str) {
        let now = clock::now();
        let mut seen = self.seen();
        seen.accepted.entry(id.to_owned()).or_insert(Accepted { at: now, copies: 0 }).copies += 1;
    }

    pub fn unanswered(&self) {
        self.seen().unanswered += 1;
    }

    pub fn strange(&self, what: String) {
        self.seen().strange.push(what);
    }

    /// Notes a request and tells how many came before it.
    pub fn requested(&self, id: &str, merchant: &str, answer: impl FnOnce(usize) -> bool) {
        let at = clock::now();
        let mut seen = self.seen();
        seen.requests_in_all += 1;
        let requests = seen.requests.entry(id.to_owned()).or_default();
        let confirmed = answer(requests.len());
        requests.push(Request { at, confirmed, merchant: merchant.to_owned() });
    }

    /// Accepted, sent, and requests so far.
    pub fn counts(&self) -> (usize, usize, usize) {
        let seen = self.seen();
        (seen.accepted.len(), seen.sent.len(), seen.requests_in_all)
    }

    /// Everything so far.
    pub fn so_far(&self) -> Seen {
        self.seen().clone()
    }
}
