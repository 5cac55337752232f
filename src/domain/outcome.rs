//! How a notification ends, and the event that tells the payment centre.

use serde::Serialize;

use super::{MerchantId, Moment, Notification, NotificationId};

/// How a notification ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The merchant has heard it.
    Confirmed {
        /// A detail of the plugin's.
        detail: Option<String>,
    },
    /// The merchant wants no more of it.
    Stopped {
        /// Why.
        reason: String,
    },
    /// The ladder's last rung was climbed and the merchant had not confirmed.
    Exhausted {
        /// What the last attempt came to.
        reason: String,
    },
    /// It was held for as long as a hold may last: through no fault of the merchant's no attempt could be made.
    /// It goes, whole, to the poison queue.
    Abandoned {
        /// What it was held for.
        reason: String,
    },
}

impl Outcome {
    /// All names that [`name`](Self::name) gives.
    pub const NAMES: [&'static str; 4] = ["confirmed", "stopped", "exhausted", "abandoned"];

    /// The outcome's name in routing keys, records and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Confirmed { .. } => "confirmed",
            Self::Stopped { .. } => "stopped",
            Self::Exhausted { .. } => "exhausted",
            Self::Abandoned { .. } => "abandoned",
        }
    }

    /// The outcome of that name and text: the reverse of [`name`](Self::name) and [`detail`](Self::detail).
    #[must_use]
    pub fn named(name: &str, detail: Option<String>) -> Option<Self> {
        let reason = || detail.clone().unwrap_or_default();
        Some(match name {
            "confirmed" => Self::Confirmed { detail },
            "stopped" => Self::Stopped { reason: reason() },
            "exhausted" => Self::Exhausted { reason: reason() },
            "abandoned" => Self::Abandoned { reason: reason() },
            _ => return None,
        })
    }

    /// The text that goes with it, if there is one.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Confirmed { detail } => detail.as_deref(),
            Self::Stopped { reason } | Self::Exhausted { reason } | Self::Abandoned { reason } => {
                Some(reason)
            }
        }
    }
}

/// What the payment centre is told at the end: the JSON body of a message on the outcomes exchange, whose routing key
/// is `<outcome>.<merchant>`.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeEvent {
    /// The version of this event: `payment-outcome/1`.
    pub schema: &'static str,
    /// Which notification ended.
    pub notification_id: NotificationId,
    /// Whose it was.
    pub merchant_id: MerchantId,
    /// The merchant's number of the order, if the record had one.
    pub merchant_order_id: Option<String>,
    /// The payment's number, if the record had one.
    pub payment_id: Option<String>,
    /// [`Outcome::name`].
    pub outcome: &'static str,
    /// [`Outcome::detail`].
    pub detail: Option<String>,
    /// How many attempts were made; of a replay, in that replay.
    pub attempts: u32,
    /// When the gateway first saw it.
    pub first_seen: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// Which replay ended, from 1. Left out of the event of what was never replayed.
    #[serde(skip_serializing_if = "is_none")]
    pub replay: u32,
}

/// For serde, which asks by reference.
fn is_none(replay: &u32) -> bool {
    *replay == 0
}

impl OutcomeEvent {
    /// The event for a notification that ends now, after so many attempts.
    #[must_use]
    pub fn new(
        notification: &Notification,
        outcome: &Outcome,
        attempts: u32,
        first_seen: Moment,
        ended_at: Moment,
    ) -> Self {
        Self {
            schema: "payment-outcome/1",
            notification_id: notification.id().clone(),
            merchant_id: notification.merchant().clone(),
            merchant_order_id: notification.record.merchant_order_id.clone(),
            payment_id: notification.record.payment_id.clone(),
            outcome: outcome.name(),
            detail: outcome.detail().map(str::to_owned),
            attempts,
            first_seen,
            ended_at,
            replay: 0,
        }
    }

    /// The same, for the end of that replay.
    #[must_use]
    pub fn of_replay(self, replay: u32) -> Self {
        Self { replay, ..self }
    }

    /// `<outcome>.<merchant>`.
    #[must_use]
    pub fn routing_key(&self) -> String {
        format!("{}.{}", self.outcome, self.merchant_id)
    }
}

/// Proof that the journal has durably recorded an ending. A broker forgets a finished notification only against this.
///
/// Only the journal makes one, after its commit; `tests/tidy.rs` holds every other module to that.
#[derive(Debug)]
#[must_use]
pub struct Recorded(());

impl Recorded {
    /// For the journal alone, after the commit.
    pub(crate) fn after_commit() -> Self {
        Self(())
    }
}
