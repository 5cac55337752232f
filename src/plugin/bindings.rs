//! What wasmtime generates from the contract. Seen by this module only.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "merchant-plugin",
    imports: { default: trappable },
    exports: { default: async },
});
