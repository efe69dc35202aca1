//! One scan, from request to deletion.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::*;
use crate::storage::scans::DeleteOutcome;

#[derive(QueryableByName)]
struct Raw {
    #[diesel(sql_type = Text)]
    what: String,
}

fn raw(database: &Database, query: &str) -> String {
    database
        .blocking(|conn| Ok(diesel::sql_query(query).get_result::<Raw>(conn)?.what))
        .unwrap()
}

#[test]
fn a_finished_scan_reads_back_as_it_was_written() {
    let (_folder, database) = fresh();
    let findings = vec![
        finding("a", 1, Severity::Low),
        finding("a", 2, Severity::Critical),
    ];
    store(&database, "a", &completed(findings.clone()));
    let id = ScanId::new("a");
    let scan = database
        .blocking(|conn| scans::get(conn, &id))
        .unwrap()
        .unwrap();
    assert_eq!(scan.status, ScanStatus::Completed);
    assert_eq!(scan.scan_types, [ScanType::Network, ScanType::Code]);
    assert_eq!(scan.started_at, Some(at(1)));
    assert_eq!(scan.findings_count, 2);
    assert_eq!(scan.risk_score, Some(49.7));
    assert_eq!(scan.scanners_run, ["baseline", "secrets"]);
    assert_eq!(scan.scanners_skipped.len(), 2);
    assert_eq!(scan.scanners_skipped[0].name, "bandit");
    assert_eq!(scan.scanners, completed(Vec::new()).scanners);
    assert_eq!(
        raw(
            &database,
            "SELECT scan_types || scanners_run || scanners_skipped AS what FROM scans"
        ),
        r#"["network", "code"]["baseline", "secrets"][{"name": "bandit", "reason": "not installed", "install_hint": "pip install bandit \u2013 \u00e9"}, {"name": "semgrep", "reason": "not installed", "install_hint": "pip install semgrep \u2013 \u00e9"}]"#
    );
    assert_eq!(
        raw(
            &database,
            "SELECT metadata || compliance_tags AS what FROM findings LIMIT 1"
        ),
        r#"{"\u043a\u043b\u044e\u0447": [1, "\u00e9"]}["PCI-6"]"#
    );
    let mut stored = database.blocking(|conn| findings::all(conn, &id)).unwrap();
    assert_eq!(stored[0].severity, Severity::Critical);
    stored.reverse();
    assert_eq!(stored, findings);
    sound(&database);
}

#[test]
fn the_first_terminal_state_wins() {
    let (_folder, database) = fresh();
    store(
        &database,
        "a",
        &completed(vec![finding("a", 1, Severity::Low)]),
    );
    let id = ScanId::new("a");
    let late = completed(vec![finding("a", 2, Severity::Low)]);
    database
        .write_blocking(|conn| {
            assert!(!scans::finish(conn, &id, &late)?);
            assert!(!scans::begin(conn, &id, &at(2))?);
            assert!(!scans::cancel_pending(conn, &id, &at(2), "no")?);
            assert!(!scans::finish(conn, &ScanId::new("nobody"), &late)?);
            assert!(scans::fail_interrupted(conn, &at(2), "no")?.is_empty());
            Ok(())
        })
        .unwrap();
    let scan = database
        .blocking(|conn| scans::get(conn, &id))
        .unwrap()
        .unwrap();
    assert_eq!(
        (scan.status, scan.findings_count),
        (ScanStatus::Completed, 1)
    );
    sound(&database);
}

#[test]
fn a_scan_cannot_finish_as_running() {
    let (_folder, database) = fresh();
    let outcome = ScanOutcome {
        status: ScanStatus::Running,
        ..completed(Vec::new())
    };
    let refused = database.write_blocking(|conn| scans::finish(conn, &ScanId::new("a"), &outcome));
    assert!(matches!(refused, Err(StorageError::Refused(_))));
}

#[test]
fn a_cancelled_scan_shows_no_scanners_but_keeps_its_record() {
    let (_folder, database) = fresh();
    let outcome = ScanOutcome {
        status: ScanStatus::Cancelled,
        error: Some("Scan cancelled by user".into()),
        risk_score: None,
        ..completed(Vec::new())
    };
    store(&database, "a", &outcome);
    let scan = database
        .blocking(|conn| scans::get(conn, &ScanId::new("a")))
        .unwrap()
        .unwrap();
    assert!(scan.scanners_run.is_empty() && scan.scanners_skipped.is_empty());
    assert_eq!(scan.scanners.len(), 5);
    sound(&database);
}

