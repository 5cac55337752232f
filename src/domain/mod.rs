//! What is decided, and nothing that is done.
//!
//! Everything in here is pure: the moment and the random number that a decision needs are arguments. There is no
//! broker, socket, database, guest, clock or task here, and `tests/tidy.rs` keeps it so. The rest of the program
//! carries out what this module returns and never decides for itself.
//!
//! Read in this order: [`Notification`] (what must be told), [`Envelope`] (that, and how far it has come),
//! [`Ladder`] (how long to wait), [`Gate`] (whether an attempt may be made now), [`Verdict`] (what a reply means), [`next_step`](fn@next_step) (what follows), [`take_up`] (which of several
//! messages of one notification goes on), [`begin_anew`] (whether one that has ended may).

mod breaker;
mod envelope;
mod exchange;
mod fault_owner;
mod gate;
mod identity;
mod ladder;
mod lane;
mod legacy;
mod moment;
mod money;
mod next_step;
mod notification;
mod outcome;
mod rate;
mod replay;
mod share;
mod standing;
mod verdict;
mod withheld;

pub use breaker::{Breaker, BreakerPolicy, Change, Evidence, Pass};
pub use envelope::{AttemptNumber, CONTENT_TYPE, Envelope, Held, Progress, Unreadable, headers};
pub use exchange::{InvalidRequest, Origin, Reply, Request, UncheckedRequest};
pub use fault_owner::FaultOwner;
pub use gate::{Admission, Asks, Changed, Entry, Gate, GatePolicy, LONGEST_WAIT, PATIENCE, Turn};
pub use identity::{InvalidIdentity, MerchantId, NotificationId};
pub use ladder::{InvalidLadder, Jitter, Ladder};
pub use lane::Lane;
pub use legacy::notification_from_url;
pub use moment::Moment;
pub use money::{Currency, Money};
pub use next_step::{Happened, HoldReason, NextStep, Policy, next_step};
pub use notification::{Channel, Failure, InvalidRecord, Notification, Payer, PaymentStatus, Record, SCHEMA};
pub use outcome::{Outcome, OutcomeEvent, Recorded};
pub use rate::{InvalidRate, Rate};
pub use replay::{NoReplay, ReplayRoute, begin_anew};
pub use share::fair_share;
pub use standing::{Beginning, Behind, Ending, Known, Standing, TakeUp, Taken, behind, take_up};
pub use verdict::{TransportFailure, Verdict};
pub use withheld::Withheld;
