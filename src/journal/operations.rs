//! What operators do and ask: replays, pauses, the audit of both, and how much waits where.
//!
//! The rule: who did it, when and why is written with the same commit as what it does to the journal. What is done elsewhere (a
//! message that is put back, a plugin that is rolled back) is noted before it is done, so that nothing is done without a trace.

use serde::Serialize;

use super::State;
use super::found::{Missing, standing};
use crate::domain::{Envelope, MerchantId, Moment, NoReplay, NotificationId, ReplayRoute, begin_anew};

/// Who wants something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The name of the token with which it was asked for.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// That a notification is to be begun anew.
#[derive(Clone, Debug)]
pub struct ReplayOrder {
    /// Which one.
    pub id: NotificationId,
    /// How the operator comes to it.
    pub route: ReplayRoute,
    /// By whom.
    pub order: Order,
    /// Whether it is an action of its own in the audit, and not a part of one that is there already.
    pub audited: bool,
}

/// What became of that.
#[derive(Debug)]
pub enum Replayed {
    /// It is durable that it is begun anew: this is to be published. Whoever does not come to it leaves that to
    /// [`Journal::missing`](super::Journal::missing).
    Begun(Box<Envelope>),
    /// Nothing has been heard of such a notification.
    Unknown,
    /// It stays as it is.
    Refused {
        /// Why.
        why: NoReplay,
        /// What it is.
        state: State,
    },
}

/// A replay as the notification's story shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayNote {
    /// Its number, from 1.
    pub replay: u32,
    /// When it was begun.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// One notification was begun anew.
    Replay,
    /// Many were.
    ReplayRange,
    /// A merchant is told nothing for a while.
    Pause,
    /// It is again.
    Resume,
    /// A message in the poison queue was put back.
    Mend,
    /// A message in the poison queue was thrown away.
    Discard,
    /// An earlier version of a plugin was put in the place of the one that ran.
    Rollback,
}

impl Deed {
    /// Its name in the audit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::ReplayRange => "replay_range",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Mend => "mend",
            Self::Discard => "discard",
            Self::Rollback => "rollback",
        }
    }
}

/// An entry of the audit that is to be made. Of a pause or resumption, which takes effect with it, it is made only if it
/// changes something.
#[derive(Clone, Debug)]
pub struct Noted {
    /// What is done.
    pub deed: Deed,
    /// To whom: the id of a notification, a merchant or a message, the name of a plugin, or what was asked for.
    pub whom: String,
    /// By whom.
    pub order: Order,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// What the next page begins after. Later entries have greater ones.
    #[serde(skip)]
    pub place: String,
    /// When.
    pub at: Moment,
    /// Who.
    pub by: String,
    /// What: [`Deed::name`].
    pub action: String,
    /// To whom.
    pub whom: String,
    /// Why.
    pub reason: String,
}

/// A merchant that is told nothing for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Which one.
    #[serde(skip)]
    pub merchant: MerchantId,
    /// Since when.
    pub since: Moment,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How much there is, where, and since when. Counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notifications of which no attempt was made or held yet, and when the first of them came in.
    pub new: u64,
    /// The oldest of them.
    pub oldest_new: Option<Moment>,
    /// The oldest of those among them that the broker has and that are due since then: without a `not_before`, or one that was over already.
    pub oldest_due_at_once: Option<Moment>,
    /// Those that wait for an attempt, by merchant and attempt.
    pub waiting: Vec<WaitingCount>,
    /// Those that are held, by cause and merchant.
    pub held: Vec<HeldCount>,
    /// Those that have ended since the moment asked for and were not confirmed, by outcome.
    pub unconfirmed: Vec<EndedCount>,
}

/// Some that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingCount {
    /// Whose.
    pub merchant: String,
    /// For which attempt.
    pub next_attempt: u32,
    /// How many.
    pub count: u64,
    /// When the first of them is due.
    pub next_due: Moment,
    /// When the one that has waited longest began to wait.
    pub oldest: Moment,
}

/// Some that are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCount {
    /// Why, in a word.
    pub cause: String,
    /// Whose.
    pub merchant: String,
    /// How many.
    pub count: u64,
    /// Since when the one that has been held longest has been.
    pub since: Moment,
}

/// Some that have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCount {
    /// How.
    pub outcome: String,
    /// How many.
    pub count: u64,
    /// When the first of them ended.
    pub oldest: Moment,
}

/// A name that no other entry of the audit has, and that sorts after those of earlier moments.
pub(super) fn audit_name() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// What the writer is asked by an operator.
#[derive(Debug)]
pub(super) enum Operation {
    /// Begin a notification anew.
    Replay(ReplayOrder),
    /// Note something in the audit, under that unique name, and do what belongs to it in the journal.
    Note(String, Noted),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Operated {
    Replayed(Box<Replayed>),
    /// Whether it changed anything.
    Noted(bool),
}

/// What a wish to begin a notification anew comes to.
pub(super) enum Begin {
    /// This state is to be written, with the replay of that number.
    Write(State, u32),
    /// It was written already, and the answer was lost.
    Again,
    Refuse(NoReplay, State),
}

/// Decides about a notification that was found, of whose end the payment centre was `told` or not. Nothing for one that cannot be read.
pub(super) fn decide(found: &Missing, told: bool, wanted: &ReplayOrder) -> Option<Begin> {
    let state: State = serde_json::from_str(&found.state).ok()?;
    let at = wanted.order.at;
    // The same to the millisecond is the same wish, as it is with entries.
    if matches!(state, State::Waiting { next_attempt: 1, due, replay: 1.. } if due == at) {
        return Some(Begin::Again);
    }
    let known = standing(&state, found.first_seen);
    Some(match begin_anew(known.as_ref(), told, wanted.route, at) {
        Ok(progress) => {
            let (next_attempt, due, replay) = (progress.attempt.get(), progress.due, progress.replay);
            Begin::Write(State::Waiting { next_attempt, due, replay }, replay)
        }
        Err(why) => Begin::Refuse(why, state),
    })
}

/// What is to be published of a notification that was begun anew, as it was found and as it is now.
pub(super) fn begun(found: Missing, state: Option<String>, at: Moment) -> Replayed {
    let state = state.unwrap_or_else(|| found.state.clone());
    match (Missing { state, ..found }).envelope(at) {
        Some(envelope) => Replayed::Begun(Box::new(envelope)),
        // Its record cannot be read, which was logged: as if there were none.
        None => Replayed::Unknown,
    }
}
