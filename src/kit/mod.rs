//! The author's kit: what somebody who writes a plugin tries, records and checks it with, without a gateway.
//!
//! The rule: the plugin runs on the host of [`crate::plugin`], under the bounds that a gateway has, so that what holds here
//! holds there. Nothing is sent, and nothing is printed: the commands print (`src/cli/plugin`), and a gateway that swaps a
//! plugin asks [`cases`] by itself.
//!
//! - [`case`](mod@case): one recorded case: what a plugin is given, and what it made of it. The form of the files is described
//!   there; [`form`] has the parts of it.
//! - [`cases`]: a folder of them, held against a plugin.
//! - [`check`](mod@check): whether a plugin keeps the contract, with figures.
//! - [`project`]: a new plugin's project, from the program's own files.
//! - [`keys`]: the keys that cases and checks are signed with.

pub mod case;
pub mod cases;
pub mod check;
mod error;
pub mod form;
pub mod keys;
pub mod project;

pub use case::Case;
pub use error::CaseError;
