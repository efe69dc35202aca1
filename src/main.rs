//! The `securescan` program: parse the command line, hand over, turn the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    securescan::cli::run()
}
