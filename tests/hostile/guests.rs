//! The table of hostile guests: what each is called, what it does, and where it is stopped.

use crate::support::guest::{self, Guest};

/// One guest.
pub struct Hostile {
    pub name: &'static str,
    /// What it tries.
    pub does: &'static str,
    pub made: Made,
    pub end: End,
}

/// How it is made.
pub enum Made {
    Of(Guest),
    Bytes(fn() -> Vec<u8>),
}

/// Where it is stopped, and how that reads.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It is no plugin: why, after the file's name.
    Refused(&'static str),
    /// Its call ends with that fault: the fault's name, and how its text begins.
    Fault(Call, &'static str, &'static str),
    /// It runs, and has got nothing: the request's body, which tells what it was given.
    Nothing(&'static [u8]),
}

/// Which of a plugin's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    CheckSettings,
    Format,
    Judge,
}

use Call::{CheckSettings, Format, Judge};
use End::{Fault, Nothing, Refused};

const GOOD: Guest = Guest::WELL_BEHAVED;
const LOOP: &str = "(loop $forever (br $forever)) (unreachable)";
const RAN_TOO_LONG: &str = "ran for longer than 200ms";
const CANNOT_SAY: &str = "cannot say what it is: ran for longer than 200ms";
const NOT_HERE: &str = "is no component that can be run here: ";
const HANDED_OVER: &str = "went over its bound of 8388608 bytes handed to the gateway at once";
const MEMORY: &str = "went over its bound of 134217728 bytes of memory";

/// As much of WASI 0.2 as the guests need.
const WASI: &str = "
    package wasi:io@0.2.0 {
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.0 {
        interface environment { get-environment: func() -> list<tuple<string, string>>; get-arguments: func() -> list<string>; }
        interface exit { exit: func(status: result); }
        interface stdin { use wasi:io/streams@0.2.0.{input-stream}; get-stdin: func() -> input-stream; }
        interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    }
    package wasi:random@0.2.0 {
        interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
    }
    package wasi:filesystem@0.2.0 {
        interface types { resource descriptor { is-same-object: func(other: borrow<descriptor>) -> bool; } }
        interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
    }
    package wasi:sockets@0.2.0 {
        interface network {
            resource network;
            enum error-code { unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
                concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
                address-not-bindable, address-in-use, remote-unreachable, connection-refused, connection-reset,
                connection-aborted, datagram-too-large, name-unresolvable, temporary-resolver-failure,
                permanent-resolver-failure }
            enum ip-address-family { ipv4, ipv6 }
        }
        interface instance-network { use network.{network}; instance-network: func() -> network; }
        interface ip-name-lookup {
            use network.{network, error-code};
            resource resolve-address-stream;
            resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
        }
        interface tcp { resource tcp-socket; }
        interface tcp-create-socket {
            use network.{error-code, ip-address-family}; use tcp.{tcp-socket};
            create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
        }
        interface udp { resource udp-socket; }
        interface udp-create-socket {
            use network.{error-code, ip-address-family}; use udp.{udp-socket};
            create-udp-socket: func(address-family: ip-address-family) -> result<udp-socket, error-code>;
        }
    }
    package wasi:http@0.2.0 { interface outgoing-handler { handle: func(); } }
    package evil:corp@1.0.0 { interface net { dial: func(); } }
";
const WORLD: &str = "
    import wasi:cli/environment@0.2.0; import wasi:cli/exit@0.2.0; import wasi:cli/stdin@0.2.0;
    import wasi:cli/stderr@0.2.0; import wasi:clocks/monotonic-clock@0.2.0; import wasi:clocks/wall-clock@0.2.0;
    import wasi:random/random@0.2.0; import wasi:filesystem/types@0.2.0; import wasi:filesystem/preopens@0.2.0;
    import wasi:sockets/instance-network@0.2.0; import wasi:sockets/ip-name-lookup@0.2.0;
    import wasi:sockets/tcp-create-socket@0.2.0; import wasi:sockets/udp-create-socket@0.2.0;
    import wasi:http/outgoing-handler@0.2.0; import evil:corp/net@1.0.0; import launch: func();";
const WITH_WASI: Guest = Guest { packages: WASI, world: WORLD, ..GOOD };

const LOG: &str = r#"(import "paynotify:merchant/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
const SIGN: &str = r#"
    (import "paynotify:merchant/crypto@0.1.0" "sign" (func $sign (param i32 i32 i32 i32 i32 i32)))"#;
const STDERR: &str = r#"
    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))"#;
