//! Keys in merchants' files, as the program sees them: what is wrong is said with file, line and key.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::guest::{Algorithm, needing};
use super::{path, test_key};

/// A merchant's file that ends here gets its keys from the test; its next line is the third.
const HEAD: &str = "url = \"http://shop.example/\"\nplugin = \"guest\"\n";

/// Has `config check` look at a merchant's file, and gives back what it says; `None` if all is fine.
fn check(keys: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    for name in ["merchants", "plugins", "merchants/keys"] {
        fs::create_dir(file(name)).expect(name);
    }
    let guest = needing(&[
        ("signing", &[Algorithm::HmacSha256], false),
        ("hash", &[Algorithm::Md5, Algorithm::Sha256], false),
        ("sealing", &[], false),
        ("private", &[Algorithm::Rsa, Algorithm::Ed25519], true),
    ]);
    fs::write(file("plugins/guest.wasm"), guest).expect("written");
    fs::write(file("paynotify.toml"), "").expect("written");
    fs::write(file("merchants/shop.toml"), format!("{HEAD}{keys}")).expect("written");
    for entry in fs::read_dir(path("keys")).expect("a folder") {
        let key = entry.expect("a file").path();
        fs::copy(&key, file("merchants/keys").join(key.file_name().expect("a name"))).expect("copied");
    }
    fs::write(file("merchants/keys/crlf.txt"), "hunter2hunter2\r\n").expect("written");
    fs::write(file("merchants/keys/two.txt"), "hunter2hunter2\n\n").expect("written");
    fs::write(file("merchants/keys/bytes.bin"), [0xff; 32]).expect("written");
    for (name, copy) in [("pkcs1.pem", "shop-2026.pem"), ("certificate.pem", "shop-2026.crt.pem")] {
        let key = test_key(&format!("rsa-2048.{name}"));
        fs::write(file(&format!("merchants/keys/{copy}")), key).expect("written");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_paynotify"))
        .args(["config", "check", "--config"])
        .arg(file("paynotify.toml"))
        .env("TEST_SECRET", "hunter2hunter2")
        .env("TEST_PEM", test_key("rsa-2048.pkcs8.pem"))
        .output()
        .expect("run");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!message.contains("hunter2"), "a secret is printed: {message}");
    match output.status.code() {
        Some(0) => None,
        Some(2) => Some(message),
        other => panic!("{other:?}: {message}"),
    }
}

const PRIVATE: &str = "[[keys]]\nrole = \"private\"\nalgorithm = \"rsa-pkcs1v15-sha256\"\n\
    secret = \"file:keys/test-rsa-2048.pkcs8.pem\"\n";

fn entry(role: &str, algorithm: &str, rest: &str) -> String {
    format!("[[keys]]\nrole = \"{role}\"\nalgorithm = \"{algorithm}\"\n{rest}\n")
}

