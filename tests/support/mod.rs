//! What several test binaries share; none uses all of it.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod conformance;
pub mod conformance_cases;
pub(crate) mod gateway;
pub(crate) mod merchant;
pub(crate) mod rabbit;
