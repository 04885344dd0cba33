//! The `roomraft` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomraft::cli::run()
}
