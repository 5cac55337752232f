//! paynotify
fn main() {}
