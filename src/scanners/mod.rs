//! Scanners: the native ones that share one walk of the tree, and the wrapped tools.
//!
//! Knows nothing of actors, HTTP or SQL. What a scanner says is a [`RawFinding`]; identity,
//! deduplication and scoring happen in `engine`.

pub mod builtin;
pub mod external;
pub mod registry;
pub mod standard;
pub mod target;
pub mod walk;

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::domain::{Coverage, RawFinding, ScanType};

/// What is known of a scanner before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScannerInfo {
    /// Name in the registry, events and findings.
    pub name: &'static str,
    /// The type that selects it.
    pub scan_type: ScanType,
    /// One sentence.
    pub description: &'static str,
    /// Short labels of what it checks.
    pub checks: &'static [&'static str],
    /// How to get it.
    pub install_hint: &'static str,
    /// Whether `dashboard/install` can fetch it.
    pub installable: bool,
}

/// What a scan looks at, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As stored with the scan and shown in findings.
    pub shown: String,
    /// Canonical: absolute, no symbolic links.
    pub root: PathBuf,
    /// Whether `root` is a folder; otherwise it is one regular file.
    pub is_directory: bool,
}

impl Target {
    /// Returns the path that findings show for a relative one: joined to the target as typed.
    ///
    /// Compat: contract/scanners.md 0.5; a leading `./` is dropped, a file target is itself.
    #[must_use]
    pub fn show(&self, relative: &str) -> String {
        if relative.is_empty() || !self.is_directory {
            return self.shown.clone();
        }
        match self.shown.trim_end_matches('/') {
            "." => relative.to_owned(),
            "" => format!("/{relative}"),
            shown => format!("{}/{relative}", shown.strip_prefix("./").unwrap_or(shown)),
        }
    }
}

/// Writes a file name as text, so that different names stay different: bytes that are not UTF-8
/// become `\xHH`.
#[must_use]
pub fn readable(name: &[u8]) -> Cow<'_, str> {
    let mut chunks = name.utf8_chunks();
    match (chunks.next(), chunks.next()) {
        (None, _) => return Cow::Borrowed(""),
        (Some(only), None) if only.invalid().is_empty() => return Cow::Borrowed(only.valid()),
        _ => {}
    }
    let mut text = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(text)
}

/// Says that a scan should stop; cheap to ask in inner loops.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks everybody who holds a clone to stop at the next file, piece or blob.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Tells whether to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The settings that scanners read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerSettings {
    /// Limit for one external tool.
    pub tool_timeout: Duration,
    /// Most bytes of output read from one external tool.
    pub tool_output_limit: u64,
    /// Folders that targets, and what their git repositories refer to, must lie in; none for all.
    /// Canonical. See [`target::Policy`].
    pub confined_to: Vec<PathBuf>,
    /// Further secret rules: TOML files in the form of `config/secrets.toml`.
    pub secret_rules: Vec<PathBuf>,
    /// Whether the whole git history is searched for secrets.
    pub git_history: bool,
    /// Rule files or folders for semgrep; none means its registry, which needs the network.
    pub semgrep_rules: Vec<PathBuf>,
    /// What external tools see of our environment.
    pub tool_environment: external::ToolEnvironment,
    /// Threads for one scan's walk.
    pub threads: usize,
}

