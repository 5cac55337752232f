//! The program from outside: its exit codes, its messages, its API.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output};

use http::Method;
use serde_json::json;

use support::gateway::{Gateway, SOON, Store, record};
use support::merchant::{Answer, StubMerchant, always};

fn paynotify(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A wrong configuration ends with 2 before anything starts, and says file, line and key.
#[test]
fn a_wrong_configuration_is_named_and_nothing_starts() {
    let check = |gateway: &str, merchant: &str, expected: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        for name in ["merchants", "plugins"] {
            fs::create_dir(file(name)).expect(name);
        }
        let plain = xtask::guests::built("plain").expect("the plugin is built");
        fs::copy(plain, file("plugins/plain.wasm")).expect("copied");
        fs::write(file("paynotify.toml"), gateway).expect("written");
        fs::write(file("merchants/shop.toml"), merchant).expect("written");
        let path = file("paynotify.toml").display().to_string();
        for verb in [&["run"][..], &["config", "check"]] {
            let output = paynotify(&[verb, &["--config", &path]].concat());
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{message}");
            for part in expected {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
            assert!(!message.contains("hunter2"), "a secret is printed: {message}");
            assert!(!file("data").join("broker.sqlite").exists(), "nothing was started");
        }
    };
    let fine = "url = \"http://shop.example/\"\nplugin = \"plain\"\n";
    check("[broker]\nprefech = 3\n", fine, &["paynotify.toml:2: `broker.prefech`", "unknown field"]);
    check("\n[broker]\nprefetch = 0\n", fine, &["paynotify.toml:3: `broker.prefetch`", "between 1 and 2000"]);
    check("[http]\ntotal_timeout = 5\n", fine, &["paynotify.toml:2: `http.total_timeout`"]);
    check(
        "[http]\ntotal_timeout = \"5 apples\"\n",
        fine,
        &["paynotify.toml:2: `http.total_timeout`", "5 apples"],
    );
    check("[delivery]\nladder = []\n", fine, &["paynotify.toml:2: `delivery.ladder`", "1 to 100"]);
    check("x = [\n", fine, &["paynotify.toml:"]);
    check("[log]\nlevel = \"a=b=c\"\n", fine, &["paynotify.toml:2: `log.level`"]);
    check("[broker]\nkind = \"amqp\"\n", fine, &["`broker.amqp.url`", "is needed"]);
    check("[broker.amqp]\nurl = hunter2\n", fine, &["paynotify.toml:2"]);
    let amqp = |url: &str| format!("[broker]\nkind = \"amqp\"\n[broker.amqp]\nurl = \"{url}\"\n");
    check(&amqp("http://user:hunter2@x"), fine, &["paynotify.toml:4: `broker.amqp.url`"]);
    check(&amqp("env:NO_SUCH_VARIABLE"), fine, &["paynotify.toml:4: `broker.amqp.url`", "NO_SUCH_VARIABLE"]);
    let amqp = |urls: &str| format!("[broker]\nkind = \"amqp\"\n[broker.amqp]\nurl = {urls}\n");
    check(&amqp("[]"), fine, &["paynotify.toml:4: `broker.amqp.url`", "at least one"]);
    check(&amqp("7"), fine, &["paynotify.toml:4: `broker.amqp.url`", "or a list"]);
    check(&amqp("[\"amqp://u:hunter2@a\", 7]"), fine, &["paynotify.toml:4: `broker.amqp.url`", "or a list"]);
    check(&amqp("[\"amqp://a\", \"amqp://b/other\"]"), fine, &["paynotify.toml:4", "same virtual host"]);
    check(&amqp("[\"amqp://a\", \"file:none\"]"), fine, &["paynotify.toml:4: `broker.amqp.url`", "none"]);
    check("", "plugin = \"plain\"\n", &["shop.toml", "missing field `url`"]);
    let at = |url: &str, more: &str| format!("url = \"{url}\"\nplugin = \"plain\"\n{more}\n");
    let shop = at("http://0x7f.1:8080/", "");
    check("", &shop, &["shop.toml:1: `url`", "127.0.0.1", "loopback", "allow_addresses"]);
    let shop = at("https://shop.example/", "origins = [\"https://[::ffff:169.254.169.254]/\"]");
    check("", &shop, &["shop.toml:3: `origins`", "link local"]);
    let shop = at("https://10.1.2.3/", "allow_addresses = [\"10.1.2.3/16\"]");
    check("", &shop, &["shop.toml:3: `allow_addresses[0]`", "`10.1.0.0/16`"]);
    let shop = at("https://10.2.0.1/", "allow_addresses = [\"10.1.0.0/16\"]");
    check("[http]\nallow_addresses = [\"127.0.0.1\"]", &shop, &["shop.toml:1: `url`", "10.2.0.1"]);
    check("", "url = \"shop.example\"\nplugin = \"plain\"\n", &["shop.toml:1: `url`", "absolute"]);
    check("", "url = \"http://a.example/\"\nplugin = \"plane\"\n", &["shop.toml:2: `plugin`", "`plane`"]);
    check("", &format!("{fine}ladder = [\"1s\", \"8 days\"]\n"), &["shop.toml:3: `ladder`", "7 days"]);
    check("", &format!("{fine}ladder = \"steep\"\n"), &["shop.toml:3: `ladder`", "steep", "original"]);
    check("", &format!("{fine}jitter = 2.0\n"), &["shop.toml:3: `jitter`", "between 0 and 1"]);
    check("", &format!("{fine}[settings]\ncolour = \"red\"\n"), &["shop.toml:3: `settings`", "colour"]);
    let key = "[[keys]]\nrole = \"signing\"\nalgorithm = \"hmac-sha256\"\nsecret = \"file:none\"\n";
    check("", &format!("{fine}{key}"), &["shop.toml:6: `keys[0].secret`", "none"]);
    // Two mistakes in two files are told at once.
    check("[delivery]\nladder = []\n", "x = 1\n", &["`delivery.ladder`", "shop.toml:1"]);
}

/// A file that is no plugin does not keep the others from working, and `config check` says what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_plugin_harms_nobody_else() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    fs::write(gateway.folder().join("plugins/broken.wasm"), b"no component").expect("written");
    let file = gateway.folder().join("paynotify.toml").display().to_string();
    let checked = paynotify(&["config", "check", "--config", &file]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(text(&checked.stderr).contains("broken.wasm"), "{}", text(&checked.stderr));
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("n1", "shop", "o1")).await;
    gateway.wait_for_state("n1", "ended", SOON).await;
    assert!(gateway.log().contains("broken.wasm"));
    assert!(gateway.stop().success());
}

