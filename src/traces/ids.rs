//! The names of traces and spans, and which traces are kept.
//!
//! The rule: what a trace and its root are called follows from the notification's id and the replay's number alone. So whichever
//! gateway makes an attempt, and however much later, its span falls into the same trace under the same root, and nothing
//! had to be carried along. Whoever changes how they are derived tears apart the traces of notifications under way, and of
//! gateways of two versions side by side.

use std::num::{NonZeroU64, NonZeroU128};

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::NotificationId;

/// How many bits of a trace's id count as its randomness: the last ones, by W3C Trace Context, level 2.
const RANDOM_BITS: u32 = 56;

/// Which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(NonZeroU128);

/// Which span within its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

/// A notification's trace: one before its first replay, and one for each replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Its root: the span from the notification's acceptance to its end.
    pub root: SpanId,
}

impl Trace {
    /// The trace of that replay; 0 for what came before the first.
    ///
    /// The latter half of the id is the same for all replays of a notification. It decides whether a trace is kept
    /// ([`Sampling`]), so they are kept or left out together.
    #[must_use]
    pub fn of(notification: &NotificationId, replay: u32) -> Self {
        let [its, _] = hash(&format!("paynotify/notification/{notification}"));
        let [the_replays, root] = hash(&format!("paynotify/notification/{notification}/replay/{replay}"));
        let id = NonZeroU128::new(u128::from(the_replays) << 64 | u128::from(its));
        // Zero is no id. That a hash is zero does not happen.
        let id = TraceId(id.unwrap_or(NonZeroU128::MIN));
        Self { id, root: SpanId(NonZeroU64::new(root).unwrap_or(NonZeroU64::MIN)) }
    }
}

impl TraceId {
    /// As it is sent.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl SpanId {
    /// One that is no other span's, but by a chance that does not happen.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// As it is sent.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

/// The first half of the text's SHA-256, as two numbers.
fn hash(text: &str) -> [u64; 2] {
    let hash = digest(&SHA256, text.as_bytes());
    let mut numbers = hash.as_ref().as_chunks().0.iter().map(|bytes: &[u8; 8]| u64::from_be_bytes(*bytes));
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// Which part of all traces is kept. A trace's id alone decides, in the way that OpenTelemetry calls consistent probability
/// sampling: gateways with one ratio keep the same traces, and one with a smaller ratio keeps some of those.
///
/// <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Traces whose randomness is less are left out.
    threshold: u64,
}

impl Sampling {
    /// Keeps that part of all traces. What is not between 0 and 1 counts as the nearer of the two.
    #[must_use]
    pub fn of(ratio: f64) -> Self {
        const ALL: f64 = (1_u64 << RANDOM_BITS) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 2^56"
        )]
        let threshold = ((1.0 - ratio.clamp(0.0, 1.0)) * ALL).round() as u64;
        Self { threshold }
    }

    /// Whether that trace is kept.
    #[must_use]
    pub fn keeps(self, trace: TraceId) -> bool {
        const RANDOM: u128 = (1 << RANDOM_BITS) - 1;
        trace.0.get() & RANDOM >= u128::from(self.threshold)
    }

    /// What stands in the `tracestate` of each span, so that whoever counts them knows for how many each stands. Empty when
    /// all are kept.
    #[must_use]
    pub fn trace_state(self) -> String {
        if self.threshold == 0 {
            return String::new();
        }
        let digits = format!("{:014x}", self.threshold);
        format!("ot=th:{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(id: &str, replay: u32) -> Trace {
        Trace::of(&id.parse().expect("an id"), replay)
    }

    /// Worked out by another program. Gateways of different versions must agree, so these never change.
    #[test]
    fn the_ids_follow_from_notification_and_replay() {
        for (id, replay, trace_id, root) in [
            ("n-1", 0, "cdc4fca4125c7a7002ecc186c5513c9d", "6a1992340da6b253"),
            ("n-1", 1, "90d69ecc0df2c04002ecc186c5513c9d", "70e4dd03be3ef543"),
            ("n-2", 0, "0c656cd9d0ce88c21c4d27a6d61a350d", "875dda04c1ef5067"),
        ] {
            let trace = trace(id, replay);
            assert_eq!(
                (hex::encode(trace.id.bytes()), hex::encode(trace.root.bytes())),
                (trace_id.into(), root.into())
            );
        }
        assert_ne!(SpanId::random(), SpanId::random());
    }

    #[test]
    fn a_ratio_keeps_that_part_and_a_smaller_one_a_part_of_it() {
        let traces: Vec<TraceId> = (0..4_000).map(|number| trace(&format!("n-{number}"), 0).id).collect();
        let kept = |ratio| {
            let sampling = Sampling::of(ratio);
            traces.iter().filter(|trace| sampling.keeps(**trace)).copied().collect::<Vec<_>>()
        };
        assert_eq!((kept(0.0).len(), kept(-1.0).len()), (0, 0));
        assert_eq!((kept(1.0).len(), kept(7.0).len()), (4_000, 4_000));
        let (half, tenth) = (kept(0.5), kept(0.1));
        assert!((1_850..2_150).contains(&half.len()), "{}", half.len());
        assert!((320..480).contains(&tenth.len()), "{}", tenth.len());
        assert!(tenth.iter().all(|trace| half.contains(trace)));
    }

    #[test]
    fn all_replays_of_a_notification_are_kept_or_none() {
        let sampling = Sampling::of(0.5);
        for number in 0..100 {
            let id = format!("n-{number}");
            let kept: Vec<bool> = (0..5).map(|replay| sampling.keeps(trace(&id, replay).id)).collect();
            assert!(kept.iter().all(|one| *one == kept[0]), "{id}: {kept:?}");
        }
    }

    /// The values are those of the specification's own examples.
    #[test]
    fn the_trace_state_tells_the_threshold() {
        for (ratio, state) in [(1.0, ""), (0.5, "ot=th:8"), (0.25, "ot=th:c"), (0.125, "ot=th:e")] {
            assert_eq!(Sampling::of(ratio).trace_state(), state, "{ratio}");
        }
        // Digits that are missing are zeros at the end, so those at the beginning stand there.
        assert_eq!(Sampling::of(0.999).trace_state(), "ot=th:004189374bc6a8");
    }
}
