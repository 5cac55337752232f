//! Plugins and merchants that are dropped into a gateway while it works: what is good takes effect, and what is not leaves
//! what was good.

#![allow(missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod folder;
mod many;
mod mended;
mod merchants;
mod refused;
mod signed;
mod swaps;
mod versions;