#[test]
fn a_failure_in_the_middle_of_finishing_stores_nothing() {
    let (_folder, database) = fresh();
    let id = ScanId::new("a");
    let mut findings: Vec<Finding> = (0..100).map(|n| finding("a", n, Severity::Low)).collect();
    findings[60].id = findings[3].id.clone();
    database
        .write_blocking(|conn| {
            scans::insert(conn, &pending("a"), &at(0))?;
            scans::begin(conn, &id, &at(1))
        })
        .unwrap();
    let outcome = completed(findings);
    let failed = database.write_blocking(|conn| scans::finish(conn, &id, &outcome));
    assert!(matches!(failed, Err(StorageError::Query(_))));
    let scan = database
        .blocking(|conn| {
            assert!(findings::all(conn, &id)?.is_empty());
            scans::get(conn, &id)
        })
        .unwrap()
        .unwrap();
    assert_eq!(scan.status, ScanStatus::Running);
    assert!(scan.scanners.is_empty() && scan.completed_at.is_none());
    sound(&database);
}

#[test]
fn a_restart_fails_what_ran_and_queues_what_waited() {
    let (_folder, database) = fresh();
    let running = database
        .write_blocking(|conn| {
            for id in ["z", "b", "y", "a"] {
                scans::insert(conn, &pending(id), &at(0))?;
            }
            scans::begin(conn, &ScanId::new("y"), &at(1))?;
            scans::begin(conn, &ScanId::new("b"), &at(2))?;
            assert!(scans::cancel_pending(
                conn,
                &ScanId::new("a"),
                &at(3),
                "why"
            )?);
            let failed = scans::fail_interrupted(conn, &at(4), "server stopped")?;
            assert_eq!(scans::pending_in_order(conn)?, [ScanId::new("z")]);
            Ok(failed)
        })
        .unwrap();
    assert_eq!(running, [ScanId::new("b"), ScanId::new("y")]);
    let scan = database
        .blocking(|conn| scans::get(conn, &ScanId::new("y")))
        .unwrap()
        .unwrap();
    assert_eq!(scan.status, ScanStatus::Failed);
    assert_eq!(scan.error.as_deref(), Some("server stopped"));
    assert_eq!(scan.completed_at, Some(at(4)));
    sound(&database);
}

#[test]
fn deleting_takes_findings_along_and_leaves_the_rest() {
    let (_folder, database) = fresh();
    store(
        &database,
        "a",
        &completed(vec![finding("a", 1, Severity::Low)]),
    );
    let id = ScanId::new("a");
    database
        .write_blocking(|conn| {
            conn.batch_execute(
                "INSERT INTO sbom_documents VALUES ('d', 'a', '/t', 'cyclonedx', 'now'), ('u', 'unknown', '/t', 'spdx', 'now');
                 INSERT INTO finding_states VALUES ('f', 'fixed', NULL, 'now', NULL);",
            )?;
            scans::insert(conn, &pending("p"), &at(0))?;
            assert_eq!(
                scans::delete(conn, &ScanId::new("p"))?,
                DeleteOutcome::NotTerminal(ScanStatus::Pending)
            );
            assert_eq!(scans::delete(conn, &id)?, DeleteOutcome::Deleted);
            assert_eq!(scans::delete(conn, &id)?, DeleteOutcome::NotFound);
            conn.batch_execute("UPDATE scans SET status = 'odd' WHERE id = 'p'")?;
            assert_eq!(
                scans::delete(conn, &ScanId::new("p"))?,
                DeleteOutcome::Deleted
            );
            Ok(())
        })
        .unwrap();
    assert_eq!(
        raw(
            &database,
            "SELECT (SELECT count(*) FROM findings) || ' ' || (SELECT count(*) FROM scan_scanners) || ' '
             || (SELECT count(*) FROM finding_states) || ' ' || (SELECT group_concat(scan_id) FROM sbom_documents) AS what"
        ),
        "0 0 1 a,unknown"
    );
    sound(&database);
}

#[test]
fn bulk_findings_are_stored_quickly() {
    let (_folder, database) = fresh();
    let id = ScanId::new("a");
    let outcome = completed(
        (0..20_000)
            .map(|n| finding("a", n, Severity::Medium))
            .collect(),
    );
    database
        .write_blocking(|conn| {
            scans::insert(conn, &pending("a"), &at(0))?;
            scans::begin(conn, &id, &at(1))
        })
        .unwrap();
    let start = std::time::Instant::now();
    assert!(
        database
            .write_blocking(|conn| scans::finish(conn, &id, &outcome))
            .unwrap()
    );
    let took = start.elapsed();
    eprintln!("stored 20,000 findings in {took:?}");
    assert!(took.as_secs() < 20, "{took:?}");
    sound(&database);
}
