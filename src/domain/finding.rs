//! What scanners report, and what becomes of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ScanId, ScanType, Severity};

/// Name of one stored finding, a UUID v4; new in every scan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub String);

impl FindingId {
    /// Makes a new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

/// An identity of a finding across scans: 64 lower-case hex digits, or empty for rows written
/// before the reference server had fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Returns the text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a finding is about, beyond its file: the parts of the v2 identity that are not a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The text that the finding points at: the source line, the instruction, or for a secret a
    /// short digest of its value. Whitespace does not count. Empty when the file as a whole is meant.
    pub place: String,
    /// Address of the page, for findings about a running application.
    pub url: Option<String>,
    /// `host:port`, for findings about a service.
    pub endpoint: Option<String>,
    /// Package name, for findings about a dependency.
    pub package: Option<String>,
    /// Package version.
    pub version: Option<String>,
}

/// What a scanner says, before identity, deduplication and scoring.
///
/// `file_path` is relative to the target, with `/` between its parts; the engine turns it into the
/// path that the API shows. For the target itself it is the empty text.
#[derive(Debug, Clone, PartialEq)]
pub struct RawFinding {
    /// Name of the scanner in the registry.
    pub scanner: &'static str,
    /// The scanner's type.
    pub scan_type: ScanType,
    /// How bad.
    pub severity: Severity,
    /// One line. Enters the reference's compare key and keyword matching: keep the contract's texts.
    pub title: String,
    /// For a person. Never holds a secret in clear.
    pub description: String,
    /// Relative to the target; see above.
    pub file_path: Option<String>,
    /// From 1.
    pub line_start: Option<u32>,
    /// From 1, inclusive.
    pub line_end: Option<u32>,
    /// Stable name of the rule, e.g. `secrets/aws-access-key`.
    pub rule_id: Option<String>,
    /// As shown, e.g. `CWE-798`.
    pub cwe: Option<String>,
    /// The CWE text that the v1 fingerprint hashes.
    ///
    /// Compat: the reference's native scanners set no CWE, and the v1 fingerprint hashes it
    /// (contract/scan-orchestration.md 7), so ours show one and hash none.
    pub fingerprint_cwe: Option<String>,
    /// What to do.
    pub remediation: Option<String>,
    /// Anything else, per scanner.
    pub metadata: Map<String, Value>,
    /// What the v2 identity hashes.
    pub subject: Subject,
}

impl RawFinding {
    /// Starts a finding; everything optional is absent.
    #[must_use]
    pub fn new(
        scanner: &'static str,
        scan_type: ScanType,
        severity: Severity,
        rule_id: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        Self {
            scanner,
            scan_type,
            severity,
            title: title.into(),
            description: String::new(),
            file_path: None,
            line_start: None,
            line_end: None,
            rule_id: Some(rule_id.into()),
            cwe: None,
            fingerprint_cwe: None,
            remediation: None,
            metadata: Map::new(),
            subject: Subject::default(),
        }
    }

    /// Sets the text for a person.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets what to do.
    #[must_use]
    pub fn remedied_by(mut self, remediation: impl Into<String>) -> Self {
        self.remediation = Some(remediation.into());
        self
    }

    /// Sets the path relative to the target.
    #[must_use]
    pub fn in_file(mut self, relative: impl Into<String>) -> Self {
        self.file_path = Some(relative.into());
        self
    }

    /// Sets the first line, from 1.
    #[must_use]
    pub const fn at_line(mut self, line: u32) -> Self {
        self.line_start = Some(line);
        self
    }

    /// Sets the CWE that is shown but not hashed by v1 (see [`Self::fingerprint_cwe`]).
    #[must_use]
    pub fn shown_cwe(mut self, cwe: impl Into<String>) -> Self {
        self.cwe = Some(cwe.into());
        self
    }

    /// Sets the text that the v2 identity hashes.
    #[must_use]
    pub fn placed(mut self, place: impl Into<String>) -> Self {
        self.subject.place = place.into();
        self
    }

    /// Adds one metadata entry.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }
}

/// A finding as stored and shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// New in every scan.
    pub id: FindingId,
    /// The scan that found it.
    pub scan_id: ScanId,
    /// Name of the scanner.
    pub scanner: String,
    /// Lower-case name of a [`ScanType`]; free text in adopted rows.
    pub scan_type: String,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// For a person.
    pub description: String,
    /// Target and relative path joined, as the reference shows it.
    pub file_path: Option<String>,
    /// From 1.
    pub line_start: Option<i64>,
    /// From 1, inclusive.
    pub line_end: Option<i64>,
    /// Stable name of the rule.
    pub rule_id: Option<String>,
    /// As shown.
    pub cwe: Option<String>,
    /// What to do.
    pub remediation: Option<String>,
    /// Anything else, per scanner.
    pub metadata: Map<String, Value>,
    /// Controls of compliance frameworks, e.g. `PCI-6`.
    pub compliance_tags: Vec<String>,
    /// The reference's identity; triage verdicts hang on it.
    pub fingerprint: Fingerprint,
    /// Our identity: tells apart what v1 throws together. Empty for adopted rows.
    pub fingerprint_v2: Fingerprint,
}

/// The triage verdict on a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingState {
    /// The v1 fingerprint it is about.
    pub fingerprint: String,
    /// One of `new`, `triaged`, `false_positive`, `accepted_risk`, `fixed`, `wont_fix`.
    pub status: String,
    /// Why.
    pub note: Option<String>,
    /// UTC.
    pub updated_at: String,
    /// Free text of the client.
    pub updated_by: Option<String>,
}

impl Finding {
    /// Returns the moment-free sort key of documents: severity first, then place, rule and title.
    #[must_use]
    pub fn canonical_key(&self) -> (std::cmp::Reverse<Severity>, &str, i64, &str, &str) {
        (
            std::cmp::Reverse(self.severity),
            self.file_path.as_deref().unwrap_or(""),
            self.line_start.unwrap_or(0),
            self.rule_id.as_deref().unwrap_or(""),
            &self.title,
        )
    }
}
