//! What several test binaries share; none uses all of it.

#![allow(dead_code, missing_docs, unreachable_pub, unused_imports, unused_macros)]

pub mod amqp;
pub mod call;
pub mod conformance;
pub mod conformance_cases;
pub mod gateway;
pub mod guest;
pub mod merchant;
pub mod metrics;
pub mod promtool;
pub mod proxy;
pub mod rabbit;
pub mod raw_amqp;
pub mod traces;
