//! The `livegate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    livegate::cli::run()
}
