//! The table of hostile guests: what each is called, what it does, and where it is stopped.

mod asking;
mod running;

use crate::support::guest::Guest;

/// One guest.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    /// What it tries.
    pub(crate) does: &'static str,
    pub(crate) made: Made,
    pub(crate) end: End,
}

/// How it is made.
pub(crate) enum Made {
    Of(Guest),
    Bytes(fn() -> Vec<u8>),
}

/// Where it is stopped, and how that reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// It is no plugin: why, after the file's name.
    Refused(&'static str),
    /// Its call ends with that fault: the fault's name, and how its text begins.
    Fault(Call, &'static str, &'static str),
    /// It runs, and has got nothing: the request's body, which tells what it was given.
    Nothing(&'static [u8]),
}

/// Which of a plugin's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    CheckSettings,
    Format,
    Judge,
}

/// All of them.
pub(crate) fn all() -> Vec<Hostile> {
    let mut all = running::all();
    all.extend(asking::all());
    all
}

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
