//! Findings of a scan and their summary (contract/http-api.md 8.1 to 8.3).

use diesel::RunQueryDsl;
use securescan::storage::{Database, DatabaseOptions};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::filters::filtered;
use crate::support::tools::{HELD, SCRIPTED};
use crate::support::tree::Tree;

/// Found in this order; shown by severity, then in this order.
const MIXED: &str = "\
low|r/low|a.py|1|a low one
critical|r/crit|a.py|2|a critical one
info|r/info|b.py|3|an info
high|r/high|b.py|4|a high one
medium|r/med|c.py|5|a medium one
critical|r/crit|c.py|6|another critical one
";

fn titles(findings: &[Value]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding["title"].as_str().unwrap())
        .collect()
}

#[actix::test]
async fn a_finding_has_the_contracts_fields_in_their_order() {
    let app = TestApp::start();
    let tree = Tree::scripted("high|r/high|src/app.py|3|a high one\n");
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let answer = app.get(&format!("/api/v1/scans/{id}/findings")).await;
    let text = filtered(&answer.text()).replace(&tree.text(), "TARGET");
    let start = r#"[{"id":"[id]","scan_id":"[id]","scanner":"script","scan_type":"dast","severity":"high","title":"a high one","description":"a high one in src/app.py","file_path":"TARGET/src/app.py","line_start":3,"line_end":null,"rule_id":"r/high","cwe":null,"remediation":null,"metadata":{},"compliance_tags":[],"fingerprint":""#;
    assert!(text.starts_with(start), "{text}");
    let rest = &text[start.len() + 64..];
    assert!(
        rest.starts_with(r#"","state":null,"fingerprint_v2":""#),
        "{rest}"
    );
}

#[actix::test]
async fn findings_are_shown_worst_first_and_filtered() {
    let app = TestApp::start();
    let tree = Tree::scripted(MIXED);
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let all = app.findings(&id).await;
    assert_eq!(
        titles(&all),
        [
            "a critical one",
            "another critical one",
            "a high one",
            "a medium one",
            "a low one",
            "an info"
        ]
    );
    let count = async |query: &str| {
        let answer = app
            .get(&format!("/api/v1/scans/{id}/findings?{query}"))
            .await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.json().as_array().unwrap().len()
    };
    for (query, expected) in [
        ("severity=critical", 2),
        ("severity=Critical", 0),
        ("severity=bogus", 0),
        ("severity=", 6),
        ("scan_type=dast", 6),
        ("scan_type=code", 0),
        ("scan_type=dast&severity=low", 1),
        ("limit=1", 1),
        ("limit=4&severity=critical", 2),
        ("limit=10000", 6),
        ("compliance=A03", 0),
        ("compliance=%25", 0),
        ("compliance=", 6),
        ("unknown=1", 6),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
}

#[actix::test]
async fn a_verdict_is_joined_by_fingerprint() {
    let app = TestApp::start();
    let tree = Tree::scripted(MIXED);
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let fingerprint = app.findings(&id).await[0]["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned();
    let database = Database::open(&DatabaseOptions::at(app.database())).unwrap();
    database
        .write_blocking(|conn| {
            let query = format!("INSERT INTO finding_states (fingerprint, status, updated_at) VALUES ('{fingerprint}', 'fixed', '2026-11-23T12:44:36.518324')");
            Ok(diesel::sql_query(query).execute(conn)?)
        })
        .unwrap();
    let findings = app.findings(&id).await;
    let expected = json!({"fingerprint": fingerprint, "status": "fixed", "note": null, "updated_at": "2026-11-23T12:44:36.518324", "updated_by": null});
    assert_eq!(findings[0]["state"].to_string(), expected.to_string());
    let judged = findings
        .iter()
        .filter(|finding| !finding["state"].is_null());
    let same = findings
        .iter()
        .filter(|finding| finding["fingerprint"] == fingerprint.as_str());
    assert_eq!(judged.count(), same.count());
}

#[actix::test]
async fn the_summary_counts_what_is_stored() {
    let app = TestApp::start();
    let tree = Tree::scripted(MIXED);
    let id = app.scanned(&tree.text(), &[SCRIPTED]).await;
    let score = app.scan(&id).await["risk_score"].to_string();
    app.get(&format!("/api/v1/scans/{id}/summary")).await.assert(
        200,
        &format!(r#"{{"total_findings":6,"critical":2,"high":1,"medium":1,"low":1,"info":1,"risk_score":{score},"scanners_run":["script"]}}"#),
    );
    let running = app.start(&tree.text(), &[HELD]).await;
    app.get(&format!("/api/v1/scans/{running}/summary")).await.assert(
        200,
        r#"{"total_findings":0,"critical":0,"high":0,"medium":0,"low":0,"info":0,"risk_score":0.0,"scanners_run":[]}"#,
    );
    app.get(&format!("/api/v1/scans/{running}/findings"))
        .await
        .assert(200, "[]");
}

#[actix::test]
async fn fingerprints_are_those_of_the_scan_before() {
    let app = TestApp::start();
    let tree = Tree::with_findings();
    let mut sets = Vec::new();
    for _ in 0..2 {
        let id = app.scanned(&tree.text(), &["code", "iac"]).await;
        let findings = app.findings(&id).await;
        assert!(!findings.is_empty());
        let pairs: Vec<_> = findings
            .iter()
            .map(|finding| {
                (
                    finding["fingerprint"].clone(),
                    finding["fingerprint_v2"].clone(),
                )
            })
            .collect();
        sets.push(pairs);
    }
    assert_eq!(sets[0], sets[1]);
}
