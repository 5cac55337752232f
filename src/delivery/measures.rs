//! What is counted and measured of deliveries.
//!
//! The rule: every series is there from the start, and its handle is found without looking a label up, so that a delivery pays for
//! a count no more than an atomic addition. No label is a merchant's, a plugin's or a notification's.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::parts::{Part, Parts};
use crate::domain::{FaultOwner, Happened, HoldReason, Lane, Outcome, TransportFailure, Verdict};

/// What becomes of a message that the broker has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenUp {
    /// An attempt is made, or held.
    Attempt,
    /// It is parked again: it came early, or belongs into the other lane.
    Parked,
    /// Its notification has come further by another message.
    Behind,
    /// Its attempt was cut off twice, and counts as unanswered.
    Interrupted,
    /// It is given back: the gateway stops.
    HandedBack,
}

impl TakenUp {
    const ALL: [Self; 5] = [Self::Attempt, Self::Parked, Self::Behind, Self::Interrupted, Self::HandedBack];

    fn name(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Parked => "parked",
            Self::Behind => "behind",
            Self::Interrupted => "interrupted",
            Self::HandedBack => "handed_back",
        }
    }
}

/// Why a message goes to the poison queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poisoned {
    /// It cannot be read.
    Unreadable,
    /// Its id is another notification's.
    Conflict,
    /// It was held for longer than is allowed.
    Abandoned,
}

impl Poisoned {
    const ALL: [Self; 3] = [Self::Unreadable, Self::Conflict, Self::Abandoned];

    fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Conflict => "conflict",
            Self::Abandoned => "abandoned",
        }
    }
}

/// All handles. Cheap to clone; clones count the same.
#[derive(Clone, Debug)]
pub(super) struct Measures {
    attempts: Vec<(Came, Counter)>,
    ended: [Counter; Outcome::NAMES.len()],
    taken_up: [Counter; TakenUp::ALL.len()],
    poisoned: [Counter; Poisoned::ALL.len()],
    lateness: [Histogram; Lane::ALL.len()],
    in_flight: [Gauge; Lane::ALL.len()],
    in_hand: Gauge,
    parts: [Histogram; Part::ALL.len()],
    confirmed_after: Histogram,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Confirmed,
    Retry,
    Stop,
    NoReply(TransportFailure),
    PluginFault,
    GatewayBusy,
}

impl Came {
    fn of(happened: &Happened) -> Self {
        match happened {
            Happened::Replied(Verdict::Confirmed { .. }) => Self::Confirmed,
            Happened::Replied(Verdict::Retry { .. }) => Self::Retry,
            Happened::Replied(Verdict::Stop { .. }) => Self::Stop,
            Happened::NoReply(failure) => Self::NoReply(*failure),
            Happened::Held(HoldReason::GatewayBusy) => Self::GatewayBusy,
            // Of what holds, nothing else comes after a request went out.
            Happened::Held(_) => Self::PluginFault,
        }
    }

    /// All of them but the refused address, which is found before anything is attempted; with name and whose fault it is.
    fn all() -> Vec<(Self, &'static str, Option<FaultOwner>)> {
        let failures = TransportFailure::ALL.into_iter();
        let failures = failures.filter(|failure| *failure != TransportFailure::AddressRefused);
        let failures = failures.map(|failure| (Self::NoReply(failure), failure.name(), Some(failure.into())));
        let others = [
            (Self::Confirmed, "confirmed", None),
            (Self::Retry, "retry", Some(FaultOwner::Merchant)),
            (Self::Stop, "stop", Some(FaultOwner::Merchant)),
            (Self::PluginFault, "plugin_fault", Some(FaultOwner::Plugin)),
            (Self::GatewayBusy, "gateway_busy", Some(FaultOwner::Gateway)),
        ];
        others.into_iter().chain(failures).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
    owner: &'static str,
}

/// A metric with one label, whose name is fixed by a type of its own.
macro_rules! label {
    ($name:ident, $field:ident) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $field: &'static str,
        }
    };
}

label!(OfOutcome, outcome);
label!(OfWay, way);
label!(Cause, cause);
label!(OfLane, lane);
label!(OfPart, part);

