//! A notification, and how far it has come: what lies in a queue between two attempts.
//!
//! The body of a message is the record's text, untouched. The progress stands beside it in a handful of headers, so
//! that a producer in any language can publish a bare record and the gateway carries on with messages of its own.
//! Header values are plain text, decimal for numbers, which every broker can hold.

use std::num::NonZeroU32;
use std::str::FromStr;

use super::{InvalidRecord, Lane, MerchantId, Moment, Notification};

/// The media type of a message's body.
pub const CONTENT_TYPE: &str = "application/vnd.paynotify.payment-result+json";

/// The names of the headers. None begins with `x-`, which brokers claim for themselves.
pub mod headers {
    /// The number of the attempt to be made next, from 1.
    pub const ATTEMPT: &str = "paynotify-attempt";
    /// When the attempt is due, in milliseconds since the epoch.
    pub const DUE: &str = "paynotify-due";
    /// When the gateway first saw the notification, in milliseconds since the epoch.
    pub const FIRST_SEEN: &str = "paynotify-first-seen";
    /// How many holds in a row there have been; absent when there were none.
    pub const HOLDS: &str = "paynotify-holds";
    /// When the first of the holds in a row began, in milliseconds since the epoch.
    pub const HELD_SINCE: &str = "paynotify-held-since";
    /// Which replay this is, from 1; absent before the first.
    pub const REPLAY: &str = "paynotify-replay";
    /// Beside a message in the poison queue: why it is there, for people.
    pub const POISON_REASON: &str = "paynotify-poison-reason";
    /// Beside a message in the poison queue: since when, in milliseconds since the epoch.
    pub const POISONED_AT: &str = "paynotify-poisoned-at";
}

/// The number of an attempt: 1 for the first. A hold does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(NonZeroU32);

impl AttemptNumber {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The attempt of that number, if it is one.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A row of holds without an attempt between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When the first of them began.
    pub since: Moment,
    /// How many there have been.
    pub count: NonZeroU32,
}

/// How far a notification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The attempt to be made next. Its place on the ladder follows from it: attempt n + 1 waits on rung n.
    pub attempt: AttemptNumber,
    /// Not before then.
    pub due: Moment,
    /// When the gateway first saw it.
    pub first_seen: Moment,
    /// Whether it waits for something else than its ladder.
    pub held: Option<Held>,
    /// How often it has been begun anew by an operator ([`begin_anew`](super::begin_anew)); attempts are counted from 1 in each.
    pub replay: u32,
}

impl Progress {
    /// The beginning: the first attempt is due at once, or at the record's `not_before`.
    #[must_use]
    pub fn new(notification: &Notification, now: Moment) -> Self {
        let due = notification.record.not_before.unwrap_or(now);
        Self { attempt: AttemptNumber::FIRST, due, first_seen: now, held: None, replay: 0 }
    }

    /// The same place, due now: what held it is gone. Its row of holds begins anew, so that it waits little again should
    /// it be held again; their count goes on, because it tells which of two messages is further.
    #[must_use]
    pub fn released(self, now: Moment) -> Self {
        Self { due: now, held: self.held.map(|held| Held { since: now, ..held }), ..self }
    }

    /// The same as headers.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            (headers::ATTEMPT, self.attempt.get().to_string()),
            (headers::DUE, self.due.unix_milliseconds().to_string()),
            (headers::FIRST_SEEN, self.first_seen.unix_milliseconds().to_string()),
        ];
        if self.replay > 0 {
            pairs.push((headers::REPLAY, self.replay.to_string()));
        }
        if let Some(held) = self.held {
            pairs.push((headers::HOLDS, held.count.to_string()));
            pairs.push((headers::HELD_SINCE, held.since.unix_milliseconds().to_string()));
        }
        pairs
    }

    fn read<'a>(
        notification: &Notification,
        header: impl Fn(&'static str) -> Option<&'a str>,
        now: Moment,
    ) -> Result<Self, Unreadable> {
        let mut progress = Self::new(notification, now);
        if let Some(attempt) = number::<u32>(headers::ATTEMPT, &header)? {
            progress.attempt = AttemptNumber::new(attempt).ok_or_else(|| wrong(headers::ATTEMPT, "0"))?;
        }
        if let Some(replay) = number(headers::REPLAY, &header)? {
            progress.replay = replay;
        }
        if let Some(due) = number(headers::DUE, &header)? {
            progress.due = Moment::from_unix_milliseconds(due);
        }
        if let Some(first_seen) = number(headers::FIRST_SEEN, &header)? {
            progress.first_seen = Moment::from_unix_milliseconds(first_seen);
        }
        if let Some(count) = number::<u32>(headers::HOLDS, &header)?.and_then(NonZeroU32::new) {
            let since = number(headers::HELD_SINCE, &header)?.map_or(now, Moment::from_unix_milliseconds);
            progress.held = Some(Held { since, count });
        }
        Ok(progress)
    }
}

