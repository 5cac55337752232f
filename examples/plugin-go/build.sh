#!/bin/sh
# Builds acme.wasm with Go 1.25 or newer; requirements.txt has one, to be installed in .venv or anywhere in the path.
# `wasm-tools` of the Bytecode Alliance makes a component of what Go makes.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w -checklinkname=0' -o "$folder/core.wasm" .
${WASM_TOOLS:-wasm-tools} component embed wit "$folder/core.wasm" --world merchant-plugin -o "$folder/embedded.wasm"
${WASM_TOOLS:-wasm-tools} component new "$folder/embedded.wasm" --adapt wasi_snapshot_preview1=adapter.wat -o acme.wasm
