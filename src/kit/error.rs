//! Why a case cannot be tried. What a plugin does wrong is not among it: that is what a case is for.

use crate::domain::InvalidRecord;

/// Why a case cannot be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read, or is no case.
    #[error("{0}")]
    Unreadable(String),
    /// The record is one that a gateway would not take.
    #[error("`record`: {0}")]
    Record(#[from] InvalidRecord),
    /// A value that is out of its bounds.
    #[error("`{field}` {problem}")]
    Field {
        /// Its path.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// The gateway had no room for the call: nothing is known of the plugin. Trying again helps.
    #[error("the gateway has no room for a plugin call")]
    Busy,
}

/// A field that is out of its bounds.
pub(super) fn field(field: impl Into<String>, problem: impl std::fmt::Display) -> CaseError {
    CaseError::Field { field: field.into(), problem: problem.to_string() }
}
