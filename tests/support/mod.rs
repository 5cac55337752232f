//! What several test binaries share; none uses all of it.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod amqp;
pub mod conformance;
pub mod conformance_cases;
