//! A merchant's own HTTP authentication: added by the gateway, seen by the merchant, and by nobody else.

use serde_json::json;

use super::support::gateway::{Gateway, SOON, Store, record};
use super::support::merchant::{Answer, StubMerchant, in_turn};

const TOKEN: &str = "mF_9.B5f-4.1JqM-for-tests";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_gets_its_authorization_and_nobody_sees_it() {
    let merchant = StubMerchant::start(in_turn([Answer::Refuse, Answer::Confirm])).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    std::fs::write(gateway.folder().join("merchants/token"), format!("Bearer {TOKEN}\n")).expect("written");
    gateway.merchant("shop", &merchant.url("/"), "ladder = [\"300ms\"]\nauthorization = \"file:token\"");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    let story = gateway.wait_for_state("n1", "ended", SOON).await;
    assert_eq!(story["outcome"], json!("confirmed"));
    assert!(gateway.stop().success());
    let requests = merchant.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    }
    assert!(!gateway.log().contains(TOKEN) && !story.to_string().contains(TOKEN));
    for file in std::fs::read_dir(gateway.folder().join("data")).expect("a folder").flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{:?}", file.path());
    }
}

#[test]
fn what_is_no_authorization_is_refused_without_being_shown() {
    for wrong in [TOKEN, "Bearer ", " x", "Bearer a\nb", "Bearer ü-secret"] {
        let gateway = Gateway::new(Store::Embedded, "");
        std::fs::write(gateway.folder().join("merchants/token"), wrong).expect("written");
        gateway.merchant("shop", "http://127.0.0.1:9/", "authorization = \"file:token\"");
        let (status, said) = gateway.run_to_its_end();
        assert!(!status.success(), "{wrong:?}");
        assert!(said.contains("`authorization`: must be a scheme"), "{said}");
        assert!(!said.contains(TOKEN) && !said.contains("secret"), "{said}");
    }
}
