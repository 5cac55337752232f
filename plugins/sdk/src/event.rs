//! What an event is called and when it happened, for formats that tell of events.
//!
//! Its name follows from the record's kind and status by the format's own table, and a merchant's file may name it
//! otherwise.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Attempt, Notification, PaymentStatus};

/// The longest name of an event that a merchant's file may give.
const LONGEST_NAME: usize = 100;

/// A setting: names of events, by the record's kind and status (`payment.succeeded`), or by its kind alone for whatever
/// has no name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct EventTypes(BTreeMap<String, String>);

impl EventTypes {
    /// The name that the merchant's file gives to this record's event.
    #[must_use]
    pub fn of(&self, notification: &Notification) -> Option<&str> {
        let name = self.0.get(&key(notification)).or_else(|| self.0.get(&notification.kind))?;
        Some(name)
    }

    /// Refuses what could never apply, and names that no format could carry. `kinds` are those that the format can tell
    /// of; none means all.
    ///
    /// # Errors
    ///
    /// `setting: what is wrong with it`, for people.
    pub fn check(&self, setting: &str, kinds: &[&str]) -> Result<(), String> {
        for (key, name) in &self.0 {
            let (kind, status) =
                key.rsplit_once('.').map_or((key.as_str(), None), |(kind, status)| (kind, Some(status)));
            let known = STATUSES.map(word);
            if status.is_some_and(|status| !known.contains(&status)) {
                let known = known.join(", ");
                return Err(format!(
                    "{setting}: `{key}` is no kind and status; the status is one of {known}"
                ));
            }
            if kind.is_empty() || !(kinds.is_empty() || kinds.contains(&kind)) {
                let kinds = kinds.join(" or ");
                return Err(format!(
                    "{setting}: `{key}` can never apply; the format tells of a {kinds} only"
                ));
            }
            if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(format!(
                    "{setting}: the name for `{key}` must be 1 to {LONGEST_NAME} visible ASCII characters without blanks"
                ));
            }
        }
        Ok(())
    }
}

const STATUSES: [PaymentStatus; 5] = [
    PaymentStatus::Succeeded,
    PaymentStatus::Failed,
    PaymentStatus::Pending,
    PaymentStatus::Closed,
    PaymentStatus::Finished,
];

/// The record's kind and status: `payment.succeeded`; where it has no status, its kind.
#[must_use]
pub fn key(notification: &Notification) -> String {
    match notification.status {
        Some(status) => format!("{}.{}", notification.kind, word(status)),
        None => notification.kind.clone(),
    }
}

/// The status as records write it.
#[must_use]
pub fn word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Pending => "pending",
        PaymentStatus::Closed => "closed",
        PaymentStatus::Finished => "finished",
    }
}

/// When it happened, in milliseconds since 1970, as exactly as the record knows: when the payment reached its status, else
/// when the order was made. A record that knows neither happened when it is told, so that each attempt tells another time.
#[must_use]
pub fn happened_at(notification: &Notification, attempt: &Attempt) -> i64 {
    let Notification { created_at, completed_at, closed_at, .. } = notification;
    let reached = match notification.status {
        Some(PaymentStatus::Closed) => closed_at.or(*completed_at),
        Some(
            PaymentStatus::Succeeded
            | PaymentStatus::Failed
            | PaymentStatus::Pending
            | PaymentStatus::Finished,
        )
        | None => *completed_at,
    };
    reached.or(*created_at).unwrap_or(attempt.now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn types(json: &str) -> EventTypes {
        serde_json::from_str(json).expect("a map")
    }

    #[test]
    fn kind_and_status_go_before_kind() {
        let types = types(r#"{"payment.succeeded": "paid", "payment": "other"}"#);
        let with = |status| Notification { status, ..testing::notification() };
        assert_eq!(types.of(&with(Some(PaymentStatus::Succeeded))), Some("paid"));
        assert_eq!(types.of(&with(Some(PaymentStatus::Failed))), Some("other"));
        assert_eq!(types.of(&with(None)), Some("other"));
        assert_eq!(types.of(&Notification { kind: "refund".to_owned(), ..with(None) }), None);
        assert_eq!((key(&with(None)), key(&with(Some(PaymentStatus::Closed)))), {
            ("payment".to_owned(), "payment.closed".to_owned())
        });
    }

    #[test]
    fn what_can_never_apply_is_refused() {
        let check = |json: &str, kinds: &[&str]| types(json).check("event_types", kinds);
        assert_eq!(check(r#"{"payment.succeeded": "a", "x": "b", "y.failed": "c"}"#, &[]), Ok(()));
        assert_eq!(check(r#"{"payment": "a.b"}"#, &["payment"]), Ok(()));
        assert_eq!(
            check(r#"{"payment.success": "a"}"#, &[]),
            Err("event_types: `payment.success` is no kind and status; the status is one of succeeded, failed, \
                pending, closed, finished"
                .to_owned())
        );
        assert_eq!(
            check(r#"{"capture.failed": "a"}"#, &["payment", "refund"]),
            Err(
                "event_types: `capture.failed` can never apply; the format tells of a payment or refund only"
                    .to_owned()
            )
        );
        for name in ["", "a b", "a\\n", "é", &"x".repeat(101)] {
            let error = check(&format!(r#"{{"payment": "{name}"}}"#), &[]).expect_err(name);
            assert!(error.starts_with("event_types: the name for `payment` must be"), "{error}");
        }
    }

    #[test]
    fn the_most_exact_moment_is_told() {
        let attempt = testing::attempt();
        let record = |status, created_at, completed_at, closed_at| {
            happened_at(
                &Notification { status, created_at, completed_at, closed_at, ..testing::notification() },
                &attempt,
            )
        };
        let (paid, closed) = (Some(PaymentStatus::Succeeded), Some(PaymentStatus::Closed));
        assert_eq!(record(paid, Some(1), Some(2), Some(3)), 2);
        assert_eq!(record(closed, Some(1), Some(2), Some(3)), 3);
        assert_eq!(record(closed, Some(1), Some(2), None), 2);
        assert_eq!(record(paid, Some(1), None, Some(3)), 1);
        assert_eq!(record(None, None, None, None), testing::NOW);
    }
}
