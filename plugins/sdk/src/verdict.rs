//! What a reply means, in the contract's words.

use crate::reply::excerpt;
use crate::{HttpResponse, RetryAdvice, Verdict};

/// The merchant has heard it.
#[must_use]
pub fn confirmed() -> Verdict {
    Verdict::Confirmed(None)
}

/// The merchant has heard it, and said something worth keeping.
#[must_use]
pub fn confirmed_with(detail: impl Into<String>) -> Verdict {
    Verdict::Confirmed(Some(detail.into()))
}

/// Not heard; the ladder, or the merchant's own `Retry-After`, says when to try again.
#[must_use]
pub fn retry(reason: impl Into<String>) -> Verdict {
    Verdict::Retry(RetryAdvice { after_seconds: None, reason: reason.into() })
}

/// Not heard; the merchant says in a way of its own when to try again. Not before the ladder's next rung, even so.
#[must_use]
pub fn retry_after(seconds: u32, reason: impl Into<String>) -> Verdict {
    Verdict::Retry(RetryAdvice { after_seconds: Some(seconds), reason: reason.into() })
}

/// Not heard, and the reason is the reply itself: its status and the beginning of its body are shown, beside what was
/// wanted, such as `200 and "success"`.
#[must_use]
pub fn unexpected(response: &HttpResponse, wanted: &str) -> Verdict {
    retry(format!("status {}, body {}, wanted {wanted}", response.status, excerpt(&response.body)))
}

/// The merchant wants no more of this notification.
#[must_use]
pub fn stop(reason: impl Into<String>) -> Verdict {
    Verdict::Stop(reason.into())
}
