//! The door to RabbitMQ: over TLS, to nobody but the node that the configuration's authority vouches for.

use std::time::{Duration, Instant};

use http::Method;
use xtask::rabbitmq::Node;

use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::merchant::{Answer, StubMerchant, always};
use crate::tls::Authority;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_node_is_believed_when_the_named_authority_vouches_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    Authority::new().write(folder.path(), "127.0.0.1");
    let file = |name: &str| folder.path().join(name);
    let node = Node::start_with_tls(&file("api.crt"), &file("api.key")).expect("a node with TLS");
    let url = node.amqps_url().expect("it has TLS");
    let store = Store::Amqp { url, prefix: "tls".to_owned() };

    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(store.clone(), &format!("ca_file = {:?}", file("ca.crt")));
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    assert!(gateway.stop().success());

    // The same node, to somebody who does not know the authority; and to one who believes another one.
    Authority::new().write(folder.path(), "127.0.0.1");
    for more in [String::new(), format!("ca_file = {:?}", file("ca.crt"))] {
        let mut stranger = Gateway::new(store.clone(), &more);
        stranger.start();
        let deadline = Instant::now() + SOON;
        loop {
            let (status, answer) = stranger.ask(Method::GET, "/readyz", "").await;
            assert_eq!(status, 503, "{answer}");
            if answer["broker"].as_str().is_some_and(|why| why.contains("certificate")) {
                break;
            }
            assert!(Instant::now() < deadline, "{answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(stranger.stop().success());
    }
}
