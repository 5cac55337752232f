//! The author's kit, by the program itself: `plugin check`, `plugin run` and `plugin cases` upon the plugins that are shipped,
//! upon hostile guests, and upon recorded cases.

#![allow(missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use paynotify::kit::cases::{self, CaseResult};
use paynotify::plugin::{Host, Settings};
use serde_json::{Value, json};
use support::guest::{self, Guest};

const GOOD: Guest = Guest::WELL_BEHAVED;
const LOOP: &str = "(loop $forever (br $forever)) (unreachable)";

/// Every plugin that is shipped, and settings of merchants.
const SHIPPED: [(&str, &[&str]); 11] = [
    ("plain", &[]),
    ("alipay", &[r#"{"app_id":"2021"}"#]),
    ("alipay-query", &[r#"{"app_id":"2021"}"#]),
    ("epay", &[r#"{"pid":"1001"}"#]),
    (
        "wechat-v2",
        &[
            r#"{"appid":"wx1","mch_id":"100","trade_type":"NATIVE","bank_type":"OTHERS"}"#,
            r#"{"appid":"wx1","mch_id":"100","sign_type":"HMAC-SHA256","trade_type":"NATIVE","bank_type":"OTHERS"}"#,
        ],
    ),
    ("wechat-v3", &[r#"{"appid":"wx1","mchid":"100","trade_type":"NATIVE","bank_type":"OTHERS"}"#]),
    ("standard-webhooks", &[]),
    ("stripe", &[]),
    ("adyen", &[r#"{"merchant_account":"Shop"}"#]),
    ("paddle", &[]),
    (
        "cloudevents",
        &[
            r#"{"source":"/payments"}"#,
            r#"{"source":"/payments","mode":"structured","token_algorithm":"HS256"}"#,
        ],
    ),
];

/// Those with recorded cases.
const RECORDED: [&str; 4] = ["plain", "alipay", "wechat-v2", "standard-webhooks"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn built(name: &str) -> String {
    xtask::guests::built(name).expect("`cargo xtask plugins` has been run").display().to_string()
}

fn paynotify(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paynotify")).args(arguments).output().expect("run")
}

/// What it printed, when it ended like this.
fn printed(arguments: &[&str], code: i32) -> String {
    let output = paynotify(arguments);
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    out.into_owned()
}

/// A folder with a file in it, and the file's path.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    (folder, path.display().to_string())
}

/// Figures are another each time.
fn masked(report: &str) -> String {
    let mask = |line: &str| match line.split_once(": ") {
        Some((name, figure)) if name.contains('_') && name.ends_with('s') && line.starts_with(' ') => {
            let bound = figure.split_once(' ').map(|(_, bound)| format!(" {bound}")).unwrap_or_default();
            format!("{name}: …{bound}")
        }
        _ => line.to_owned(),
    };
    report.lines().map(mask).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_plugin_that_is_shipped_passes() {
    for (name, settings) in SHIPPED {
        let folder = tempfile::tempdir().expect("a folder");
        let mut arguments = vec!["plugin".to_owned(), "check".to_owned(), built(name)];
        for (number, settings) in settings.iter().enumerate() {
            let path = folder.path().join(format!("{number}.json"));
            fs::write(&path, settings).expect("written");
            arguments.extend(["--settings".to_owned(), path.display().to_string()]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let report = printed(&arguments, 0);
        assert_eq!(report.lines().filter(|line| line.starts_with("ok ")).count(), 10, "{report}");
        println!("{report}");
    }
    let plugins = fs::read_dir(root().join("plugins")).expect("there");
    for name in plugins.map(|entry| entry.expect("readable").file_name().into_string().expect("text")) {
        assert!(name == "sdk" || SHIPPED.iter().any(|(shipped, _)| *shipped == name), "{name}");
    }
}

/// The whole report, but for figures.
#[test]
fn a_report_says_what_was_looked_at() {
    let report = printed(&["plugin", "check", &built("plain")], 0);
    let (head, rest) = report.split_once('\n').expect("lines");
    assert!(head.starts_with("plain 0.1.0 (") && head.contains("): "), "{head}");
    assert_eq!(masked(rest), include_str!("kit/plain.report.txt").trim_end());
}

#[test]
fn for_machines_the_same_is_json() {
    let report: Value =
        serde_json::from_str(&printed(&["plugin", "check", &built("plain"), "--json"], 0)).expect("JSON");
    assert_eq!((&report["passed"], &report["plugin"]["name"]), (&json!(true), &json!("plain")));
    let checks: Vec<_> =
        report["checks"].as_array().expect("a list").iter().map(|check| &check["name"]).collect();
    assert_eq!(
        checks,
        [
            "contract",
            "imports",
            "describe",
            "settings",
            "request",
            "determinism",
            "records",
            "replies",
            "bounds",
            "cost"
        ]
    );
    let memory = &report["checks"][8]["figures"][1];
    assert_eq!((&memory["name"], &memory["bound"]), (&json!("memory_bytes"), &json!(128 << 20)));
    assert!(memory["value"].as_u64().is_some_and(|bytes| bytes >= 64 << 10), "{memory}");
    assert!(report["checks"][9]["figures"][1]["value"].as_u64().is_some_and(|time| time > 0));
}

/// What is wrong with a guest, and the sentences that say so: the check's line, what, and what to change.
#[test]
fn a_plugin_that_breaks_the_contract_is_told_how() {
    let check = |bytes: &[u8], wanted: &[&str]| {
        let (_folder, path) = file("guest.wasm", bytes);
        let report = printed(&["plugin", "check", &path], 1);
        for part in wanted {
            assert!(report.contains(part), "`{part}` is not in:\n{report}");
        }
        report
    };
    let confirmed = "an empty 500 is taken for a confirmation";
    let report = check(
        &GOOD.build(),
        &[confirmed, "-> confirm only what the merchant answers when it has heard", "FAIL  replies"],
    );
    assert_eq!(report.lines().filter(|line| line.starts_with("FAIL")).count(), 1, "{report}");
    // What the file is.
    check(
        b"no plugin",
        &["FAIL  contract", "is no WebAssembly component", "-> give the .wasm file", "-     cost"],
    );
    let module = wat::parse_str("(module)").expect("a module");
    check(&module, &["FAIL  contract", "is a core WebAssembly module", "wasm-tools component new MODULE"]);
    let empty = guest::component("package test:guest; world guest {}", "(module)");
    check(
        &empty,
        &[
            "FAIL  contract",
            "does not export `paynotify:merchant/plugin@0.1`",
            "-> export the interface `plugin`",
        ],
    );
    let evil = Guest {
        packages: "package evil:corp@1.0.0 { interface net { dial: func(); } }",
        world: "import evil:corp/net@1.0.0;",
        imports: r#"(import "evil:corp/net@1.0.0" "dial" (func))"#,
        ..GOOD
    };
    check(&evil.build(), &["FAIL  imports", "imports `evil:corp/net@1.0.0`", "-> take out what needs it"]);
    // What it says of itself.
    check(
        &Guest { describe: LOOP, ..GOOD }.build(),
        &["FAIL  describe", "ran for longer than 1s", "-> `describe` is called"],
    );
    let name = "(i32.store8 (i32.const 0) (i32.const 71)) (i32.const 4096)";
    check(
        &Guest { describe: name, ..GOOD }.build(),
        &["FAIL  describe", "`name` is `Guest`", "-> correct what `describe`"],
    );
    let schema = r#"(data (i32.const 1024) "{\22type\22:\22array\22}")"#;
    let describe = "(i32.store (i32.const 4120) (i32.const 1024)) (i32.store (i32.const 4124) (i32.const 16)) (i32.const 4096)";
    check(
        &Guest { module: schema, describe, ..GOOD }.build(),
        &["FAIL  describe", "is for \"array\", and settings are an object", "-> correct the JSON Schema"],
    );
    // Its settings.
    check(
        &Guest { check_settings: "unreachable", ..GOOD }.build(),
        &[
            "FAIL  settings",
            "`{}`: `check-settings` trapped",
            "-> answer with an error of the contract",
            "-     request",
        ],
    );
    let refuse = "(i32.store8 (i32.const 8192) (i32.const 1)) (i32.store (i32.const 8196) (i32.const 0))
        (i32.store (i32.const 8200) (i32.const 5)) (i32.const 8192)";
    check(
        &Guest { check_settings: refuse, ..GOOD }.build(),
        &[
            "FAIL  settings",
            "`{}` is refused: guest",
            "-> pass a file with settings that it takes: --settings FILE",
        ],
    );
    // Its requests.
    let request = |guest: Guest, wanted: &[&str]| {
        let report = check(&guest.build(), &[&["FAIL  request", "an ordinary record: "], wanted].concat());
        assert!(report.contains("-     records      not looked at"), "{report}");
    };
    let trap = Guest { module: "(func $boom unreachable)", format: "(call $boom) (i32.const 0)", ..GOOD };
    request(
        trap,
        &[
            "it trapped: wasm `unreachable` instruction executed, in `boom`",
            "-> answer with an error of the contract",
        ],
    );
    request(Guest { format: LOOP, ..GOOD }, &["it ran for longer than 1s", "-> make the work smaller"]);
    let bomb = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    request(
        Guest { format: bomb, ..GOOD },
        &["it went over its bound of 134217728 bytes of memory", "-> use less of it"],
    );
    let long = "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 4224) (i32.const 2000000)) (i32.const 4192)";
    request(
        Guest { format: long, ..GOOD },
        &["the request's body has 2000000 bytes, and 1048576 are allowed"],
    );
    let module = r#"(data (i32.const 1024) "\00\05\00\00\06\00\00\00\06\05\00\00\0f\00\00\00")
        (data (i32.const 1280) "x-note1\0d\0ahost: evil.x") (data (i32.const 1200) "https://evil.example/")"#;
    let split = "(i32.store (i32.const 4212) (i32.const 1024)) (i32.store (i32.const 4216) (i32.const 1)) (i32.const 4192)";
    request(
        Guest { module, format: split, ..GOOD },
        &["the request's header field `x-note` is malformed or not a plugin's to set", "-> percent-encode"],
    );
    let elsewhere = "(i32.store (i32.const 4204) (i32.const 1200)) (i32.store (i32.const 4208) (i32.const 21)) (i32.const 4192)";
    request(Guest { module, format: elsewhere, ..GOOD }, &["the request is for https://evil.example"]);
    let other = "(i32.store8 (i32.const 8192) (i32.const 1)) (i32.store8 (i32.const 8196) (i32.const 3))
        (i32.store (i32.const 8200) (i32.const 0)) (i32.store (i32.const 8204) (i32.const 5)) (i32.const 8192)";
    request(Guest { format: other, ..GOOD }, &["it answered `other`: guest", "-> answer `unusable-record`"]);
    // Its verdicts: a few are enough.
    let report = check(
        &Guest { judge: "unreachable", ..GOOD }.build(),
        &["FAIL  replies", "an empty 100: it trapped", "stopped after"],
    );
    assert_eq!(report.matches("it trapped").count(), 5, "{report}");
}

/// Chance that comes from the attempt is no fault; it is told.
#[test]
fn what_a_request_depends_on_is_told() {
    let guest = Guest {
        packages: "package wasi:random@0.2.0 { interface random { get-random-u64: func() -> u64; } }",
        world: "import wasi:random/random@0.2.0;",
        imports: r#"(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#,
        format: "(i64.store (i32.const 8192) (call $random))
            (i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 8)) (i32.const 4192)",
        ..GOOD
    };
    let (_folder, path) = file("guest.wasm", &guest.build());
    let report = printed(&["plugin", "check", &path], 1);
    for part in [
        "ok    determinism  100 runs, in an instance each and on three hosts, gave the same bytes and verdicts",
        "depends on the attempt's entropy: body",
        "ok    imports      of the contract crypto@0.1.0, types@0.1.0; of WASI 1",
        "wasi:random/random@0.2.0",
        "WASI is empty here",
    ] {
        assert!(report.contains(part), "`{part}` is not in:\n{report}");
    }
    assert!(!report.contains("attempt's time"), "{report}");
}

#[tokio::test]
async fn recorded_cases_go_as_recorded_and_a_tampered_one_goes_red() {
    let host = Host::new(Settings::default()).expect("plugins can be run");
    for name in RECORDED {
        let folder = root().join("plugins").join(name).join("cases");
        let plugin = host.load(Path::new(&built(name))).await.expect("a plugin");
        let outcomes = cases::run(&plugin, &folder).await.expect("tried");
        assert!(outcomes.len() >= 2, "{name}");
        for outcome in outcomes {
            assert!(outcome.passed(), "{name}: {outcome:?}");
            assert!(!outcome.about.is_empty(), "{name}: {}", outcome.name());
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = folder.path().join("plain.wasm").display().to_string();
    fs::copy(built("plain"), &plugin).expect("copied");
    let beside = cases::beside(Path::new(&plugin));
    assert_eq!(beside, folder.path().join("plain.cases"));
    fs::create_dir(&beside).expect("a folder");
    let recorded = fs::read_to_string(root().join("plugins/plain/cases/paid.json")).expect("there");
    let case = beside.join("paid.json");
    let empty = paynotify(&["plugin", "cases", &plugin]);
    assert_eq!(empty.status.code(), Some(1), "no case is no success");
    fs::write(&case, &recorded).expect("written");
    let passed = "ok       paid.json: a payment, told in the query\n1 of 1 cases are as recorded\n";
    assert_eq!(printed(&["plugin", "cases", &plugin], 0), passed);

    let tampered = recorded
        .replace("total_fee=129.50", "total_fee=129.51")
        .replace(
            "\"content-type\",\n        \"application/x-www",
            "\"Content-Type\",\n        \"application/y-www",
        )
        .replacen("\"confirmed\": null", "\"stop\": \"gone\"", 1);
    fs::write(&case, &tampered).expect("written");
    let report = printed(&["plugin", "cases", &plugin], 1);
    assert_eq!(report, include_str!("kit/tampered.report.txt"));
    let report: Value =
        serde_json::from_str(&printed(&["plugin", "cases", &plugin, "--json"], 1)).expect("JSON");
    assert_eq!(report["cases"][0]["differences"].as_array().map(Vec::len), Some(3), "{report}");

    let updated = "updated  paid.json: a payment, told in the query\n1 of 1 cases are as recorded\n";
    assert_eq!(printed(&["plugin", "cases", &plugin, "--update"], 0), updated);
    assert_eq!(fs::read_to_string(&case).expect("there"), recorded, "as it was before");

    // What cannot be tried is told by its field, and does not keep the others from being tried.
    fs::write(beside.join("broken.json"), recorded.replace("\"succeeded\"", "\"paid\"")).expect("written");
    fs::write(beside.join("cut.json"), "{").expect("written");
    let report = printed(&["plugin", "cases", &plugin], 1);
    assert!(
        report.contains("FAIL     broken.json\n         `record`: field `status`: unknown variant `paid`"),
        "{report}"
    );
    assert!(report.contains("FAIL     cut.json") && report.contains("\nok       paid.json"), "{report}");
}

/// A gateway asks by the library, and gets what differs as data.
#[tokio::test]
async fn a_gateway_learns_what_differs() {
    let host = Host::new(Settings::default()).expect("plugins can be run");
    let guest = host.load_bytes("guest.wasm", GOOD.build()).await.expect("a plugin");
    let folder = root().join("plugins/plain/cases");
    let outcomes = cases::run(&guest, &folder).await.expect("tried");
    let refund = outcomes.iter().find(|outcome| outcome.name() == "refund.json").expect("there");
    let CaseResult::Differs { differences, seen } = &refund.result else { panic!("{refund:?}") };
    let whats: Vec<_> = differences.iter().map(|difference| difference.what.as_str()).collect();
    assert_eq!(whats, ["request", "error"]);
    assert_eq!(seen.request.as_ref().and_then(|request| request.body.as_deref()), Some("hello"));
    assert!(cases::run(&guest, &folder.join("none")).await.is_err());
    let empty = tempfile::tempdir().expect("a folder");
    assert_eq!(cases::run(&guest, empty.path()).await.expect("tried").len(), 0);
}

#[test]
fn a_record_is_shown_as_it_would_be_sent() {
    let record = root().join("examples/ready/records/order-1001.json").display().to_string();
    let (_folder, reply) = file("reply.json", br#"{"status": 200, "body": "success"}"#);
    let text = printed(
        &[
            "plugin",
            "run",
            &built("plain"),
            "--record",
            &record,
            "--reply",
            &reply,
            "--url",
            "http://shop.example/n?x=1",
        ],
        0,
    );
    let (shown, last) = text.trim_end().rsplit_once('\n').expect("lines");
    assert_eq!(
        shown,
        "POST http://shop.example/n?x=1&is_success=T&notify_id=n-1001&notify_time=2026-01-01+08%3A00%3A00&notify_type=trade_status_sync&out_trade_no=order-1001&total_fee=129.50&trade_no=2026112200001001&trade_status=TRADE_SUCCESS\n\
         content-type: application/x-www-form-urlencoded\n\n\
         => reply 200: confirmed"
    );
    assert!(last.starts_with("=> plain 0.1.0 ("), "{last}");
    let case: Value = serde_json::from_str(&printed(
        &[
            "plugin",
            "run",
            &built("plain"),
            "--record",
            &record,
            "--reply",
            &reply,
            "--attempt",
            "3",
            "--json",
        ],
        0,
    ))
    .expect("JSON");
    assert_eq!(
        (&case["attempt"]["number"], &case["replies"][0]["verdict"]),
        (&json!(3), &json!({"confirmed": null}))
    );

    // A key of the command line, told by its form; and one that is made for the moment.
    let (_other, settings) = file("settings.json", br#"{"app_id": "2021"}"#);
    let alipay = built("alipay");
    let key = format!("signing={}", root().join("tests/formats/keys/test-rsa-2048.pkcs8.pem").display());
    let arguments = ["plugin", "run", &alipay, "--record", &record, "--settings", &settings];
    let signed = printed(&[&arguments[..], &["--key", &key]].concat(), 0);
    assert_eq!(signed, printed(&[&arguments[..], &["--key", &key]].concat(), 0), "the same bytes each time");
    let other = paynotify(&arguments);
    assert_ne!(String::from_utf8_lossy(&other.stdout), signed);
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        told.contains("the role `signing` gets a key made for the moment (rsa-pkcs1v15-sha256)"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_run_is_told() {
    let record = root().join("examples/ready/records/order-1001.json").display().to_string();
    let check = |arguments: &[&str], wanted: &str| {
        let output = paynotify(&[&["plugin", "run"], arguments].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(wanted), "`{wanted}` is not in: {told}");
    };
    let (_folder, wrong) = file("wrong.json", br#"{"schema": "payment-result/1"}"#);
    let plain = built("plain");
    check(&[&plain, "--record", &wrong], "wrong.json: missing field `notification_id`");
    check(&[&plain, "--record", "/none.json"], "/none.json is no record: No such file");
    check(&[&plain, "--record", &record, "--url", "shop"], "`url` must be an absolute http or https URL");
    check(&[&plain, "--record", &record, "--reply", &record], "is no reply such as");
    check(
        &[&plain, "--record", &record, "--key", "x=y"],
        "the plugin asks for no key `x`; its roles are: none",
    );
    check(&[&built("epay"), "--record", &record], "check-settings refuses `settings`: pid: ");
    check(&[&record, "--record", &record], "is no WebAssembly component");
}

/// The commands of the README's section, as they stand there.
#[test]
fn the_commands_of_the_readme_work() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there");
    let section = readme.split("### Check a plugin").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("plugins")).expect("a folder");
    fs::copy(built("plain"), at("plugins/acme.wasm")).expect("copied");
    fs::copy(root().join("examples/ready/records/order-1001.json"), at("record.json")).expect("copied");
    let reply = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a reply");
    fs::write(at("reply.json"), reply).expect("written");
    let mut commands = 0;
    for line in block.lines() {
        let command = line.split(" #").next().unwrap_or_default();
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        let program: PathBuf = env!("CARGO_BIN_EXE_paynotify").into();
        let output = Command::new(program).args(&words).current_dir(folder.path()).output().expect("run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {told}");
        commands += 1;
    }
    assert!(commands >= 3, "{block}");
    assert!(at("plugins/acme.cases/paid.json").exists());
}
