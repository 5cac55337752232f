//! What the configuration says of the doors, and what is wrong with it.

use std::fs;

use crate::tls::Authority;
use crate::{new_token, paynotify};

/// Exit code and message of `config check` for an `[api]` table.
fn check(folder: &std::path::Path, api: &str) -> (Option<i32>, String) {
    for name in ["plugins", "merchants"] {
        fs::create_dir_all(folder.join(name)).expect(name);
    }
    let file = folder.join("paynotify.toml");
    fs::write(&file, format!("[api]\n{api}\n")).expect("written");
    let output = paynotify(&["config", "check", "--config", &file.display().to_string()]);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn beyond_the_loopback_it_needs_tokens_and_tls_or_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    Authority::new().write(folder.path(), "127.0.0.1");
    let tls = "[api.tls]\ncertificate = \"api.crt\"\nkey = \"api.key\"\n";
    let token = new_token(&["--role", "read"]).lines;
    for (api, fine) in [
        ("listen = \"127.0.0.1:8460\"".to_owned(), true),
        ("listen = \"[::1]:8460\"".to_owned(), true),
        ("listen = \"0.0.0.0:8460\"".to_owned(), false),
        ("listen = \"[::]:8460\"".to_owned(), false),
        (format!("listen = \"0.0.0.0:8460\"\n{tls}"), false),
        (format!("listen = \"0.0.0.0:8460\"\n{token}"), false),
        (format!("listen = \"0.0.0.0:8460\"\n{tls}{token}"), true),
        ("listen = \"0.0.0.0:8460\"\ninsecure_listen = true".to_owned(), true),
    ] {
        let (code, message) = check(folder.path(), &api);
        assert_eq!(code, Some(if fine { 0 } else { 2 }), "{api}: {message}");
        let told = ["paynotify.toml:2: `api.listen`", "token new", "[api.tls]", "insecure_listen = true"];
        assert!(fine || told.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn wrong_tokens_and_certificates_are_told_by_line_and_key() {
    let folder = tempfile::tempdir().expect("a folder");
    Authority::new().write(folder.path(), "127.0.0.1");
    fs::write(folder.path().join("empty"), "").expect("written");
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let token = |name: &str, role: &str, more: &str| {
        format!("[[api.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\n{more}\n")
    };
    let sha256 = format!("sha256 = \"{hash}\"");
    let fine = token("a", "read", &sha256);
    let other = |role: &str, more: &str| format!("{fine}{}", token("b", role, more));
    let tls = |certificate: &str, key: &str| {
        format!("[api.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
    };
    for (api, parts) in [
        (
            token("a", "read", "sha256 = \"abc\""),
            ["paynotify.toml:5: `api.tokens[0].sha256`", "64 hexadecimal"],
        ),
        (other("read", &sha256), ["paynotify.toml:9: `api.tokens[1].sha256`", "that of `a`"]),
        (
            format!("{fine}{}", fine.replace("ba78", "ca78")),
            ["paynotify.toml:7: `api.tokens[1].name`", "two tokens"],
        ),
        (token("a", "merchant", &sha256), ["`api.tokens[0].merchant`", "whose token"]),
        (
            other("operate", &format!("merchant = \"shop\"\n{}", sha256.replace("ba", "ca"))),
            ["paynotify.toml:9: `api.tokens[1].merchant`", "alone"],
        ),
        (token("a", "root", &sha256), ["`api.tokens[0].role`", "unknown variant"]),
        (tls("none", "api.key"), ["paynotify.toml:3: `api.tls.certificate`", "none"]),
        (tls("empty", "api.key"), ["paynotify.toml:3: `api.tls.certificate`", "BEGIN CERTIFICATE"]),
        (tls("api.crt", "empty"), ["paynotify.toml:4: `api.tls.key`", "empty"]),
        (tls("ca.crt", "api.key"), ["paynotify.toml:4: `api.tls.key`", "api.key"]),
    ] {
        let (code, message) = check(folder.path(), &api);
        assert_eq!(code, Some(2), "{api}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

#[test]
fn a_token_is_made_with_what_belongs_to_it() {
    for wrong in
        [&["--role", "merchant"][..], &["--role", "read", "--merchant", "shop"], &["--role", "root"], &[]]
    {
        assert_eq!(paynotify(&[&["token", "new"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
    let made = new_token(&["--role", "merchant", "--merchant", "shop", "--name", "the shop's \"own\""]);
    assert!(
        made.lines.contains("merchant = \"shop\"") && made.lines.contains(r#"name = "the shop's \"own\"""#)
    );
    assert!(made.token.starts_with("paynotify_") && !made.lines.contains(&made.token), "{}", made.lines);
}
