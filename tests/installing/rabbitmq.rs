//! The guide's users on RabbitMQ may do what the gateway does, and the audit finds nothing wrong.

use serde_json::json;
use xtask::rabbitmq::Node;

use super::guide::{blocks, words};
use super::support::gateway::{Gateway, SOON, Store, record};
use super::support::merchant::{Answer, StubMerchant, in_turn};
use super::{both, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_users_are_enough_on_an_own_node() {
    let node = Node::start_with_management().expect("a node");
    let guide = text("docs/operating.md");
    let block =
        blocks(&guide, "sh").into_iter().find(|block| block.contains("set_permissions")).expect("there");
    for line in block.lines() {
        let mut words = words(line);
        assert_eq!(words.remove(0), "rabbitmqctl", "{line}");
        if words[0] == "add_user" {
            // It asks for it otherwise.
            words.push("a-password".to_owned());
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        node.ctl(&words).expect("done");
    }
    let as_user = |url: String, user: &str| {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (_, place) = rest.split_once('@').expect("with a user");
        format!("{scheme}://{user}:a-password@{place}")
    };
    let url = as_user(node.amqp_url(), "paynotify");
    let management = as_user(node.management_url().expect("it has one"), "paynotify-audit");
    let store = Store::Amqp { url, prefix: "paynotify".to_owned() };
    let mut gateway = Gateway::new(store, &format!("management_url = \"{management}\""));
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!((&story["outcome"], &story["attempts_made"]), (&json!("confirmed"), &json!(2)), "{story}");
    // What looks into the poison queue has a queue of its own as a lock.
    let (status, poison) = gateway.ask(http::Method::GET, "/v1/poison", "").await;
    assert_eq!(status, 200, "{poison}");
    let checked = gateway.verb(&["topology", "check", "--json"]).output().expect("run");
    let said = both(&checked);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(!said.contains("weakens"), "{said}");
    // Administrators alone are told of feature flags, and the guide has somebody look; all else is audited.
    let not_asked = said.matches("could not be asked for ").count();
    assert_eq!(not_asked, said.matches("could not be asked for feature flags: 401").count(), "{said}");
    assert!(!gateway.log().contains("ACCESS_REFUSED"), "{}", gateway.log());
    assert!(gateway.stop().success());
}
