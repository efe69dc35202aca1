//! Settings of the service's edge and of its logs.

use std::time::Duration;

use super::{Environment, SettingsError, refuse};

/// Where and how the service listens.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// `serve --host`. Default: 127.0.0.1, so that a server without credentials is not open to the
    /// network by accident.
    pub host: String,
    /// `serve --port`; 0 lets the system choose. Default: 8000.
    pub port: u16,
    /// `SECURESCAN_MAX_BODY_BYTES`: largest request body. Default: 1 MiB.
    pub max_body_bytes: usize,
    /// `SECURESCAN_SHUTDOWN_GRACE`, in seconds: how long running scans may go on after SIGTERM.
    /// Default: 20.
    pub shutdown_grace: Duration,
}

impl ServerSettings {
    pub(super) fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        Ok(Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            max_body_bytes: environment.number(
                "SECURESCAN_MAX_BODY_BYTES",
                1024 * 1024,
                "use a number of bytes above 0",
                |bytes| *bytes > 0,
            )?,
            shutdown_grace: Duration::from_secs(environment.number(
                "SECURESCAN_SHUTDOWN_GRACE",
                20,
                "use whole seconds, at most 3600",
                |seconds| *seconds <= 3600,
            )?),
        })
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for machines.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `SECURESCAN_LOG_LEVEL`: DEBUG, INFO, WARNING, ERROR or CRITICAL. Default: INFO.
    pub level: slog::Level,
    /// `SECURESCAN_LOG_FORMAT`: json or text. Default: json in a container, else text.
    pub format: LogFormat,
    /// Whether a level was set: the CLI logs only then.
    pub asked_for: bool,
    /// `RUST_LOG`: filter for the log lines of our dependencies. Default: warn.
    pub dependencies: String,
}

impl LogSettings {
    pub(super) fn from_environment(
        environment: &Environment,
        in_container: bool,
    ) -> Result<Self, SettingsError> {
        let level = environment.text("SECURESCAN_LOG_LEVEL").unwrap_or("INFO");
        let format = environment
            .text("SECURESCAN_LOG_FORMAT")
            .map(str::to_ascii_lowercase);
        Ok(Self {
            level: parse_level(level).ok_or_else(|| {
                refuse(
                    "SECURESCAN_LOG_LEVEL",
                    level,
                    "use DEBUG, INFO, WARNING, ERROR or CRITICAL",
                )
            })?,
            // Compat: contract/config-ops.md 1; anything but `json` is text.
            format: match format.as_deref() {
                Some("json") => LogFormat::Json,
                None if in_container => LogFormat::Json,
                _ => LogFormat::Text,
            },
            asked_for: environment.text("SECURESCAN_LOG_LEVEL").is_some(),
            dependencies: environment.text("RUST_LOG").unwrap_or("warn").to_owned(),
        })
    }
}

fn parse_level(text: &str) -> Option<slog::Level> {
    Some(match text.to_ascii_uppercase().as_str() {
        "NOTSET" => slog::Level::Trace,
        "DEBUG" => slog::Level::Debug,
        "INFO" => slog::Level::Info,
        "WARN" | "WARNING" => slog::Level::Warning,
        "ERROR" => slog::Level::Error,
        "CRITICAL" | "FATAL" => slog::Level::Critical,
        _ => return None,
    })
}
