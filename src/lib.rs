//! paynotify
pub mod domain;
