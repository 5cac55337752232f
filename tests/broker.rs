//! Both brokers, held to one suite: `support/conformance.rs`; and what only one of them must do.

#![allow(missing_docs)]

mod support;

#[path = "broker/embedded.rs"]
mod embedded;
#[path = "broker/embedded_figures.rs"]
mod embedded_figures;

mod amqp {
    crate::support::conformance::conformance_suite!(crate::support::amqp::start);
}
