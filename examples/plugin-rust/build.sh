#!/bin/sh
# Builds acme.wasm. `rustup target add wasm32-unknown-unknown` comes before it, once on a machine.
set -eu
cd "$(dirname "$0")"
triple=wasm32-unknown-unknown
# The linker that makes components comes with rustup's compiler.
tools="$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$tools/wasm-component-ld"
PATH="$tools/gcc-ld:$PATH" cargo build --locked --release --target "$triple"
cp "${CARGO_TARGET_DIR:-target}/$triple/release/plugin.wasm" acme.wasm