/// From a hundredth of a second up to five minutes.
const LATENESS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From half a millisecond up to ten seconds.
const TAKES: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// From a hundredth of a second up to a day.
const CONFIRMED_AFTER: [f64; 13] =
    [0.01, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

impl Measures {
    /// Puts all of them into the registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let attempts = Family::<Result, Counter>::default();
        let help = "Attempts of which a request went out, by what came of it and whose fault that is";
        registry.register("attempts", help, attempts.clone());
        let came = |(came, result, owner): (Came, &'static str, Option<FaultOwner>)| {
            let owner = owner.map_or("none", FaultOwner::name);
            (came, attempts.get_or_create_owned(&Result { result, owner }))
        };
        let ended = Family::<OfOutcome, Counter>::default();
        let help = "Notifications that have ended, by how";
        registry.register("notifications_ended", help, ended.clone());
        let taken_up = Family::<OfWay, Counter>::default();
        let help = "Messages that the broker has handed out, by what they were taken up as";
        registry.register("deliveries", help, taken_up.clone());
        let poisoned = Family::<Cause, Counter>::default();
        let help = "Messages that this gateway has moved to the poison queue, by why";
        registry.register("poisoned", help, poisoned.clone());
        let made: fn() -> Histogram = || Histogram::new(LATENESS);
        let lateness = Family::new_with_constructor(made);
        let help = "How much later than due attempts were taken up, in seconds";
        registry.register("attempt_lateness_seconds", help, lateness.clone());
        let in_flight = Family::<OfLane, Gauge>::default();
        let help = "Attempts under way: past their merchant's gate";
        registry.register("attempts_in_flight", help, in_flight.clone());
        let in_hand = Gauge::default();
        let help = "Messages that the broker has handed out and that are not settled yet";
        registry.register("deliveries_in_hand", help, in_hand.clone());
        let made: fn() -> Histogram = || Histogram::new(TAKES);
        let parts = Family::new_with_constructor(made);
        let help = "How long each part of an attempt took, in seconds";
        registry.register("attempt_part_seconds", help, parts.clone());
        let confirmed_after = Histogram::new(CONFIRMED_AFTER);
        let help = "How long after it was first seen a notification was confirmed, in seconds";
        registry.register("confirmed_after_seconds", help, confirmed_after.clone());
        let of_lane = |lane: Lane| OfLane { lane: lane.name() };
        Self {
            attempts: Came::all().into_iter().map(came).collect(),
            ended: Outcome::NAMES.map(|outcome| ended.get_or_create_owned(&OfOutcome { outcome })),
            taken_up: TakenUp::ALL.map(|way| taken_up.get_or_create_owned(&OfWay { way: way.name() })),
            poisoned: Poisoned::ALL.map(|why| poisoned.get_or_create_owned(&Cause { cause: why.name() })),
            lateness: Lane::ALL.map(|lane| lateness.get_or_create_owned(&of_lane(lane))),
            in_flight: Lane::ALL.map(|lane| in_flight.get_or_create_owned(&of_lane(lane))),
            in_hand,
            parts: Part::ALL.map(|part| parts.get_or_create_owned(&OfPart { part: part.name() })),
            confirmed_after,
        }
    }

    /// A request went out, and that came of it.
    pub(super) fn count_attempt(&self, happened: &Happened) {
        let came = Came::of(happened);
        if let Some((_, counter)) = self.attempts.iter().find(|(of, _)| *of == came) {
            counter.inc();
        }
    }

    /// A notification has ended, so long after it was first seen.
    pub(super) fn count_end(&self, outcome: &Outcome, after: Duration) {
        if let Some(place) = Outcome::NAMES.iter().position(|name| *name == outcome.name()) {
            self.ended[place].inc();
        }
        if matches!(outcome, Outcome::Confirmed { .. }) {
            self.confirmed_after.observe(after.as_secs_f64());
        }
    }

    pub(super) fn count_taken_up(&self, way: TakenUp) {
        self.taken_up[way as usize].inc();
    }

    pub(super) fn count_poisoned(&self, why: Poisoned) {
        self.poisoned[why as usize].inc();
    }

    /// An attempt is taken up so much later than it was due.
    pub(super) fn note_lateness(&self, lane: Lane, late: Duration) {
        self.lateness[place(lane)].observe(late.as_secs_f64());
    }

    pub(super) fn note_parts(&self, parts: &Parts) {
        for part in Part::ALL {
            if let Some(took) = parts.took(part) {
                self.parts[part as usize].observe(took.as_secs_f64());
            }
        }
    }

    /// A message is in hand until that is dropped.
    pub(super) fn in_hand(&self) -> While {
        While::now(&self.in_hand)
    }

    /// An attempt is under way in that lane until that is dropped.
    pub(super) fn in_flight(&self, lane: Lane) -> While {
        While::now(&self.in_flight[place(lane)])
    }
}

fn place(lane: Lane) -> usize {
    match lane {
        Lane::Main => 0,
        Lane::Slow => 1,
    }
}

/// Counts as one for as long as it lives, however that ends.
#[derive(Debug)]
pub(super) struct While(Gauge);

impl While {
    fn now(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for While {
    fn drop(&mut self) {
        self.0.dec();
    }
}
