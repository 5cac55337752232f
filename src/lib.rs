//! paynotify tells merchants the outcome of their orders, in their own format, until they confirm.

pub mod broker;
pub mod clock;
pub mod domain;
pub mod http;
pub mod journal;
pub mod plugin;
mod sqlite;
