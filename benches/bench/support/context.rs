//! What every point is given: the RabbitMQ node, how much is to be done, and a line of progress.

use std::cell::Cell;
use std::time::Instant;

use anyhow::Result;
use xtask::rabbitmq::{Node, Size};

use super::gateway::Store;

/// See the module.
pub(crate) struct Context {
    pub(crate) node: Node,
    /// Tiny numbers, which show that the bench works and say nothing.
    pub(crate) quick: bool,
    /// How many rounds, whatever a point would have.
    pub(crate) rounds: Option<usize>,
    began: Instant,
    prefixes: Cell<u32>,
}

impl Context {
    /// Starts a RabbitMQ node for this run: as RabbitMQ is by default, or a small one where nothing is really measured.
    pub(crate) fn start(quick: bool, rounds: Option<usize>) -> Result<Self> {
        let node = Node::start_sized(if quick { Size::Small } else { Size::Full })?;
        Ok(Self { node, quick, rounds, began: Instant::now(), prefixes: Cell::new(0) })
    }

    /// The first when it is measured, the second when it is only tried.
    pub(crate) fn pick<T>(&self, measured: T, tried: T) -> T {
        if self.quick { tried } else { measured }
    }

    /// So many rounds, unless the command line says otherwise; one where nothing is really measured.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(self.pick(usual, 1))
    }

    /// Queues on the node that nobody else has used.
    pub(crate) fn fresh_store(&self) -> Store {
        self.prefixes.set(self.prefixes.get() + 1);
        Store::Amqp { url: self.node.amqp_url(), prefix: format!("bench{}", self.prefixes.get()) }
    }

    /// Says what is being done, and since when.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        eprintln!("bench {:>5.0} s: {line}", self.began.elapsed().as_secs_f64());
    }
}
