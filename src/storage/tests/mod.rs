//! The storage room against real files.

mod adoption;
mod contention;
mod finding_lists;
mod life;
mod owed;
mod scan_lists;
mod schema_file;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::domain::{
    Coverage, Finding, FindingId, Fingerprint, Scan, ScanId, ScanOutcome, ScanStatus, ScanType,
    ScannerRecord, ScannerStatus, Severity, Timestamp,
};

fn options(path: &Path) -> DatabaseOptions {
    DatabaseOptions {
        path: path.to_owned(),
        max_connections: 4,
        busy_timeout: Duration::from_secs(5),
    }
}

fn fresh() -> (TempDir, Database) {
    let folder = TempDir::new().unwrap();
    let database = Database::open(&options(&folder.path().join("scans.db"))).unwrap();
    (folder, database)
}

fn at(second: u32) -> Timestamp {
    Timestamp::parse(&format!(
        "2026-11-23T12:{:02}:{:02}.500001",
        second / 60 % 60,
        second % 60
    ))
    .unwrap()
}

fn pending(id: &str) -> Scan {
    Scan::pending(
        ScanId::new(id),
        "/srv/demo/shop".into(),
        vec![ScanType::Network, ScanType::Code],
    )
}

fn record(scanner: &str, status: ScannerStatus) -> ScannerRecord {
    let skipped = status == ScannerStatus::Skipped;
    ScannerRecord {
        scanner: scanner.into(),
        status,
        reason: (status != ScannerStatus::Completed).then(|| "not installed".into()),
        install_hint: skipped.then(|| format!("pip install {scanner} – é")),
        version: Some("1.2".into()),
        findings_count: 3,
        duration_ms: 17,
        coverage: Coverage {
            files_seen: 5,
            bytes_seen: 1 << 40,
            skipped: [("binary".to_owned(), 2)].into(),
        },
    }
}

fn finding(scan: &str, number: usize, severity: Severity) -> Finding {
    Finding {
        id: FindingId::random(),
        scan_id: ScanId::new(scan),
        scanner: "secrets".into(),
        scan_type: "code".into(),
        severity,
        title: format!("Finding {number}"),
        description: "Näher".into(),
        file_path: Some(format!("/srv/demo/shop/{number}.py")),
        line_start: Some(number as i64),
        line_end: None,
        rule_id: Some("secrets/x".into()),
        cwe: None,
        remediation: None,
        metadata: [("ключ".to_owned(), json!([1, "é"]))].into_iter().collect(),
        compliance_tags: vec!["PCI-6".into()],
        fingerprint: Fingerprint(format!("{:064x}", number / 2)),
        fingerprint_v2: Fingerprint(format!("{number:064x}")),
    }
}

fn completed(findings: Vec<Finding>) -> ScanOutcome {
    ScanOutcome {
        status: ScanStatus::Completed,
        completed_at: at(99),
        error: None,
        risk_score: Some(49.7),
        scanners: vec![
            record("semgrep", ScannerStatus::Skipped),
            record("secrets", ScannerStatus::Completed),
            record("bandit", ScannerStatus::Skipped),
            record("git-hygiene", ScannerStatus::Failed),
            record("baseline", ScannerStatus::Completed),
        ],
        findings,
    }
}

/// Stores a scan and takes it to its end.
fn store(database: &Database, id: &str, outcome: &ScanOutcome) {
    database
        .write_blocking(|conn| {
            scans::insert(conn, &pending(id), &at(0))?;
            assert!(scans::begin(conn, &ScanId::new(id), &at(1))?);
            assert!(scans::finish(conn, &ScanId::new(id), outcome)?);
            Ok(())
        })
        .unwrap();
}

fn sound(database: &Database) {
    database.blocking(assert_consistent).unwrap();
}
