//! Logs: one stream on stderr, as text for people or JSON for machines.

mod drain;

use slog::{Drain, Level, Logger, o};

pub use drain::LineDrain;

use crate::config::LogSettings;

/// Name of the logger for scan lifecycle lines (contract/config-ops.md 5).
pub const SCAN_LOGGER: &str = "securescan.scan";
/// Name of the logger for request lines.
pub const REQUEST_LOGGER: &str = "securescan.request";
/// Name of the logger for start and stop.
pub const MAIN_LOGGER: &str = "securescan.main";

/// Makes the root logger and sends the lines of our dependencies into the same stream.
pub fn start(settings: &LogSettings) -> Logger {
    let drain = LineDrain::stderr(settings.format)
        .filter_level(settings.level)
        .fuse();
    let root = Logger::root(drain, o!());
    join_dependencies(&root, &settings.dependencies);
    root
}

/// Makes a logger that says nothing: for the CLI's quiet parts and for tests.
pub fn silent() -> Logger {
    Logger::root(slog::Discard, o!())
}

/// Returns a child with the logger name that aggregators filter by (C16).
pub fn named(root: &Logger, name: &'static str) -> Logger {
    root.new(o!("logger" => name))
}

/// `env_logger` filters what dependencies write through `log`; its formatter hands each record to
/// slog instead of writing it.
fn join_dependencies(root: &Logger, filters: &str) {
    let root = root.clone();
    let joined = env_logger::Builder::new()
        .parse_filters(filters)
        .format(move |_buffer, record| {
            let logger = root.new(o!("logger" => record.target().to_owned()));
            let message = record.args();
            match record.level() {
                log::Level::Error => slog::error!(logger, "{message}"),
                log::Level::Warn => slog::warn!(logger, "{message}"),
                log::Level::Info => slog::info!(logger, "{message}"),
                log::Level::Debug => slog::debug!(logger, "{message}"),
                log::Level::Trace => slog::trace!(logger, "{message}"),
            }
            Ok(())
        })
        .try_init();
    // A second start in one process (tests) keeps the first stream.
    drop(joined);
}

/// Writes a cause chain as one text: `outer: inner: innermost`.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Returns the reference's name of a level.
const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "CRITICAL",
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}