impl Default for ScannerSettings {
    fn default() -> Self {
        Self {
            tool_timeout: Duration::from_secs(300),
            tool_output_limit: 64 * 1024 * 1024,
            confined_to: Vec::new(),
            secret_rules: Vec::new(),
            git_history: true,
            semgrep_rules: Vec::new(),
            tool_environment: external::ToolEnvironment::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Everything that one scan's scanners share.
#[derive(Debug, Clone)]
pub struct ScanContext {
    /// What to look at.
    pub target: Arc<Target>,
    /// When to stop.
    pub cancel: CancelFlag,
    /// How.
    pub settings: Arc<ScannerSettings>,
}

/// Why a scanner could not do its work. The scan goes on without it and never looks clean.
#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// The scan was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// It took longer than allowed.
    #[error("timed out after {}s", .0.as_secs())]
    TimedOut(Duration),
    /// A defect of ours or a crash of the tool.
    #[error("crashed: {0}")]
    Crashed(String),
    /// Its output could not be understood.
    #[error("unreadable output: {0}")]
    Unreadable(String),
    /// A file or folder that it cannot do without failed.
    #[error("failed to {action}")]
    Io {
        /// What was tried, readable after "failed to".
        action: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration is unusable.
    #[error("{0}")]
    Configuration(String),
}

/// One thing that the walk met below (or as) the target.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Relative to the target, `/` between parts, bytes that are not UTF-8 replaced. For a file
    /// target: its name.
    pub relative: &'a str,
    /// The last part of `relative`.
    pub name: &'a str,
    /// Whether it is a folder; otherwise it is a regular file (or a link to one inside the target).
    pub is_directory: bool,
    /// Bytes at the time of the walk.
    pub size: u64,
}

/// What a detector wants of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing: the entry does not count for this detector.
    None,
    /// Its name was enough: it counts as seen.
    Name,
    /// Its content, through [`Detector::examine`].
    Content,
}

/// A stretch of one file's text. Small files come whole; big ones in overlapping windows.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The file.
    pub entry: &'a Entry<'a>,
    /// The text, UTF-16 already turned into UTF-8; may hold invalid UTF-8 otherwise.
    pub bytes: &'a [u8],
    /// The part of `bytes` that this piece answers for: report what *starts* here. What lies before
    /// and after is context that neighbouring pieces answer for. Never empty but for empty files.
    pub owned: (usize, usize),
    /// Line number of `bytes[0]`, from 1.
    pub first_line: u32,
    /// Whether the whole file is in `bytes`.
    pub is_whole: bool,
}

impl Piece<'_> {
    /// Returns [`Self::owned`] as a range.
    #[must_use]
    pub const fn owned_range(&self) -> Range<usize> {
        self.owned.0..self.owned.1
    }
}

/// What a native scanner adds after the walk.
#[derive(Debug, Default)]
pub struct Finish {
    /// Findings that need the whole tree.
    pub findings: Vec<RawFinding>,
    /// What was looked at beside the walked files, e.g. blobs of the git history.
    pub coverage: Coverage,
}

/// A native scanner's part in the shared walk. One value serves one scan.
///
/// Calls of [`Self::visit`] and [`Self::examine`] come from several threads at once, each file from
/// one thread, its pieces in order. A panic costs this detector only.
pub trait Detector: Send + Sync {
    /// Who it is.
    fn info(&self) -> &'static ScannerInfo;

    /// Meets an entry: reports what its name alone tells, and says what it wants of it.
    fn visit(&self, entry: &Entry<'_>, findings: &mut Vec<RawFinding>) -> Interest;

    /// Reads a piece of a file that it asked for.
    fn examine(&self, piece: &Piece<'_>, findings: &mut Vec<RawFinding>);

    /// Does what needs the whole tree, once, after the walk.
    ///
    /// # Errors
    /// When the detector could not do its work: it then counts as failed, its findings are kept.
    fn finish(&self, context: &ScanContext) -> Result<Finish, ScannerError>;
}

/// What became of one scanner in one scan.
#[derive(Debug)]
pub struct ScannerReport {
    /// Name in the registry.
    pub scanner: &'static str,
    /// Of the scanner or tool.
    pub version: Option<String>,
    /// Whatever it found, also when it failed half-way.
    pub findings: Vec<RawFinding>,
    /// What it looked at.
    pub coverage: Coverage,
    /// Wall-clock time.
    pub duration: Duration,
    /// Why its work is not done.
    pub error: Option<ScannerError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_read_differently() {
        assert_eq!(readable("naïve.py".as_bytes()), "naïve.py");
        assert_eq!(readable(b"a\xff.py"), "a\\xff.py");
        assert_eq!(readable(b"a\xfe\xfd"), "a\\xfe\\xfd");
        assert_eq!(readable(b""), "");
    }
}
