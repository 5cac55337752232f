//! Both journals, held to one suite (`journal/conformance.rs`); and what only one of them must do.

#![allow(missing_docs, unreachable_pub)]

#[path = "journal/conformance.rs"]
mod conformance;
#[path = "journal/keeping.rs"]
mod keeping;
#[path = "journal/operating.rs"]
mod operating;
#[path = "journal/postgres_server.rs"]
mod postgres_server;
#[path = "journal/searching.rs"]
mod searching;
#[path = "journal/seeking.rs"]
mod seeking;
#[path = "journal/sqlite_file.rs"]
mod sqlite_file;
#[path = "journal/telling.rs"]
mod telling;
