//! Commands beside the gateway: root looks at what another user runs, and leaves nothing that would be in that user's way.

use std::fs;
use std::os::unix::fs::chown;

use super::support::gateway::{Gateway, Store};
use super::{both, paynotify};

/// Somebody who is not this test's user.
const SOMEBODY: u32 = 54_321;

#[test]
fn a_check_leaves_no_compiled_plugins_for_a_gateway_of_another_user() {
    let gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", "http://127.0.0.1:9/", "");
    let (config, data) = (gateway.folder().join("paynotify.toml"), gateway.folder().join("data"));
    let check = || {
        let checked = paynotify(&["config", "check", "--config", &config.display().to_string()]);
        assert_eq!(checked.status.code(), Some(0), "{}", both(&checked));
    };
    check();
    assert!(!data.exists(), "before the first start there is no folder, and whoever checks makes none");
    if !rustix::process::geteuid().is_root() {
        println!("only root can give a folder to somebody else; the rest is left out");
        return;
    }
    fs::create_dir(&data).expect("made");
    chown(&data, Some(SOMEBODY), Some(SOMEBODY)).expect("given away");
    check();
    assert_eq!(
        fs::read_dir(&data).expect("read").count(),
        0,
        "what is root's there would stop its owner's gateway"
    );
    let compiled = data.join("compiled");
    fs::create_dir(&compiled).expect("made");
    chown(&compiled, Some(SOMEBODY), Some(SOMEBODY)).expect("given away");
    check();
    chown(&data, Some(0), Some(0)).expect("taken back");
    fs::remove_dir(&compiled).expect("removed");
    check();
    assert!(compiled.is_dir(), "in one's own folder they are kept");
}
