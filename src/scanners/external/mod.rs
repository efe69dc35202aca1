//! Wrapped tools: programs of others, run in process groups of their own.

pub mod bandit;
mod environment;
pub mod foreign;
mod process;
mod report;
pub mod semgrep;
#[cfg(test)]
mod testing;

use std::path::Path;

pub use self::environment::ToolEnvironment;
use super::{ScanContext, ScannerError, ScannerInfo};
use crate::domain::{Coverage, RawFinding};

/// What a tool's run gave.
#[derive(Debug, Default)]
pub struct ToolRun {
    /// The tool's own version, when it tells.
    pub version: Option<String>,
    /// Normalised findings.
    pub findings: Vec<RawFinding>,
    /// What the tool says it looked at.
    pub coverage: Coverage,
}

/// A wrapped tool.
pub trait Tool: Send + Sync {
    /// Who it is.
    fn info(&self) -> ScannerInfo;

    /// Name of the program to look for.
    fn program(&self) -> &'static str;

    /// Runs the program found at `program` on the target and reads what it says. Blocks.
    ///
    /// # Errors
    /// When the tool crashed, took too long, or said something unreadable: never an empty result.
    fn scan(&self, program: &Path, context: &ScanContext) -> Result<ToolRun, ScannerError>;
}
