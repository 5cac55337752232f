#!/bin/sh
# Builds acme.wasm. requirements.txt names what must be installed before it, in .venv or anywhere in the path.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
componentize-py -d wit -w merchant-plugin componentize --stub-wasi -p . app -o acme.wasm
