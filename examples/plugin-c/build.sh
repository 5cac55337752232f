#!/bin/sh
# Builds acme.wasm. requirements.txt names the compiler, which must be installed before it, in .venv or anywhere in the
# path; `wasm-tools` of the Bytecode Alliance makes a component of what the compiler makes.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
core="$(mktemp)"
trap 'rm -f "$core"' EXIT
python3 -m ziglang cc --target=wasm32-wasi -mexec-model=reactor -Os -s -Wall -Werror \
    acme.c bindings/merchant_plugin.c bindings/merchant_plugin_component_type.o -o "$core"
${WASM_TOOLS:-wasm-tools} component new "$core" -o acme.wasm
