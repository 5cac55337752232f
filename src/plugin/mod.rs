//! Merchants' plugins: loading, bounding and calling them.
//!
//! A plugin is a WebAssembly component of the world in `wit/merchant.wit`. The rule of this module: whatever a plugin
//! does, it does to itself. It gets a fresh instance for every attempt, nothing but its arguments, and a bound on
//! everything that it could use up; what goes wrong comes back as a [`Fault`] with a name, never as a verdict.
//!
//! The way of a call: [`Plugin`] takes a place (`call`), makes a store with its bounds (`sandbox`), hands over the
//! arguments (`convert`), and names what went wrong (`fault`). The way of a file: `load` refuses what is not a plugin,
//! compiles the rest on threads of their own (`compiler`) and asks it to describe itself. Which file is which format's plugin is for
//! `app` to say.
//!
//! Deliberately absent: a pool of instances to use again (an instance that has served one attempt never serves
//! another), time-outs by dropping a call (a call ends by itself, at its bound), and any knowledge of what a format
//! looks like. The generated types of the contract never leave this module.

mod bindings;
mod call;
mod compiler;
mod conditions;
mod convert;
mod crypto;
mod description;
mod engine;
mod fault;
mod host;
mod host_calls;
mod instance;
mod leftover;
mod lines;
mod load;
mod places;
mod sandbox;
mod settings;
mod signature;
mod threads;
mod versions;
mod wasi;

pub use call::{AttemptContext, Endpoint, Plugin, SettingsError};
pub use conditions::{Called, Conditions, EndpointRecord, KeyBinding};
pub use crypto::{Algorithm, Encoding, Key, KeyAlgorithm, KeyProblem, KeyText, Keys, Secret, find_secret};
pub use description::{Description, KeyNeed, LadderPreset};
pub use fault::{CallError, Fault, Limit, Refusal};
pub use host::{Host, HostError};
pub use host_calls::{
    AnsweredBy, ArgumentsDigest, Base64, HostAnswer, HostCall, HostCallError, HostCalls, HostFunction,
};
pub use instance::Kept;
pub use load::{LoadError, LoadProblem, content_hash};
pub use sandbox::{Tally, Usage};
pub use settings::Settings;
pub use signature::{SignatureProblem, Signers};
pub use versions::{Version, VersionError, Versions};
