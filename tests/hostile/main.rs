//! Guests that mean harm: each is ended and named, takes no more than its bounds, and harms no other.

#![allow(missing_docs, unreachable_pub)]

mod beside;
mod breaker;
mod guests;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::time::{Duration, Instant};

use paynotify::domain::{Request, Verdict};
use paynotify::plugin::{CallError, Fault, Host, Plugin, Settings};
use support::call::{attempt, endpoint, notification, reply};
use support::guest::{self, Guest};

const GOOD: Guest = Guest::WELL_BEHAVED;
const LOOP: &str = "(loop $forever (br $forever)) (unreachable)";

fn settings() -> Settings {
    Settings { call_timeout: Duration::from_millis(200), ..Settings::default() }
}

fn host() -> Host {
    Host::new(settings()).expect("plugins can be run")
}

async fn load(host: &Host, guest: &Guest) -> Plugin {
    host.load_bytes("guest.wasm", guest.build()).await.expect("a plugin")
}

async fn format(plugin: &Plugin) -> Result<Request, CallError> {
    plugin.format(&notification(""), &endpoint("https://shop.example/"), &attempt()).await
}

async fn judge(plugin: &Plugin) -> Result<Verdict, CallError> {
    let endpoint = endpoint("https://shop.example/");
    plugin.judge(&notification(""), &endpoint, &attempt(), &reply(200, b"success")).await
}