/// A notification and its progress.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// What must be told.
    pub notification: Notification,
    /// How far that has come.
    pub progress: Progress,
    /// The lane through which it came, or is to go. No part of the message.
    pub lane: Lane,
}

impl Envelope {
    /// A notification that has just been accepted.
    #[must_use]
    pub fn new(notification: Notification, now: Moment) -> Self {
        let progress = Progress::new(&notification, now);
        Self { notification, progress, lane: Lane::Main }
    }

    /// Reads a message: its body, and a look-up for its headers. Headers that are missing mean a new notification.
    ///
    /// # Errors
    /// The body is no record, or a header is not of its form: the message belongs into the poison queue.
    pub fn read<'a>(
        body: bytes::Bytes,
        header: impl Fn(&'static str) -> Option<&'a str>,
        now: Moment,
    ) -> Result<Self, Unreadable> {
        let notification = Notification::parse(body)?;
        let progress = Progress::read(&notification, header, now)?;
        Ok(Self { notification, progress, lane: Lane::Main })
    }
}

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is no record.
    #[error("the body is no payment result: {0}")]
    Body(#[from] InvalidRecord),
    /// A header of ours is there, but not of its form.
    #[error("header `{name}` is `{value}`, which is no valid number")]
    Header {
        /// Which one.
        name: &'static str,
        /// What it holds, cut.
        value: String,
    },
    /// A legacy source's message is not the URL that it should be.
    #[error("the body is no http or https URL: {0}")]
    Url(String),
    /// The producer addressed one merchant and the record names another: neither may have it.
    #[error("it was addressed to `{addressed}`, and its record is for the merchant `{merchant}`")]
    WrongMerchant {
        /// The merchant that the routing key named, cut.
        addressed: String,
        /// The merchant that the record names.
        merchant: MerchantId,
    },
    /// The body is longer than the configured bound; it was not looked at.
    #[error("the body has {bytes} bytes, and {most} are the most that is read")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// The bound.
        most: usize,
    },
}

fn number<'a, T: FromStr>(
    name: &'static str,
    header: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<Option<T>, Unreadable> {
    header(name).map(|value| value.parse().map_err(|_| wrong(name, value))).transpose()
}

fn wrong(name: &'static str, value: &str) -> Unreadable {
    Unreadable::Header { name, value: value.chars().take(40).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const BODY: &[u8] =
        br#"{"schema":"payment-result/1","notification_id":"n","merchant_id":"m","kind":"payment"}"#;
    const NOW: Moment = Moment::EPOCH;

    fn read(pairs: &[(&str, &str)]) -> Result<Envelope, Unreadable> {
        let header = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Envelope::read(Bytes::from_static(BODY), header, NOW)
    }

    #[test]
    fn a_bare_record_is_a_first_attempt_due_now() {
        let progress = read(&[]).expect("valid").progress;
        assert_eq!(
            progress,
            Progress { attempt: AttemptNumber::FIRST, due: NOW, first_seen: NOW, held: None, replay: 0 }
        );
    }

    #[test]
    fn headers_survive_the_way_through_a_queue() {
        let progress = Progress {
            attempt: AttemptNumber::new(4).expect("not zero"),
            due: Moment::from_unix_milliseconds(7_000),
            first_seen: Moment::from_unix_milliseconds(5_000),
            held: Some(Held { since: Moment::from_unix_milliseconds(6_000), count: NonZeroU32::MIN }),
            replay: 0,
        };
        for replay in [0, 1, u32::MAX] {
            let progress = Progress { replay, ..progress };
            let pairs = progress.to_headers();
            assert_eq!(pairs.len(), if replay == 0 { 5 } else { 6 }, "what is no replay says nothing of it");
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(read(&pairs).expect("valid").progress, progress);
        }
    }

    #[test]
    fn a_header_that_is_no_number_is_unreadable() {
        for (name, value) in [
            (headers::ATTEMPT, "0"),
            (headers::ATTEMPT, "one"),
            (headers::DUE, "1.5"),
            (headers::REPLAY, "-1"),
        ] {
            let error = read(&[(name, value)]).expect_err(value);
            assert_eq!(error, Unreadable::Header { name, value: value.to_owned() });
        }
    }
}
