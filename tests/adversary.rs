//! RabbitMQ's client against a server that gives every ordering RabbitMQ rarely or never gives; see
//! `support/fake_amqp`. Whatever it does, nothing is acknowledged that was not confirmed, nothing panics or hangs,
//! and once the server behaves again, everything that is left is delivered and settled.

#![allow(missing_docs)]

mod support;

#[path = "support/fake_amqp/mod.rs"]
mod fake_amqp;

#[path = "adversary/breaks.rs"]
mod breaks;
#[path = "adversary/chaos.rs"]
mod chaos;
#[path = "adversary/confirms.rs"]
mod confirms;
#[path = "adversary/connecting.rs"]
mod connecting;
#[path = "adversary/deliveries.rs"]
mod deliveries;
#[path = "adversary/frames.rs"]
mod frames;
