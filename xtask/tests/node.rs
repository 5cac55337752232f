//! A node's life, on a real RabbitMQ.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::rabbitmq::Node;

#[test]
fn a_node_lives_through_stop_kill_and_restart_and_leaves_nothing() {
    let mut node = Node::start().expect("a node");
    let folder = std::env::temp_dir().join(node.name().trim_end_matches("@localhost"));
    let name = node.name().to_owned();
    assert!(node.ctl(&["status"]).expect("status").contains(&name));
    node.ctl(&["add_vhost", "kept"]).expect("a vhost");
    let port = node.amqp_port();

    node.stop().expect("stopped");
    assert!(!listens(port));
    assert!(node.ctl(&["status"]).expect_err("it does not run").to_string().contains(&name));
    node.restart().expect("restarted after a stop");
    node.kill_hard().expect("killed");
    assert!(!listens(port));
    node.restart().expect("restarted after a kill");
    assert_eq!(node.amqp_port(), port);
    assert!(node.ctl(&["list_vhosts"]).expect("vhosts").contains("kept"), "the data is kept");

    let started = descendants(std::process::id());
    assert_eq!(programs(&started, &["beam.smp", "epmd"]), 2);
    drop(node);
    assert!(!listens(port));
    assert!(!folder.exists());
    wait_until("every process of the node is gone", || !started.iter().any(|process| runs(process)));
}

#[test]
fn two_nodes_form_a_cluster() {
    let first = Node::start().expect("a node");
    let second = first.start_beside().expect("a second one");
    second.ctl(&["stop_app"]).expect("stopped");
    second.ctl(&["join_cluster", first.name()]).expect("joined");
    second.ctl(&["start_app"]).expect("started");
    let status = first.ctl(&["cluster_status"]).expect("status");
    assert!(status.contains(first.name()) && status.contains(second.name()), "{status}");
}

/// This test runs itself once more, as a process that starts a node and is then killed.
#[test]
fn a_node_dies_with_its_process_and_not_with_the_thread_that_started_it() {
    const VICTIM: &str = "XTASK_TEST_VICTIM";
    if let Some(file) = std::env::var_os(VICTIM) {
        let node = std::thread::spawn(|| Node::start().expect("a node")).join().expect("joined");
        node.ctl(&["status"]).expect("it outlives the thread");
        fs::write(file, node.name()).expect("written");
        std::thread::park();
    }
    let file = std::env::temp_dir().join(format!("xtask-victim-{}", std::process::id()));
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([
        "--exact",
        "a_node_dies_with_its_process_and_not_with_the_thread_that_started_it",
        "--nocapture",
    ]);
    let mut victim = Victim(command.env(VICTIM, &file).stdout(Stdio::piped()).spawn().expect("started"));
    wait_until("the victim has a node", || {
        fs::read_to_string(&file).is_ok_and(|name| !name.is_empty()) || victim.has_ended()
    });
    assert!(!victim.has_ended(), "{}", victim.output());
    let started = descendants(victim.0.id());
    assert_eq!(programs(&started, &["beam.smp", "epmd"]), 2);

    victim.0.kill().expect("killed");
    victim.0.wait().expect("waited for");
    wait_until("every process of the node is gone", || !started.iter().any(|process| runs(process)));
    fs::remove_file(&file).expect("removed");
}

/// Whatever the test finds, the process ends with it.
struct Victim(Child);

impl Victim {
    fn has_ended(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.0.id())).is_ok_and(|stat| stat.contains(") Z "))
    }

    fn output(&mut self) -> String {
        let mut text = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        text
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folders in /proc of the processes that descend from this one.
fn descendants(id: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let ids: Vec<u32> = children
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .flat_map(|id| id.parse())
        .collect();
    ids.into_iter()
        .flat_map(|id| [vec![PathBuf::from(format!("/proc/{id}"))], descendants(id)].concat())
        .collect()
}

/// How many of them run one of these programs.
fn programs(processes: &[PathBuf], wanted: &[&str]) -> usize {
    let program =
        |process: &PathBuf| fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
    processes.iter().filter(|process| wanted.contains(&program(process).as_str())).count()
}

/// A process that has ended and is not yet waited for has no command line any more.
fn runs(process: &Path) -> bool {
    fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty())
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
