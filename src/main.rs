//! The program. All it does is in the library, where tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    paynotify::cli::main()
}
