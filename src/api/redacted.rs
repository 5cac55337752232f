//! What is shown of what a merchant was sent and has answered: without secrets, and without what is said about persons.
//!
//! The rule: every text that a merchant or its plugin had a hand in comes through here before it is shown. A merchant's reply may
//! well repeat the `authorization` that it was sent, or the text that was signed, with the key in it.

use std::ops::Range;

use crate::domain::MerchantId;
use crate::journal::{Attempt, State, Story, Summary};
use crate::redact;

/// Whoever knows the merchants' secrets, and does not give them out.
pub trait Secrets: Send + Sync {
    /// Where any secret of that merchant's stands in a text, in bytes.
    fn find(&self, merchant: &MerchantId, text: &str) -> Vec<Range<usize>>;
}

/// So much of a text of one line is shown, in bytes.
const LONGEST_TEXT: usize = 4_096;

/// What is shown of one merchant's.
pub(super) struct Redactor<'a> {
    pub(super) secrets: &'a dyn Secrets,
    pub(super) merchant: &'a MerchantId,
}

impl Redactor<'_> {
    /// With what finds the merchant's own secrets.
    pub(super) fn with<T>(&self, show: impl FnOnce(redact::Find<'_>) -> T) -> T {
        show(&|text| self.secrets.find(self.merchant, text))
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.with(|find| redact::text(text, LONGEST_TEXT, find))
    }

    fn option(&self, text: Option<String>) -> Option<String> {
        text.map(|text| self.text(&text))
    }

    pub(super) fn attempt(&self, attempt: Attempt) -> Attempt {
        Attempt {
            url: self.with(|find| redact::url(&attempt.url, LONGEST_TEXT, find)),
            reply: self.option(attempt.reply),
            detail: self.option(attempt.detail),
            ..attempt
        }
    }

    fn state(&self, mut state: State) -> State {
        match &mut state {
            State::Received | State::Accepted | State::Waiting { .. } => {}
            State::Held { reason, .. } => *reason = self.text(reason),
            State::Ended { detail, .. } => *detail = self.option(detail.take()),
        }
        state
    }
}

/// A story, as it is shown.
pub(super) fn story(story: Story, secrets: &dyn Secrets) -> Story {
    let merchant = story.merchant_id.clone();
    let redactor = Redactor { secrets, merchant: &merchant };
    let state = redactor.state(story.state);
    let attempts = story.attempts.into_iter().map(|attempt| redactor.attempt(attempt)).collect();
    Story { state, attempts, ..story }
}

/// A list's row, as it is shown.
pub(super) fn summary(summary: Summary, secrets: &dyn Secrets) -> Summary {
    let merchant = summary.merchant_id.clone();
    let state = Redactor { secrets, merchant: &merchant }.state(summary.state);
    Summary { state, ..summary }
}
