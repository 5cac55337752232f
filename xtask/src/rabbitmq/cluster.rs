//! Three nodes on this host that are one cluster, and what can befall its members.
//!
//! Members are named by their index, 0 to 2. A partition cuts Erlang's connections between the nodes, as a broken
//! network between machines would, and leaves AMQP connections alone: a client stays connected to a node that has
//! lost the others. It is made with a wrong cookie, so that it needs no privilege and touches nothing of the machine's.
//!
//! Deliberately absent: more or fewer members, and partitions of more than one member from the rest.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::node::Node;
use super::version::Version;

/// How many nodes a [`Cluster`] has: the fewest that go on when one is lost.
pub const MEMBERS: usize = 3;

/// How long something that a cluster does by itself may take: electing a leader, taking a member back.
const DEADLINE: Duration = Duration::from_secs(180);
/// Each look starts a program, which takes half a second of a core.
const POLL: Duration = Duration::from_millis(100);

/// Three small nodes, as private as a single [`Node`], and like it gone with their value.
pub struct Cluster {
    nodes: [Node; MEMBERS],
    state: [State; MEMBERS],
}

/// What has befallen a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It runs, and belongs to the majority.
    Well,
    /// It was killed or stopped.
    Down,
    /// It is frozen.
    Frozen,
    /// It runs alone.
    CutOff,
}