/// A full disk under the log ends neither the gateway nor an attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_harms_nothing() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start_with_a_full_log();
    gateway.ready().await;
    for number in 0..5 {
        gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
        gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
    }
    assert_eq!(merchant.requests().len(), 5);
    assert!(gateway.stop().success());
}

/// JSON is what all other tests have it write.
#[test]
fn the_log_is_lines_for_people_unless_it_is_json() {
    let gateway = Gateway::new(Store::Embedded, "");
    let file = gateway.folder().join("paynotify.toml");
    let configured =
        fs::read_to_string(&file).expect("written").replace("format = \"json\"", "format = \"text\"");
    fs::write(&file, configured).expect("written");
    let mut child = gateway.verb(&["run"]).spawn().expect("started");
    let lines = BufReader::new(child.stderr.take().expect("its log")).lines().map(|line| line.expect("text"));
    let said = lines.inspect(|line| assert!(!line.starts_with('{'), "{line}"));
    let listens = { said }.find(|line| line.contains("127.0.0.1:"));
    child.kill().expect("killed");
    child.wait().expect("waited for");
    assert!(listens.is_some_and(|line| line.contains("INFO")), "it does not say where it listens");
}

#[test]
fn a_missing_file_and_a_wrong_usage_end_with_2() {
    for arguments in [&["run", "--config", "/no/such/file"][..], &["run", "--nonsense"], &["dance"], &[]] {
        assert_eq!(paynotify(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// What `config default` prints is a configuration, and the ready one in the examples is fine.
#[test]
fn the_printed_and_the_ready_configuration_are_fine() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["merchants", "plugins"] {
        fs::create_dir(folder.path().join(name)).expect(name);
    }
    let file = folder.path().join("paynotify.toml");
    let printed = paynotify(&["config", "default"]);
    assert_eq!(printed.status.code(), Some(0));
    fs::write(&file, &printed.stdout).expect("written");
    let checked = paynotify(&["config", "check", "--config", &file.display().to_string()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));

    // So are those that the README shows.
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("read");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // The merchant's keys need a plugin that asks for them: they are checked in tests/crypto/config.rs.
    // What a merchant asks of its way is checked in tests/http_client.
    let [gateway, merchant, _keys, _way, journal, audit, traces] = blocks[..] else {
        panic!("the README shows two files, and parts for each")
    };
    fs::write(&file, format!("{gateway}{audit}{journal}{traces}")).expect("written");
    fs::write(folder.path().join("merchants/shop.toml"), merchant).expect("written");
    let plain = xtask::guests::built("plain").expect("the plugin is built");
    fs::copy(plain, folder.path().join("plugins/plain.wasm")).expect("copied");
    let checked = Command::new(env!("CARGO_BIN_EXE_paynotify"))
        .args(["config", "check", "--config", &file.display().to_string()])
        .env("AMQP_URL", "amqp://user:password@127.0.0.1:5672/%2f")
        .env("AMQP_MANAGEMENT_URL", "http://user:password@127.0.0.1:15672")
        .env("JOURNAL_URL", "postgres://user:password@127.0.0.1:5432/journal?sslmode=verify-full")
        .output()
        .expect("run");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));

    let ready = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ready");
    let copy = folder.path().join("ready");
    fs::create_dir_all(copy.join("merchants")).expect("a folder");
    let plugins = xtask::guests::components_dir();
    let gateway = fs::read_to_string(ready.join("paynotify.toml")).expect("read");
    let gateway = gateway.replace("../../target/plugins", &plugins.display().to_string());
    let gateway = gateway.replace("../../target/ready", "data");
    fs::write(copy.join("paynotify.toml"), gateway).expect("written");
    fs::copy(ready.join("merchants/shop.toml"), copy.join("merchants/shop.toml")).expect("copied");
    let checked =
        paynotify(&["config", "check", "--config", &copy.join("paynotify.toml").display().to_string()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_takes_each_notification_once() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let result = record("n1", "shop", "o1");
    for _ in 0..3 {
        let (status, answer) = gateway.ask(Method::POST, "/v1/notifications", result.to_string()).await;
        assert_eq!((status, answer), (202, json!({"notification_id": "n1"})));
    }
    let twin = record("twin", "shop", "o9");
    let ask = || gateway.ask(Method::POST, "/v1/notifications", twin.to_string());
    let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
    assert!(answers.iter().all(|(status, _)| *status == 202), "{answers:?}");
    gateway.wait_for_state("twin", "ended", SOON).await;
    let mut other = result.clone();
    other["amount"]["minor"] = json!(1);
    let (status, problem) = gateway.ask(Method::POST, "/v1/notifications", other.to_string()).await;
    assert_eq!((status, &problem["status"]), (409, &json!(409)));
    assert_eq!(problem["field"], "notification_id");
    gateway.wait_for_state("n1", "ended", SOON).await;
    let (status, _) = gateway.ask(Method::POST, "/v1/notifications", result.to_string()).await;
    assert_eq!(status, 202, "the same again after its end is the same still");
    assert_eq!(merchant.requests().len(), 2, "one for n1, one for eight twins at once");

    let mut nameless = record("x", "shop", "o2");
    nameless.as_object_mut().expect("an object").remove("notification_id");
    let (status, answer) = gateway.ask(Method::POST, "/v1/notifications", nameless.to_string()).await;
    assert_eq!(status, 202);
    let id = answer["notification_id"].as_str().expect("an id").to_owned();
    gateway.wait_for_state(&id, "ended", SOON).await;
    assert_eq!(merchant.requests().len(), 3);
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_says_what_is_wrong() {
    let mut gateway = Gateway::with_api(Store::Embedded, "longest_body_bytes = 2000", "");

    gateway.start();
    gateway.ready().await;
    let post = async |body: String| gateway.ask(Method::POST, "/v1/notifications", body).await;
    for (field, value) in [
        ("amount", json!({"minor": 1, "currency": "XYZ"})),
        ("notification_id", json!("a.b")),
        ("status", json!("paid")),
        ("schema", json!("payment-result/9")),
    ] {
        let mut wrong = record("n1", "shop", "o1");
        wrong[field] = value;
        let (status, problem) = post(wrong.to_string()).await;
        assert_eq!((status, &problem["status"]), (422, &json!(422)), "{problem}");
        assert!(problem["field"].as_str().is_some_and(|named| named.starts_with(field)), "{problem}");
    }
    assert_eq!(post("no JSON".to_owned()).await.0, 422);
    let (status, problem) = post("x".repeat(2_001)).await;
    assert_eq!((status, &problem["status"]), (413, &json!(413)), "{problem}");
    let get = async |path: &str| gateway.ask(Method::GET, path, "").await;
    for path in ["/v1/notifications/unknown", "/v1/notifications/a.b", "/nowhere"] {
        let (status, problem) = get(path).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}");
    }
    assert_eq!(gateway.ask(Method::DELETE, "/v1/notifications", "").await.0, 405);
    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await, (200, json!({"broker": "ready", "journal": "ready"})));
    assert!(gateway.stop().success());
}

/// `send` and `status` work against a running gateway, and say so when there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_for_people() {
    let merchant = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.merchant("shop", &merchant.url("/"), "");
    gateway.start();
    gateway.ready().await;
    let ready = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ready/records/order-1001.json");
    let api = gateway.api();
    let sent = paynotify(&["send", &ready.display().to_string(), "--api", &api]);
    assert_eq!(
        (sent.status.code(), text(&sent.stdout).trim()),
        (Some(0), "n-1001"),
        "{}",
        text(&sent.stderr)
    );
    gateway.wait_for_state("n-1001", "ended", SOON).await;
    let told = paynotify(&["status", "n-1001", "--api", &api]);
    let table = text(&told.stdout);
    assert!(table.contains("merchant shop") && table.contains("confirmed after 1 attempt\n"), "{table}");
    let told = paynotify(&["status", "n-1001", "--api", &api, "--json"]);
    let story: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(story["attempts"][0]["result"], "confirmed");
    let unknown = paynotify(&["status", "n-0", "--api", &api]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no notification `n-0` is known"));
    assert!(gateway.stop().success());
    let nobody = paynotify(&["status", "n-1001", "--api", &api]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("does the gateway run there?"));
}

/// A second gateway on the same embedded broker is refused with a sentence, not corrupted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_embedded_broker_has_one_gateway() {
    let mut gateway = Gateway::new(Store::Embedded, "");
    gateway.start();
    gateway.ready().await;
    let (status, message) = gateway.run_to_its_end();
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(message.contains("broker.sqlite"), "{message}");
    assert!(gateway.stop().success());
}