#[test]
fn keys_of_every_kind_are_taken() {
    let keys = [
        PRIVATE.to_owned(),
        entry(
            "private",
            "ed25519",
            "name = \"old\"\nsecret = \"file:keys/test-ed25519.pem\"\ncertificate = \"file:keys/test-ed25519.certificate.pem\"\nid = \"PUB_KEY_ID_1\"",
        ),
        entry(
            "private",
            "rsa-pkcs1v15-sha256",
            "name = \"oldest\"\nsecret = \"env:TEST_PEM\"\nencoding = \"pem\"",
        ),
        entry("signing", "md5-or-hmac-sha256", "secret = \"env:TEST_SECRET\""),
        entry("signing", "hmac-sha256", "name = \"s2\"\nsecret = \"file:keys/crlf.txt\""),
        entry("signing", "hmac-sha256", "name = \"s3\"\nsecret = \"00ff\"\nencoding = \"hex\""),
        entry("hash", "md5", "secret = \"x\""),
        entry("hash", "sha256", "name = \"h2\"\nsecret = \"x\""),
        entry("hash", "md5-or-hmac-sha256", "name = \"h3\"\nsecret = \"x\""),
        entry("sealing", "aes-256-gcm", "secret = \"0123456789abcdef0123456789abcdef\""),
    ];
    assert_eq!(check(&keys.concat()), None);
    // So is the one that the README shows.
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("read");
    let mut blocks = readme.split("```toml\n").filter_map(|rest| rest.split("```").next());
    let shown = blocks.find(|block| block.starts_with("[[keys]]")).expect("the README shows a key");
    assert_eq!(check(&shown.replace("\"signing\"", "\"private\"")), None);
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_key() {
    let refused = |keys: &str, expected: &[&str]| {
        let message = check(keys).expect("refused");
        for part in expected {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    };
    refused("", &["shop.toml: `keys`", "needs a key of the role `private`: for a test"]);
    let after = |key: &str| format!("{PRIVATE}{key}");
    refused(
        &after(&entry("sining", "hmac-sha256", "secret = \"x\"")),
        &[
            "shop.toml:8: `keys[1].role`",
            "`sining`",
            "its roles are: `signing`, `hash`, `sealing`, `private`",
        ],
    );
    refused(
        &after(&entry("signing", "ed25519", "secret = \"file:keys/test-ed25519.pem\"")),
        &[
            "shop.toml:9: `keys[1].algorithm`",
            "takes a key of `hmac-sha256` or `md5-or-hmac-sha256`, not of `ed25519`",
        ],
    );
    refused(
        &after(&entry("sealing", "hmac-sha256", "secret = \"x\"")),
        &["shop.toml:9: `keys[1].algorithm`", "takes a key of `aes-256-gcm`, not of `hmac-sha256`"],
    );
    refused(
        &after(&entry(
            "private",
            "aes-256-gcm",
            "name = \"b\"\nsecret = \"0123456789abcdef0123456789abcdef\"",
        )),
        &["shop.toml:9: `keys[1].algorithm`", "takes a key of `rsa-pkcs1v15-sha256` or `ed25519`"],
    );
    refused(
        &after(&entry("signing", "hmac", "secret = \"x\"")),
        &[
            "shop.toml:9: `keys[1].algorithm`",
            "unknown variant `hmac`",
            "`md5-or-hmac-sha256`",
            "`aes-256-gcm`",
        ],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"x\"\nencoding = \"base32\"")),
        &["shop.toml:11: `keys[1].encoding`", "unknown variant `base32`", "`whsec`"],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"x\"\nsecrets = \"hunter2\"")),
        &["shop.toml:11", "unknown field `secrets`"],
    );
    // The second key's line, and not that of the first.
    refused(
        &after(&entry("sealing", "aes-256-gcm", "secret = \"hunter2\"")),
        &["shop.toml:10: `keys[1].secret`", "decodes to 7 bytes by `encoding = \"raw\"`"],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"file:keys/none\"")),
        &["shop.toml:10: `keys[1].secret`", "keys/none: No such file"],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"env:NO_SUCH_VARIABLE\"")),
        &["shop.toml:10: `keys[1].secret`", "`NO_SUCH_VARIABLE` is not set"],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"file:keys/two.txt\"")),
        &["shop.toml:10: `keys[1].secret`", "holds a line break"],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"file:keys/bytes.bin\"")),
        &[
            "shop.toml:10: `keys[1].secret`",
            "bytes.bin: is not UTF-8 text; a key of bytes can be written as hex",
        ],
    );
    refused(
        &after(&entry("signing", "hmac-sha256", "secret = \"whsec_aHVudGVyMmh1bnRlcjI=\"")),
        &["shop.toml:7: `keys[1].encoding`", "\"whsec\" decodes the rest (Standard Webhooks)"],
    );
    refused(
        &after(&entry("private", "ed25519", "secret = \"file:keys/test-ed25519.pem\"")),
        &["shop.toml:7: `keys[1].name`", "two keys are named `private`: give each a `name` of its own"],
    );
    let certificate =
        PRIVATE.to_owned() + "certificate = \"file:keys/test-rsa-2048-other.certificate.pem\"\n";
    refused(&certificate, &["shop.toml:7: `keys[0].certificate`", "is for another key"]);
    refused(&(PRIVATE.to_owned() + "id = \"a b\"\n"), &["shop.toml:7: `keys[0].id`", "visible ASCII"]);
}
