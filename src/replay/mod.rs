//! An attempt's whole record, and making it again.
//!
//! A [`Transcript`] holds all that went into an attempt's two plugin calls and all that came out of them. Since a call is a
//! function of that, a later one gives the same bytes; [`again()`] makes it and says where it differs. A shadow plugin is
//! held against the real one with the same measure ([`differences`](fn@differences)).
//!
//! The rule: no key and no credentials are in a transcript, and none are needed to make an attempt again. What a plugin wrote
//! into a header for credentials is kept as its digest.
//!
//! Deliberately absent: sending. Nothing in here can.

mod again;
mod difference;
mod transcript;

use serde::Deserialize;

pub use again::{NotReplayed, Replayed, again};
pub use difference::{Difference, Part, differences, of_verdicts};
pub use transcript::{
    KeptAttempt, KeptBytes, KeptFault, KeptReply, KeptRequest, KeptValue, KeptVerdict, Made, PluginVersion,
    Step, Transcript, UnreadableTranscript,
};

/// Of which attempts a transcript is kept.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Of all.
    All,
    /// Of those that were not confirmed.
    Failures,
    /// Of none.
    None,
}

impl Keep {
    /// Whether this one is kept.
    #[must_use]
    pub fn keeps(self, transcript: &Transcript) -> bool {
        match self {
            Self::All => true,
            Self::Failures => !transcript.is_confirmed(),
            Self::None => false,
        }
    }
}
