//! The JSON shapes of contract/http-api.md 7 and 8. Our additions come after the contract's fields.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{
    Finding, FindingState, Scan, ScanId, ScanStatus, ScanType, ScannerFailure, ScannerSkip,
    ScannerStatus, Severity, Timestamp,
};

/// A scan as shown.
#[derive(Debug, Serialize)]
pub struct ScanView<'a> {
    id: &'a ScanId,
    target_path: &'a str,
    scan_types: &'a [ScanType],
    status: ScanStatus,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    findings_count: i64,
    risk_score: Option<f64>,
    summary: Option<&'a str>,
    error: Option<&'a str>,
    target_url: Option<&'a str>,
    target_host: Option<&'a str>,
    scanners_run: &'a [String],
    scanners_skipped: &'a [ScannerSkip],
    /// Ours: scanners that could not do their work; a scan with any does not look clean.
    scanners_failed: Vec<ScannerFailure>,
    /// Ours: what each scanner looked at.
    completeness: Vec<CompletenessView<'a>>,
    /// Ours: place in the queue, from 1, of a scan that waits.
    queue_position: Option<usize>,
}

/// One scanner's line of the completeness record.
#[derive(Debug, Serialize)]
pub struct CompletenessView<'a> {
    scanner: &'a str,
    status: ScannerStatus,
    reason: Option<&'a str>,
    version: Option<&'a str>,
    findings_count: u64,
    files_seen: u64,
    bytes_seen: u64,
    files_skipped: &'a BTreeMap<String, u64>,
    duration_ms: u64,
}

impl<'a> ScanView<'a> {
    /// Shows a scan; `queue` has the places of scans that wait.
    #[must_use]
    pub fn new(scan: &'a Scan, queue: &HashMap<ScanId, usize>) -> Self {
        Self {
            id: &scan.id,
            target_path: &scan.target_path,
            scan_types: &scan.scan_types,
            status: scan.status,
            started_at: scan.started_at,
            completed_at: scan.completed_at,
            findings_count: scan.findings_count,
            risk_score: scan.risk_score,
            summary: scan.summary.as_deref(),
            error: scan.error.as_deref(),
            target_url: scan.target_url.as_deref(),
            target_host: scan.target_host.as_deref(),
            scanners_run: &scan.scanners_run,
            scanners_skipped: &scan.scanners_skipped,
            scanners_failed: scan.failures().collect(),
            completeness: scan
                .scanners
                .iter()
                .map(|record| CompletenessView {
                    scanner: &record.scanner,
                    status: record.status,
                    reason: record.reason.as_deref(),
                    version: record.version.as_deref(),
                    findings_count: record.findings_count,
                    files_seen: record.coverage.files_seen,
                    bytes_seen: record.coverage.bytes_seen,
                    files_skipped: &record.coverage.skipped,
                    duration_ms: record.duration_ms,
                })
                .collect(),
            queue_position: match scan.status {
                ScanStatus::Pending => queue.get(&scan.id).copied(),
                _ => None,
            },
        }
    }
}

/// A finding as shown, without its verdict.
#[derive(Debug, Serialize)]
pub struct FindingView<'a> {
    id: &'a str,
    scan_id: &'a ScanId,
    scanner: &'a str,
    scan_type: &'a str,
    severity: Severity,
    title: &'a str,
    description: &'a str,
    file_path: Option<&'a str>,
    line_start: Option<i64>,
    line_end: Option<i64>,
    rule_id: Option<&'a str>,
    cwe: Option<&'a str>,
    remediation: Option<&'a str>,
    metadata: &'a Map<String, Value>,
    compliance_tags: &'a [String],
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Option<&'a FindingState>>,
    /// Ours: the identity that tells apart what v1 throws together.
    fingerprint_v2: &'a str,
}

impl<'a> FindingView<'a> {
    /// Shows a finding.
    #[must_use]
    pub fn new(finding: &'a Finding) -> Self {
        Self {
            id: &finding.id.0,
            scan_id: &finding.scan_id,
            scanner: &finding.scanner,
            scan_type: &finding.scan_type,
            severity: finding.severity,
            title: &finding.title,
            description: &finding.description,
            file_path: finding.file_path.as_deref(),
            line_start: finding.line_start,
            line_end: finding.line_end,
            rule_id: finding.rule_id.as_deref(),
            cwe: finding.cwe.as_deref(),
            remediation: finding.remediation.as_deref(),
            metadata: &finding.metadata,
            compliance_tags: &finding.compliance_tags,
            fingerprint: finding.fingerprint.as_str(),
            state: None,
            fingerprint_v2: finding.fingerprint_v2.as_str(),
        }
    }

    /// Shows a finding with its verdict, `null` when there is none.
    #[must_use]
    pub fn with_state(finding: &'a Finding, state: Option<&'a FindingState>) -> Self {
        Self {
            state: Some(state),
            ..Self::new(finding)
        }
    }
}

/// Counts of one scan's findings.
#[derive(Debug, Serialize)]
pub struct SummaryView {
    /// All of them.
    pub total_findings: u64,
    /// By severity.
    pub critical: u64,
    /// By severity.
    pub high: u64,
    /// By severity.
    pub medium: u64,
    /// By severity.
    pub low: u64,
    /// By severity.
    pub info: u64,
    /// 0.0 when the scan has none.
    pub risk_score: f64,
    /// Scanners that produced findings, in order of the first.
    pub scanners_run: Vec<String>,
}
