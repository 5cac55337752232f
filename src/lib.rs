//! paynotify tells merchants the outcome of their orders, in their own format, until they confirm.
//!
//! ```text
//!  AMQP producer ──┐                                  ┌────────────► confirmed ─┐
//!  POST /v1/…    ──┼─► work queue ─► delivery:         │              stopped   ├─► journal, outcome event, ack
//!  paynotify send──┘        ▲        plugin.format     │              exhausted ┘
//!                           │        http send         ├─ NextStep ─► retry in d ─► rung queue (confirmed) ─► ack
//!                           │        plugin.judge ─────┘                             │ TTL, dead-letter
//!                           └────────────────────────────────────────────────────────┘
//! ```
//!
//! | module | what it does | what it may use |
//! |---|---|---|
//! | [`domain`] | decides; pure | nothing of this crate |
//! | [`broker`], [`journal`], [`plugin`], [`http`], [`traces`] | the edges: one part of the outside world each | [`domain`], [`clock`] |
//! | [`live`] | what happens, told while it happens: [`delivery`] tells, [`api`] listens | [`domain`] |
//! | `unblocked` | what [`http`] and [`api`] share: connections whose peers must take what they are sent | nothing of this crate |
//! | `sqlite` | what the journal and the embedded broker share: opening a file, writing in groups | nothing of this crate |
//! | [`redact`] | what requests and replies are shown as; pure | nothing of this crate |
//! | [`replay`] | keeps an attempt's record, and makes it again | [`plugin`], [`domain`] |
//! | [`delivery`] | carries one notification through | the edges, [`replay`], [`live`], [`domain`] |
//! | [`api`] | takes notifications in, tells their story, does what operators ask for | [`broker`] and [`journal`] by their traits; [`live`], [`replay`], [`redact`] |
//! | [`config`] | what a file says, checked | the edges' settings |
//! | [`app`] | builds all of it, and ends it in order | everything |
//! | [`kit`] | tries, records and checks a plugin for its author; sends nothing | [`plugin`], [`domain`] |
//! | [`cli`] | the commands | [`app`], [`clock`], [`config`], [`http`], [`kit`]; for plugins also [`journal`], [`plugin`], [`replay`] |
//!
//! The edges do not know each other, and `domain` knows none of them; `tests/tidy.rs` holds the code to this table.
//! ARCHITECTURE.md walks through one notification's way.

pub mod api;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod http;
pub mod journal;
pub mod kit;
pub mod live;
pub mod plugin;
pub mod redact;
pub mod replay;
mod sqlite;
pub mod traces;
mod unblocked;
