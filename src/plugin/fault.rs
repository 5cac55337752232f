//! What can become of a call other than an answer, and whose fault it is.

use std::fmt;
use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::domain::{HoldReason, InvalidRequest};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no room for the call just now. The gateway's, not the plugin's.
    #[error("the gateway has no room for a plugin call")]
    Busy,
    /// The plugin's.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl CallError {
    /// The plugin's fault, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Busy => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl From<CallError> for HoldReason {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Busy => Self::GatewayBusy,
            CallError::Fault(fault) => Self::PluginFault(fault.to_string()),
        }
    }
}

/// What a plugin did wrong. Its text is for people, holds at most about 600 characters, and no line break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It trapped: the trap's name, where, and the last that it wrote to standard error.
    #[error("trapped: {0}")]
    Trapped(String),
    /// It ran for longer than it may.
    #[error("ran for longer than {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// It went over one of its bounds.
    #[error("went over its bound of {0}")]
    OverLimit(Limit),
    /// It answered with an error of its own.
    #[error("answered `{kind}`: {text}")]
    Refused {
        /// Which of the contract's errors.
        kind: Refusal,
        /// Its own words, cut and escaped.
        text: String,
    },
    /// It made a request that breaks a rule of the contract.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// The call made the gateway panic. Ours to mend, but the plugin's call did it.
    #[error("made the gateway panic: {0}")]
    Panicked(String),
}

impl Fault {
    /// Every name that [`name`](Self::name) gives.
    pub const NAMES: [&'static str; 6] =
        ["trapped", "timed_out", "over_limit", "refused", "invalid_request", "panicked"];

    /// A short name for logs, records and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trapped(_) => "trapped",
            Self::TimedOut(_) => "timed_out",
            Self::OverLimit(_) => "over_limit",
            Self::Refused { .. } => "refused",
            Self::InvalidRequest(_) => "invalid_request",
            Self::Panicked(_) => "panicked",
        }
    }
}

/// The contract's `plugin-error`, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The record does not do.
    UnusableRecord,
    /// The settings do not do.
    UnusableSettings,
    /// A key does not do.
    UnusableKey,
    /// Anything else.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnusableRecord => "unusable-record",
            Self::UnusableSettings => "unusable-settings",
            Self::UnusableKey => "unusable-key",
            Self::Other => "other",
        })
    }
}

/// A bound that a guest can go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// `Settings::memory`.
    #[error("{0} bytes of memory")]
    Memory(usize),
    /// `Settings::table_elements`.
    #[error("{0} elements of a table")]
    TableElements(usize),
    /// `Settings::host_calls`.
    #[error("{0} calls of crypto")]
    HostCalls(u32),
    /// `Settings::host_call_bytes`.
    #[error("{0} bytes handed to the gateway at once")]
    HostCallBytes(usize),
    /// `Settings::resources`.
    #[error("{0} WASI resources")]
    Resources(usize),
    /// `Settings::stack`.
    #[error("{0} bytes of stack")]
    Stack(usize),
}

/// The running time is used up. Raised by the epoch's callback, turned into [`Fault::TimedOut`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the running time is used up")]
pub(super) struct TimeIsUp;

/// What of the bounds and the guest's words is needed to name a failure.
pub(super) struct Circumstances {
    pub(super) call_timeout: Duration,
    pub(super) stack: usize,
    pub(super) resources: usize,
    pub(super) host_call_bytes: usize,
    pub(super) last_words: String,
}

/// Names the failure of a call.
pub(super) fn classify(error: &wasmtime::Error, circumstances: &Circumstances) -> CallError {
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Busy;
    }
    if error.is::<TimeIsUp>() {
        return Fault::TimedOut(circumstances.call_timeout).into();
    }
    if let Some(limit) = error.downcast_ref::<Limit>() {
        return Fault::OverLimit(*limit).into();
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return Fault::OverLimit(Limit::Stack(circumstances.stack)).into();
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Fault::OverLimit(Limit::Resources(circumstances.resources)).into();
    }
    let root = error.root_cause().to_string();
    // wasmtime keeps this error's type to itself; a hostile guest in the tests pins the text.
    if root.contains("fuel allocated for hostcalls") {
        return Fault::OverLimit(Limit::HostCallBytes(circumstances.host_call_bytes)).into();
    }
    let mut text = for_people(root.trim_start_matches("wasm trap: "), 200);
    let function = error.downcast_ref::<WasmBacktrace>().and_then(|backtrace| {
        backtrace.frames().iter().find_map(|frame| Some(frame.func_name()?.to_owned()))
    });
    if let Some(function) = function {
        text.push_str(&format!(", in `{}`", for_people(&function, 80)));
    }
    if !circumstances.last_words.is_empty() {
        text.push_str(&format!("; its last words: {}", circumstances.last_words));
    }
    Fault::Trapped(text).into()
}

/// A guest's text, fit for a log: what is not printable escaped, and cut to so many characters after that.
pub(super) fn for_people(text: &str, longest: usize) -> String {
    let mut kept = String::new();
    let mut room = longest;
    for character in text.trim().chars() {
        let escaped = character.is_control() || is_invisible(character);
        let length = if escaped { character.escape_default().count() } else { 1 };
        if length > room {
            kept.push('…');
            break;
        }
        room -= length;
        if escaped {
            kept.extend(character.escape_default());
        } else {
            kept.push(character);
        }
    }
    kept
}

/// Marks that change how the text around them is shown: directions and zero widths.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_texts_are_cut_and_cannot_forge_lines() {
        assert_eq!(for_people(" a\nb\u{1b}[31m\u{202e}ü ", 50), "a\\nb\\u{1b}[31m\\u{202e}ü");
        assert_eq!(for_people(&"ü".repeat(9), 3), "üüü…");
        assert_eq!(for_people(&"\u{7}".repeat(9), 11), "\\u{7}\\u{7}…");
    }
}
