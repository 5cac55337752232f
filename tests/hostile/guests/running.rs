//! Guests that use more than they may: of time, memory, output; that hand over what is none; and that end badly.
//!
//! Results of `format` lie at 4192: method at 4196, URL at 4204, header fields at 4212 and body at 4220, each as address and
//! length. Those of `judge` lie at 4256.

use super::Call::{CheckSettings, Format, Judge};
use super::End::{Fault, Nothing, Refused};
use super::*;

pub(crate) fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, does, guest, end| all.push(Hostile { name, does, made: Made::Of(guest), end });
    // Time.
    add(
        "loop-in-describe",
        "loops before it has said what it is",
        Guest { describe: LOOP, ..GOOD },
        Refused(CANNOT_SAY),
    );
    let module = "(func $start (loop $forever (br $forever))) (start $start)";
    add("loop-in-start", "loops in the module's start", Guest { module, ..GOOD }, Refused(CANNOT_SAY));
    let guest = Guest { check_settings: LOOP, ..GOOD };
    add(
        "loop-in-check-settings",
        "loops over its settings",
        guest,
        Fault(CheckSettings, "timed_out", RAN_TOO_LONG),
    );
    add(
        "loop-in-format",
        "never writes its request",
        Guest { format: LOOP, ..GOOD },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    add(
        "loop-in-judge",
        "never judges",
        Guest { judge: LOOP, ..GOOD },
        Fault(Judge, "timed_out", RAN_TOO_LONG),
    );
    let guest = Guest {
        realloc: "(if (i32.gt_u (local.get 3) (i32.const 20)) (then (loop $forever (br $forever))))",
        ..GOOD
    };
    add(
        "loop-in-realloc",
        "loops while the gateway hands it the record",
        guest,
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let format = "(drop (memory.grow (i32.const 1900)))
        (loop $more (memory.fill (i32.const 65536) (i32.const 7) (i32.const 124000000)) (br $more)) (unreachable)";
    add(
        "fill-storm",
        "fills 118 MiB with one instruction, again and again",
        Guest { format, ..GOOD },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let format = "(loop $more (br_if $more (i64.lt_u (call $now) (i64.const 1000000000)))) (i32.const 4192)";
    add(
        "waits-for-the-clock",
        "asks for the time until a second is over",
        Guest { imports: SLEEP, format, ..WITH_WASI },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let module = "(global $pollable (mut i32) (i32.const 0))";
    let format = "(global.set $pollable (call $sleep (i64.const -1)))
        (loop $more (call $block (global.get $pollable)) (br $more)) (unreachable)";
    add(
        "sleeps-for-ever",
        "sleeps 584 years, again and again",
        Guest { imports: SLEEP, module, format, ..WITH_WASI },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let format = "(call $block (call $sleep (i64.const 3600000000000))) (i32.const 4192)";
    add(
        "sleeps-an-hour",
        "sleeps in the middle of a call",
        Guest { imports: SLEEP, format, ..WITH_WASI },
        Nothing(b"hello"),
    );
    // Memory, tables, stack, instances.
    let format = "(loop $more (drop (memory.grow (i32.const 256))) (br $more)) (unreachable)";
    add(
        "memory-bomb",
        "takes memory until there is none",
        Guest { format, ..GOOD },
        Fault(Format, "over_limit", MEMORY),
    );
    let module = "(memory $second 0)";
    let format =
        "(drop (memory.grow (i32.const 1500))) (drop (memory.grow $second (i32.const 1500))) (unreachable)";
    add(
        "two-memories",
        "takes memory from two, each within the bound",
        Guest { module, format, ..GOOD },
        Fault(Format, "over_limit", MEMORY),
    );
    add(
        "huge-memory",
        "asks for 256 MiB at once",
        Guest { module: "(memory $huge 4096)", ..GOOD },
        Refused(NOT_HERE),
    );
    let module = "(memory $a 0) (memory $b 0) (memory $c 0) (memory $d 0) (memory $e 0) (memory $f 0) (memory $g 0) (memory $h 0)";
    add("nine-memories", "has more memories than it may", Guest { module, ..GOOD }, Refused(NOT_HERE));
    let module = "(table $table 1 funcref)";
    let format =
        "(loop $more (drop (table.grow $table (ref.null func) (i32.const 10000))) (br $more)) (unreachable)";
    add(
        "table-bomb",
        "lets a table grow",
        Guest { module, format, ..GOOD },
        Fault(Format, "over_limit", "went over its bound of 100000 elements of a table"),
    );
    add(
        "huge-table",
        "asks for 200,000 elements at once",
        Guest { module: "(table $huge 200000 funcref)", ..GOOD },
        Refused(NOT_HERE),
    );
    let module = "(func $deeper (call $deeper) (call $deeper))";
    add(
        "stack-bomb",
        "calls itself for ever",
        Guest { module, format: "(call $deeper) (unreachable)", ..GOOD },
        Fault(Format, "over_limit", "went over its bound of 1048576 bytes of stack"),
    );
    // Floods.
    let format =
        "(loop $more (call $log (i32.const 0) (i32.const 0) (i32.const 5)) (br $more)) (unreachable)";
    add(
        "log-flood",
        "logs for ever",
        Guest { imports: LOG, format, ..GOOD },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let format = "(drop (memory.grow (i32.const 500))) (call $log (i32.const 0) (i32.const 0) (i32.const 20000000)) (i32.const 4192)";
    add(
        "huge-log-line",
        "logs 20 MB at once",
        Guest { imports: LOG, format, ..GOOD },
        Fault(Format, "over_limit", HANDED_OVER),
    );
    let format = "(local $stream i32) (local.set $stream (call $stderr))
        (loop $more (call $write (local.get $stream) (i32.const 0) (i32.const 4096) (i32.const 8192)) (br $more)) (unreachable)";
    add(
        "output-flood",
        "writes to standard error for ever",
        Guest { imports: STDERR, format, ..WITH_WASI },
        Fault(Format, "timed_out", RAN_TOO_LONG),
    );
    let format = "(loop $more
        (call $sign (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8192)) (br $more)) (unreachable)";
    add(
        "host-call-flood",
        "asks for one signature after the other",
        Guest { imports: SIGN, format, ..GOOD },
        Fault(Format, "over_limit", "went over its bound of 10000 calls of crypto"),
    );
    let format = "(loop $more (drop (call $sleep (i64.const 1))) (br $more)) (unreachable)";
    add(
        "handle-flood",
        "takes WASI resources and keeps them",
        Guest { imports: SLEEP, format, ..WITH_WASI },
        Fault(Format, "over_limit", "went over its bound of 256 WASI resources"),
    );
    // Output.
    let format = "(drop (memory.grow (i32.const 1700))) (i32.store (i32.const 4224) (i32.const 100000000)) (i32.const 4192)";
    add("huge-body", "posts 100 MB", Guest { format, ..GOOD }, Fault(Format, "over_limit", HANDED_OVER));
    let format = "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 4224) (i32.const 2000000)) (i32.const 4192)";
    add(
        "large-body",
        "posts 2 MB",
        Guest { format, ..GOOD },
        Fault(Format, "invalid_request", "the request's body has 2000000 bytes, and 1048576 are allowed"),
    );
    let judge = "(drop (memory.grow (i32.const 1700))) (i32.store8 (i32.const 4264) (i32.const 1))
        (i32.store (i32.const 4268) (i32.const 0)) (i32.store (i32.const 4272) (i32.const 100000000)) (i32.const 4256)";
    add(
        "huge-detail",
        "confirms with a detail of 100 MB",
        Guest { judge, ..GOOD },
        Fault(Judge, "over_limit", HANDED_OVER),
    );
    let format = "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 4216) (i32.const 1000000)) (i32.const 4192)";
    add(
        "header-flood",
        "has a million header fields",
        Guest { format, ..GOOD },
        Fault(Format, "over_limit", HANDED_OVER),
    );
    let format = "(i32.store (i32.const 4212) (i32.const 8192)) (i32.store (i32.const 4216) (i32.const 3000)) (i32.const 4192)";
    add(
        "many-headers",
        "has 3,000 header fields",
        Guest { format, ..GOOD },
        Fault(Format, "invalid_request", "the request has 3000 header fields, and 100 are allowed"),
    );
    let header = |at: &str, count| -> &'static str {
        format!("(i32.store (i32.const 4212) (i32.const {at})) (i32.store (i32.const 4216) (i32.const {count})) (i32.const 4192)").leak()
    };
    add(
        "header-smuggling",
        "puts a line break and another field into a field",
        Guest { module: TEXTS, format: header("1024", 1), ..GOOD },
        Fault(
            Format,
            "invalid_request",
            "the request's header field `x-note` is malformed or not a plugin's to set",
        ),
    );
    add(
        "framing",
        "sets `transfer-encoding` itself",
        Guest { module: TEXTS, format: header("1040", 1), ..GOOD },
        Fault(
            Format,
            "invalid_request",
            "the request's header field `transfer-encoding` is malformed or not a plugin's to set",
        ),
    );
    let format = "(i32.store8 (i32.const 12) (i32.const 255)) (i32.const 4192)";
    add(
        "invalid-utf-8",
        "hands over a text that is none",
        Guest { format, ..GOOD },
        Fault(Format, "trapped", "trapped: invalid utf-8"),
    );
    let url = |at: u32, length: u32| -> &'static str {
        format!("(i32.store (i32.const 4204) (i32.const {at})) (i32.store (i32.const 4208) (i32.const {length})) (i32.const 4192)").leak()
    };
    add(
        "another-origin",
        "addresses somebody else",
        Guest { module: TEXTS, format: url(1200, 21), ..GOOD },
        Fault(Format, "invalid_request", "the request is for https://evil.example, which is no origin"),
    );
    add(
        "disguised-origin",
        "hides another host behind the merchant's",
        Guest { module: TEXTS, format: url(1232, 34), ..GOOD },
        Fault(Format, "invalid_request", ""),
    );
    let format = "(i32.store (i32.const 4196) (i32.const -8)) (i32.const 4192)";
    add(
        "wild-pointer",
        "hands over what lies outside its memory",
        Guest { format, ..GOOD },
        Fault(Format, "trapped", "trapped: "),
    );
    let judge = "(i32.store8 (i32.const 4260) (i32.const 9)) (i32.const 4256)";
    add(
        "no-such-verdict",
        "judges with a verdict that does not exist",
        Guest { judge, ..GOOD },
        Fault(Judge, "trapped", "trapped: "),
    );
    // Numbers.
    let format = "(drop (i32.trunc_f64_s (f64.const nan))) (i32.const 4192)";
    add(
        "nan-to-integer",
        "makes an integer of no number",
        Guest { format, ..GOOD },
        Fault(Format, "trapped", "trapped: invalid conversion to integer"),
    );
    // Additions of two of them, where a processor may choose which one's bits and sign remain.
    let format = "(f64.store (i32.const 8192) (f64.add (f64.const -nan:0x4000000000001) (f64.const nan:0x8000000000002)))
        (f32.store (i32.const 8200) (f32.div (f32.const 0) (f32.const -0)))
        (i32.store (i32.const 4220) (i32.const 8192)) (i32.store (i32.const 4224) (i32.const 12)) (i32.const 4192)";
    add(
        "nan-bits",
        "looks for the machine in the bits of what is no number",
        Guest { format, ..GOOD },
        Nothing(b"\0\0\0\0\0\0\xf8\x7f\0\0\xc0\x7f"),
    );
    let format = "(i32.div_s (i32.const 1) (i32.const 0))";
    add(
        "division-by-zero",
        "divides by nothing",
        Guest { format, ..GOOD },
        Fault(Format, "trapped", "trapped: integer divide by zero"),
    );
    // Ends.
    let judge = "(unreachable)";
    add(
        "trap-in-judge",
        "traps over a 200",
        Guest { judge, ..GOOD },
        Fault(Judge, "trapped", "trapped: wasm `unreachable` instruction executed"),
    );
    let imports = r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#;
    let judge = "(call $exit (i32.const 0)) (i32.const 4256)";
    add(
        "exit-in-judge",
        "ends with success instead of judging",
        Guest { imports, judge, ..WITH_WASI },
        Fault(Judge, "trapped", "trapped: "),
    );
    let judge = "(i32.store (i32.const 0) (i32.const 0)) (i32.store8 (i32.const 8192) (i32.const 1))
        (i32.store8 (i32.const 8196) (i32.const 3)) (i32.const 8192)";
    add(
        "error-in-judge",
        "answers with an error over a 200",
        Guest { judge, ..GOOD },
        Fault(Judge, "refused", "answered `other`"),
    );
    all
}
