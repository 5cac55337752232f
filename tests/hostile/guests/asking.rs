//! Guests that ask for what they may not have, and files that are no plugins.

use super::Call::Format;
use super::End::{Fault, Nothing, Refused};
use super::*;
use crate::support::guest;

pub(crate) fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, does, guest, end| all.push(Hostile { name, does, made: Made::Of(guest), end });
    // Asking for what it may not have. The body tells what was given.
    let body = "(i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 12)) (i32.const 4192)";
    let with_body = |ask: &str| -> &'static str { format!("{ask} {body}").leak() };
    let imports = r#"
        (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
        (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))"#;
    let format = with_body("(call $environment (i32.const 8300)) (call $arguments (i32.const 8400))
        (i32.store (i32.const 8192) (i32.load (i32.const 8304))) (i32.store (i32.const 8196) (i32.load (i32.const 8404)))");
    add(
        "environment",
        "asks for environment and arguments",
        Guest { imports, format, ..WITH_WASI },
        Nothing(&[0; 12]),
    );
    let imports = r#"
        (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))"#;
    let format = with_body(
        "(call $directories (i32.const 8300)) (i32.store (i32.const 8192) (i32.load (i32.const 8304)))",
    );
    add(
        "files",
        "asks for the folders that it may enter",
        Guest { imports, format, ..WITH_WASI },
        Nothing(&[0; 12]),
    );
    let imports = r#"
        (import "wasi:filesystem/types@0.2.0" "[method]descriptor.is-same-object" (func $same (param i32 i32) (result i32)))"#;
    let format = "(drop (call $same (i32.const 3) (i32.const 3))) (i32.const 4192)";
    add(
        "forged-handle",
        "uses a file that it was not given",
        Guest { imports, format, ..WITH_WASI },
        Fault(Format, "trapped", "trapped: "),
    );
    let imports = r#"
        (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))"#;
    // `err`, and `closed`.
    let format = with_body("(call $read (call $stdin) (i64.const 100) (i32.const 8192))");
    add(
        "standard-input",
        "reads what the gateway is told",
        Guest { imports, format, ..WITH_WASI },
        Nothing(b"\x01\0\0\0\x01\0\0\0\0\0\0\0"),
    );
    let imports = r#"
        (import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
        (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
        (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))
        (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses" (func $look-up (param i32 i32 i32 i32)))"#;
    let module = r#"(data (i32.const 1024) "localhost")"#;
    // Each is `err`; the codes are `access-denied` and, for the name, `permanent-resolver-failure`.
    let format = with_body("(call $tcp (i32.const 0) (i32.const 8300)) (call $udp (i32.const 0) (i32.const 8400))
        (call $look-up (call $network) (i32.const 1024) (i32.const 9) (i32.const 8500))
        (i32.store16 (i32.const 8192) (i32.or (i32.load8_u (i32.const 8300)) (i32.shl (i32.load8_u (i32.const 8304)) (i32.const 8))))
        (i32.store16 (i32.const 8194) (i32.or (i32.load8_u (i32.const 8400)) (i32.shl (i32.load8_u (i32.const 8404)) (i32.const 8))))
        (i32.store16 (i32.const 8196) (i32.or (i32.load8_u (i32.const 8500)) (i32.shl (i32.load8_u (i32.const 8504)) (i32.const 8))))");
    add(
        "sockets",
        "opens sockets and looks names up",
        Guest { imports, module, format, ..WITH_WASI },
        Nothing(&[1, 1, 1, 1, 1, 20, 0, 0, 0, 0, 0, 0]),
    );
    let imports = r#"
        (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
        (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))"#;
    // 2026-01-31T08:00:00Z, the attempt's moment; and no time since the start.
    let format = with_body(
        "(call $wall (i32.const 8304)) (i32.store (i32.const 8192) (i32.load (i32.const 8304)))
        (i64.store (i32.const 8196) (call $now))",
    );
    add(
        "clocks",
        "asks what time it is",
        Guest { imports, format, ..WITH_WASI },
        Nothing(b"\x80\xb6\x7d\x69\0\0\0\0\0\0\0\0"),
    );
    let imports = r#"
        (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#;
    // What follows from the attempt's entropy, 32 times the byte 7.
    let format = with_body("(i64.store (i32.const 8192) (call $random))");
    add(
        "randomness",
        "asks for chance",
        Guest { imports, format, ..WITH_WASI },
        Nothing(&[123, 219, 132, 102, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    let imports = r#"
        (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
    let format = "(call $random (i64.const 100000000) (i32.const 8192)) (i32.const 4192)";
    add(
        "much-randomness",
        "asks for 100 MB of chance",
        Guest { imports, format, ..WITH_WASI },
        Fault(Format, "trapped", "trapped: "),
    );
    let module = r#"(data (i32.const 1024) "theirs")"#;
    // `err`, and `no-such-key`; a signature's first bytes if there were one.
    let format = with_body(
        "(call $sign (i32.const 1024) (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8192))",
    );
    add(
        "anothers-key",
        "signs with another merchant's key",
        Guest { imports: SIGN, module, format, ..GOOD },
        Nothing(b"\x01\0\0\0\0\0\0\0\0\0\0\0"),
    );
    // Importing it.
    let imports = r#"(import "wasi:http/outgoing-handler@0.2.0" "handle" (func))"#;
    add(
        "outgoing-http",
        "imports an HTTP client",
        Guest { imports, ..WITH_WASI },
        Refused("imports `wasi:http/outgoing-handler@0.2.0`, which is not in the contract"),
    );
    let imports = r#"(import "evil:corp/net@1.0.0" "dial" (func))"#;
    add(
        "own-import",
        "imports what nobody has",
        Guest { imports, ..WITH_WASI },
        Refused("imports `evil:corp/net@1.0.0`, which is not in the contract"),
    );
    let name = "(i32.store8 (i32.const 0) (i32.const 71)) (i32.const 4096)";
    add(
        "false-name",
        "gives itself a name that is none",
        Guest { describe: name, ..GOOD },
        Refused("describes itself wrongly: `name` is `Guest`"),
    );
    let mut add = |name, does, bytes, end| all.push(Hostile { name, does, made: Made::Bytes(bytes), end });
    add("instance-flood", "has 3,000 instances", instances, Refused(NOT_HERE));
    add(
        "core-module",
        "is no component",
        || wat::parse_str("(module)").expect("a module"),
        Refused("is a core WebAssembly module and not a component"),
    );
    add(
        "machine-code",
        "is compiled already",
        || wasmtime::Engine::default().precompile_component(&GOOD.build()).expect("compiled"),
        Refused("is compiled code, which is not loaded"),
    );
    add("half-a-file", "ends in the middle", || GOOD.build().split_at(500).0.to_vec(), Refused(NOT_HERE));
    add(
        "too-long",
        "is longer than a plugin may be",
        || [b"\0asm\x0d\0\x01\0".to_vec(), vec![0; 64 << 20]].concat(),
        Refused("is longer than 67108864 bytes"),
    );
    add(
        "another-world",
        "exports nothing",
        || guest::component("package test:guest; world guest {}", "(module)"),
        Refused("does not export `paynotify:merchant/plugin@0.1`"),
    );
    all
}

fn instances() -> Vec<u8> {
    let instances = "(core instance (instantiate $module))".repeat(3_000);
    wat::parse_str(format!("(component (core module $module (memory 1)) {instances})")).expect("a component")
}
