//! A cluster's life, on three real nodes of RabbitMQ.

use std::time::Instant;

use xtask::rabbitmq::{Cluster, MEMBERS};

/// Everything on one cluster, because starting one is the dear part.
#[test]
fn a_cluster_survives_the_loss_of_each_member_in_each_way() {
    let began = Instant::now();
    let timed = |what: &str| println!("{:6.1} s: {what}", began.elapsed().as_secs_f64());
    let mut cluster = Cluster::start().expect("a cluster");
    timed("it is there");
    let settings = "{net_kernel:get_net_ticktime(), application:get_env(rabbit, dead_letter_worker_publisher_confirm_timeout)}.";
    let settings = cluster.node(0).ctl(&["eval", settings]).expect("evaluated");
    assert_eq!(settings.trim(), "{12,{ok,2000}}", "what the README recommends has an effect");
    declare(&cluster, "q");
    timed("a queue is declared");
    let first = cluster.leader_of("q").expect("a leader");
    timed("a leader is known");

    cluster.kill_hard(first).expect("killed");
    let second = cluster.leader_of("q").expect("another leader");
    timed("another leader is known");
    assert_ne!(first, second);
    cluster.restart(first).expect("restarted");
    timed("restarted");
    cluster.wait_until_whole().expect("whole");
    timed("whole again");

    cluster.cut_off(second).expect("cut off");
    timed("the leader is cut off");
    let third = cluster.leader_of("q").expect("a third leader");
    timed("another leader is known");
    assert_ne!(second, third);
    assert_eq!(running(&cluster, second), 1, "it sees itself alone");
    assert_eq!(running(&cluster, third), MEMBERS - 1, "the others see each other");
    cluster.heal(second).expect("healed");
    timed("healed");

    cluster.pause(third).expect("frozen");
    timed("frozen");
    cluster.resume(third).expect("resumed");
    cluster.rolling_restart().expect("restarted, all of them");
    timed("all restarted");
    cluster.leader_of("q").expect("a leader still");
}

fn declare(cluster: &Cluster, queue: &str) {
    let expression = format!(
        "rabbit_amqqueue:declare(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>), true, false, \
         [{{<<\"x-queue-type\">>, longstr, <<\"quorum\">>}}], none, <<\"guest\">>)."
    );
    cluster.node(0).ctl(&["eval", &expression]).expect("declared");
}

/// How many members this one sees.
fn running(cluster: &Cluster, member: usize) -> usize {
    let nodes = cluster.node(member).ctl(&["eval", "length([node() | nodes()])."]).expect("evaluated");
    nodes.trim().parse().expect("a number")
}