impl Cluster {
    /// Starts nodes of [`Version::chosen`] at once and waits until each sees the others. Takes about ten seconds on an
    /// idle machine.
    pub fn start() -> Result<Self> {
        let nodes = Node::start_together(Version::chosen()?, MEMBERS)?;
        let Ok(nodes) = <[Node; MEMBERS]>::try_from(nodes) else { bail!("not {MEMBERS} nodes were started") };
        let cluster = Self { nodes, state: [State::Well; MEMBERS] };
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// Where to connect to each member.
    pub fn amqp_urls(&self) -> [String; MEMBERS] {
        self.nodes.each_ref().map(Node::amqp_url)
    }

    /// A member, for looking at. What changes its state is to be done by the functions here.
    pub fn node(&self, member: usize) -> &Node {
        &self.nodes[member]
    }

    /// The member that leads a quorum queue of the default virtual host just now. Waits for one: after a fault they
    /// elect one within seconds. A member that is cut off is not asked, and not given.
    pub fn leader_of(&self, queue: &str) -> Result<usize> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let queues = self.well()?.ctl(&["list_queues", "name", "leader"])?;
            let mut rows = queues.lines().filter_map(|line| line.split_once('\t'));
            let leader = rows.find(|(name, _)| *name == queue).map(|(_, leader)| leader.trim());
            if let Some(member) = self.nodes.iter().position(|node| Some(node.name()) == leader)
                && self.state[member] == State::Well
            {
                return Ok(member);
            }
            if Instant::now() > deadline {
                bail!("the queue {queue} has no leader after {DEADLINE:?}: {queues}");
            }
            thread::sleep(POLL);
        }
    }

    /// Kills a member at once, as a power cut would.
    pub fn kill_hard(&mut self, member: usize) -> Result<()> {
        self.nodes[member].kill_hard()?;
        self.state[member] = State::Down;
        Ok(())
    }

    /// Stops a member in an orderly way.
    pub fn stop(&mut self, member: usize) -> Result<()> {
        self.nodes[member].stop()?;
        self.state[member] = State::Down;
        Ok(())
    }

    /// Stops a member, if it runs, starts it again, and waits until it accepts AMQP.
    pub fn restart(&mut self, member: usize) -> Result<()> {
        self.stop(member)?;
        self.nodes[member].restart()?;
        self.state[member] = State::Well;
        Ok(())
    }

    /// Freezes a member: it holds its connections, to clients and to the others, and does nothing.
    pub fn pause(&mut self, member: usize) -> Result<()> {
        self.nodes[member].pause()?;
        self.state[member] = State::Frozen;
        Ok(())
    }

    /// Ends a [`Cluster::pause`]. After a long one the cluster has to be [mended](Cluster::mend).
    pub fn resume(&mut self, member: usize) -> Result<()> {
        self.nodes[member].resume()?;
        self.state[member] = State::Well;
        Ok(())
    }

    /// Cuts a member off from the two others. It runs on, and serves its clients as far as it can alone.
    pub fn cut_off(&mut self, member: usize) -> Result<()> {
        // The cookie is wrong on this side alone: two wrong ones might agree.
        self.for_each_peer(member, "true = erlang:set_cookie(Peer, cut_off), erlang:disconnect_node(Peer)")?;
        self.state[member] = State::CutOff;
        Ok(())
    }

    /// Joins a member that was cut off to the two others again, and waits until all see each other. RabbitMQ's
    /// schema database does not join itself again after such a partition: as an operator has to, the member that was
    /// alone is told to leave off and start anew, which ends its connections to clients.
    pub fn heal(&mut self, member: usize) -> Result<()> {
        self.reconnect(member)?;
        self.start_anew(member)?;
        self.wait_until_whole()
    }

    /// Waits until all members see each other again after one was frozen. If that took so long that the others had it
    /// for gone, it is a partition like any other, and is mended as in [`Cluster::heal`]; on a busy machine one of the
    /// others may have noticed it, too.
    pub fn mend(&mut self, member: usize) -> Result<()> {
        wait_for("a member that was frozen to be one of them again", || {
            let seen = look(&self.nodes[member])?;
            for (index, node) in self.nodes.iter().enumerate() {
                if seen.parted.iter().any(|parted| parted == node.name()) {
                    self.start_anew(index)?;
                }
            }
            seen.must_be_whole()
        })?;
        self.wait_until_whole()
    }

    /// Only the network's part of [`Cluster::heal`]: the nodes reach each other again, and nobody has done anything
    /// about what the partition has left behind.
    pub fn reconnect(&mut self, member: usize) -> Result<()> {
        self.for_each_peer(member, "true = erlang:set_cookie(Peer, erlang:get_cookie())")?;
        // An attempt of the other side's, made with the wrong cookie, may still be in the way.
        wait_for("the members to reach each other", || {
            self.for_each_peer(member, "true = net_kernel:connect_node(Peer)")
        })?;
        self.state[member] = State::Well;
        Ok(())
    }

    /// Restarts all members, one after the other, each once the cluster can do without it.
    pub fn rolling_restart(&mut self) -> Result<()> {
        for member in 0..MEMBERS {
            self.wait_until_dispensable(member)?;
            self.restart(member)?;
            self.wait_until_whole()?;
        }
        Ok(())
    }

    /// Waits until no quorum queue would lose its majority if this member went away: the others have caught up.
    pub fn wait_until_dispensable(&self, member: usize) -> Result<()> {
        wait_for("the other members to be in sync", || {
            // It fails, too, while there is a queue for which it says no.
            self.nodes[member].tool("rabbitmq-queues", &["check_if_node_is_quorum_critical"]).map(drop)
        })
    }

    /// Waits until every member sees all of them run.
    pub fn wait_until_whole(&self) -> Result<()> {
        thread::scope(|scope| {
            let waits = self.nodes.each_ref().map(|node| scope.spawn(|| wait_until_it_sees_all(node)));
            waits.into_iter().try_for_each(|wait| match wait.join() {
                Ok(whole) => whole,
                Err(_) => bail!("the wait for a cluster has failed"),
            })
        })
    }

    fn start_anew(&self, member: usize) -> Result<()> {
        self.nodes[member].ctl(&["stop_app"])?;
        self.nodes[member].ctl(&["start_app"]).map(drop)
    }

    /// A member of the majority that runs.
    fn well(&self) -> Result<&Node> {
        let index = self.state.iter().position(|state| *state == State::Well);
        index.map(|index| &self.nodes[index]).context("no member of the cluster is well")
    }

    /// Has a member do this for each of its peers.
    fn for_each_peer(&self, member: usize, expression: &str) -> Result<()> {
        let peers = self.nodes.iter().enumerate().filter(|(index, _)| *index != member);
        let peers: Vec<String> = peers.map(|(_, node)| format!("'{}'", node.name())).collect();
        let all = format!("lists:foreach(fun(Peer) -> {expression} end, [{}]).", peers.join(", "));
        self.nodes[member].ctl(&["eval", &all]).map(drop)
    }
}

/// What a member sees of the cluster.
struct Seen {
    running: usize,
    /// The members that know of a partition.
    parted: Vec<String>,
}

impl Seen {
    fn must_be_whole(&self) -> Result<()> {
        if self.running != MEMBERS || !self.parted.is_empty() {
            bail!("{} of {MEMBERS} members are seen; parted: {:?}", self.running, self.parted);
        }
        Ok(())
    }
}

fn look(node: &Node) -> Result<Seen> {
    let status = node.ctl(&["cluster_status", "--formatter", "json"])?;
    let status: Value = serde_json::from_str(&status).context("the cluster's status is no JSON")?;
    let running = status["running_nodes"].as_array().map_or(0, Vec::len);
    let parted = status["partitions"].as_object().map(|partitions| partitions.keys().cloned().collect());
    Ok(Seen { running, parted: parted.unwrap_or_default() })
}

fn wait_until_it_sees_all(node: &Node) -> Result<()> {
    wait_for("the members to see each other", || look(node)?.must_be_whole().context(node.name().to_owned()))
}

/// Tries until it succeeds.
fn wait_for(what: &str, mut holds: impl FnMut() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while let Err(error) = holds() {
        if Instant::now() > deadline {
            return Err(error).with_context(|| format!("waited {DEADLINE:?} for {what}"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}
