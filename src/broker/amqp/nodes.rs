//! Where RabbitMQ is: the nodes of one cluster, tried in turn.
//!
//! The first is taken at random, so that many gateways spread over the nodes; from then on each attempt to connect
//! goes to the next, whatever became of the one before, so that a node that is gone costs one attempt.

use std::sync::atomic::{AtomicUsize, Ordering};

use lapin::uri::AMQPUri;

/// The nodes, of which there is at least one. Secret: the addresses hold a password.
pub(super) struct Nodes {
    uris: Vec<AMQPUri>,
    turn: AtomicUsize,
}

impl Nodes {
    pub(super) fn new(uris: Vec<AMQPUri>) -> Self {
        let first = rand::random_range(0..uris.len().max(1));
        Self { uris, turn: AtomicUsize::new(first) }
    }

    /// The virtual host, which is the same at all of them.
    pub(super) fn vhost(&self) -> &str {
        self.uris.first().map_or("/", |uri| uri.vhost.as_str())
    }

    /// The node whose turn it is. Both connections of a generation go to the same.
    pub(super) fn next(&self) -> AMQPUri {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.uris.len().max(1);
        self.uris.get(turn).cloned().unwrap_or_default()
    }

    /// The node that had the last turn: the one that is connected to, if one is.
    pub(super) fn present(&self) -> AMQPUri {
        self.ahead().pop().map(|node| node.uri).unwrap_or_default()
    }

    /// Every node once, the one whose turn it is first, the one that had the last turn last.
    pub(super) fn ahead(&self) -> Vec<Ahead> {
        let count = self.uris.len();
        let next = self.turn.load(Ordering::Relaxed);
        let turns = (next..next + count).map(|turn| turn % count);
        turns.filter_map(|turn| Some(Ahead { uri: self.uris.get(turn)?.clone(), turn })).collect()
    }

    /// Makes it that node's turn.
    pub(super) fn go_on_with(&self, node: Ahead) {
        self.turn.store(node.turn, Ordering::Relaxed);
    }
}

/// A node that could be gone on with.
pub(super) struct Ahead {
    pub(super) uri: AMQPUri,
    turn: usize,
}

/// The node's name for people, without the user and the password: `host:port`.
pub(super) fn place(uri: &AMQPUri) -> String {
    let (host, port) = (&uri.authority.host, uri.authority.port);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_its_turn_and_the_first_is_any() {
        let uri = |port: u16| format!("amqp://me:s3cret@[::1]:{port}/%2f").parse().expect("valid");
        let ports = |nodes: &Nodes| [0; 4].map(|_| nodes.next().authority.port);
        let mut firsts = std::collections::HashSet::new();
        for _ in 0..200 {
            let nodes = Nodes::new(vec![uri(1), uri(2), uri(3)]);
            let [first, second, third, again] = ports(&nodes);
            let mut all = [first, second, third];
            all.sort_unstable();
            assert_eq!((all, again), ([1, 2, 3], first));
            firsts.insert(first);
            assert_eq!(nodes.present().authority.port, first);
            let chosen = nodes.ahead().into_iter().nth(1).expect("three");
            assert_eq!(chosen.uri.authority.port, third);
            nodes.go_on_with(chosen);
            assert_eq!(ports(&nodes), [third, first, second, third]);
        }
        assert_eq!(firsts.len(), 3);
    }
}
