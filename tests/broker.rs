//! Both brokers, held to one suite: `support/conformance.rs`.

#![allow(missing_docs)]

mod support;
