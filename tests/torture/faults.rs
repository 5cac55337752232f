//! The log of what was broken, and when: without it the checker could not tell a duplicate that had to be from one
//! that should not.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use paynotify::clock;
use paynotify::domain::Moment;

/// What a fault does to gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hits {
    /// Nothing that could excuse a duplicate.
    Nothing,
    /// So many gateways are dead at once.
    Killed(usize),
    /// So many gateways lose what they have under way, and live: they may go on with it for a moment.
    CutOff(usize),
}

/// Something that was broken on purpose.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What was done, for people: `gateway 0 killed`.
    pub what: String,
    pub began: Moment,
    /// When that which was broken could be used again; `None` while it cannot.
    pub over: Option<Moment>,
    pub hits: Hits,
    /// Whether it is asked how long it took until deliveries went on.
    pub timed: bool,
}

/// After a fault is over, its consequences arrive: redeliveries, reconnections, what was late. They take so long.
pub const AFTERMATH: Duration = Duration::from_secs(5);

impl Fault {
    /// Whether it can be the reason for a repetition in that span of time.
    pub fn excuses(&self, from: Moment, to: Moment) -> bool {
        self.hits != Hits::Nothing && self.touches(from, to, AFTERMATH)
    }

    /// Whether the fault, or its aftermath, lies in that span of time.
    pub fn touches(&self, from: Moment, to: Moment, aftermath: Duration) -> bool {
        let end = self.over.map(|over| over.after(aftermath));
        self.began <= to && end.is_none_or(|end| from <= end)
    }
}

/// A fault that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Begun(usize);

/// All faults of a scenario.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    fn all(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().expect("nobody panics while writing")
    }

    /// To be called just before something is broken.
    pub fn begin(&self, what: impl Into<String>, hits: Hits) -> Begun {
        let mut all = self.all();
        all.push(Fault { what: what.into(), began: clock::now(), over: None, hits, timed: true });
        Begun(all.len() - 1)
    }

    /// To be called when it is whole again: from now on, deliveries should go on soon.
    pub fn over(&self, begun: Begun) {
        self.all()[begun.0].over = Some(clock::now());
    }

    /// The same for a fault that should interrupt nothing, or whose end says nothing about deliveries.
    pub fn over_untimed(&self, begun: Begun) {
        let mut all = self.all();
        all[begun.0].over = Some(clock::now());
        all[begun.0].timed = false;
    }

    pub fn so_far(&self) -> Vec<Fault> {
        self.all().clone()
    }
}
