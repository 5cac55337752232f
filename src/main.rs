//! The program. All it does is in the library, where tests can reach it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Notifications begin on one thread and end on another, which the system's allocator makes dear.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    paynotify::cli::main()
}
