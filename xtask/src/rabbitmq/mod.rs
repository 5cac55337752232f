//! Real RabbitMQ brokers for tests, demonstrations and measurements.
//!
//! Rule: nothing of the machine's own is touched. A [`Node`] has ports, folders, a cookie and an `epmd` of its own, listens
//! on 127.0.0.1 only, and is gone when its value is dropped or its process dies, however it dies. The one thing done
//! to the machine is [`Version::ensure_there`] for [`Version::Installed`], which installs the package and leaves no
//! service running; other versions are only unpacked.

mod cluster;
mod epmd;
mod install;
mod node;
mod version;

use anyhow::Result;

pub use cluster::{Cluster, MEMBERS};
pub use node::{Node, Size};
pub use version::{VERSION_VARIABLE, Version};

/// The variable that tells tests the URL of a broker they share: `cargo xtask test` sets it.
pub const SHARED_URL_VARIABLE: &str = "PAYNOTIFY_TEST_AMQP";

/// The URL of the broker that all tests of a run share, if this run has one: under `cargo xtask test`, not under a
/// plain `cargo nextest run`. What a test makes there bears a prefix of its own.
pub fn shared_url() -> Option<String> {
    std::env::var(SHARED_URL_VARIABLE).ok().filter(|url| !url.is_empty())
}

/// A broker for a test that only adds to it: the shared one, or else one of its own.
pub enum Broker {
    /// The run's; only its URL is known.
    Shared(String),
    /// This test's alone.
    Own(Node),
}

impl Broker {
    /// The shared broker if there is one. Otherwise a node is started, which takes about six seconds.
    pub fn shared_or_own() -> Result<Self> {
        match shared_url() {
            Some(url) => Ok(Self::Shared(url)),
            None => Node::start().map(Self::Own),
        }
    }

    /// Where to connect.
    pub fn amqp_url(&self) -> String {
        match self {
            Self::Shared(url) => url.clone(),
            Self::Own(node) => node.amqp_url(),
        }
    }
}