const SLEEP: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;
/// Texts for requests, and a list of one header field at 1024.
const TEXTS: &str = r#"
    (data (i32.const 1024) "\00\05\00\00\06\00\00\00\06\05\00\00\0f\00\00\00")
    (data (i32.const 1280) "x-note1\0d\0ahost: evil.x")
    (data (i32.const 1200) "https://evil.example/")
    (data (i32.const 1232) "https://shop.example@evil.example/")
    (data (i32.const 1040) "\00\06\00\00\11\00\00\00\06\05\00\00\01\00\00\00")
    (data (i32.const 1536) "transfer-encoding")"#;

/// All of them. Results of `format` lie at 4192: method at 4196, URL at 4204, header fields at 4212 and body at 4220,
/// each as address and length. Those of `judge` lie at 4256.
pub fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, does, guest, end| all.push(Hostile { name, does, made: Made::Of(guest), end });
    // Time.
    add("loop-in-describe", "loops before it has said what it is", Guest { describe: LOOP, ..GOOD }, Refused(CANNOT_SAY));
    let module = "(func $start (loop $forever (br $forever))) (start $start)";
    add("loop-in-start", "loops in the module's start", Guest { module, ..GOOD }, Refused(CANNOT_SAY));
    let guest = Guest { check_settings: LOOP, ..GOOD };
    add("loop-in-check-settings", "loops over its settings", guest, Fault(CheckSettings, "timed_out", RAN_TOO_LONG));
    add("loop-in-format", "never writes its request", Guest { format: LOOP, ..GOOD }, Fault(Format, "timed_out", RAN_TOO_LONG));
    add("loop-in-judge", "never judges", Guest { judge: LOOP, ..GOOD }, Fault(Judge, "timed_out", RAN_TOO_LONG));
    let guest = Guest { realloc: "(if (i32.gt_u (local.get 3) (i32.const 20)) (then (loop $forever (br $forever))))", ..GOOD };
    add("loop-in-realloc", "loops while the gateway hands it the record", guest, Fault(Format, "timed_out", RAN_TOO_LONG));
    let format = "(drop (memory.grow (i32.const 1900)))
        (loop $more (memory.fill (i32.const 65536) (i32.const 7) (i32.const 124000000)) (br $more)) (unreachable)";
    add("fill-storm", "fills 118 MiB with one instruction, again and again", Guest { format, ..GOOD }, Fault(Format, "timed_out", RAN_TOO_LONG));
    let format = "(loop $more (br_if $more (i64.lt_u (call $now) (i64.const 1000000000)))) (i32.const 4192)";
    add("waits-for-the-clock", "asks for the time until a second is over", Guest { imports: SLEEP, format, ..WITH_WASI }, Fault(Format, "timed_out", RAN_TOO_LONG));
    let module = "(global $pollable (mut i32) (i32.const 0))";
    let format = "(global.set $pollable (call $sleep (i64.const -1)))
        (loop $more (call $block (global.get $pollable)) (br $more)) (unreachable)";
    add("sleeps-for-ever", "sleeps 584 years, again and again", Guest { imports: SLEEP, module, format, ..WITH_WASI }, Fault(Format, "timed_out", RAN_TOO_LONG));
    let format = "(call $block (call $sleep (i64.const 3600000000000))) (i32.const 4192)";
    add("sleeps-an-hour", "sleeps in the middle of a call", Guest { imports: SLEEP, format, ..WITH_WASI }, Nothing(b"hello"));
    // Memory, tables, stack, instances.
    let format = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    add("memory-bomb", "takes memory until there is none", Guest { format, ..GOOD }, Fault(Format, "over_limit", MEMORY));
    let module = "(memory $second 0)";
    let format = "(drop (memory.grow (i32.const 1500))) (drop (memory.grow $second (i32.const 1500))) (unreachable)";
    add("two-memories", "takes memory from two, each within the bound", Guest { module, format, ..GOOD }, Fault(Format, "over_limit", MEMORY));
    add("huge-memory", "asks for 256 MiB at once", Guest { module: "(memory $huge 4096)", ..GOOD }, Refused(NOT_HERE));
    let module = "(memory $a 0) (memory $b 0) (memory $c 0) (memory $d 0) (memory $e 0) (memory $f 0) (memory $g 0) (memory $h 0)";
    add("nine-memories", "has more memories than it may", Guest { module, ..GOOD }, Refused(NOT_HERE));
    let module = "(table $table 1 funcref)";
    let format = "(loop $more (drop (table.grow $table (ref.null func) (i32.const 10000))) (br $more)) (unreachable)";
    add("table-bomb", "lets a table grow", Guest { module, format, ..GOOD }, Fault(Format, "over_limit", "went over its bound of 100000 elements of a table"));
    add("huge-table", "asks for 200,000 elements at once", Guest { module: "(table $huge 200000 funcref)", ..GOOD }, Refused(NOT_HERE));
    let module = "(func $deeper (call $deeper) (call $deeper))";
    add("stack-bomb", "calls itself for ever", Guest { module, format: "(call $deeper) (unreachable)", ..GOOD }, Fault(Format, "over_limit", "went over its bound of 1048576 bytes of stack"));
    // Floods.
    let format = "(loop $more (call $log (i32.const 0) (i32.const 0) (i32.const 5)) (br $more)) (unreachable)";
    add("log-flood", "logs for ever", Guest { imports: LOG, format, ..GOOD }, Fault(Format, "timed_out", RAN_TOO_LONG));
    let format = "(drop (memory.grow (i32.const 500))) (call $log (i32.const 0) (i32.const 0) (i32.const 20000000)) (i32.const 4192)";
    add("huge-log-line", "logs 20 MB at once", Guest { imports: LOG, format, ..GOOD }, Fault(Format, "over_limit", HANDED_OVER));
    let format = "(local $stream i32) (local.set $stream (call $stderr))
        (loop $more (call $write (local.get $stream) (i32.const 0) (i32.const 4096) (i32.const 8192)) (br $more)) (unreachable)";
    add("output-flood", "writes to standard error for ever", Guest { imports: STDERR, format, ..WITH_WASI }, Fault(Format, "timed_out", RAN_TOO_LONG));
    let format = "(loop $more
        (call $sign (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8192)) (br $more)) (unreachable)";
    add("host-call-flood", "asks for one signature after the other", Guest { imports: SIGN, format, ..GOOD }, Fault(Format, "over_limit", "went over its bound of 10000 calls of crypto"));
    let format = "(loop $more (drop (call $sleep (i64.const 1))) (br $more)) (unreachable)";
    add("handle-flood", "takes WASI resources and keeps them", Guest { imports: SLEEP, format, ..WITH_WASI }, Fault(Format, "over_limit", "went over its bound of 256 WASI resources"));
    // Output.
    let format = "(drop (memory.grow (i32.const 1700))) (i32.store (i32.const 4224) (i32.const 100000000)) (i32.const 4192)";
    add("huge-body", "posts 100 MB", Guest { format, ..GOOD }, Fault(Format, "over_limit", HANDED_OVER));
    let format = "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 4224) (i32.const 2000000)) (i32.const 4192)";
    add("large-body", "posts 2 MB", Guest { format, ..GOOD }, Fault(Format, "invalid_request", "the request's body has 2000000 bytes, and 1048576 are allowed"));
    let judge = "(drop (memory.grow (i32.const 1700))) (i32.store8 (i32.const 4264) (i32.const 1))
        (i32.store (i32.const 4268) (i32.const 0)) (i32.store (i32.const 4272) (i32.const 100000000)) (i32.const 4256)";
    add("huge-detail", "confirms with a detail of 100 MB", Guest { judge, ..GOOD }, Fault(Judge, "over_limit", HANDED_OVER));
    let format = "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 4216) (i32.const 1000000)) (i32.const 4192)";
    add("header-flood", "has a million header fields", Guest { format, ..GOOD }, Fault(Format, "over_limit", HANDED_OVER));
    let format = "(i32.store (i32.const 4212) (i32.const 8192)) (i32.store (i32.const 4216) (i32.const 3000)) (i32.const 4192)";
    add("many-headers", "has 3,000 header fields", Guest { format, ..GOOD }, Fault(Format, "invalid_request", "the request has 3000 header fields, and 100 are allowed"));
    let header = |at: &str, count| -> &'static str {
        format!("(i32.store (i32.const 4212) (i32.const {at})) (i32.store (i32.const 4216) (i32.const {count})) (i32.const 4192)").leak()
    };
    add("header-smuggling", "puts a line break and another field into a field", Guest { module: TEXTS, format: header("1024", 1), ..GOOD }, Fault(Format, "invalid_request", "the request's header field `x-note` is malformed or not a plugin's to set"));
    add("framing", "sets `transfer-encoding` itself", Guest { module: TEXTS, format: header("1040", 1), ..GOOD }, Fault(Format, "invalid_request", "the request's header field `transfer-encoding` is malformed or not a plugin's to set"));
    let format = "(i32.store8 (i32.const 12) (i32.const 255)) (i32.const 4192)";
    add("invalid-utf-8", "hands over a text that is none", Guest { format, ..GOOD }, Fault(Format, "trapped", "trapped: invalid utf-8"));
    let url = |at: u32, length: u32| -> &'static str {
        format!("(i32.store (i32.const 4204) (i32.const {at})) (i32.store (i32.const 4208) (i32.const {length})) (i32.const 4192)").leak()
    };
    add("another-origin", "addresses somebody else", Guest { module: TEXTS, format: url(1200, 21), ..GOOD }, Fault(Format, "invalid_request", "the request is for https://evil.example, which is no origin"));
    add("disguised-origin", "hides another host behind the merchant's", Guest { module: TEXTS, format: url(1232, 34), ..GOOD }, Fault(Format, "invalid_request", ""));
    let format = "(i32.store (i32.const 4196) (i32.const -8)) (i32.const 4192)";
    add("wild-pointer", "hands over what lies outside its memory", Guest { format, ..GOOD }, Fault(Format, "trapped", "trapped: "));
    let judge = "(i32.store8 (i32.const 4260) (i32.const 9)) (i32.const 4256)";
    add("no-such-verdict", "judges with a verdict that does not exist", Guest { judge, ..GOOD }, Fault(Judge, "trapped", "trapped: "));
    // Numbers.
    let format = "(drop (i32.trunc_f64_s (f64.const nan))) (i32.const 4192)";
    add("nan-to-integer", "makes an integer of no number", Guest { format, ..GOOD }, Fault(Format, "trapped", "trapped: invalid conversion to integer"));
    // Additions of two of them, where a processor may choose which one's bits and sign remain.
    let format = "(f64.store (i32.const 8192) (f64.add (f64.const -nan:0x4000000000001) (f64.const nan:0x8000000000002)))
        (f32.store (i32.const 8200) (f32.div (f32.const 0) (f32.const -0)))
        (i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 12)) (i32.const 4192)";
    add("nan-bits", "looks for the machine in the bits of what is no number", Guest { format, ..GOOD }, Nothing(b"\0\0\0\0\0\0\xf8\x7f\0\0\xc0\x7f"));
    let format = "(i32.div_s (i32.const 1) (i32.const 0))";
    add("division-by-zero", "divides by nothing", Guest { format, ..GOOD }, Fault(Format, "trapped", "trapped: integer divide by zero"));
    // Ends.
    let judge = "(unreachable)";
    add("trap-in-judge", "traps over a 200", Guest { judge, ..GOOD }, Fault(Judge, "trapped", "trapped: wasm `unreachable` instruction executed"));
    let imports = r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#;
    let judge = "(call $exit (i32.const 0)) (i32.const 4256)";
    add("exit-in-judge", "ends with success instead of judging", Guest { imports, judge, ..WITH_WASI }, Fault(Judge, "trapped", "trapped: "));
    let judge = "(i32.store (i32.const 0) (i32.const 0)) (i32.store8 (i32.const 8192) (i32.const 1))
        (i32.store8 (i32.const 8196) (i32.const 3)) (i32.const 8192)";
    add("error-in-judge", "answers with an error over a 200", Guest { judge, ..GOOD }, Fault(Judge, "refused", "answered `other`"));
    // Asking for what it may not have. The body tells what was given.
    let body = "(i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 12)) (i32.const 4192)";
    let with_body = |ask: &str| -> &'static str { format!("{ask} {body}").leak() };
    let imports = r#"
        (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
        (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))"#;
    let format = with_body("(call $environment (i32.const 8300)) (call $arguments (i32.const 8400))
        (i32.store (i32.const 8192) (i32.load (i32.const 8304))) (i32.store (i32.const 8196) (i32.load (i32.const 8404)))");
    add("environment", "asks for environment and arguments", Guest { imports, format, ..WITH_WASI }, Nothing(&[0; 12]));
    let imports = r#"
        (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))"#;
    let format = with_body("(call $directories (i32.const 8300)) (i32.store (i32.const 8192) (i32.load (i32.const 8304)))");
    add("files", "asks for the folders that it may enter", Guest { imports, format, ..WITH_WASI }, Nothing(&[0; 12]));
    let imports = r#"
        (import "wasi:filesystem/types@0.2.0" "[method]descriptor.is-same-object" (func $same (param i32 i32) (result i32)))"#;
    let format = "(drop (call $same (i32.const 3) (i32.const 3))) (i32.const 4192)";
    add("forged-handle", "uses a file that it was not given", Guest { imports, format, ..WITH_WASI }, Fault(Format, "trapped", "trapped: "));
    let imports = r#"
        (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))"#;
    // `err`, and `closed`.
    let format = with_body("(call $read (call $stdin) (i64.const 100) (i32.const 8192))");
    add("standard-input", "reads what the gateway is told", Guest { imports, format, ..WITH_WASI }, Nothing(b"\x01\0\0\0\x01\0\0\0\0\0\0\0"));
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
    add("sockets", "opens sockets and looks names up", Guest { imports, module, format, ..WITH_WASI }, Nothing(&[1, 1, 1, 1, 1, 20, 0, 0, 0, 0, 0, 0]));
    let imports = r#"
        (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
        (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))"#;
    // 2026-01-31T08:00:00Z, the attempt's moment; and no time since the start.
    let format = with_body("(call $wall (i32.const 8304)) (i32.store (i32.const 8192) (i32.load (i32.const 8304)))
        (i64.store (i32.const 8196) (call $now))");
    add("clocks", "asks what time it is", Guest { imports, format, ..WITH_WASI }, Nothing(b"\x80\xb6\x7d\x69\0\0\0\0\0\0\0\0"));
    let imports = r#"
        (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#;
    // What follows from the attempt's entropy, 32 times the byte 7.
    let format = with_body("(i64.store (i32.const 8192) (call $random))");
    add("randomness", "asks for chance", Guest { imports, format, ..WITH_WASI }, Nothing(&[123, 219, 132, 102, 0, 0, 0, 0, 0, 0, 0, 0]));
    let imports = r#"
        (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
    let format = "(call $random (i64.const 100000000) (i32.const 8192)) (i32.const 4192)";
    add("much-randomness", "asks for 100 MB of chance", Guest { imports, format, ..WITH_WASI }, Fault(Format, "trapped", "trapped: "));
    let module = r#"(data (i32.const 1024) "theirs")"#;
    // `err`, and `no-such-key`; a signature's first bytes if there were one.
    let format = with_body("(call $sign (i32.const 1024) (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8192))");
    add("anothers-key", "signs with another merchant's key", Guest { imports: SIGN, module, format, ..GOOD }, Nothing(b"\x01\0\0\0\0\0\0\0\0\0\0\0"));
    // Importing it.
    let imports = r#"(import "wasi:http/outgoing-handler@0.2.0" "handle" (func))"#;
    add("outgoing-http", "imports an HTTP client", Guest { imports, ..WITH_WASI }, Refused("imports `wasi:http/outgoing-handler@0.2.0`, which is not in the contract"));
    let imports = r#"(import "evil:corp/net@1.0.0" "dial" (func))"#;
    add("own-import", "imports what nobody has", Guest { imports, ..WITH_WASI }, Refused("imports `evil:corp/net@1.0.0`, which is not in the contract"));
    let name = "(i32.store8 (i32.const 0) (i32.const 71)) (i32.const 4096)";
    add("false-name", "gives itself a name that is none", Guest { describe: name, ..GOOD }, Refused("describes itself wrongly: `name` is `Guest`"));
    let mut add = |name, does, bytes, end| all.push(Hostile { name, does, made: Made::Bytes(bytes), end });
    add("instance-flood", "has 3,000 instances", instances, Refused(NOT_HERE));
    add("core-module", "is no component", || wat::parse_str("(module)").expect("a module"), Refused("is a core WebAssembly module and not a component"));
    add("machine-code", "is compiled already", || wasmtime::Engine::default().precompile_component(&GOOD.build()).expect("compiled"), Refused("is compiled code, which is not loaded"));
    add("half-a-file", "ends in the middle", || GOOD.build().split_at(500).0.to_vec(), Refused(NOT_HERE));
    add("too-long", "is longer than a plugin may be", || [b"\0asm\x0d\0\x01\0".to_vec(), vec![0; 64 << 20]].concat(), Refused("is longer than 67108864 bytes"));
    add("another-world", "exports nothing", || guest::component("package test:guest; world guest {}", "(module)"), Refused("does not export `paynotify:merchant/plugin@0.1`"));
    all
}

fn instances() -> Vec<u8> {
    let instances = "(core instance (instantiate $module))".repeat(3_000);
    wat::parse_str(format!("(component (core module $module (memory 1)) {instances})")).expect("a component")
}
