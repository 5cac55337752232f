//! Tells the crate which compiler builds it. The plugins' stamps hold that version, and every test process that asks
//! for a plugin compares it: known at compile time it costs nothing, asked of `rustc` it would cost 40 ms each time.
//! Cargo runs this again when the compiler changes.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let output = Command::new(&rustc).arg("-V").output().expect("rustc starts");
    let version = String::from_utf8(output.stdout).expect("rustc's version is text");
    println!("cargo::rustc-env=XTASK_RUSTC_VERSION={}", version.trim());
}
