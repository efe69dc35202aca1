//! The command line: one file per command.

mod exit;
mod progress;
mod scan;
mod serve;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Environment, Settings};

pub use exit::Exit;

/// Finds secrets, misconfigurations and weaknesses in a source tree, and serves the same over HTTP.
///
/// `securescan scan .` scans the current folder with everything that is built in and every external
/// scanner that is installed. Nothing needs to be configured; results are kept in
/// ~/.securescan/scans.db.
#[derive(Debug, Parser)]
#[command(
    name = "securescan",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "\
Exit codes:
  0  done, nothing at or above the threshold
  1  findings at or above --fail-on-severity
  2  bad usage or settings; nothing was scanned
  3  the scan is incomplete: a scanner failed, or the scan itself did
  130  interrupted

Settings come from SECURESCAN_* environment variables; see docs/settings.md.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan a folder or a file, print what was found.
    Scan(scan::ScanArguments),
    /// Serve the HTTP API with live progress.
    Serve(serve::ServeArguments),
}

/// Parses the arguments of this process and does what they say.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap knows the stream and the code.
            let _printed = error.print().is_ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let environment = Environment::of_process();
    let settings = match Settings::from_environment(&environment) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Usage.into();
        }
    };
    if let Err(error) = crate::kill_points::arm(&environment) {
        complain(&error.to_string());
        return Exit::Usage.into();
    }
    let folders = crate::app::tool_folders(environment.text("PATH").unwrap_or_default());
    let registry = crate::scanners::standard::registry(folders);
    match arguments.command {
        Command::Scan(arguments) => scan::run(arguments, settings, registry),
        Command::Serve(arguments) => serve::run(arguments, settings, registry),
    }
    .into()
}

/// Writes a problem to stderr.
fn complain(problem: &str) {
    use std::io::Write;
    // Nobody can be told that stderr is closed.
    let _told = writeln!(anstream::stderr(), "securescan: {problem}").is_ok();
}