/// Loads the guest and has it format; what goes wrong must be the guest's fault and read like this.
async fn check(host: &Host, guest: &Guest, wanted: &str) {
    let plugin = load(host, guest).await;
    let start = Instant::now();
    match format(&plugin).await {
        Err(CallError::Fault(fault)) => {
            let text = fault.to_string();
            assert!(text.starts_with(wanted), "{text:?}, wanted {wanted:?}");
            assert!(text.chars().count() <= 700 && !text.contains('\n'), "{text:?}");
        }
        other => panic!("{other:?}, wanted {wanted:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{wanted} took {:?}", start.elapsed());
}

async fn refused(bytes: Vec<u8>, wanted: &str) {
    let error = host().load_bytes("guest.wasm", bytes).await.expect_err(wanted).to_string();
    assert!(error.starts_with(&format!("plugin `guest.wasm` {wanted}")), "{error:?}, wanted {wanted:?}");
    assert!(!error.contains('\n'), "{error:?}");
}

#[tokio::test]
async fn the_template_behaves() {
    let plugin = load(&host(), &GOOD).await;
    assert_eq!(plugin.description().name, "guest");
    let request = format(&plugin).await.expect("a request");
    assert_eq!(request.uri, "https://shop.example/");
    assert_eq!(request.body, "hello");
    assert_eq!(judge(&plugin).await, Ok(Verdict::Confirmed { detail: None }));
    assert_eq!(plugin.check_settings("{}").await, Ok(()));
}

#[tokio::test]
async fn a_loop_is_ended_wherever_it_is() {
    let host = host();
    let wanted = "ran for longer than 200ms";
    check(&host, &Guest { format: LOOP, ..GOOD }, wanted).await;
    let plugin = load(&host, &Guest { judge: LOOP, check_settings: LOOP, ..GOOD }).await;
    let timed_out = CallError::Fault(Fault::TimedOut(Duration::from_millis(200)));
    assert_eq!(judge(&plugin).await, Err(timed_out));
    assert_eq!(plugin.check_settings("{}").await.expect_err("loops").to_string(), wanted);
    let cannot_say = format!("cannot say what it is: {wanted}");
    refused(Guest { describe: LOOP, ..GOOD }.build(), &cannot_say).await;
    let module = "(func $start (loop $forever (br $forever))) (start $start)";
    refused(Guest { module, ..GOOD }.build(), &cannot_say).await;
}

#[tokio::test]
async fn memory_tables_and_stack_are_bounded() {
    let host = host();
    let format = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    check(&host, &Guest { format, ..GOOD }, "went over its bound of 134217728 bytes of memory").await;
    // Two memories that are each within the bound, and together over it.
    let module = "(memory $second 0)";
    let format =
        "(drop (memory.grow (i32.const 1500))) (drop (memory.grow $second (i32.const 1500))) (unreachable)";
    let wanted = "went over its bound of 134217728 bytes of memory";
    check(&host, &Guest { module, format, ..GOOD }, wanted).await;
    let module = "(table $table 1 funcref)";
    let format =
        "(loop $more (drop (table.grow $table (ref.null func) (i32.const 10000))) (br $more)) (unreachable)";
    check(&host, &Guest { module, format, ..GOOD }, "went over its bound of 100000 elements of a table")
        .await;
    let module = "(func $deeper (call $deeper) (call $deeper))";
    let format = "(call $deeper) (unreachable)";
    check(&host, &Guest { module, format, ..GOOD }, "went over its bound of 1048576 bytes of stack").await;
    refused(
        Guest { module: "(memory $huge 4096)", ..GOOD }.build(),
        "is no component that can be run here: ",
    )
    .await;
    refused(
        Guest { module: "(table $huge 200000 funcref)", ..GOOD }.build(),
        "is no component that can be run here: ",
    )
    .await;
}

#[tokio::test]
async fn the_same_bounds_hold_without_a_pool() {
    let host = Host::new(Settings { pooling: false, ..settings() }).expect("plugins can be run");
    let plugin = load(&host, &GOOD).await;
    assert!(format(&plugin).await.is_ok());
    let bomb = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    check(&host, &Guest { format: bomb, ..GOOD }, "went over its bound of 134217728 bytes of memory").await;
    check(&host, &Guest { format: LOOP, ..GOOD }, "ran for longer than 200ms").await;
    for module in ["(memory $huge 4096)", "(table $huge 200000 funcref)"] {
        let guest = Guest { module, ..GOOD }.build();
        let error = host.load_bytes("guest.wasm", guest).await.expect_err("too large").to_string();
        assert!(error.contains("went over its bound of"), "{error}");
    }
}

#[tokio::test]
async fn a_trap_is_named_and_never_a_confirmation() {
    let host = host();
    let module = "(func $boom unreachable)";
    let boom = "(call $boom) (i32.const 0)";
    let wanted = "trapped: wasm `unreachable` instruction executed, in `boom`";
    check(&host, &Guest { module, format: boom, ..GOOD }, wanted).await;
    let format = "(i32.load (i32.const -4))";
    check(&host, &Guest { format, ..GOOD }, "trapped: ").await;
    let plugin = load(&host, &Guest { module, judge: boom, ..GOOD }).await;
    for _ in 0..100 {
        // More often than there are places in the pool: a trapped instance gives everything back.
        let fault = judge(&plugin).await.expect_err("a trap is no verdict").to_string();
        assert_eq!(fault, wanted);
    }
}

#[tokio::test]
async fn results_that_break_the_contract_are_faults() {
    let host = host();
    // The results of `format` lie at 4196: method, url, headers and body, each as pointer and length.
    let cases = [
        ("(i32.store (i32.const 4196) (i32.const -8))", "trapped: "),
        ("(i32.store8 (i32.const 12) (i32.const 255))", "trapped: invalid utf-8"),
        ("(i32.store8 (i32.const 4192) (i32.const 9))", "trapped: "),
        (
            "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 4224) (i32.const 2000000))",
            "the request's body has 2000000 bytes, and 1048576 are allowed",
        ),
        (
            "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 4224) (i32.const 20000000))",
            "went over its bound of 8388608 bytes handed to the gateway at once",
        ),
        (
            "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 4208) (i32.const 20000000))",
            "went over its bound of 8388608 bytes handed to the gateway at once",
        ),
        (
            "(i32.store (i32.const 4212) (i32.const 8192)) (i32.store (i32.const 4216) (i32.const 3000))",
            "the request has 3000 header fields, and 100 are allowed",
        ),
        (
            "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 4216) (i32.const 1000000))",
            "went over its bound of 8388608 bytes handed to the gateway at once",
        ),
        (
            "(i32.store (i32.const 4212) (i32.const 1024)) (i32.store (i32.const 4216) (i32.const 1))",
            "the request's header field `x-note` is malformed or not a plugin's to set",
        ),
        (
            "(i32.store (i32.const 4204) (i32.const 1200)) (i32.store (i32.const 4208) (i32.const 21))",
            "the request is for https://evil.example, which is no origin of the merchant's file",
        ),
        (
            "(i32.store (i32.const 4196) (i32.const 16))",
            "the request's method `/hel` is none of POST, GET, PUT, PATCH, DELETE, OPTIONS",
        ),
    ];
    let module = r#"
        (data (i32.const 1024) "\00\05\00\00\06\00\00\00\06\05\00\00\0f\00\00\00")
        (data (i32.const 1280) "x-note1\0d\0ahost: evil.x")
        (data (i32.const 1200) "https://evil.example/")"#;
    for (change, wanted) in cases {
        let format: &'static str = format!("{change} (i32.const 4192)").leak();
        check(&host, &Guest { module, format, ..GOOD }, wanted).await;
    }
}

#[tokio::test]
async fn a_plugins_own_words_are_cut_and_escaped() {
    let host = host();
    let module = r#"(data (i32.const 1024) "no\0aroom")"#;
    // An error `other` at 8192, and a text of 100,000 characters of which the first are given.
    let format = "(drop (memory.grow (i32.const 8))) (memory.fill (i32.const 65536) (i32.const 120) (i32.const 100000))
        (memory.copy (i32.const 65536) (i32.const 1024) (i32.const 7))
        (i32.store8 (i32.const 8192) (i32.const 1)) (i32.store8 (i32.const 8196) (i32.const 3))
        (i32.store (i32.const 8200) (i32.const 65536)) (i32.store (i32.const 8204) (i32.const 100000))
        (i32.const 8192)";
    check(&host, &Guest { module, format, ..GOOD }, "answered `other`: no\\nroomxxx").await;
    // `stop`, and the same text.
    let judge = "(drop (memory.grow (i32.const 8))) (memory.fill (i32.const 65536) (i32.const 120) (i32.const 100000))
        (i32.store8 (i32.const 8196) (i32.const 2))
        (i32.store (i32.const 8200) (i32.const 65536)) (i32.store (i32.const 8204) (i32.const 100000))
        (i32.const 8192)";
    let plugin = load(&host, &Guest { judge, ..GOOD }).await;
    let reason = format!("{}…", "x".repeat(200));
    assert_eq!(self::judge(&plugin).await, Ok(Verdict::Stop { reason }));
}

#[tokio::test]
async fn floods_of_calls_into_the_gateway_are_ended() {
    let host = host();
    let imports = r#"
        (import "paynotify:merchant/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (import "paynotify:merchant/crypto@0.1.0" "sign" (func $sign (param i32 i32 i32 i32 i32 i32)))"#;
    // Logging never ends a call: what goes over is dropped. Only time does.
    let format =
        "(loop $more (call $log (i32.const 0) (i32.const 0) (i32.const 5)) (br $more)) (unreachable)";
    check(&host, &Guest { imports, format, ..GOOD }, "ran for longer than 200ms").await;
    let wanted = "went over its bound of 10000 calls of crypto";
    let format = "(loop $more
        (call $sign (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8192))
        (br $more)) (unreachable)";
    check(&host, &Guest { imports, format, ..GOOD }, wanted).await;
    // Long lines are cut, and no more than that.
    let format = "(drop (memory.grow (i32.const 64)))
        (call $log (i32.const 0) (i32.const 1000000) (i32.const 3000000)) (i32.const 4192)";
    let plugin = load(&host, &Guest { imports, format, ..GOOD }).await;
    self::format(&plugin).await.expect("a request");
    let format = "(drop (memory.grow (i32.const 500)))
        (call $log (i32.const 0) (i32.const 0) (i32.const 20000000)) (i32.const 4192)";
    let wanted = "went over its bound of 8388608 bytes handed to the gateway at once";
    check(&host, &Guest { imports, format, ..GOOD }, wanted).await;
}

/// As much of WASI 0.2 as the guests here need.
const WASI: &str = "
    package wasi:io@0.2.0 {
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.3 {
        interface stderr {
            use wasi:io/streams@0.2.0.{output-stream};
            get-stderr: func() -> output-stream;
        }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
    }
    package wasi:random@0.2.0 { interface random { get-random-u64: func() -> u64; } }
    package wasi:http@0.2.0 { interface outgoing-handler { handle: func(); } }
    package evil:corp@1.0.0 { interface net { dial: func(); } }
";
const WASI_WORLD: &str = "
    import wasi:cli/stderr@0.2.3; import wasi:clocks/monotonic-clock@0.2.0; import wasi:random/random@0.2.0;
    import wasi:http/outgoing-handler@0.2.0; import evil:corp/net@1.0.0; import launch: func();";
const WASI_GUEST: Guest = Guest { packages: WASI, world: WASI_WORLD, ..GOOD };

#[tokio::test]
async fn a_sleep_takes_no_time_and_handles_are_bounded() {
    let host = host();
    let imports = r#"
        (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
        (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;
    // An hour, after which the guest's clock says so.
    let format = "(call $block (call $sleep (i64.const 3600000000000)))
        (if (i64.ne (call $now) (i64.const 3600000000000)) (then (unreachable))) (i32.const 4192)";
    let plugin = load(&host, &Guest { imports, format, ..WASI_GUEST }).await;
    let start = Instant::now();
    assert!(self::format(&plugin).await.is_ok());
    assert!(start.elapsed() < Duration::from_secs(10));
    let format = "(loop $more (drop (call $sleep (i64.const 1))) (br $more)) (unreachable)";
    check(&host, &Guest { imports, format, ..WASI_GUEST }, "went over its bound of 256 WASI resources").await;
    // Sleeping for ever is a loop like any other.
    let module = "(global $pollable (mut i32) (i32.const 0))";
    let format = "(global.set $pollable (call $sleep (i64.const -1)))
        (loop $more (call $block (global.get $pollable)) (br $more)) (unreachable)";
    check(&host, &Guest { imports, module, format, ..WASI_GUEST }, "ran for longer than 200ms").await;
}

const STDERR: &str = r#"
    (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))"#;

#[tokio::test]
async fn a_flood_of_output_is_dropped_and_last_words_are_kept() {
    let host = host();
    let module = r#"
        (data (i32.const 1024) "panicked at src/lib.rs:1:2:\0ano such thing\0a")
        (func $flood (param $times i32) (local $stream i32)
            (local.set $stream (call $stderr))
            (loop $more
                (call $write (local.get $stream) (i32.const 0) (i32.const 4096) (i32.const 8192))
                (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))"#;
    let some = Guest {
        imports: STDERR,
        module,
        format: "(call $flood (i32.const 1000)) (i32.const 4192)",
        ..WASI_GUEST
    };
    assert!(self::format(&load(&host, &some).await).await.is_ok());
    let endless = Guest { format: "(call $flood (i32.const -1)) (unreachable)", ..some };
    check(&host, &endless, "ran for longer than 200ms").await;
    let format =
        "(call $write (call $stderr) (i32.const 1024) (i32.const 42) (i32.const 8192)) (unreachable)";
    let wanted = "trapped: wasm `unreachable` instruction executed; its last words: \
                  panicked at src/lib.rs:1:2: no such thing";
    check(&host, &Guest { imports: STDERR, module, format, ..WASI_GUEST }, wanted).await;
}

#[tokio::test]
async fn randomness_is_the_attempts() {
    let imports = r#"(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#;
    let format = "(i64.store (i32.const 8192) (call $random))
        (i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 8)) (i32.const 4192)";
    let plugin = load(&host(), &Guest { imports, format, ..WASI_GUEST }).await;
    let (notification, endpoint) = (notification(""), endpoint("https://shop.example/"));
    let mut bodies = Vec::new();
    for entropy in [[1; 32], [2; 32], [1; 32]] {
        let attempt = paynotify::plugin::AttemptContext { entropy, ..attempt() };
        bodies.push(plugin.format(&notification, &endpoint, &attempt).await.expect("a request").body);
    }
    assert_eq!(bodies[0], bodies[2]);
    assert_ne!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn what_imports_more_than_the_contract_is_refused() {
    let only = "which is not in the contract: only paynotify:merchant@0.1 and WASI 0.2 \
                (cli, clocks, filesystem, io, random, sockets) may be imported";
    for (import, module, function) in [
        ("wasi:http/outgoing-handler@0.2.0", "wasi:http/outgoing-handler@0.2.0", "handle"),
        ("evil:corp/net@1.0.0", "evil:corp/net@1.0.0", "dial"),
        ("launch", "$root", "launch"),
    ] {
        let imports: &'static str = format!("(import {module:?} {function:?} (func))").leak();
        let bytes = Guest { imports, ..WASI_GUEST }.build();
        refused(bytes, &format!("imports `{import}`, {only}")).await;
    }
}

#[tokio::test]
async fn what_is_no_plugin_is_refused() {
    let empty = guest::component("package test:guest; world guest {}", "(module)");
    refused(empty, "does not export `paynotify:merchant/plugin@0.1`").await;
    let other = guest::component(
        "package test:guest; package paynotify:merchant@0.1.0 { interface plugin { describe: func(); } }
         world guest { export paynotify:merchant/plugin@0.1.0; }",
        r#"(module (func (export "paynotify:merchant/plugin@0.1.0#describe")))"#,
    );
    refused(other, "was built against another contract: ").await;
    refused(
        wat::parse_str("(module)").expect("a module"),
        "is a core WebAssembly module and not a component",
    )
    .await;
    refused(b"hello".to_vec(), "is no WebAssembly component").await;
    refused(Vec::new(), "is no WebAssembly component").await;
    let mut cut = GOOD.build();
    cut.truncate(cut.len() / 2);
    refused(cut, "is no component that can be run here: ").await;
    let compiled = wasmtime::Engine::default().precompile_component(&GOOD.build()).expect("compiled");
    refused(compiled, "is compiled code, which is not loaded").await;
    let name = "(i32.store8 (i32.const 0) (i32.const 71)) (i32.const 4096)";
    refused(Guest { describe: name, ..GOOD }.build(), "describes itself wrongly: `name` is `Guest`").await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_unread() {
    let host = Host::new(Settings { longest_component: 1_000, ..settings() }).expect("plugins can be run");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.wasm");
    // A file of a terabyte, of which nothing is there: reading it would be noticed.
    std::fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("made");
    let error = host.load(&path).await.expect_err("too long").to_string();
    assert!(error.ends_with("huge.wasm` is longer than 1000 bytes, the most that is allowed"), "{error}");
    let error = host.load(&folder.path().join("none.wasm")).await.expect_err("missing").to_string();
    assert!(error.contains("none.wasm` cannot be read: "), "{error}");
    assert!(host.load_bytes("x", vec![0; 1_001]).await.is_err());
}

#[tokio::test]
async fn a_full_house_is_the_gateways_affair() {
    let settings = Settings {
        concurrent_calls: 2,
        calls_per_plugin: 1,
        longest_wait: Duration::from_millis(50),
        call_timeout: Duration::from_secs(2),
        ..Settings::default()
    };
    let host = Host::new(settings).expect("plugins can be run");
    let (looping, good) = (load(&host, &Guest { format: LOOP, ..GOOD }).await, load(&host, &GOOD).await);
    let both = async { tokio::join!(format(&looping), format(&looping)) };
    let (both, good_call) = tokio::join!(both, format(&good));
    assert_eq!(both.0.map(drop), Err(CallError::Fault(Fault::TimedOut(Duration::from_secs(2)))));
    assert_eq!(both.1.map(drop), Err(CallError::Busy));
    assert!(good_call.is_ok());
    host.close().await;
    assert_eq!(format(&good).await.map(drop), Err(CallError::Busy));
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_behind() {
    let settings = Settings { concurrent_calls: 1, longest_wait: Duration::from_secs(20), ..settings() };
    let host = Host::new(settings).expect("plugins can be run");
    let looping = load(&host, &Guest { format: LOOP, ..GOOD }).await;
    let gone = tokio::time::timeout(Duration::from_millis(20), format(&looping)).await;
    assert!(gone.is_err());
    // The place is free again once the call has come to its end.
    assert!(judge(&looping).await.is_ok());
}

/// Neighbours of plugins that loop, fill memory and trap, on the same two threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_well_behaved_plugin_is_not_held_up() {
    let host = host();
    let bomb = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    let good = load(&host, &GOOD).await;
    let mut attackers = tokio::task::JoinSet::new();
    for format in [LOOP, bomb, "(unreachable)"] {
        let plugin = load(&host, &Guest { format, ..GOOD }).await;
        for _ in 0..4 {
            let plugin = plugin.clone();
            attackers.spawn(async move {
                loop {
                    assert!(self::format(&plugin).await.is_err());
                }
            });
        }
    }
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        let request = format(&good).await.expect("not harmed by others");
        times.push(start.elapsed());
        assert_eq!(request.body, "hello");
    }
    attackers.shutdown().await;
    times.sort();
    println!("beside attackers: p50 {:?}, p95 {:?}, max {:?}", times[50], times[95], times[99]);
    assert!(times[95] < Duration::from_millis(500), "{times:?}");
}
