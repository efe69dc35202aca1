//! A scan, its states, and what each scanner did in it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Severity, Timestamp};

/// Name of one scan: a lower-case UUID v4 for scans made by us, any text for adopted rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScanId(String);

impl ScanId {
    /// Makes a new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// Takes an id from a path or a row as it is.
    ///
    /// Compat: ids in paths are never validated; an unknown one is "not found".
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a scan looks at; each scanner belongs to exactly one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScanType {
    /// Source text: weaknesses and secrets.
    Code,
    /// Third-party packages.
    Dependency,
    /// Infrastructure as code.
    Iac,
    /// Host configuration.
    Baseline,
    /// A running web application.
    Dast,
    /// A host's open ports.
    Network,
}

impl ScanType {
    /// Every type, in the order in which error messages list them.
    pub const ALL: [Self; 6] = [
        Self::Code,
        Self::Dependency,
        Self::Iac,
        Self::Baseline,
        Self::Dast,
        Self::Network,
    ];

    /// Returns the lower-case name used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Dependency => "dependency",
            Self::Iac => "iac",
            Self::Baseline => "baseline",
            Self::Dast => "dast",
            Self::Network => "network",
        }
    }
}

impl fmt::Display for ScanType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scan type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scan type '{0}': use code, dependency, iac, baseline, dast or network")]
pub struct UnknownScanType(pub String);

impl FromStr for ScanType {
    type Err = UnknownScanType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownScanType(text.to_owned()))
    }
}

/// Where a scan stands. `Pending` → `Running` → one of the three terminal states; `Pending` →
/// `Cancelled` is possible too. A terminal state never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScanStatus {
    /// Stored, waiting for a slot.
    Pending,
    /// Scanners are at work.
    Running,
    /// Results are stored.
    Completed,
    /// Ended without results; `error` says why.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl ScanStatus {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the lower-case name used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Tells whether the scan has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for ScanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scan state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scan status '{0}': use pending, running, completed, failed or cancelled")]
pub struct UnknownScanStatus(pub String);

impl FromStr for ScanStatus {
    type Err = UnknownScanStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownScanStatus(text.to_owned()))
    }
}

/// A scanner that was selected but could not be asked, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerSkip {
    /// Name in the registry.
    pub name: String,
    /// Why, e.g. `not installed`.
    pub reason: String,
    /// What a person can do about it.
    pub install_hint: Option<String>,
}

/// A scanner that ran and could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerFailure {
    /// Name in the registry.
    pub name: String,
    /// Why, for a person.
    pub reason: String,
}

/// How one scanner's part of a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScannerStatus {
    /// Did its work; its findings are complete but for what [`Coverage`] says was skipped.
    Completed,
    /// Crashed, timed out, or said something unreadable.
    Failed,
    /// Was never asked.
    Skipped,
}

impl ScannerStatus {
    /// Returns the lower-case name used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What a scanner looked at and what it passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Files whose content (or name, for scanners that judge names) was examined to the end.
    pub files_seen: u64,
    /// Bytes read of those files.
    pub bytes_seen: u64,
    /// Files or folders passed over, counted by reason (`binary`, `permission-denied`, …).
    pub skipped: BTreeMap<String, u64>,
}

impl Coverage {
    /// Counts one thing passed over.
    pub fn skip(&mut self, reason: &str) {
        if let Some(count) = self.skipped.get_mut(reason) {
            *count += 1;
        } else {
            self.skipped.insert(reason.to_owned(), 1);
        }
    }

    /// Adds another record's counts, e.g. those of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.files_seen += other.files_seen;
        self.bytes_seen += other.bytes_seen;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
    }
}

/// One line of a scan's completeness record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerRecord {
    /// Name in the registry.
    pub scanner: String,
    /// How it ended.
    pub status: ScannerStatus,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// What a person can do about a skip.
    pub install_hint: Option<String>,
    /// Version of the scanner: ours for native ones, the tool's own for wrapped ones.
    pub version: Option<String>,
    /// Findings before deduplication.
    pub findings_count: u64,
    /// Wall-clock time in milliseconds.
    pub duration_ms: u64,
    /// What it looked at.
    pub coverage: Coverage,
}

/// One scan as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Its name.
    pub id: ScanId,
    /// Absolute for scans over HTTP; as typed for scans by the CLI.
    pub target_path: String,
    /// As asked: order and repetitions are kept.
    pub scan_types: Vec<ScanType>,
    /// Where it stands.
    pub status: ScanStatus,
    /// Local time.
    pub started_at: Option<Timestamp>,
    /// Local time; set in every terminal state.
    pub completed_at: Option<Timestamp>,
    /// Number of findings after deduplication; 0 until completed.
    pub findings_count: i64,
    /// 0.0 to 100.0 with one decimal; none until completed.
    pub risk_score: Option<f64>,
    /// A text written by an AI service, when one was asked.
    pub summary: Option<String>,
    /// Why the scan failed or was cancelled.
    pub error: Option<String>,
    /// For `dast`.
    pub target_url: Option<String>,
    /// For `network`.
    pub target_host: Option<String>,
    /// Sorted names of the scanners that returned.
    pub scanners_run: Vec<String>,
    /// Sorted by name.
    pub scanners_skipped: Vec<ScannerSkip>,
    /// The completeness record, in registry order; empty until the scan ends and for scans of the
    /// reference server.
    pub scanners: Vec<ScannerRecord>,
}

impl Scan {
    /// Makes the row of a scan that waits for its turn.
    #[must_use]
    pub fn pending(id: ScanId, target_path: String, scan_types: Vec<ScanType>) -> Self {
        Self {
            id,
            target_path,
            scan_types,
            status: ScanStatus::Pending,
            started_at: None,
            completed_at: None,
            findings_count: 0,
            risk_score: None,
            summary: None,
            error: None,
            target_url: None,
            target_host: None,
            scanners_run: Vec::new(),
            scanners_skipped: Vec::new(),
            scanners: Vec::new(),
        }
    }

    /// Returns the scanners that failed, in registry order.
    pub fn failures(&self) -> impl Iterator<Item = ScannerFailure> + '_ {
        self.scanners
            .iter()
            .filter(|record| record.status == ScannerStatus::Failed)
            .map(|record| ScannerFailure {
                name: record.scanner.clone(),
                reason: record.reason.clone().unwrap_or_default(),
            })
    }
}

/// The one terminal state that a started scan reaches, with all that is stored in the same
/// transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutcome {
    /// `Completed`, `Failed` or `Cancelled`.
    pub status: ScanStatus,
    /// Local time.
    pub completed_at: Timestamp,
    /// Why, unless completed.
    pub error: Option<String>,
    /// 0.0 to 100.0, when completed.
    pub risk_score: Option<f64>,
    /// The completeness record; `scanners_run` and `scanners_skipped` are derived from it.
    pub scanners: Vec<ScannerRecord>,
    /// Deduplicated and in order; empty unless completed.
    pub findings: Vec<super::Finding>,
}

impl ScanOutcome {
    /// Returns the most urgent severity found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
