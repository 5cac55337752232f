#!/bin/sh
# Builds acme.wasm. `npm ci` comes before it, unless componentize-qjs is in the path already.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/node_modules/.bin:$PATH"
componentize-qjs --wit wit --world merchant-plugin --js acme.js --stub-wasi --sync --output acme.wasm
