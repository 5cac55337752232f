//! A broker's connection that is silent rather than broken: nodes that have lost their cluster, networks that swallow.

#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use paynotify::broker::Broker;
use paynotify::broker::amqp::{AmqpBroker, Settings};
use support::amqp::{Outside, prefix, settings, until, until_ready};
use support::conformance::{envelope, now, readable};
use support::proxy::Proxy;
use xtask::rabbitmq::{Cluster, MEMBERS};

/// What the gateway takes to notice and to settle elsewhere, and a busy machine.
const SOON: Duration = Duration::from_secs(10);

async fn start(settings: Settings) -> Arc<AmqpBroker> {
    let broker = Arc::new(AmqpBroker::start(settings).expect("valid settings"));
    until_ready(&broker).await;
    broker
}

/// Takes what comes next, which must be this one, and parks it for good. Tells how long it took to come.
async fn take(broker: &AmqpBroker, id: &str) -> Duration {
    let began = Instant::now();
    let delivery = tokio::time::timeout(SOON, broker.next()).await;
    let delivery = delivery.unwrap_or_else(|_| panic!("{id} does not come")).expect("the broker is open");
    let took = began.elapsed();
    let mut came = readable(&delivery);
    assert_eq!(came.notification.id().as_str(), id);
    came.progress.due = now().after(Duration::from_secs(3_600));
    delivery.receipt.park(&came).await.expect("parked");
    took
}

/// Publishes by a connection that the gateway knows nothing of, again and again while a queue elects its leader.
async fn publish(outside: &Outside, id: &str) {
    let body = envelope(id).notification.raw;
    let properties = BasicProperties::default().with_delivery_mode(2);
    until("it is taken", async || outside.offer(&outside.name("in"), "m", &body, properties.clone()).await)
        .await;
}

/// Nothing is wrong with the connection of an idle gateway whose node is cut off from its cluster, and nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_gateway_leaves_a_node_that_has_lost_its_cluster_own_node() {
    let mut cluster = tokio::task::block_in_place(|| Cluster::start().expect("a cluster"));
    let urls = cluster.amqp_urls().to_vec();
    let settings = Settings { urls, prefix: prefix(), ..Settings::default() };
    let broker = start(settings.clone()).await;
    let lost = tokio::task::block_in_place(|| member_with_connections(&cluster));
    let safe = (lost + 1) % MEMBERS;
    let outside = Outside::connect(&Settings { urls: vec![settings.urls[safe].clone()], ..settings }).await;
    publish(&outside, "before").await;
    take(&broker, "before").await;

    tokio::task::block_in_place(|| cluster.cut_off(lost).expect("cut off"));
    publish(&outside, "during").await;
    println!("delivered {:?} after the majority took it", take(&broker, "during").await);
    tokio::task::block_in_place(|| cluster.heal(lost).expect("healed"));
    publish(&outside, "after").await;
    take(&broker, "after").await;
    broker.close().await;
}

/// The first member that somebody is connected to.
fn member_with_connections(cluster: &Cluster) -> usize {
    let connections = cluster.node(0).ctl(&["list_connections", "pid"]).expect("listed");
    let is_there = |member: &usize| connections.contains(cluster.node(*member).name());
    (0..MEMBERS).find(is_there).expect("the gateway's")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_swallows_everything_is_left_for_one_that_does_not() {
    let direct = settings();
    let outside = Outside::connect(&direct).await;
    let proxies = [Proxy::before(&direct.urls[0]).await, Proxy::before(&direct.urls[0]).await];
    let urls = proxies.iter().map(|proxy| proxy.url(&direct.urls[0])).collect();
    let broker = start(Settings { urls, ..direct }).await;
    let used = proxies.iter().position(|proxy| proxy.connections() > 0).expect("one of them");
    proxies[used].black_hole();
    publish(&outside, "during").await;
    println!("delivered {:?} after it was published", take(&broker, "during").await);
    proxies[used].release();
    publish(&outside, "after").await;
    take(&broker, "after").await;
    broker.close().await;
    outside.clean_up().await;
}

/// With one way only, and that one slow, leaving would help nobody: what is under way would be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_no_reason_to_leave() {
    let direct = settings();
    let outside = Outside::connect(&direct).await;
    let proxy = Proxy::before(&direct.urls[0]).await;
    let urls = vec![proxy.url(&direct.urls[0])];
    let broker = start(Settings { urls, ..direct }).await;
    publish(&outside, "held").await;
    let delivery = broker.next().await.expect("it comes");
    proxy.delay(Duration::from_millis(1_800), Duration::from_millis(1_800));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        assert_eq!(broker.ready(), Ok(()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut came = readable(&delivery);
    came.progress.due = now().after(Duration::from_secs(3_600));
    delivery.receipt.park(&came).await.expect("parked where it was taken");
    proxy.delay(Duration::ZERO, Duration::ZERO);
    broker.close().await;
    outside.clean_up().await;
}
