//! Both brokers, held to one suite: `support/conformance.rs`.

#![allow(missing_docs)]

mod support;

mod amqp {
    crate::support::conformance::conformance_suite!(crate::support::amqp::start);
}
