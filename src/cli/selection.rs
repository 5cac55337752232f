//! Which notifications are meant: what `list` shows, and `replay` begins anew.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::clock;
use crate::domain::{MerchantId, Moment};

#[derive(Debug, Default, Args)]
pub(super) struct Selection {
    /// Only this merchant's.
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    /// Only those of the order with this number of the merchant's.
    #[arg(long, value_name = "NUMBER")]
    order: Option<String>,
    /// Only those that are this now.
    #[arg(long)]
    state: Option<State>,
    /// Only those that have ended so.
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Only those that are not confirmed: under way, held, and ended in any other way.
    #[arg(long)]
    undelivered: bool,
    /// Only those that came in then or later: a moment such as 2026-11-22T08:00:00Z, or so long ago, such as 2h.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Moment>,
    /// Only those that came in earlier. As --since.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<Moment>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// It came in over HTTP and has not reached the broker yet.
    Received,
    /// It waits for its first attempt.
    Accepted,
    /// It waits for its next attempt.
    Waiting,
    /// It waits for something that is not the merchant's fault.
    Held,
    /// It has ended.
    Ended,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    /// The merchant has heard it.
    Confirmed,
    /// The merchant wanted no more of it.
    Stopped,
    /// Its ladder was climbed to the end.
    Exhausted,
    /// It was held for as long as a hold may last.
    Abandoned,
}

impl Selection {
    /// By the names of the API's parameters; what is not given is not there.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let name = |value: clap::builder::PossibleValue| Value::from(value.get_name());
        let state = self.state.and_then(|state| state.to_possible_value()).map(name);
        let outcome = self.outcome.and_then(|outcome| outcome.to_possible_value()).map(name);
        let fields = [
            ("merchant", self.merchant.as_ref().map(|id| id.as_str().into())),
            ("order", self.order.as_deref().map(Value::from)),
            ("state", state),
            ("outcome", outcome),
            ("undelivered", self.undelivered.then_some(true.into())),
            ("since", self.since.map(|moment| moment.to_string().into())),
            ("until", self.until.map(|moment| moment.to_string().into())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// A moment, or how long ago it was.
fn when(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(Moment::from_unix_milliseconds(clock::now().unix_milliseconds().saturating_sub(ago)));
    }
    text.parse().map_err(|_| {
        "it is neither a moment such as 2026-11-22T08:00:00Z nor a length of time such as 2h".to_owned()
    })
}
