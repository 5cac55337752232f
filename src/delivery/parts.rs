//! The parts of which an attempt is made, and how long each took: for the metrics, and for traces.

use std::time::{Duration, Instant};

/// A part of an attempt, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The journal looks up how far the notification has come.
    TakeUp,
    /// The plugin writes the request.
    Format,
    /// The request goes out, until the reply is there.
    Send,
    /// The plugin judges the reply.
    Judge,
    /// The journal records what came of it.
    Journal,
    /// The broker has a successor or an event, and forgets the message.
    Settle,
}

impl Part {
    pub(super) const ALL: [Self; 6] =
        [Self::TakeUp, Self::Format, Self::Send, Self::Judge, Self::Journal, Self::Settle];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TakeUp => "take_up",
            Self::Format => "format",
            Self::Send => "send",
            Self::Judge => "judge",
            Self::Journal => "journal",
            Self::Settle => "settle",
        }
    }
}

/// When each part began and ended, as far as they were done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    began: Instant,
    done: [Option<(Duration, Duration)>; Part::ALL.len()],
}

impl Parts {
    /// It begins.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), done: [None; Part::ALL.len()] }
    }

    /// Does a part. One that is done again counts as it was last.
    pub(super) async fn time<T>(&mut self, part: Part, work: impl Future<Output = T>) -> T {
        let from = self.began.elapsed();
        let done = work.await;
        self.done[part as usize] = Some((from, self.began.elapsed()));
        done
    }

    /// How long it is since all began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long after all began that part began, and ended, if it was done.
    pub(super) fn between(&self, part: Part) -> Option<(Duration, Duration)> {
        self.done[part as usize]
    }

    /// How long that part took, if it was done.
    pub(super) fn took(&self, part: Part) -> Option<Duration> {
        self.done[part as usize].map(|(from, to)| to.saturating_sub(from))
    }
}
