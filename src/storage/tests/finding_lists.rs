//! Lists of findings.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::*;
use crate::storage::findings::{self, FindingFilter};

fn titles(database: &Database, filter: &FindingFilter) -> Vec<String> {
    database
        .blocking(|conn| findings::list(conn, &ScanId::new("a"), filter))
        .unwrap()
        .findings
        .into_iter()
        .map(|(finding, _)| finding.title)
        .collect()
}

fn mixed() -> (TempDir, Database) {
    let (folder, database) = fresh();
    let severities = [
        Severity::Info,
        Severity::High,
        Severity::Critical,
        Severity::High,
        Severity::Low,
        Severity::Medium,
    ];
    let mut all: Vec<Finding> = severities
        .into_iter()
        .enumerate()
        .map(|(number, severity)| finding("a", number, severity))
        .collect();
    all[1].scanner = "bandit".into();
    all[4].scan_type = "iac".into();
    all[5].compliance_tags = vec!["A03".into(), "PCI-6.2".into()];
    store(&database, "a", &completed(all));
    (folder, database)
}

#[test]
fn the_most_urgent_come_first_and_equals_as_stored() {
    let (_folder, database) = mixed();
    let order = [
        "Finding 2",
        "Finding 1",
        "Finding 3",
        "Finding 5",
        "Finding 4",
        "Finding 0",
    ];
    assert_eq!(titles(&database, &FindingFilter::default()), order);
    for size in 1..=6 {
        let mut filter = FindingFilter {
            limit: Some(size),
            ..FindingFilter::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = database
                .blocking(|conn| findings::list(conn, &ScanId::new("a"), &filter))
                .unwrap();
            seen.extend(page.findings.into_iter().map(|(finding, _)| finding.title));
            let Some(next) = page.next else { break };
            filter.cursor = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen, order);
    }
    database
        .blocking(|conn| {
            let counts = findings::counts(conn, &ScanId::new("a"))?;
            assert_eq!((counts.high, counts.total()), (2, 6));
            assert_eq!(
                findings::scanners_with_findings(conn, &ScanId::new("a"))?,
                ["secrets", "bandit"]
            );
            assert_eq!(findings::counts(conn, &ScanId::new("b"))?.total(), 0);
            Ok(())
        })
        .unwrap();
}

#[test]
fn filters_match_exactly_and_empty_ones_not_at_all() {
    let (_folder, database) = mixed();
    let with = |severity: &str, scan_type: &str, compliance: &str| {
        titles(
            &database,
            &FindingFilter {
                severity: Some(severity.into()),
                scan_type: Some(scan_type.into()),
                compliance: Some(compliance.into()),
                ..FindingFilter::default()
            },
        )
        .len()
    };
    assert_eq!(with("", "", ""), 6);
    assert_eq!(with("high", "", ""), 2);
    assert_eq!(with("HIGH", "", ""), 0);
    assert_eq!(with("", "iac", ""), 1);
    assert_eq!(with("", "", "PCI-6"), 5);
    assert_eq!(with("", "", "pci-6"), 5, "ASCII case does not matter");
    for wildcard in ["%", "PCI_6", "PCI-6%", "\"", "' OR 1=1 --"] {
        assert_eq!(with("", "", wildcard), 0, "{wildcard}");
    }
    assert_eq!(with("high", "code", "PCI-6"), 2);
}

#[test]
fn verdicts_come_with_every_finding_of_their_fingerprint() {
    let (_folder, database) = mixed();
    let print = format!("{:064x}", 1);
    database
        .write_blocking(|conn| {
            conn.batch_execute(&format!(
                "INSERT INTO finding_states VALUES ('{print}', 'fixed', 'n', 'now', NULL), ('', 'fixed', NULL, 'now', NULL);
                 UPDATE findings SET fingerprint = '' WHERE title = 'Finding 0';
                 UPDATE findings SET fingerprint = NULL, metadata = NULL, compliance_tags = NULL, severity = 'odd' WHERE title = 'Finding 5';"
            ))?;
            Ok(())
        })
        .unwrap();
    let page = database
        .blocking(|conn| findings::list(conn, &ScanId::new("a"), &FindingFilter::default()))
        .unwrap();
    assert_eq!(page.findings.len(), 6);
    let mut judged: Vec<&str> = page
        .findings
        .iter()
        .filter(|(_, state)| state.is_some())
        .map(|(finding, _)| finding.title.as_str())
        .collect();
    judged.sort_unstable();
    assert_eq!(judged, ["Finding 2", "Finding 3"]);
    let odd = &page
        .findings
        .iter()
        .find(|(finding, _)| finding.title == "Finding 5")
        .unwrap()
        .0;
    assert_eq!(odd.severity, Severity::Info);
    assert!(odd.metadata.is_empty() && odd.compliance_tags.is_empty());
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[test]
fn lists_are_served_by_indexes_without_sorting() {
    let (_folder, database) = fresh();
    for query in [
        format!(
            "SELECT title FROM findings WHERE findings.scan_id = 'a' ORDER BY {}, findings.rowid",
            findings::RANK
        ),
        "SELECT id FROM scans WHERE started_at IS NOT NULL ORDER BY started_at DESC, scans.rowid DESC".to_owned(),
        "SELECT id FROM scans WHERE started_at IS NULL ORDER BY scans.rowid DESC".to_owned(),
        "SELECT id FROM scans WHERE status = 'running' ORDER BY started_at DESC, scans.rowid DESC".to_owned(),
    ] {
        let plan: Vec<Plan> = database
            .blocking(|conn| Ok(diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(conn)?))
            .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|step| step.detail).collect();
        assert!(
            plan.iter().any(|step| step.contains("USING") && step.contains("INDEX")),
            "{query}: {plan:?}"
        );
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE")),
            "{query}: {plan:?}"
        );
    }
}
